"""The archive while workers are killed: a million events with labels, one `kill -9` each second.

    python -m benchmarks.chaos.archive_kills [--events N]

An API, three workers and a private Redis start as processes. Events are posted in lists with the
client's ids, some of the lists twice; then the labels of each, and for some of them a wrong one
before. The log keeps nothing that was counted and archived. From the first event on, one worker by
chance is killed each second, and started again at once, until all is counted and archived.

Then the archive is asked by `driftgauge query`'s own function: every event must be there once, with
its last label; and in each pane every cell must have the count that the oracle finds in the
archived rows of that pane. The exit code is 1 if anything differs.
"""

import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from operator import ge
from pathlib import Path
from typing import Any, Final

import click
import httpx
import msgspec
import numpy as np
import pyarrow as pa
import redis

from benchmarks.chaos.oracle import Counts, counts_of
from benchmarks.chaos.plant.model import draw, keys_of
from benchmarks.chaos.plant.plant import Plant
from benchmarks.chaos.plant.process import ENDED, wait_for
from benchmarks.chaos.stores.alone import Alone
from benchmarks.results import ResultRow, write
from driftgauge.shared.archive.archived import OFFSET
from driftgauge.shared.archive.querying import Query
from driftgauge.shared.archive.scan import Range
from driftgauge.shared.archive.store import open_store
from driftgauge.shared.connections.streams import last_generated
from driftgauge.shared.contract import counters, pane
from driftgauge.shared.contract.counters import Counters
from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.pane import Pane, unpack_counts
from driftgauge.shared.reference.profile import ColumnReference

MODEL: Final = "plant"
PARTITIONS: Final = 3
WORKERS: Final = 3
LIST: Final = 500
TWICE, CORRECTED = 10, 5
"""Every such list is posted twice; every such event has a wrong label first."""
BODIES: Final = 20
"""Lists of rows that are drawn, and posted in turn under other ids."""
JSON: Final = {"Content-Type": "application/json"}
EVERY_S: Final = 1.0
"""Pause (s) between two kills."""
LEAST_KILLS: Final = 2
STUCK_S: Final = 180.0
"""Time (s) in which nothing is counted or archived, after which the run is given up."""
SETTINGS: Final[dict[str, Any]] = {
    "worker_processes": 1,  # so that each kill hits counting and archiving
    "pane_events": 250,
    "pane_seconds": 5,
    "log_retention_hours": 0,
    "archive_rows": 5000,
    "archive_seconds": 0.5,
    "ack_timeout_ms": 60_000,
    "reports_kept": 0,
}
SMOKE = ("--events", "4000")
"""Arguments of the smallest run, which CI starts."""


def label_of(number: int) -> float:
    """Return the last label of an event; the query below knows it too."""
    return (number % 1000) / 8


class Sender(threading.Thread):
    """Posts events and labels, one list after the other.

    Parameters
    ----------
    url
        Address of the API.
    events
        Number of events; their ids are 0 and on.

    Attributes
    ----------
    failure
        What ended it too early.
    """

    def __init__(self, url: str, events: int) -> None:
        super().__init__(name="sender", daemon=True)
        self._url, self._events = url, events
        self.failure: Exception | None = None

    def run(self) -> None:
        random_ = np.random.default_rng(5)
        bodies = [draw(random_, LIST, 0.0) for _ in range(BODIES)]
        try:
            with httpx.Client(base_url=self._url, trust_env=False, timeout=120) as http:
                for place, first in enumerate(range(0, self._events, LIST)):
                    numbers = range(first, min(first + LIST, self._events))
                    self._list(http, place, numbers, bodies[place % BODIES], random_)
        except Exception as error:  # noqa: BLE001  the run ends with it
            self.failure = error

    def _list(
        self,
        http: httpx.Client,
        place: int,
        numbers: Sequence[int],
        rows: Sequence[dict[str, Any]],
        random_: np.random.Generator,
    ) -> None:
        first, now = numbers[0], time.time_ns() // 1_000_000 - LIST
        predictions = random_.normal(size=len(numbers)).tolist()
        events = [
            {
                "id": str(number),
                "features": row,
                "prediction": prediction,
                "time": now + number - first,
            }
            for number, row, prediction in zip(numbers, rows, predictions, strict=False)
        ]
        for _ in range(2 if place % TWICE == 0 else 1):
            self._post(http, "/events", events)
        wrong = [(number, -1.0) for number in numbers if number % CORRECTED == 0]
        right = [(number, label_of(number)) for number in numbers]
        for labels in (wrong, right):
            found = [{"prediction_id": str(number), "label": label} for number, label in labels]
            self._post(http, "/labels", found)

    def _post(self, http: httpx.Client, path: str, items: Sequence[dict[str, Any]]) -> None:
        answer = http.post(path, content=msgspec.json.encode(items), headers=JSON)
        told = answer.json()
        if answer.status_code != 202 or told["rejected"] or told["event"] != "published":
            raise RuntimeError(f"{path}: {answer.status_code} {answer.text[:500]}")


class Reached:
    """How far counting and archiving are."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client, self._keys = client, keys

    def counted(self) -> list[Counters]:
        """Return the counters of each partition."""
        found: list[Any] = [
            self._client.hget(self._keys.count(MODEL, place), counters.FIELD)
            for place in range(PARTITIONS)
        ]
        return [msgspec.json.decode(one, type=Counters) if one else Counters() for one in found]

    def events(self) -> int:
        return sum(one.events for one in self.counted())

    def archived(self) -> list[EntryId]:
        """Return the entry up to which each partition is archived."""
        found: list[Any] = [
            self._client.hget(self._keys.archive(MODEL, place), OFFSET)
            for place in range(PARTITIONS)
        ]
        return [EntryId.parse(one or b"0-0") for one in found]

    def ends(self) -> list[EntryId]:
        """Return the last entry of each log."""
        return [
            EntryId.parse(last_generated(self._client, self._keys.log(MODEL, place)))
            for place in range(PARTITIONS)
        ]

    def panes(self, partition: int) -> list[Pane]:
        """Return the closed panes of a partition."""
        entries: Any = self._client.xrange(self._keys.panes(MODEL, partition))
        found = [pane.decode(fields[pane.FIELD]) for _, fields in entries]
        return [one for one in found if isinstance(one, Pane)]

    def closed(self) -> bool:
        """Tell whether all that was counted is in closed panes."""
        held = sum(one.events for place in range(PARTITIONS) for one in self.panes(place))
        return held == self.events()

    def takeovers(self) -> int:
        """Return how often the archiving of a partition was taken up."""
        found: list[Any] = [
            self._client.get(self._keys.archive_epoch(MODEL, place)) for place in range(PARTITIONS)
        ]
        return sum(int(one or 0) for one in found)


def disturb(plant: Plant, reached: Reached, sender: Sender) -> int:
    """Kill a worker each second until all is archived; return how many were killed."""
    chance, killed = random.Random(1), 0
    ends: list[EntryId] | None = None
    state, changed_at = (0, [EntryId(0, 0)]), time.monotonic()
    while True:
        time.sleep(EVERY_S)
        if sender.failure is not None:
            raise sender.failure
        ends = reached.ends() if ends is None and not sender.is_alive() else ends
        now = (reached.events(), reached.archived())
        if now != state:
            state, changed_at = now, time.monotonic()
        if time.monotonic() - changed_at > STUCK_S:
            raise TimeoutError(f"Nothing was counted or archived in {STUCK_S:g} s: {state}.")
        level = ends is not None and all(map(ge, now[1], ends))
        if level and killed >= LEAST_KILLS:
            return killed
        worker = chance.choice(plant.workers)
        worker.kill()
        worker.start()
        killed += 1


class Verdict:
    """What the archive has, against what was sent and what was counted."""

    def __init__(self, folder: str) -> None:
        self.broken: list[str] = []
        self._query = Query(
            open_store(folder), Range(MODEL), self.broken.append, memory_mb=2048, seconds=600
        )

    def require(self, true: bool, otherwise: str) -> None:  # noqa: FBT001
        if not true:
            self.broken.append(otherwise)

    def ask(self, sql: str) -> Any:
        """Return the answer of a query as a table."""
        return pa.Table.from_batches(list(self._query.run(sql)))

    def ids(self, events: int) -> dict[str, int]:
        """Compare ids and labels with what was sent."""
        found: dict[str, int] = self.ask(
            "SELECT count(*) AS rows, count(DISTINCT id) AS ids, "
            "count(*) FILTER (WHERE label = (id::BIGINT % 1000) / 8) AS labelled, "
            "1 + max(id::BIGINT) - min(id::BIGINT) AS span FROM joined"
        ).to_pylist()[0]
        for name, number in found.items():
            self.require(number == events, f"{name}: {number:,}, {events:,} were sent")
        return found

    def cells(self, reached: Reached, columns: dict[str, ColumnReference]) -> tuple[int, int, int]:
        """Compare each pane with its rows; return the numbers of panes, of cells and of those that
        differ.
        """
        panes = cells = wrong = 0
        for partition in range(PARTITIONS):
            rows = self.ask(
                f"FROM predictions WHERE partition = {partition} ORDER BY entry_time, entry_number"
            )
            found = reached.panes(partition)
            held = sum(one.events for one in found)
            self.require(
                held == rows.num_rows,
                f"partition {partition}: {held:,} events in panes, {rows.num_rows:,} archived",
            )
            for one in found:
                expected = cells_of(rows.slice(one.total - one.events, one.events), columns)
                counted = unpack_counts(next(iter(one.blocks.values())).cells)
                differ = int((counted != expected).sum())
                self.require(not differ, f"{partition}, pane {one.number}: {differ} cells differ")
                panes, cells, wrong = panes + 1, cells + len(expected), wrong + differ
        return panes, cells, wrong


def cells_of(rows: Any, columns: dict[str, ColumnReference]) -> Counts:
    """Count archived rows by the cells of the reference."""
    return np.concatenate(
        [counts_of(rows[name].to_pylist(), column) for name, column in columns.items()]
    )


def run(folder: Path, events: int) -> tuple[ResultRow, list[str]]:
    """Run it; return the figures, and what is not as it should be."""
    archive = str(folder / "archive")
    with (
        Alone(folder) as store,
        Plant(
            folder,
            store,
            models={MODEL: PARTITIONS},
            apis=1,
            workers=WORKERS,
            labels=True,
            settings={**SETTINGS, "archive_url": archive},
        ) as plant,
        store.client() as client,
    ):
        version = plant.versions[MODEL]
        reached = Reached(client, keys_of(version))
        sender, begun = Sender(plant.urls[0], events), time.monotonic()
        sender.start()
        killed = disturb(plant, reached, sender)
        seconds = time.monotonic() - begun
        closed = wait_for(reached.closed, STUCK_S)
        codes = [worker.end() for worker in plant.workers]
        verdict = Verdict(archive)
        verdict.require(closed, "the last panes did not close")
        verdict.require(set(codes) <= ENDED, f"workers ended with {codes}")
        for worker in plant.workers:  # whatever it was, a kill must not have been its cause
            verdict.require("Traceback" not in worker.log.read_text(), f"see {worker.log}")
        counted = reached.counted()
        joined = sum(one.labels.joined for one in counted)
        verdict.require(joined == events, f"{joined:,} labels of {events:,} events were counted")
        ids = verdict.ids(events)
        names = [*(feature.name for feature in version.schema.features), "prediction"]
        columns = dict(zip(names, version.reference.columns, strict=True))
        panes, cells, wrong = verdict.cells(reached, columns)
        row = {
            "events": events,
            "kills": killed,
            "take-overs": reached.takeovers(),
            "seconds": round(seconds),
            "copies left out": sum(one.duplicates for one in counted),
            "rows": ids["rows"],
            "distinct ids": ids["ids"],
            "with last label": ids["labelled"],
            "panes": panes,
            "cells": cells,
            "cells that differ": wrong,
        }
        return row, verdict.broken


@click.command()
@click.option("--events", type=click.IntRange(min=LIST), default=1_000_000, show_default=True)
def main(events: int) -> None:
    """Kill workers while they archive, and write benchmarks/results/archive_kills.json."""
    folder = Path(tempfile.mkdtemp(prefix="kills-"))
    row, broken = run(folder, events)
    write("archive_kills", f"{events:,} events with labels, a worker killed each second", [row])
    for said in broken[:20]:
        click.echo(f"broken: {said}")
    if broken:
        click.echo(f"{len(broken)} in all. The processes' logs and the archive: {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
