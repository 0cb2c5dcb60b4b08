"""Reads when the events of a model came, from the panes that counting wrote.

The first pane and the last one are read, and then those in the middle of each stretch that is
longer than what a chart shows. What was read is kept, since panes never change.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import redis.asyncio

from driftgauge.producer.reading.model_state import ModelState, PartitionState
from driftgauge.producer.reading.pipeline import Pipeline
from driftgauge.producer.reading.traffic.spans import (
    DAY_MS,
    Counted,
    PaneNumbers,
    TrafficSpans,
    counted,
    middles,
)
from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.contract.pane import FIELD, Watermark
from driftgauge.shared.contract.pane import decode as decode_entry
from driftgauge.shared.unpacking import UNREADABLE

MOST_READS: Final = 320
"""Most panes of a partition that are read at a time; a day without silence needs fewer."""
MOST_BYTES: Final = 8_000_000
"""Most bytes of them; beyond that long stretches stay whole."""
MOST_KEPT: Final = 1000
"""Most panes of a partition that are kept, some 100 B each."""
MOST_PARTITIONS: Final = 200
"""Most partitions of which panes are kept: those that were asked for last."""

_decode: Final = msgspec.msgpack.Decoder(PaneNumbers).decode


class TrafficHistory:
    """Reads the traffic of models, and keeps what it read.

    Parameters
    ----------
    client
        Client without retries and with bytes replies.
    """

    def __init__(self, client: redis.asyncio.Redis, pipeline: Pipeline) -> None:
        self._client = client
        self._pipeline = pipeline
        self._kept: OrderedDict[str, dict[int, PaneNumbers]] = OrderedDict()

    async def read(self, state: ModelState) -> TrafficSpans:
        """Return when the events of a model came within the last day of traffic.

        Parameters
        ----------
        state
            State of the model, whose counters tell what came since the last pane.
        """
        keys = await self._pipeline.panes(state.model) if state.partitions else []
        parts = [
            await self._partition(key, partition, state.now_ms)
            for key, partition in zip(keys, state.partitions, strict=False)
        ]
        last = max((part[-1].end for part in parts if part), default=state.now_ms)
        is_live = state.now_ms - last < DAY_MS
        end = state.now_ms if is_live else last
        return TrafficSpans(
            [[one for one in part if one.end > end - DAY_MS] for part in parts], end, is_live
        )

    async def _partition(self, key: str, partition: PartitionState, now_ms: int) -> list[Counted]:
        newest: Any = await self._client.xrevrange(key, count=1)
        if not newest:
            return await self._before_the_first(partition, now_ms)
        known = self._known(key, EntryId.parse(newest[0][0]).ms)
        await self._read_ends(key, known, newest)
        await self._read_between(key, known)
        panes = [known[number] for number in sorted(known)]
        if not panes:
            return await self._before_the_first(partition, now_ms)
        return [*counted(panes), *_since(panes[-1], newest[0][1], partition, now_ms)]

    def _known(self, key: str, last: int) -> dict[int, PaneNumbers]:
        """Return the kept panes; none of them if the stream went back to an older state."""
        known = self._kept.setdefault(key, {})
        self._kept.move_to_end(key)
        while len(self._kept) > MOST_PARTITIONS:
            self._kept.popitem(last=False)
        if known and max(known) > last:
            known.clear()
        for number in sorted(known)[1:-1:2] if len(known) > MOST_KEPT else ():
            del known[number]
        return known

    async def _read_ends(self, key: str, known: dict[int, PaneNumbers], newest: Any) -> None:
        oldest: Any = [] if known else await self._client.xrange(key, min="1-0", count=1)
        ends = {EntryId.parse(entry_id).ms for entry_id, _ in (*oldest, *newest)}
        await self._fetch(key, known, sorted(ends - known.keys()))

    async def _read_between(self, key: str, known: dict[int, PaneNumbers]) -> None:
        """Read the panes in the middle of long stretches, then those in the middle of what is left
        of them.
        """
        tried: set[int] = set()
        size = 0
        while len(tried) < MOST_READS and size < MOST_BYTES:
            wanted = [one for one in middles(known) if one not in tried]
            wanted = wanted[: MOST_READS - len(tried)]
            if not wanted:
                return
            size += await self._fetch(key, known, wanted)
            tried.update(wanted)

    async def _fetch(self, key: str, known: dict[int, PaneNumbers], numbers: Sequence[int]) -> int:
        """Read panes by their numbers; return their bytes. One that is gone or is not readable is
        left out.
        """
        size = 0
        pipe = self._client.pipeline(transaction=False)
        for number in numbers:
            pipe.xrange(key, min=f"{number}-0", max=f"{number}-0")
        replies: Any = await pipe.execute() if numbers else []
        for entries in replies:
            for _, fields in entries:
                packed = fields.get(FIELD, b"")
                size += len(packed)
                try:
                    found = _decode(packed)
                except UNREADABLE:  # the panes around it tell how many events there were
                    continue
                known[found.number] = found
        return size

    async def _before_the_first(self, partition: PartitionState, now_ms: int) -> list[Counted]:
        """Return the traffic before the first pane, which began with the log."""
        events = partition.counters.events
        first: Any = await self._client.xrange(partition.log, count=1) if events else []
        return [
            Counted(min(EntryId.parse(entry_id).ms, now_ms), now_ms, events)
            for entry_id, _ in first
        ]


def _since(
    last: PaneNumbers, fields: Mapping[bytes, bytes], partition: PartitionState, now_ms: int
) -> list[Counted]:
    """Return what came since the last pane; after the time until which a watermark says that
    nothing did.
    """
    events = partition.counters.events - last.total
    if events <= 0 or now_ms - last.end > DAY_MS:
        return []
    start = last.end
    try:
        entry = decode_entry(fields.get(FIELD, b""))
    except UNREADABLE:
        entry = None
    if isinstance(entry, Watermark) and entry.total == last.total:
        start = max(start, entry.time)
    return [Counted(min(start, now_ms), now_ms, events)]
