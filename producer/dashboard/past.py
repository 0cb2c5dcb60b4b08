"""How a version's numbers went: from its snapshot reports in the stream, a bounded number of them, through `past`."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import redis.asyncio

from shared.snapshot import Performance, Snapshot

MOST: Final = 48
"""Reports that are drawn: each has some ten kB."""
READ: Final = 16
MOST_READ: Final = 160
"""Entries that are looked at, since a stream holds the reports of all versions."""
PSI: Final = "psi"


class PastStatistic(msgspec.Struct):
    """A statistic's value then."""

    name: str
    value: float | None


class PastFeature(msgspec.Struct):
    """A feature then."""

    name: str
    statistics: list[PastStatistic]


class Past(msgspec.Struct):
    """What is drawn of an earlier report."""

    version: str
    created: int
    features: list[PastFeature]
    prediction: PastFeature | None = None
    performance: Performance | None = None


class _Version(msgspec.Struct):
    version: str


class _Named(msgspec.Struct):
    data: _Version


class _Envelope(msgspec.Struct):
    data: Past


class Course(msgspec.Struct, frozen=True):
    """A statistic of all features over time: logical times (ms), ascending, and at each time a value or None."""

    times: list[int]
    values: dict[str, list[float | None]]


async def past(client: redis.asyncio.Redis, stream: str, version: str) -> list[Past]:
    """Read a version's latest reports from the model's snapshot stream, oldest first; unreadable ones are passed over."""
    found: list[Past] = []
    last, read = "+", 0
    while len(found) < MOST and read < MOST_READ:
        entries: Any = await client.xrevrange(stream, max=last, count=READ)
        found += [one for _, fields in entries if (one := _read(fields.get(b"e", b""), version)) is not None]
        read += len(entries)
        if len(entries) < READ:
            break
        last = f"({entries[-1][0].decode()}"
    return found[:MOST][::-1]


def course_of(now: Snapshot, earlier: Sequence[Past], statistic: str) -> Course:
    """Give a statistic of every feature over time, the current window last.

    The current window itself has the PSI of the last days, at more moments than there are reports; the other statistics
    are those of the reports.
    """
    if statistic == PSI and now.history_times:
        columns = [*now.features, *([now.prediction] if now.prediction else [])]
        return Course(now.history_times, {one.name: one.psi_history for one in columns if one.psi_history})
    points = [*(one for one in earlier if one.created < now.created), _as_past(now)]
    tables = [{one.name: _value(one, statistic) for one in _columns(point)} for point in points]
    names = [one.name for one in _columns(points[-1])]
    return Course([point.created for point in points], {name: [table.get(name) for table in tables] for name in names})


def _read(packed: bytes, version: str) -> Past | None:
    """Read a report if it is of the version: the others are only looked at."""
    try:
        if msgspec.json.decode(packed, type=_Named).data.version != version:
            return None
        return msgspec.json.decode(packed, type=_Envelope).data
    except msgspec.MsgspecError:  # another release wrote it
        return None


def _as_past(snapshot: Snapshot) -> Past:
    return msgspec.convert(msgspec.to_builtins(snapshot), Past)


def _columns(point: Past) -> list[PastFeature]:
    return [*point.features, *([point.prediction] if point.prediction else [])]


def _value(feature: PastFeature, statistic: str) -> float | None:
    return next((one.value for one in feature.statistics if one.name == statistic), None)
