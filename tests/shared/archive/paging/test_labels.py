"""The labels of a page of an archive."""

from pathlib import Path

import pytest

from driftgauge.shared.archive.paging.backwards import newest
from driftgauge.shared.archive.paging.events import Row
from driftgauge.shared.archive.paging.labels import labels_of
from driftgauge.shared.archive.paging.position import END, NEWEST
from driftgauge.shared.archive.scan import Range
from driftgauge.shared.archive.store import FolderStore
from driftgauge.shared.contract.events import Label
from tests.shared.archive.making import DAY_MS, MODEL, NOON, prediction, write

WEEK = 7 * DAY_MS


def rows_of(store: FolderStore) -> list[Row]:
    return newest(store, Range(MODEL), {}, NEWEST, 100, lambda: False, pytest.fail).rows


def test_the_last_label_in_the_log_counts(tmp_path: Path) -> None:
    """Of several, in whatever files and days; those of others are left out."""
    store = FolderStore(tmp_path)
    write(store, NOON, [prediction(place) for place in range(3)])
    write(store, NOON + 100, labels=[Label("id0", 1.0, NOON + DAY_MS), Label("x", 9.0, NOON)])
    write(store, NOON + 200, labels=[Label("id0", 2.0, NOON), Label("id1", 3.0, NOON + WEEK)])
    rows = rows_of(store)
    found = labels_of(store, MODEL, rows, WEEK, lambda: False, pytest.fail)
    assert found == {"id0": 2.0, "id1": 3.0}
    assert labels_of(store, MODEL, [], WEEK, lambda: False, pytest.fail) == {}


def test_labels_are_looked_for_as_long_as_they_are_waited_for(tmp_path: Path) -> None:
    """One that came later is left to an export, and days that end the time are told."""
    store = FolderStore(tmp_path)
    write(store, NOON, [prediction(0)])
    write(store, NOON + 100, labels=[Label("id0", "yes", NOON + 9 * DAY_MS)])
    rows = rows_of(store)
    assert labels_of(store, MODEL, rows, WEEK, lambda: False, pytest.fail) == {}
    wait = 9 * DAY_MS
    assert labels_of(store, MODEL, rows, wait, lambda: False, pytest.fail) == {"id0": "yes"}
    said: list[str] = []
    assert labels_of(store, MODEL, rows, wait, lambda: True, said.append) == {}
    assert said == ["Labels were looked for up to 2025-11-29; an export has all."]


def test_a_clock_at_the_end_of_time_hides_no_row(tmp_path: Path) -> None:
    """A client's clock may be anywhere: no day is behind that of the last possible time."""
    store = FolderStore(tmp_path)
    write(store, NOON, [prediction(0, END.ms), prediction(1)])
    write(store, NOON + 100, labels=[Label("id0", 1.0, NOON)])
    rows = rows_of(store)
    assert [row.event.id for row in rows] == ["id0", "id1"]
    assert labels_of(store, MODEL, rows, WEEK, lambda: False, pytest.fail) == {"id0": 1.0}


def test_a_damaged_file_is_named_and_skipped(tmp_path: Path) -> None:
    """The labels of all others are there."""
    store = FolderStore(tmp_path)
    write(store, NOON, [prediction(0), prediction(1)])
    for place in range(2):
        write(store, NOON + 100 + place, labels=[Label(f"id{place}", 1.0, NOON)])
    damaged = sorted((tmp_path / "labels").rglob("*.parquet"))[1]
    damaged.write_bytes(damaged.read_bytes()[:-20])
    said: list[str] = []
    assert labels_of(store, MODEL, rows_of(store), WEEK, lambda: False, said.append) == {"id0": 1.0}
    assert [str(damaged) in one for one in said] == [True]
