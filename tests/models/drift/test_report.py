"""The record and the picture."""

import io
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from rich.console import Console

from driftgauge.models.drift.picture import draw
from driftgauge.models.drift.report import Record, errors, metrics, write
from driftgauge.models.drift.run import SimulationResult
from driftgauge.models.drift.terminal import keep
from driftgauge.models.drift.verdict import verdict
from tests.models.drift.builders import posted

RECORD = Record(
    "2026-01-02T03:04:05+00:00",
    "m",
    "1.0.0",
    "concept",
    "abrupt",
    0.3,
    0,
    "where $x$ is large",
    40,
    20,
    20,
    40,
    {},
    found=True,
    passed=True,
    verdict=verdict([], 20, []),
    before={"accuracy": 1.0},
    after={"accuracy": 0.5},
    seconds=1.0,
)
ROWS = [posted("a", "a", float(n)) for n in range(20)] + [
    posted("b", "a", None, drifted=True) for _ in range(20)
]


def test_metrics_are_those_of_the_rows_whose_truth_is_known() -> None:
    """By hand: three of four are right; errors of numbers are absolute; rows without labels are
    left out.
    """
    assert (
        metrics([posted("a", "a"), posted("a", "b"), posted("b", "b"), posted("b", "b")])[
            "accuracy"
        ]
        == 0.75
    )
    numbers = metrics([posted(1.0, 2.0), posted(3.0, 3.0), posted(None, 9.0)])
    assert (numbers["mae"], numbers["rmse"]) == (0.5, pytest.approx(np.sqrt(0.5)))
    assert metrics([posted(None, "a")]) == {}
    assert errors([posted("a", "b"), posted(1.0, 3.0), posted(None, 1.0)]).tolist()[:2] == [
        1.0,
        2.0,
    ]


def test_a_record_is_named_by_its_time_and_drift(tmp_path: Path) -> None:
    """The file is found again, and reads back as it was."""
    path = write(RECORD, tmp_path / "reports")
    assert path.name == "20260102T030405-m-concept-abrupt.json"
    assert msgspec.json.decode(path.read_bytes(), type=Record) == RECORD


@pytest.mark.parametrize(
    "rows", [ROWS, ROWS[:20] + [posted(None, 1.5, None)] * 20, [posted(1.0, 2.0)] * 40]
)
def test_the_picture_is_drawn_whatever_is_missing(rows: list[object], tmp_path: Path) -> None:
    """Classes or numbers, all missing, no true values: no warning, and a picture."""
    path = tmp_path / "picture.png"
    record = msgspec.structs.replace(RECORD, before=metrics(rows[:20]), model="$\\frac$")  # type: ignore[arg-type]
    draw(record, rows, ["x", "c"], path)  # type: ignore[arg-type]
    assert path.read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_record_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is absent costs the picture only, and is said with its pip line."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    told = io.StringIO()
    (kept,) = keep(SimulationResult(RECORD, ROWS, ("x",)), tmp_path, Console(file=told, width=200))
    assert kept.suffix == ".json"
    assert told.getvalue().startswith("No picture: This needs matplotlib: pip install 'driftgauge")
    assert "[plot]" in told.getvalue()
