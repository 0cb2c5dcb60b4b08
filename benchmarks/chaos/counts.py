"""The counts of a partition against its log: every cell, computed by other code."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import redis

from benchmarks.chaos.oracle import Batch, Counts, cells_of, latencies_of
from benchmarks.chaos.plant.model import keys_of
from benchmarks.chaos.record import Place
from benchmarks.chaos.verdict import Verdict
from driftgauge.consumer.counting.panes.open_pane import OpenPane
from driftgauge.shared.contract import counters, pane
from driftgauge.shared.contract.counters import Counters
from driftgauge.shared.contract.pane import Pane, unpack_counts
from driftgauge.shared.registry.registry import PublishedVersion


def compare_counts(
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
