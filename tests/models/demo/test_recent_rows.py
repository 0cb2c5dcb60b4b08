"""Rows with labels for a retraining."""

from pathlib import Path

import pytest

from driftgauge.models.demo.recent_rows import RecentRows, read_recent, wait_for_rows
from driftgauge.shared.errors import BadData
from tests.models.drift.builders import SCHEMA, posted


def test_rows_come_back_as_they_were_and_a_half_written_line_is_left_out(tmp_path: Path) -> None:
    """Kinds and missing values survive; a reader never takes a part of a line for a row."""
    path = tmp_path / "recent.csv"
    rows = RecentRows(path, SCHEMA)
    rows.add([posted("1", "1", 0.25), posted("0", "1", None)])
    with path.open("a") as file:
        file.write("1000,yes,0.")
    found = read_recent(path, SCHEMA, 1000)
    assert found.labels.tolist() == ["1", "0"]
    assert found.features["x"].tolist()[0] == 0.25
    assert found.features["x"].isna().tolist() == [False, True]
    assert found.features["c"].tolist() == ["r", "r"]
    assert len(read_recent(path, SCHEMA, 1001).labels) == 0


def test_too_few_rows_are_an_error_after_the_patience(tmp_path: Path) -> None:
    """A retraining does not wait for ever, and not for a file that is not there."""
    path = tmp_path / "recent.csv"
    RecentRows(path, SCHEMA).add([posted("a", "a")])
    assert len(wait_for_rows(path, SCHEMA, 0, 1, 0.0).labels) == 1
    with pytest.raises(BadData, match="has 1 rows since the incident, 2 are needed"):
        wait_for_rows(path, SCHEMA, 0, 2, 0.0)
    with pytest.raises(BadData, match="cannot be read"):
        read_recent(tmp_path / "none.csv", SCHEMA, 0)
