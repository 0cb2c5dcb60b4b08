"""Small files become one, and nothing else changes."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from driftgauge.shared.archive.manifest import KINDS
from driftgauge.shared.archive.pruning import days, prune
from driftgauge.shared.archive.scan import Range, scan
from driftgauge.shared.archive.store import FolderStore
from driftgauge.shared.archive.upkeep import compacting
from driftgauge.shared.archive.upkeep.compacting import compact
from driftgauge.shared.archive.upkeep.tending import sweep
from driftgauge.shared.archive.verifying import verify
from driftgauge.shared.contract.events import Label
from tests.consumer.notifying.messages import incident
from tests.shared.archive.making import (
    MODEL,
    NOON,
    prediction,
    refused,
    write,
    write_incidents,
    write_panes,
)


def ids(store: FolderStore) -> list[Any]:
    batches = list(scan(store, "predictions", Range(MODEL), print))
    return sorted(pa.Table.from_batches(batches)["id"].to_pylist())


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    """Archive five cuts of ten rows, in two partitions, with labels."""
    made = FolderStore(tmp_path)
    for cut in range(5):
        rows = [prediction(10 * cut + place) for place in range(10)]
        write(made, 20 * cut, rows, [Label(f"id{cut}", 1.0, NOON)], partition=cut % 2)
    return made


def compacted(store: FolderStore) -> int:
    return sum(
        compact(store, MODEL, day, NOON) for kind in KINDS for day in days(store, MODEL, kind)
    )


def test_each_partition_of_a_day_becomes_one_file(store: FolderStore, tmp_path: Path) -> None:
    """The rows are the same, and in the manifest with their checksums; a second time changes
    nothing.
    """
    before = ids(store)
    assert compacted(store) == 6
    assert ids(store) == before
    assert len(list(tmp_path.glob("*/*/*/*.parquet"))) == 4
    assert not [found for found in verify(store, MODEL) if found.fault]
    assert compacted(store) == 0


def test_a_cut_that_comes_late_is_known(store: FolderStore) -> None:
    """Rows of a file that was joined are not written again under their former name, and no file is
    left of them, also when the old one is gone.
    """
    compacted(store)
    for _ in range(2):
        write(store, 40, [prediction(20 + place) for place in range(10)], partition=0)
        assert len(ids(store)) == 50
        assert not [found for found in verify(store, MODEL) if found.fault]
        for day in days(store, MODEL, "predictions"):
            sweep(store, MODEL, day, before=None)
    assert len(list(Path(store.where()).glob("predictions/*/*/*.parquet"))) == 2


def test_rows_behind_an_entry_are_cut_out_of_a_joined_file(store: FolderStore) -> None:
    """After a Redis that went back, only those rows of the partition come again."""
    compacted(store)
    assert prune(store, MODEL, 0, "43-0", lambda: None) == 7 + 10 + 2
    assert ids(store) == sorted(
        f"id{place}" for place in [*range(10), *range(10, 20), 20, 21, 22, *range(30, 40)]
    )


def test_a_file_has_a_bounded_size(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file becomes larger than is read at once."""
    monkeypatch.setitem(compacting.MOST_ROWS, "predictions", 20)
    compacted(store)
    (day,) = days(store, MODEL, "predictions")
    assert sorted(file.rows for file in day.manifest.files) == [10, 20, 20]


def test_every_kind_of_row_is_joined(tmp_path: Path) -> None:
    """Refused events, incidents with their lists, and panes with their counts are as before; panes
    behind one that Redis has not any more go by their numbers.
    """
    made = FolderStore(tmp_path)
    for cut in range(4):
        write(made, 10 * cut, refused=[refused(cut)], first_ms=NOON + cut)
        write_incidents(made, [incident(number=cut + 1)], start=cut)
        write_panes(made, [cut + 1])

    def rows() -> dict[str, Any]:
        return {kind: list(scan(made, kind, Range(MODEL), print)) for kind in KINDS}

    before = {kind: pa.Table.from_batches(found) for kind, found in rows().items() if found}
    assert compacted(made) == 9
    after = {kind: pa.Table.from_batches(found) for kind, found in rows().items() if found}
    assert {kind: table.to_pylist() for kind, table in after.items()} == {
        kind: table.to_pylist() for kind, table in before.items()
    }
    assert after.keys() == {"refused", "incidents", "panes"}
    assert not [found for found in verify(made, MODEL) if found.fault]
    assert prune(made, MODEL, 0, "2-0", lambda: None, ["panes"]) == 2
    (left,) = rows()["panes"]
    assert left["pane"].to_pylist() == [1, 2]
