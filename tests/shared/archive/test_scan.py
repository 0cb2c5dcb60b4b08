"""All read an archive by one function: whole, in order, and past what is damaged."""

import io
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from driftgauge.shared.archive.manifest import NAME, Kind
from driftgauge.shared.archive.paging.backwards import newest
from driftgauge.shared.archive.paging.labels import labels_of
from driftgauge.shared.archive.paging.position import NEWEST
from driftgauge.shared.archive.scan import Range, files, read_file, scan
from driftgauge.shared.archive.store import FolderStore
from driftgauge.shared.contract.events import Label
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.schema import Schema
from tests.shared.archive.making import DAY_MS, MODEL, NOON, SCHEMA, prediction, write


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path)


def read(store: FolderStore, told: list[str] | None = None, **more: Any) -> Any:
    said: list[str] = [] if told is None else told
    found = list(scan(store, "predictions", Range(MODEL, **more), said.append))
    assert told is not None or not said
    return pa.Table.from_batches(found)


def ids(table: Any) -> list[str]:
    return list(table["id"].to_pylist())


def test_a_cut_that_is_written_again_is_there_once(store: FolderStore) -> None:
    """The same cut, and one that overlaps it, change nothing."""
    write(store, 0, [prediction(place) for place in range(4)])
    write(store, 0, [prediction(place) for place in range(4)])
    write(store, 2, [prediction(place) for place in range(2, 6)])
    assert ids(read(store)) == ["id0", "id1", "id2", "id3"]


def test_a_range_has_the_rows_of_its_times(store: FolderStore) -> None:
    """`since` is in it, `until` is not; rows that came late are found at their own time."""
    write(store, 0, [prediction(day, NOON + day * DAY_MS) for day in range(5)])
    write(store, 10, [prediction(9, NOON)])
    assert ids(read(store, since=NOON, until=NOON + 1)) == ["id0", "id9"]
    assert ids(read(store, since=NOON + DAY_MS, until=NOON + 3 * DAY_MS)) == ["id1", "id2"]


def test_versions_with_other_features_come_together(store: FolderStore) -> None:
    """A feature that one version lacks is null in its rows; one that changed its kind is text."""
    later = Schema((Feature("x", "categorical"), Feature("new", "numeric")), "numeric")
    write(store, 0, [prediction(1)])
    write(store, 10, [prediction(2, version="2.0.0", features=["a", 3.0])], schema=later)
    first, second = read(store).to_pylist()
    assert (first["x"], first["city"], first["new"]) == ("1", "north", None)
    assert (second["x"], second["city"], second["new"]) == ("a", None, 3.0)


def test_what_is_damaged_or_gone_is_named_and_skipped(store: FolderStore, tmp_path: Path) -> None:
    """A file that was cut, one that is gone and a day without its manifest cost themselves alone;
    a file that nobody wrote is not read.
    """
    for day in range(4):
        write(store, 10 * day, [prediction(day, NOON + day * DAY_MS)])
    files = sorted(tmp_path.glob("predictions/*/*/*.parquet"))
    files[0].write_bytes(files[0].read_bytes()[:-100])
    files[1].unlink()
    (files[2].parent / NAME).write_text("{")
    (files[3].parent / "foreign.parquet").write_bytes(b"PAR1")
    told: list[str] = []
    assert ids(read(store, told)) == ["id3"]
    assert len(told) == 3
    assert all(str(path.parent) in " ".join(told) for path in files[:3])


def test_values_keep_their_kinds(store: FolderStore, tmp_path: Path) -> None:
    """Numbers, booleans, times and categories are such in the files, for whoever opens them."""
    import polars as pl

    schema = Schema(
        (
            Feature("paid", "boolean", nullable=True),
            Feature("since", "timestamp"),
            Feature("Version", "categorical"),
        ),
        "categorical",
        classes=("no", "yes"),
    )
    values = [[1.0, float(NOON), "a"], [None, float(NOON + 1), "b"]]
    predictions = [
        prediction(place, features=row, prediction="yes", probabilities=[0.25, 0.75])
        for place, row in enumerate(values)
    ]
    write(store, 0, predictions, [Label("id0", "no", NOON)], schema=schema)
    first, second = read(store).to_pylist()
    assert (first["paid"], second["paid"]) == (True, None)
    assert second["since"].timestamp() * 1000 == NOON + 1
    assert (first["feature_Version"], first["prediction"]) == ("a", "yes")
    assert first["probabilities"] == [0.25, 0.75]
    files = str(tmp_path / "predictions" / "**" / "*.parquet")
    frame = pl.read_parquet(files, hive_partitioning=True)
    assert frame["paid"].to_list() == [True, None]
    assert frame["feature_Version"].dtype == pl.Categorical
    assert frame["date"].cast(pl.String).to_list() == ["2025-11-20"] * 2


def test_memory_is_bounded_by_batches(store: FolderStore) -> None:
    """Rows come in batches of at most `BATCH_ROWS`."""
    write(store, 0, [prediction(place) for place in range(45_000)], schema=SCHEMA)
    sizes = [batch.num_rows for batch in scan(store, "predictions", Range(MODEL), lambda _: None)]
    assert sum(sizes) == 45_000
    assert max(sizes) <= 20_000


def test_whatever_is_damaged_costs_its_file_alone(tmp_path: Path) -> None:
    """A byte that is another one, anywhere in a file: it is named, or changes a value that nothing
    can tell; a scan, a page and the labels of a page go on.
    """
    store = FolderStore(tmp_path)
    events = [prediction(place) for place in range(100)]
    write(store, NOON, events, [Label(one.id, 1.0, NOON) for one in events])
    write(store, NOON + 9999, [prediction(1, id="whole")], [Label("whole", 2.0, NOON)])
    random = np.random.default_rng(3)
    said: list[str] = []
    kinds: tuple[Kind, ...] = ("predictions", "labels")
    for kind in kinds:
        path = min((tmp_path / kind).rglob("*.parquet"))
        good = path.read_bytes()
        for _ in range(100):
            damaged = bytearray(good)
            damaged[int(random.integers(len(good)))] ^= int(random.integers(1, 256))
            path.write_bytes(damaged)
            *_, last = scan(store, kind, Range(MODEL), said.append)
            assert last["id"].to_pylist() == ["whole"]
            page = newest(store, Range(MODEL), {}, NEWEST, 600, lambda: False, said.append)
            assert page.rows[0].event.id == "whole"
            labels = labels_of(store, MODEL, page.rows[:1], 0, lambda: False, said.append)
            assert labels == {"whole": 2.0}
        path.write_bytes(good)
    assert all(str(tmp_path) in one for one in said)
    assert len(said) > 100


def test_a_store_that_does_not_answer_is_no_damage(tmp_path: Path) -> None:
    """Its error passes, so that what came is not taken for all."""

    class Away(FolderStore):
        def open(self, path: str) -> Any:
            raise OSError(None, f"{path} does not answer")

    write(FolderStore(tmp_path), NOON, [prediction(1)])
    with pytest.raises(OSError, match="does not answer"):
        list(scan(Away(tmp_path), "predictions", Range(MODEL), pytest.fail))


def test_no_other_thread_touches_a_file(tmp_path: Path) -> None:
    """A thread of Arrow's that holds one when the process ends would abort it."""
    threads: set[int] = set()

    class Watched(io.FileIO):
        def read(self, *given: Any) -> bytes:
            threads.add(threading.get_ident())
            return super().read(*given)

    class WatchedStore(FolderStore):
        def open(self, path: str) -> Any:
            return Watched(self.where(path))

    store = WatchedStore(tmp_path)
    events = [prediction(place) for place in range(500)]
    write(store, 0, events, [Label(one.id, 1.0, NOON) for one in events])
    for wanted in (Range(MODEL), Range(MODEL, since=NOON)):
        assert [one.num_rows for one in scan(store, "predictions", wanted, pytest.fail)] == [500]
    ((path, _),) = files(store, "predictions", Range(MODEL), pytest.fail)
    assert read_file(store, path, ["id"]).num_rows == 500
    page = newest(store, Range(MODEL), {}, NEWEST, 600, lambda: False, pytest.fail)
    assert len(labels_of(store, MODEL, page.rows, 0, lambda: False, pytest.fail)) == 500
    assert threads == {threading.get_ident()}
