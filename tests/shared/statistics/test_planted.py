"""A statistic is one file: whoever adds one touches nothing else."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import driftgauge
from driftgauge.consumer.judging.rules.policy_file import read_policy
from driftgauge.shared import statistics
from driftgauge.shared.wording.titles import title
from tests.consumer.judging.builders import Stream, judge

SOURCE = '''
"""The share of rows in the fullest bin of the window."""

from driftgauge.shared.statistics.base import Values, statistic
from driftgauge.shared.statistics.counts import ColumnCounts


@statistic("fullest_bin", "Fullest bin", kinds=("numeric",))
def fullest_bin(counts: ColumnCounts) -> Values:
    """Return the share of rows in the fullest bin of the window."""
    return Values(counts.bins[1].max(axis=-1) / counts.m)
'''


@pytest.fixture
def _planted(tmp_path: Path) -> Iterator[None]:
    """Put the file of a statistic beside the others, as an import sees it."""
    (tmp_path / "fullest_bin.py").write_text(SOURCE)
    statistics.__path__.append(str(tmp_path))
    statistics.learn()
    yield
    statistics.__path__.remove(str(tmp_path))
    del statistics.STATISTICS["fullest_bin"]
    del sys.modules[f"{statistics.__name__}.fullest_bin"]


@pytest.mark.usefixtures("_planted")
def test_a_file_is_all_that_a_statistic_needs() -> None:
    """A statistic whose file stands in the room is a function of the library, stands in comparisons
    and in judging's snapshots with its title, and can be limited by a policy file.
    """
    rows = np.random.default_rng(0).normal(size=1000)
    assert driftgauge.fullest_bin(rows, np.zeros(10)).value == 1.0
    assert driftgauge.statistics(rows, rows)["fullest_bin"].value == pytest.approx(0.1)
    assert "fullest_bin" not in driftgauge.statistics(["a", "b"], ["a", "b"])
    frame = pd.DataFrame({"x": rows})
    compared = driftgauge.compare(frame, frame)
    assert "fullest_bin" in {one.name for one in compared.features[0].statistics}
    judged = judge(Stream(np.random.default_rng(0)).panes(8).entries).current["1.0.0"]
    named = {one.name: {found.name for found in one.statistics} for one in judged.features}
    assert "fullest_bin" in named["smooth"]
    assert "fullest_bin" not in named["city"]
    assert title("fullest_bin") == "Fullest bin"
    limited = b'[[default.thresholds]]\nmetric = "fullest_bin"\nwarning = 0.5'
    assert read_policy(limited, "policy.toml").default.thresholds[0].metric == "fullest_bin"


def test_what_has_no_file_is_no_statistic() -> None:
    """Without its file the library has no such name, and says so."""
    with pytest.raises(AttributeError, match="fullest_bin"):
        _ = driftgauge.fullest_bin
