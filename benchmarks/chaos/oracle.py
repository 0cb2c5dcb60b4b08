"""What the counts must be: a batch computation over the distinct events of a log.

It shares no code with counting: every value is compared with every cut of the reference.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftgauge.shared.reference.profile import (
    CategoricalReference,
    ColumnReference,
    NumericReference,
    bucket,
)
from driftgauge.shared.registry.registry import PublishedVersion

Counts = NDArray[np.int64]
LogEntry = tuple[bytes, dict[bytes, bytes]]

CHUNK = 5000
"""Values that are compared at a time."""
SINGLE_PRECISION = 2.0**-24 * (1 + 2.0**-12)
LATENCY_EDGES_MS = np.geomspace(0.05, 60_000, 63)


@dataclass
class Batch:
    """The distinct events of a partition's log.

    Parameters
    ----------
    events
        Events in the order of the log; one that a client sent again under its id occurs once.
    ids
        Ids of all entries.
    copies
        Number of entries that repeat a sequence number or a client's id.
    holes
        Numbers below a publisher's largest that are not in the log.
    contradictions
        Numbers that were used for two events.
    """

    events: list[dict[str, Any]] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    copies: int = 0
    holes: int = 0
    contradictions: int = 0


def batch_of(entries: Iterable[LogEntry]) -> Batch:
    """Read a log."""
    batch = Batch()
    payloads: dict[bytes, dict[int, bytes]] = defaultdict(dict)
    named: set[str] = set()
    for _, fields in entries:
        if fields[b"t"] != b"p":
            continue
        seen, number, payload = payloads[fields[b"p"]], int(fields[b"s"]), fields[b"e"]
        if number in seen:
            batch.copies += 1
            batch.contradictions += payload != seen[number]
            continue
        seen[number] = payload
        event = json.loads(payload)
        if event.get("client_id"):
            if event["id"] in named:
                batch.copies += 1
                continue
            named.add(event["id"])
        batch.ids.add(event["id"])
        batch.events.append(event)
    batch.holes = sum(max(seen) - len(seen) for seen in payloads.values())
    return batch


def cells_of(events: Sequence[dict[str, Any]], version: PublishedVersion) -> Counts:
    """Count the values of all columns by cell; only online events count for drift."""
    online = [event for event in events if event.get("source", "online") == "online"]
    width = len(version.schema.features)
    columns = [[event["features"][place] for event in online] for place in range(width)]
    columns.append([event["prediction"] for event in online])
    parts = [
        counts_of(values, column)
        for values, column in zip(columns, version.reference.columns, strict=True)
    ]
    return np.concatenate(parts)


def latencies_of(events: Sequence[dict[str, Any]]) -> Counts:
    """Count the latencies by cell."""
    found = np.zeros(len(LATENCY_EDGES_MS) + 1, dtype=np.int64)
    for event in events:
        if event.get("latency_ms") is not None:
            found[int((event["latency_ms"] > LATENCY_EDGES_MS).sum())] += 1
    return found


def counts_of(values: list[Any], column: ColumnReference) -> Counts:
    """Count the values of one column by cell; None is a missing value."""
    if isinstance(column, NumericReference):
        return _numeric(values, column)
    return _categorical(values, column)


def _numeric(values: list[float | None], column: NumericReference) -> Counts:
    """A value between cuts has an even cell, one that single precision cannot tell from a cut the
    odd one behind it, unless another cut is nearer than four times as far; the last cell is
    MISSING.
    """
    counts = np.zeros(len(column.counts), dtype=np.int64)
    cuts = np.array(column.cuts)
    gaps = np.diff(cuts, prepend=-np.inf, append=np.inf) / 4
    near = np.minimum(np.abs(cuts) * SINGLE_PRECISION, np.minimum(gaps[:-1], gaps[1:]))
    present = np.array([value for value in values if value is not None], dtype=float)
    for start in range(0, len(present), CHUNK):
        part = present[start : start + CHUNK, None]
        equal = np.abs(part - cuts) <= near
        cells = 2 * ((part > cuts) & ~equal).sum(axis=1) + equal.any(axis=1)
        counts += np.bincount(cells, minlength=len(counts))
    counts[-1] = len(values) - len(present)
    return counts


def _categorical(values: list[str | None], column: CategoricalReference) -> Counts:
    counts = np.zeros(len(column.counts), dtype=np.int64)
    for value in values:
        if value is None:
            counts[-1] += 1
        elif value in column.categories:
            counts[column.categories.index(value)] += 1
        else:
            first = len(column.categories) if value in column.other else column.unseen
            counts[first + bucket(value, column.buckets)] += 1
    return counts
