"""The verdict: the log against the promises, the counts against the log, the alerts against an
undisturbed run.
"""

import json
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import redis

from benchmarks.chaos.oracle import Batch, Counts, batch_of, cells_of, latencies_of
from benchmarks.chaos.plant.model import VERSION, keys_of
from benchmarks.chaos.plant.plant import QUIET_WORKER, Plant
from benchmarks.chaos.plant.process import Process, wait_for
from benchmarks.chaos.plant.progress import progress
from benchmarks.chaos.record import Place, Record
from benchmarks.chaos.traffic import Ledger
from driftgauge.consumer.counting.panes.open_pane import OpenPane
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract import counters, pane
from driftgauge.shared.contract.counters import Counters
from driftgauge.shared.contract.pane import Pane, unpack_counts
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from driftgauge.shared.registry.registry import PublishedVersion
from driftgauge.shared.rules.monitor import BLIND

CHUNK = 2000
SLOWEST_PER_S = 500
"""Events a second that an undisturbed run counts and judges at least."""
WINDOW_RULES = {"psi", "missing", "unseen", "out_of_range", "threshold.latency_p99_ms"}
"""Rules that read windows alone."""
BESIDE_ALARMS = {"snapshot", "report", "group", "action", "advice", "inhibited_by", "notify"}
"""Fields of an alert that also depend on alarms at the same time."""
BAD_LEVELS = {"error", "critical"}
AWAY = r"fails \((ConnectionError|TimeoutError|BusyLoadingError)"
"""What a background task of an API logs while Redis is away."""


@dataclass
class Verdict:
    """The figures of a run, and every promise that was not kept."""

    promised: int = 0
    forgotten: int = 0
    """Promised events that a fault took out of Redis; these must be told."""
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


def judge(
    plant: Plant, ledger: Ledger, record: Record, late: Sequence[str], logged: Sequence[str] = ()
) -> Verdict:
    """Judge a plant that has settled.

    Parameters
    ----------
    record
        What stood in the logs, taken after all had ended.
    late
        Promises that were not kept before.
    logged
        Regular expressions of the errors in the logs that the faults explain.
    """
    verdict = Verdict(broken=list(late))
    verdict.require(not ledger.failed, f"predictions failed: {ledger.failed[:3]}")
    with plant.client() as client:
        for model, version in plant.versions.items():
            batches = []
            gone: set[str] = set()
            for partition in range(version.manifest.partitions):
                place = model, partition
                batch, lost = batch_of(record.entries(place)), batch_of(record.gone[place])
                gone |= lost.ids
                _partition(verdict, client, version, place, batch, whole=not lost.ids)
                batches.append(batch)
            _promises(verdict, model, batches, gone, ledger)
        _judging(verdict, client, plant, record)
    _logs(verdict, plant.folder, [AWAY, *logged])
    return verdict


def _promises(
    verdict: Verdict, model: str, batches: list[Batch], forgotten: set[str], ledger: Ledger
) -> None:
    """Every event that was promised is in the log, once, but for those that a fault took out."""
    promised = {name for of, name in ledger.safe if of == model}
    absent = promised - set().union(*(batch.ids for batch in batches))
    gone = absent - forgotten
    times = Counter(event["id"] for batch in batches for event in batch.events)
    verdict.promised += len(promised)
    verdict.forgotten += len(absent) - len(gone)
    verdict.lost += len(gone)
    verdict.require(
        not gone,
        f"{model}: {len(gone)} promised events are not in the log, such as {sorted(gone)[:3]}",
    )
    twice = sum(times.values()) - len(times)
    verdict.require(not twice, f"{model}: {twice} ids are in the log as different events")


def _partition(
    verdict: Verdict,
    client: redis.Redis,
    version: PublishedVersion,
    place: Place,
    batch: Batch,
    *,
    whole: bool,
) -> None:
    """Compare the counts of a partition with its log; unless it is whole, some of its numbers are
    missing, and counted as such.
    """
    model, partition = place
    keys = keys_of(version)
    packed: Any = client.hget(keys.count(model, partition), counters.FIELD)
    found = msgspec.json.decode(packed, type=Counters) if packed else Counters()
    name, distinct = f"{model}.{partition}", len(batch.events)
    verdict.in_log += distinct
    verdict.copies += batch.copies
    verdict.counted += found.events
    verdict.lost += max(0, distinct - found.events) + (batch.holes if whole else 0)
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
        found.missing == batch.holes and not (whole and batch.holes),
        f"{name}: {batch.holes} holes in the log, {found.missing} counted",
    )
    verdict.require(
        not found.dead and not client.xlen(keys.dead(model, partition)),
        f"{name}: {found.dead} dead letters",
    )
    _cells(verdict, name, batch, version, _summed(client, model, partition, version))


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


def _judging(verdict: Verdict, client: redis.Redis, plant: Plant, record: Record) -> None:
    """Compare panes, alerts and snapshots with those of a run over the same log that nothing
    disturbed.
    """
    with (
        tempfile.TemporaryDirectory(prefix="twin-") as folder,
        EmbeddedRedis(Path(folder)) as server,
    ):
        own = {"redis_url": server.url, "data_dir": Path(folder) / "data"}
        settings = plant.settings.model_copy(update=own)
        worker = Process("twin", QUIET_WORKER, settings, plant.folder)
        with connect(server.url) as twin:
            for model, version in plant.versions.items():
                _copy(record, twin, model, version)
            worker.start()
            try:
                patience_s = 90 + verdict.in_log / SLOWEST_PER_S
                done = wait_for(lambda: progress(twin, plant.versions).all_counted, patience_s)
            finally:
                worker.end()
            verdict.require(done, "the undisturbed run did not come to its end")
            for model, version in plant.versions.items():
                if model not in record.judged_before:
                    _alerts(verdict, client, twin, model, version)
                for partition in range(version.manifest.partitions):
                    key = keys_of(version).panes(model, partition)
                    same = client.xrange(key) == twin.xrange(key)
                    verdict.require(
                        same, f"{model}.{partition}: the panes are not those of an undisturbed run"
                    )


def _copy(record: Record, twin: redis.Redis, model: str, version: PublishedVersion) -> None:
    """Copy a model's log, with its entry ids."""
    keys = keys_of(version)
    for partition in range(version.manifest.partitions):
        log = keys.log(model, partition)
        entries = record.entries((model, partition))
        for start in range(0, len(entries), CHUNK):
            pipe = twin.pipeline(transaction=False)
            for entry_id, fields in entries[start : start + CHUNK]:
                pipe.execute_command("XADD", log, entry_id, *chain.from_iterable(fields.items()))
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
    """Read alerts or snapshots, without what the watchdog says by the clock."""
    entries: Any = client.xrange(stream)
    found = [json.loads(fields[b"e"]) for _, fields in entries]
    return [one for one in found if not one["data"].get("rule", "").startswith(BLIND.of(""))]


def _logs(verdict: Verdict, folder: Path, logged: Sequence[str]) -> None:
    """No process met anything that it did not expect, or that no fault explains."""
    for path in sorted(folder.glob("*.log")):
        bad = [
            line
            for line in path.read_text(errors="replace").splitlines()
            if _is_bad(line) and not any(re.search(pattern, line) for pattern in logged)
        ]
        verdict.require(not bad, f"{path.name}: {len(bad)} errors, such as {bad[:2]}")


def _is_bad(line: str) -> bool:
    """Return whether a line of a log is an error, or of a stack trace, or no line of ours."""
    try:
        return bool(json.loads(line)["level"] in BAD_LEVELS)
    except (json.JSONDecodeError, KeyError, TypeError):
        return True
