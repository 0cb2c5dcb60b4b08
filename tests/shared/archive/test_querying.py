"""SQL over an archive: it sees all rows of the archive, and nothing beside them."""

import io
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np
import pytest

from driftgauge.consumer.stages.archiving.cells import cells_of
from driftgauge.shared.archive.querying import Query
from driftgauge.shared.archive.scan import Range
from driftgauge.shared.archive.store import FolderStore
from driftgauge.shared.archive.writing import cells_folder, parquet
from driftgauge.shared.contract.events import Label
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.profile import NumericReference, ReferenceProfile
from driftgauge.shared.reference.schema import Schema
from tests.consumer.notifying.messages import incident
from tests.integration.plant import wait_for
from tests.shared.archive.making import (
    DAY_MS,
    MODEL,
    NOON,
    prediction,
    refused,
    write,
    write_incidents,
    write_panes,
)

if not os.environ.get("CI"):
    pytest.importorskip("duckdb", reason="no duckdb: pip install -e '.[query]'")

Ask = Callable[..., list[dict[str, Any]]]
LATER = Schema((Feature("x", "categorical"), Feature("new", "numeric")), "numeric")


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Ask]:
    """Return a function that asks an archive of two versions, with a label and its correction."""
    store = FolderStore(tmp_path / "archive")
    write(store, 0, [prediction(day, NOON + day * DAY_MS) for day in range(4)])
    write(store, 10, [], [Label("id1", 1.0, NOON), Label("id1", 2.0, NOON)])
    write(store, 20, [prediction(9, version="2.0.0", features=["a", 3.0])], schema=LATER)
    gone = [refused(place, reason) for place, reason in enumerate(["no such version"] * 2 + ["{"])]
    write(store, 30, refused=gone, first_ms=NOON)
    over = incident(number=2, change="resolved", state="resolved", ended=NOON + DAY_MS)
    write_incidents(store, [incident(), over, incident(id="b", updated=NOON + DAY_MS)])
    opened: list[Query] = []

    def found(sql: str, seconds: float = 60.0, **more: Any) -> list[dict[str, Any]]:
        told: list[str] = []
        query = Query(store, Range(MODEL, **more), told.append, memory_mb=200, seconds=seconds)
        opened.append(query)
        assert not told
        return [row for batch in query.run(sql) for row in batch.to_pylist()]

    yield found
    for query in opened:
        query.close()


def test_all_versions_are_in_one_view(ask: Ask) -> None:
    """A feature that changed its kind is text; one that a version lacks is null."""
    rows = ask("SELECT id, x, city, new FROM predictions WHERE date = '2025-11-20' ORDER BY id")
    assert rows == [
        {"id": "id0", "x": "0.0", "city": "north", "new": None},
        {"id": "id9", "x": "a", "city": None, "new": 3.0},
    ]


def test_predictions_meet_their_last_label(ask: Ask) -> None:
    """`joined` has each prediction once."""
    rows = ask("SELECT id, label FROM joined ORDER BY id")
    assert {row["id"]: row["label"] for row in rows} == {
        "id0": None,
        "id1": 2.0,
        "id2": None,
        "id3": None,
        "id9": None,
    }
    assert len(rows) == 5


def test_a_range_bounds_the_views(ask: Ask) -> None:
    """`since` is in it, `until` is not."""
    more = {"since": NOON + DAY_MS, "until": NOON + 3 * DAY_MS}
    assert [row["id"] for row in ask("SELECT id FROM joined ORDER BY id", **more)] == ["id1", "id2"]


def test_refused_events_are_counted_by_their_reasons(ask: Ask) -> None:
    """`refused` has each event that could not be used, with what is known of it."""
    rows = ask("SELECT reason, count(*) AS n, min(id) AS id FROM refused GROUP BY ALL ORDER BY n")
    assert rows == [
        {"reason": "{", "n": 1, "id": "id2"},
        {"reason": "no such version", "n": 2, "id": "id0"},
    ]
    (row,) = ask("SELECT time, date, text, version FROM refused WHERE id = 'id1'")
    assert (row["time"].timestamp() * 1000, str(row["date"])) == (NOON + 1, "2025-11-20")
    assert (row["text"], row["version"]) == ('{"id":"id1"}', None)
    assert not ask("FROM refused", since=NOON + DAY_MS)


def test_incidents_are_one_row_each_as_they_stood_last(ask: Ask) -> None:
    """`incidents` has the last transition of each, `transitions` has all, with alerts to unnest."""
    rows = ask("SELECT id, state, change, cause, feature, ended FROM incidents ORDER BY id")
    assert [(row["id"], row["state"], row["change"]) for row in rows] == [
        ("6b3108a1eb9f83ec", "resolved", "resolved"),
        ("b", "open", "opened"),
    ]
    assert (rows[0]["cause"], rows[0]["feature"]) == ("feature", "load")
    assert rows[0]["ended"].timestamp() * 1000 == NOON + DAY_MS
    assert ask("SELECT count(*) AS n FROM transitions") == [{"n": 3}]
    counted = ask(
        "SELECT a.rule, count(*) AS n FROM incidents, unnest(alerts) AS t(a) GROUP BY ALL"
    )
    assert counted == [{"rule": "psi", "n": 22}]
    assert [row["id"] for row in ask("FROM incidents", since=NOON + DAY_MS)] == ["b"]


def test_the_cells_of_many_panes_are_not_in_memory_at_once(tmp_path: Path) -> None:
    """They are read as they come, beside the few cells of the references."""
    store, cells = FolderStore(tmp_path / "archive"), 4000
    write_panes(store, range(1, 2001), cells)
    column = NumericReference.build("x", np.arange(cells / 2 - 1), cuts=int(cells / 2 - 1))
    known = cells_of(ReferenceProfile(cells, (column,)), "1.0.0", 0)
    assert known.num_rows == cells
    store.create(f"{cells_folder(MODEL)}/1.0.0-r0.parquet", parquet(known))
    query = Query(store, Range(MODEL), print, memory_mb=200, seconds=60)
    (batch,) = query.run("SELECT count(*) AS n, count(part) AS known FROM panes")
    assert batch.to_pylist() == [{"n": 2000 * (cells - 1), "known": 2000 * (cells - 1)}]
    query.close()


def test_a_view_without_rows_has_its_columns(tmp_path: Path) -> None:
    """An archive that is new answers, with no row."""
    query = Query(FolderStore(tmp_path / "new"), Range(MODEL), print, memory_mb=200, seconds=60)
    columns = {
        "labels": "entry_time",
        "joined": "label",
        "refused": "reason",
        "incidents": "alerts",
    }
    for view, column in columns.items():
        assert not list(query.run(f"SELECT {column} FROM {view} WHERE date > '2025-01-01'"))  # noqa: S608  names of ours
    query.close()


class Places:
    """A store that is no folder for Arrow, so that it reads the files of Python's."""

    def __init__(self, folder: Path) -> None:
        self._store = FolderStore(folder)
        self.opened: WeakSet[Any] = WeakSet()
        self.has_opened = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def open(self, path: str) -> Any:
        with self._store.open(path) as file:
            found = io.BytesIO(file.read())
        self.opened.add(found)
        self.has_opened = True
        return found


def test_no_file_is_open_when_a_query_is_closed(tmp_path: Path) -> None:
    """Whether its rows were read to their end or not: one that a thread of Arrow's holds when the
    process ends aborts it.
    """
    for day in range(4):
        days = [prediction(place, NOON + day * DAY_MS) for place in range(3000)]
        write(FolderStore(tmp_path), 5000 * day, days)
    store: Any = Places(tmp_path)
    for sql in ("SELECT * FROM predictions", "SELECT * FROM joined LIMIT 3"):
        query = Query(store, Range(MODEL), pytest.fail, memory_mb=200, seconds=60)
        rows = query.run(sql)
        assert next(rows).num_rows
        assert store.has_opened
        query.close()
        assert not store.opened


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM read_csv('http://127.0.0.1:9/x.csv')",
        "SELECT * FROM '/etc/hostname'",
        "SELECT * FROM glob('/etc/*')",
        "COPY predictions TO '{folder}/out.csv'",
        "EXPORT DATABASE '{folder}/out'",
        "ATTACH '{folder}/out.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET memory_limit = '100GB'",
        "SELECT * FROM store",
        "SELECT nothing FROM predictions",
    ],
)
def test_nothing_else_can_be_reached(ask: Ask, tmp_path: Path, sql: str) -> None:
    """No other file, no address, no extension, no setting, none of our variables."""
    with pytest.raises(BadData, match="cannot be run"):
        ask(sql.format(folder=tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


def test_time_and_memory_are_bounded(ask: Ask) -> None:
    """A query that goes on ends, and one that needs too much fails; both say so."""
    with pytest.raises(BadData, match=r"took longer than 0\.3 s"):
        ask("SELECT count(*) FROM range(1000000000000)", seconds=0.3)
    with pytest.raises(BadData, match="Out of Memory"):
        ask("SELECT list(a.range) FROM range(100000000) a")


@pytest.fixture
def _heard() -> Iterator[None]:
    """Let Ctrl-C be heard as in a terminal: a shell starts what is in the background without it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_heard")
def test_ctrl_c_ends_a_query(ask: Ask) -> None:
    """The signal interrupts DuckDB, and reaches the caller."""

    def press() -> None:
        wait_for(lambda: any(one.name == "query" for one in threading.enumerate()), "a query")
        os.kill(os.getpid(), signal.SIGINT)

    person = threading.Thread(target=press)
    person.start()
    with pytest.raises(KeyboardInterrupt):
        ask("SELECT count(*) FROM range(1000000000000)")
    person.join()
