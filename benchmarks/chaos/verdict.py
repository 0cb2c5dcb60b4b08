"""The verdict: the log against the promises, the counts against the log, the alerts against an
undisturbed run.
"""

import json
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import redis

from benchmarks.chaos.model import VERSION, keys_of
from benchmarks.chaos.oracle import Batch, Counts, batch_of, cells_of, latencies_of
from benchmarks.chaos.plant import QUIET_WORKER, Plant, Process, progress, wait_for
from benchmarks.chaos.traffic import Ledger
from driftgauge.consumer.counting.panes.open_pane import OpenPane
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract import counters, pane
from driftgauge.shared.contract.counters import Counters
from driftgauge.shared.contract.pane import Pane, unpack_counts
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from driftgauge.shared.registry.registry import PublishedVersion

CHUNK = 2000
WINDOW_RULES = {"psi", "missing", "unseen", "out_of_range", "threshold.latency_p99_ms"}
"""Rules that read windows alone."""
BESIDE_ALARMS = {"snapshot", "report", "group", "action", "advice", "inhibited_by", "notify"}
"""Fields of an alert that also depend on alarms at the same time."""
BAD_WORDS = ("Traceback", "ERROR", "CRITICAL")


class Refuted(AssertionError):
    """A promise was not kept."""


@dataclass
class Verdict:
    """The figures of a run, and every promise that was not kept."""

    promised: int = 0
    in_log: int = 0
    copies: int = 0
    counted: int = 0
    lost: int = 0
    doubled: int = 0
    alerts_expected: int = 0
    alerts: int = 0
    alerts_twice: int = 0
    dead: int = 0
    broken: list[str] = field(default_factory=list)

    def require(self, kept: object, promise: str) -> None:
        """Note a promise that was not kept."""
        if not kept:
            self.broken.append(promise)


def verify(plant: Plant, ledger: Ledger, late: list[str]) -> Verdict:
    """Judge a plant that has settled, or raise.

    Raises
    ------
    Refuted
        Naming every promise that was not kept.
    """
    verdict = judge(plant, ledger, late)
    if verdict.broken:
        raise Refuted("\n".join(verdict.broken))
    return verdict


def judge(plant: Plant, ledger: Ledger, late: list[str]) -> Verdict:
    """Judge a plant that has settled; `late` is what `settle` found."""
    verdict = Verdict(broken=list(late))
    with plant.client() as client:
        for model, version in plant.versions.items():
            partitions = range(version.manifest.partitions)
            batches = [_partition(verdict, client, model, version, number) for number in partitions]
            _promises(verdict, model, batches, ledger)
        _judging(verdict, client, plant)
    _logs(verdict, plant.folder)
    return verdict


def _promises(verdict: Verdict, model: str, batches: list[Batch], ledger: Ledger) -> None:
    """Every event that was promised is in the log, once."""
    promised = {name for of, name in ledger.safe if of == model}
    gone = promised - set().union(*(batch.ids for batch in batches))
    times = Counter(event["id"] for batch in batches for event in batch.events)
    verdict.promised += len(promised)
    verdict.lost += len(gone)
    verdict.require(
        not gone,
        f"{model}: {len(gone)} promised events are not in the log, such as {sorted(gone)[:3]}",
    )
    twice = sum(times.values()) - len(times)
    verdict.require(not twice, f"{model}: {twice} ids are in the log as different events")


def _partition(
    verdict: Verdict, client: redis.Redis, model: str, version: PublishedVersion, partition: int
) -> Batch:
    """Compare the counts of a partition with its log."""
    keys = keys_of(version)
    log: Any = client.xrange(keys.log(model, partition))
    batch = batch_of(log)
    packed: Any = client.hget(keys.count(model, partition), counters.FIELD)
    found = msgspec.json.decode(packed, type=Counters) if packed else Counters()
    name, distinct = f"{model}.{partition}", len(batch.events)
    verdict.in_log += distinct
    verdict.copies += batch.copies
    verdict.counted += found.events
    verdict.lost += max(0, distinct - found.events) + batch.holes
    verdict.doubled += max(0, found.events - distinct)
    verdict.dead += found.dead + client.xlen(keys.dead(model, partition))
    verdict.require(
        found.events == distinct,
        f"{name}: {found.events} events counted, {distinct} are in the log",
    )
    verdict.require(
        found.duplicates == batch.copies,
        f"{name}: {found.duplicates} copies recognised of {batch.copies}",
    )
    verdict.require(
        not batch.contradictions, f"{name}: {batch.contradictions} numbers were used for two events"
    )
    verdict.require(
        not batch.holes and not found.missing,
        f"{name}: {batch.holes} holes in the log, {found.missing} counted",
    )
    verdict.require(
        not found.dead and not client.xlen(keys.dead(model, partition)),
        f"{name}: {found.dead} dead letters",
    )
    _cells(verdict, name, batch, version, _summed(client, model, partition, version))
    return batch


@dataclass
class _Sum:
    """The sum of all panes and the open one."""

    cells: Counts
    latency: Counts
    events: int = 0
    rows: int = 0
    sources: Counter[str] = field(default_factory=Counter)


def _summed(client: redis.Redis, model: str, partition: int, version: PublishedVersion) -> _Sum:
    keys = keys_of(version)
    total = _Sum(
        np.zeros(int(version.reference.offsets[-1]), dtype=np.int64), np.zeros(64, dtype=np.int64)
    )
    entries: Any = client.xrange(keys.panes(model, partition))
    for _, fields in entries:
        entry = pane.decode(fields[pane.FIELD])
        if isinstance(entry, Pane):
            total.events += entry.events
            for block in entry.blocks.values():
                _add(
                    total,
                    unpack_counts(block.cells),
                    unpack_counts(block.latency),
                    block.rows,
                    block.sources,
                )
    packed: Any = client.hget(keys.count(model, partition), "pane")
    if packed:
        open_pane = OpenPane.unpack(packed)
        total.events += open_pane.events
        for part in open_pane.blocks.values():
            _add(total, part.cells, part.latency, part.rows, part.sources)
    return total


def _add(total: _Sum, cells: Counts, latency: Counts, rows: int, sources: dict[str, int]) -> None:
    total.cells += cells
    total.latency += latency
    total.rows += rows
    total.sources.update(sources)


def _cells(
    verdict: Verdict, name: str, batch: Batch, version: PublishedVersion, total: _Sum
) -> None:
    """Compare every cell with the batch computation."""
    sources = Counter(event.get("source", "online") for event in batch.events)
    wrong = np.flatnonzero(total.cells != cells_of(batch.events, version))
    latency = np.flatnonzero(total.latency != latencies_of(batch.events))
    verdict.require(
        not len(wrong),
        f"{name}: {len(wrong)} of {len(total.cells)} cells differ from the batch computation",
    )
    verdict.require(
        not len(latency), f"{name}: {len(latency)} latency cells differ from the batch computation"
    )
    verdict.require(
        (total.events, total.sources, total.rows)
        == (len(batch.events), sources, sources["online"]),
        f"{name}: the panes sum up to {total.events} events, {total.rows} rows, "
        f"{dict(total.sources)}",
    )


# -- alerts ----------------------------------------------------------------------------------------


def _judging(verdict: Verdict, client: redis.Redis, plant: Plant) -> None:
    """Compare panes, alerts and snapshots with those of a run over the same log that nothing
    disturbed.
    """
    with (
        tempfile.TemporaryDirectory(prefix="twin-") as folder,
        EmbeddedRedis(Path(folder)) as server,
    ):
        settings = plant.settings.model_copy(update={"redis_url": server.url})
        worker = Process("twin", QUIET_WORKER, settings, plant.folder)
        with connect(server.url) as twin:
            for model, version in plant.versions.items():
                _copy(client, twin, model, version)
            worker.start()
            try:
                done = wait_for(lambda: progress(twin, plant.versions).all_counted, 90)
            finally:
                worker.end()
            verdict.require(done, "the undisturbed run did not come to its end")
            for model, version in plant.versions.items():
                _alerts(verdict, client, twin, model, version)
                for partition in range(version.manifest.partitions):
                    key = keys_of(version).panes(model, partition)
                    same = client.xrange(key) == twin.xrange(key)
                    verdict.require(
                        same, f"{model}.{partition}: the panes are not those of an undisturbed run"
                    )


def _copy(client: redis.Redis, twin: redis.Redis, model: str, version: PublishedVersion) -> None:
    """Copy a model's log, with its entry ids."""
    keys = keys_of(version)
    for partition in range(version.manifest.partitions):
        log = keys.log(model, partition)
        entries: Any = client.xrange(log)
        for start in range(0, len(entries), CHUNK):
            pipe = twin.pipeline(transaction=False)
            for entry_id, fields in entries[start : start + CHUNK]:
                pipe.xadd(log, fields, id=entry_id)
            pipe.execute()
    twin.hset(keys.versions(model), VERSION, version.pack())
    twin.sadd(keys.models, model)


def _alerts(
    verdict: Verdict, client: redis.Redis, twin: redis.Redis, model: str, version: PublishedVersion
) -> None:
    keys, alone = keys_of(version), version.manifest.partitions == 1
    written, undisturbed = (_events(one, keys.alerts(model)) for one in (client, twin))
    names = Counter(alert["id"] for alert in written)
    twice = sum(names.values()) - len(names)
    verdict.alerts_twice += twice
    verdict.require(not twice, f"{model}: {twice} alerts were written twice")
    alerts, expected = (found if alone else _merged(found) for found in (written, undisturbed))
    verdict.alerts += len(alerts)
    verdict.alerts_expected += len(expected)
    verdict.require(
        alerts == expected,
        f"{model}: {len(alerts)} alerts, not the {len(expected)} of an undisturbed run",
    )
    if alone:
        snapshots = _events(client, keys.snapshots(model)) == _events(twin, keys.snapshots(model))
        verdict.require(snapshots, f"{model}: the snapshots are not those of an undisturbed run")


def _merged(alerts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Remove the fields that depend on when alarms of other partitions were read, since these
    bypass the merge (docs/exactly-once.md, judging in another slot).
    """
    judged = [alert["data"] for alert in alerts if alert["data"]["rule"] in WINDOW_RULES]
    left = [
        {name: value for name, value in alert.items() if name not in BESIDE_ALARMS}
        for alert in judged
    ]
    return [{**alert, "evidence": {**alert["evidence"], "events": 0}} for alert in left]


def _events(client: redis.Redis, stream: str) -> list[dict[str, Any]]:
    entries: Any = client.xrange(stream)
    return [json.loads(fields[b"e"]) for _, fields in entries]


def _logs(verdict: Verdict, folder: Path) -> None:
    """No process met anything that it did not expect."""
    for path in sorted(folder.glob("*.log")):
        bad = [
            line
            for line in path.read_text(errors="replace").splitlines()
            if any(word in line for word in BAD_WORDS)
        ]
        verdict.require(not bad, f"{path.name}: {bad[:2]}")
