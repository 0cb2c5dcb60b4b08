"""Pages of an archive: every row once, the newest first."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from driftgauge.shared.archive import writing
from driftgauge.shared.archive.paging import backwards
from driftgauge.shared.archive.paging.backwards import newest, of_id
from driftgauge.shared.archive.paging.events import Row
from driftgauge.shared.archive.paging.position import NEWEST, Position
from driftgauge.shared.archive.scan import Range, date_at
from driftgauge.shared.archive.store import FolderStore
from driftgauge.shared.contract.entry_id import EntryId, Place
from driftgauge.shared.contract.events import Prediction
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.schema import Schema
from tests.shared.archive.making import DAY_MS, MODEL, NOON, SCHEMA, prediction, write

WORDS = Schema((Feature("paid", "boolean"), Feature("x", "numeric")), "categorical")
PARTITIONS = 3


@dataclass(frozen=True)
class Planted:
    """An archive, and its rows as pages have them."""

    store: FolderStore
    rows: list[tuple[str, Place, Prediction]]


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """Archive cuts of three partitions, of which every fifth row came a day or two late, and every
    third cut is of a version that predicts words, in files of many row groups.
    """
    random, store = np.random.default_rng(7), FolderStore(tmp_path_factory.mktemp("planted"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing, "ROW_GROUP", 7)
        rows = [row for cut in range(7) for row in _cut(store, random, cut)]
    return Planted(store, sorted(rows, key=lambda row: row[:2], reverse=True))


def _cut(
    store: FolderStore, random: np.random.Generator, cut: int
) -> Iterator[tuple[str, Place, Prediction]]:
    words = cut % 3 == 0
    for partition in range(PARTITIONS):
        start = NOON + cut * 3_600_000
        events = []
        for place in range(int(random.integers(5, 30))):
            late = int(random.integers(1, 3)) * DAY_MS if random.random() < 0.2 else 0
            more: dict[str, Any] = {"id": f"{cut}.{partition}.{place}"}
            if words:
                answer = str(random.choice(["yes", "no"]))
                more |= {"version": "2.0.0", "features": [1.0, 0.5], "prediction": answer}
            events.append(prediction(place, start + place - late, **more))
            at = Place(EntryId(start + place + 1, 0), partition)
            yield date_at(events[-1].time), at, events[-1]
        write(store, start, events, schema=WORDS if words else SCHEMA, partition=partition)


def pages(
    store: FolderStore,
    wanted: Range,
    limit: int,
    bounds: dict[int, EntryId] | None = None,
    is_enough: Callable[[], bool] = lambda: False,
) -> list[list[Row]]:
    """Read all pages."""
    found, start = [], NEWEST
    while True:
        page = newest(store, wanted, bounds or {}, start, limit, is_enough, pytest.fail)
        found.append(page.rows)
        if page.following is None:
            return found
        assert page.following < start
        start = page.following


@pytest.mark.parametrize("limit", [1, 4, 50, 1000])
def test_pages_give_every_row_once(planted: Planted, limit: int) -> None:
    """By the days of their times and against the order of the log, whatever files the rows are in,
    and however many a page has: those of the first pages too.
    """
    read = [row for page in pages(planted.store, Range(MODEL), limit) for row in page]
    assert [(date_at(row.event.time), row.place, row.event) for row in read] == planted.rows
    assert {row.names for row in read} == {("x", "city"), ("paid", "x")}


def test_pages_that_end_early_go_on(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that took its time, or has rows of many row groups, ends behind what it looked at, and
    not before it looked at something.
    """
    expected = [event.id for *_, event in planted.rows]
    for more in (lambda: True, lambda: False):
        monkeypatch.setattr(backwards, "MOST_WHOLE", 10)
        read = pages(planted.store, Range(MODEL), 50, is_enough=more)
        assert [row.event.id for page in read for row in page] == expected
        assert len(read) < len(expected)


@pytest.mark.parametrize(
    "wanted",
    [
        Range(MODEL, since=NOON + 5 * 3_600_000),
        Range(MODEL, until=NOON + 5 * 3_600_000),
        Range(MODEL, since=NOON - DAY_MS, until=NOON),
        Range(MODEL, version="2.0.0"),
        Range(MODEL, least=2.5, most=6),
        Range(MODEL, prediction="yes"),
        Range(MODEL, ids=("4.1.2", "3.0.1", "4.1")),
        Range(MODEL, ids=("4.1",)),
        Range(MODEL, version="9.0.0"),
    ],
)
def test_a_filter_takes_what_fulfils_it(planted: Planted, wanted: Range) -> None:
    """The same rows as a filter of Python takes, in the same order."""
    expected = [event.id for *_, event in planted.rows if _fits(wanted, event)]
    read = pages(planted.store, wanted, 6)
    assert [row.event.id for page in read for row in page] == expected


def _fits(wanted: Range, event: Prediction) -> bool:
    made = event.prediction
    by_number = wanted.least is None or (
        isinstance(made, float) and wanted.least <= made <= (wanted.most or made)
    )
    return (
        (wanted.since is None or event.time >= wanted.since)
        and (wanted.until is None or event.time < wanted.until)
        and wanted.version in {"", event.version}
        and (not wanted.ids or event.id in wanted.ids)
        and wanted.prediction in {"", made}
        and by_number
    )


def test_rows_from_a_bound_on_are_left_out(planted: Planted) -> None:
    """Each partition has its own; where there is none all rows are taken."""
    bounds = {0: EntryId(NOON + 4 * 3_600_000 + 3, 0), 2: EntryId(0, 1)}
    expected = [
        event.id
        for _, place, event in planted.rows
        if place.entry < bounds.get(place.partition, EntryId(NOON * 2, 0))
    ]
    read = pages(planted.store, Range(MODEL), 9, bounds)
    assert [row.event.id for page in read for row in page] == expected


def test_an_id_that_tells_its_time_is_found_at_once(store: FolderStore) -> None:
    """Only the day at which it was made and the next one are read."""
    name = "019aa122-be00-7000-8000-000000000001"
    write(store, NOON, [prediction(1, NOON + 12 * 3_600_000, id=name), prediction(2)])
    found = of_id(store, Range(MODEL, ids=(name,)), pytest.fail)
    assert [row.event.id for row in found.rows] == [name]
    assert found.read == 1
    for other in ("id2", name[:-1] + "2", "00000000-0000-7000-8000-000000000000"):
        assert of_id(store, Range(MODEL, ids=(other,)), pytest.fail).rows == []


def test_a_damaged_file_is_named_and_skipped(store: FolderStore, tmp_path: Path) -> None:
    """The rows of all others are there."""
    write(store, NOON, [prediction(1)])
    write(store, NOON + 10, [prediction(2)])
    damaged = min(tmp_path.rglob("*.parquet"))
    damaged.write_bytes(b"x" * 100)
    said: list[str] = []
    page = newest(store, Range(MODEL), {}, NEWEST, 10, lambda: False, said.append)
    assert [row.event.id for row in page.rows] == ["id2"]
    assert len(said) == 1
    assert str(damaged) in said[0]


def test_a_value_is_as_the_log_has_it(store: FolderStore) -> None:
    """Booleans and times are numbers there, and what is missing is null."""
    schema = Schema(
        (
            Feature("paid", "boolean", nullable=True),
            Feature("at", "timestamp", nullable=True),
            Feature("time", "categorical", nullable=True),
        ),
        "categorical",
        classes=("no", "yes"),
    )
    events = [
        prediction(1, features=[1.0, float(NOON), "a"], prediction="no", probabilities=[0.5, 0.5]),
        prediction(2, features=[None, None, None], prediction="yes", latency_ms=2.5, trace="t"),
    ]
    write(store, NOON, events, schema=schema)
    page = newest(store, Range(MODEL), {}, NEWEST, 10, lambda: False, pytest.fail)
    assert [row.event for row in page.rows] == events[::-1]
    assert page.rows[0].names == ("paid", "at", "time")


def test_an_archive_without_rows_has_one_empty_page(store: FolderStore) -> None:
    """Nothing, and nothing further."""
    found = newest(store, Range(MODEL), {}, Position("2025-11-20"), 5, lambda: True, pytest.fail)
    assert found == backwards.Page([], None, 0)
