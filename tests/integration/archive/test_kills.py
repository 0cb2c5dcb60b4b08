"""The promise of the archive: what is in its files is what was counted, cell by cell, and what was
refused, although workers are killed again and again.
"""

import itertools
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import redis

from driftgauge.consumer.stages.archiving.incidents import Incidents
from driftgauge.shared.archive.scan import Range, scan
from driftgauge.shared.archive.store import FolderStore
from driftgauge.shared.connections.incidents import queue_incident
from driftgauge.shared.contract import pane
from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.contract.events import LABEL, Label, encode
from driftgauge.shared.contract.fault import ARCHIVED_PANES
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.pane import Pane, unpack_counts
from driftgauge.shared.reference.profile import NumericReference
from tests.consumer.builders import Entry, raw
from tests.consumer.notifying.messages import incident
from tests.integration.plant import (
    MODEL,
    PUBLISHED,
    append,
    arrived,
    counters,
    end,
    events,
    publish,
    settings_of,
    wait_for,
    worker_process,
)

AT_ONCE = 2000
"""Predictions that are appended together, with the labels of those before."""
INCIDENTS = 7
"""Transitions of incidents that are written beside them."""
REFUSED = 40
"""Events among them that cannot be used."""
WRONG = (b'{"id":"x",', b'{"id":"y","version":"9.9.9","time":1,"features":[],"prediction":1}')
"""What these hold."""


def labels(first: int, number: int, sequence: Iterator[int]) -> list[Entry]:
    """Make a label of each prediction, of some a second one, which corrects it."""
    found = []
    for place in range(first, first + number):
        for value in (0.25, 0.5) if place % 10 == 0 else (0.5,):
            label = Label(str(place), value, int(time.time() * 1000))
            entry = raw("0-0", next(sequence), encode(label), b"labels")
            entry[1][1] = LABEL
            found.append(entry)
    return found


def batches(number: int, random: np.random.Generator) -> Iterator[list[Entry]]:
    """Yield what comes to the log: predictions of now, labels of those before, some that cannot be
    used, and every tenth part of it a second time, as after a lost answer.
    """
    sequence, faults = itertools.count(1), itertools.count(1)
    for first in range(1, number + 1, AT_ONCE):
        now = int(time.time() * 1000)
        new = events(first, min(AT_ONCE, number + 1 - first), now, first=first)
        new += [raw("0-0", next(faults), WRONG[place % 2], b"bad") for place in range(REFUSED)]
        repeated = [new[place] for place in random.integers(0, len(new), len(new) // 10)]
        before = labels(first - AT_ONCE, AT_ONCE, sequence) if first > 1 else []
        yield [*new, *repeated, *before]


def _closed(client: redis.Redis, keys: Keys) -> list[Pane]:
    found: Any = client.xrange(keys.panes(MODEL, 0))
    decoded = [pane.decode(fields[pane.FIELD]) for _, fields in found]
    return [one for one in decoded if isinstance(one, Pane)]


def last_archived_pane(client: redis.Redis, keys: Keys) -> int:
    offset: Any = client.hget(keys.follower(MODEL, ARCHIVED_PANES, 0), "offset")
    return EntryId.parse(offset).ms


def cells_of(rows: Any) -> list[int]:
    """Count rows of the archive by the cells of the reference."""
    found: list[int] = []
    for column in PUBLISHED.reference.columns:
        numeric = isinstance(column, NumericReference)
        values = np.empty(rows.num_rows, dtype=np.float64 if numeric else object)
        values[:] = rows[column.name].to_pylist()
        found += np.bincount(column.cells(values), minlength=len(column.counts)).tolist()
    return found


@pytest.mark.parametrize(
    ("number", "kills"), [(4_000, 1), pytest.param(60_000, 20, marks=pytest.mark.long)]
)
def test_the_archive_is_what_was_counted(
    client: redis.Redis,
    redis_url: str,
    keys: Keys,
    tmp_path: Path,
    number: int,
    kills: int,
) -> None:
    """Every prediction is one row, every label with its corrections too, every refused event,
    every transition of an incident and every pane, and the rows of each pane have the counts of
    that pane in every cell.
    """
    random = np.random.default_rng(7)
    publish(client, keys)
    folder = tmp_path / "archive"
    more = {"archive_url": str(folder), "archive_seconds": 0.05, "archive_rows": 700}
    settings = settings_of(redis_url, keys, reports_kept=0, **more, lease_ms=1500)
    log = tmp_path / "worker.log"
    arriving = batches(number, random)
    appended = 0

    def archived() -> str:
        return (client.hget(keys.archive(MODEL, 0), "offset") or b"0-0").decode()  # type: ignore[union-attr]  # bytes

    killed = 0
    worker = worker_process(settings, log)
    for batch in arriving:
        append(client, keys.log(MODEL, 0), batch, with_ids=False)
        for place in range(INCIDENTS):
            queue_incident(client, keys, incident(model=MODEL, number=appended + place))
        appended += len(batch)
        before = archived()
        wait_for(lambda was=before: archived() != was, "a cut", pause_s=0.001)
        if killed < kills:
            time.sleep(random.uniform(0, 0.05))  # at any step of the next cut
            end(worker, signal.SIGKILL)
            worker = worker_process(settings, log)
            killed += 1
    last = client.xrevrange(keys.log(MODEL, 0), count=1)[0][0].decode()
    wait_for(lambda: archived() >= last, "the end of the log")
    told_of = [entry_id.decode() for entry_id, _ in client.xrange(keys.incidents(MODEL))]
    followed = keys.follower(MODEL, Incidents.key)
    wait_for(lambda: client.hget(followed, "offset") == told_of[-1].encode(), "the incidents")
    wait_for(
        lambda: any(one.total > number - 250 for one in _closed(client, keys)), "the last full pane"
    )
    full = _closed(client, keys)[-1].number
    wait_for(lambda: last_archived_pane(client, keys) >= full, "the archive of the panes")
    assert end(worker) == 0
    assert killed == kills
    assert "Traceback" not in log.read_text()

    told: list[str] = []
    store = FolderStore(folder)
    rows = pa.Table.from_batches(list(scan(store, "predictions", Range(MODEL), told.append)))
    assert not told
    assert rows.num_rows == counters(client, keys).events == number
    assert set(rows["id"].to_pylist()) == {str(place) for place in range(1, number + 1)}
    known = pa.Table.from_batches(list(scan(store, "labels", Range(MODEL), told.append)))
    of_each = Counter(known["id"].to_pylist())
    assert of_each == {
        str(place): 1 + (place % 10 == 0) for place in range(1, number + 1 - AT_ONCE)
    }
    assert arrived(client, keys) >= number

    refused = pa.Table.from_batches(list(scan(store, "refused", Range(MODEL), told.append)))
    assert refused.num_rows == counters(client, keys).dead == REFUSED * (number // AT_ONCE)
    times, numbers = refused["entry_time"].to_pylist(), refused["entry_number"].to_pylist()
    assert len(set(zip(times, numbers, strict=True))) == refused.num_rows
    assert Counter(refused["text"].to_pylist()) == {
        wrong.decode(): refused.num_rows // 2 for wrong in WRONG
    }
    dead = client.xrange(keys.dead(MODEL, 0))
    assert Counter(refused["reason"].to_pylist()) == Counter(
        fields[b"reason"].decode() for _, fields in dead
    )

    transitions = pa.Table.from_batches(list(scan(store, "incidents", Range(MODEL), told.append)))
    times = transitions["entry_time"].cast(pa.int64()).to_pylist()
    places = zip(times, transitions["entry_number"].to_pylist(), strict=True)
    assert Counter(f"{ms}-{place}" for ms, place in places) == Counter(told_of)

    stored = pa.Table.from_batches(list(scan(store, "panes", Range(MODEL), told.append)))
    histograms = {(row["pane"], row["feature"]): row["counts"] for row in stored.to_pylist()}
    names = [column.name for column in PUBLISHED.reference.columns]
    last_pane = last_archived_pane(client, keys)
    closed = [one for one in _closed(client, keys) if one.number <= last_pane]
    assert stored.num_rows == len(histograms) == len(closed) * len(names)
    for one in closed:
        of_pane = [count for name in names for count in histograms[one.number, name]]
        assert of_pane == unpack_counts(one.blocks["1.0.0"].cells).tolist()

    rows = rows.sort_by([("entry_time", "ascending"), ("entry_number", "ascending")])
    for one in _closed(client, keys):
        of_pane = rows.slice(one.total - one.events, one.events)
        counted = unpack_counts(one.blocks["1.0.0"].cells).tolist()
        expected = cells_of(of_pane)
        assert counted[: len(expected)] == expected
        assert len(counted) == len(expected)
