"""The plugin of pytest: runs of pytest in folders of their own."""

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import driftgauge
from driftgauge.shared.errors import BadData
from tests.places import ROOT

pytest_plugins = ["pytester"]

INSTALLED = any(entry_points(group="pytest11", name="driftgauge"))
"""Whether pytest finds the plugin by itself: the environment was made since there is one."""
PLUGIN = ("-p", "driftgauge" if INSTALLED else "driftgauge.pytest_plugin", "-p", "no:cacheprovider")
BEFORE = pd.DataFrame({"x": np.random.default_rng(0).normal(size=2000), "plan": ["a", "b"] * 1000})
AFTER = BEFORE.assign(x=BEFORE.x + 1)
SUITE = """
import numpy as np, pandas as pd, pytest

BEFORE = pd.DataFrame({"x": np.random.default_rng(0).normal(size=2000)})

def test_same(assert_no_drift):
    assert assert_no_drift(BEFORE, BEFORE).severity == "ok"

@pytest.mark.parametrize("by", ["a/../b"])
def test_moved(assert_no_drift, by):
    assert_no_drift(BEFORE, BEFORE)
    assert_no_drift(BEFORE, BEFORE + 1)
"""


@pytest.fixture(scope="module", autouse=True)
def _loaded(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Load once what a comparison needs: a run of pytest inside this process forgets the modules
    that came with it.
    """
    report = tmp_path_factory.mktemp("report") / "report.html"
    with pytest.raises(AssertionError):
        driftgauge.assert_no_drift(BEFORE, AFTER, report=report)
    assert report.stat().st_size > 1000


def test_a_test_fails_with_the_table(pytester: pytest.Pytester) -> None:
    """One passes, one fails with the verdict and a line for each feature, without a traceback of
    ours; each comparison writes its report into the folder that was named, and nowhere else.
    """
    pytester.makepyfile(SUITE)
    result = pytester.runpytest(*PLUGIN, "--driftgauge-reports", "build/drift")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["Critical: 1 of 1 columns drifted (x).", "feature*verdict*why", "x *critical*PSI*"]
    )
    result.stdout.fnmatch_lines(["Report: */build/drift/*-2.html"])
    assert "asserting.py" not in result.stdout.str()
    assert "During handling" not in result.stdout.str()
    names = sorted(path.name for path in (pytester.path / "build/drift").iterdir())
    assert [name.partition(".py_")[2] for name in names] == [
        "test_moved_a_.._b_-1.html",
        "test_moved_a_.._b_-2.html",
        "test_same-1.html",
    ]
    assert len(list(pytester.path.rglob("*.html"))) == len(names)


def test_nothing_is_written_unless_it_is_said(pytester: pytest.Pytester) -> None:
    """Without the option there is no report."""
    pytester.makepyfile(SUITE)
    pytester.runpytest(*PLUGIN).assert_outcomes(passed=1, failed=1)
    assert list(pytester.path.rglob("*.html")) == []


def test_the_plugin_is_light() -> None:
    """It is loaded in every run of pytest: nothing of ours, and no package beside pytest."""
    source = (
        "import sys, pytest; before = {*sys.modules}; import driftgauge.pytest_plugin; "
        "print(*sorted({*sys.modules} - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["driftgauge", "driftgauge.pytest_plugin"]


def test_the_plugin_is_found_by_pytest() -> None:
    """An installation names it, so that nobody has to."""
    project = (ROOT / "pyproject.toml").read_text()
    assert '[project.entry-points.pytest11]\ndriftgauge = "driftgauge.pytest_plugin"' in project


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.from_pandas, pa.Table.from_pandas])
def test_frames_of_any_library(kind: object) -> None:
    """The same answer for pandas, polars and PyArrow."""
    assert callable(kind)
    assert driftgauge.assert_no_drift(kind(BEFORE), kind(BEFORE)).severity == "ok"
    with pytest.raises(AssertionError, match=r"^Critical: 1 of 2 columns drifted \(x\)\.\n"):
        driftgauge.assert_no_drift(kind(BEFORE), kind(AFTER))


def test_two_files(tmp_path: Path) -> None:
    """Paths are read as `driftgauge compare` reads them; one path beside one frame is refused."""
    BEFORE.to_csv(tmp_path / "a.csv", index=False)
    AFTER.to_parquet(tmp_path / "b.parquet")
    assert driftgauge.assert_no_drift(tmp_path / "a.csv", str(tmp_path / "a.csv")).severity == "ok"
    with pytest.raises(AssertionError, match=r"drifted \(x\)"):
        driftgauge.assert_no_drift(tmp_path / "a.csv", tmp_path / "b.parquet", exclude=["plan"])
    with pytest.raises(BadData, match="two files"):
        driftgauge.assert_no_drift(tmp_path / "a.csv", AFTER)


def test_what_was_not_judged_is_no_success() -> None:
    """Too few rows, and a column that is not there, fail like drift: a check that checked nothing
    is not green.
    """
    with pytest.raises(AssertionError, match=r"^Too few rows: 8 of 500"):
        driftgauge.assert_no_drift(BEFORE, BEFORE.head(8))
    with pytest.raises(AssertionError, match="no such column"):
        driftgauge.assert_no_drift(BEFORE, BEFORE[["x"]])
    assert driftgauge.assert_no_drift(BEFORE, BEFORE.head(100), min_rows=50).severity == "ok"


def test_limits() -> None:
    """A shift that matters to nobody passes by the limits that are stated, and only by those."""
    slight = BEFORE.assign(x=BEFORE.x + 0.45)
    with pytest.raises(AssertionError, match="drifted"):
        driftgauge.assert_no_drift(BEFORE, slight)
    driftgauge.assert_no_drift(BEFORE, slight, fail_on="critical")
    driftgauge.assert_no_drift(BEFORE, slight, psi_warning=0.4, psi_critical=0.5)
    driftgauge.assert_no_drift(BEFORE, slight, exclude={"x": "drifts each spring"})
    with pytest.raises(BadData, match="below psi_warning"):
        driftgauge.assert_no_drift(BEFORE, slight, psi_warning=0.3)
