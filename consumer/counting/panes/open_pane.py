"""The open pane: counts that grow until the pane closes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np

from driftgauge.shared.arrays import Ints
from driftgauge.shared.contract.pane import (
    LATENCY_EDGES_MS,
    Block,
    OddValues,
    Pane,
    Slowest,
    pack_counts,
    slowest_of,
    unpack_counts,
)
from driftgauge.shared.reference.segments import SegmentLayout

MOST_KINDS: Final = 20
"""Most kinds of errors that are told apart in a block, besides the rest."""
OTHER_KIND: Final = "other"


@dataclass(slots=True)
class OpenBlock:
    """Counts of one version in the open pane."""

    cells: Ints
    latency: Ints = field(
        default_factory=lambda: np.zeros(len(LATENCY_EDGES_MS) + 1, dtype=np.int64)
    )
    rows: int = 0
    sources: dict[str, int] = field(default_factory=dict)
    scores: Ints | None = None
    segments: Ints | None = None
    odd: dict[int, OddValues] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    """Failed predictions by the kind of their error."""
    slowest: Slowest = ()

    def fail(self, kind: str, number: int = 1) -> None:
        """Count failed predictions; beyond `MOST_KINDS` kinds they are `OTHER_KIND`."""
        if kind not in self.failed and len(self.failed) >= MOST_KINDS:
            kind = OTHER_KIND
        self.failed[kind] = self.failed.get(kind, 0) + number

    def add_odd(self, later: Mapping[int, OddValues]) -> None:
        """Add values that the reference does not have, which came after those known so far."""
        for column, values in later.items():
            self.odd[column] = self.odd.get(column, OddValues()).then(values)

    def add_slowest(self, other: Slowest) -> None:
        """Add the slowest of further traced predictions."""
        if other:
            self.slowest = slowest_of((*self.slowest, *other))

    def add_scores(self, counts: Ints) -> None:
        """Add counts of the probabilities."""
        self.scores = counts if self.scores is None else self.scores + counts

    def add(self, other: "OpenBlock") -> None:
        """Add the counts of another block of the same version."""
        self.cells += other.cells
        self.latency += other.latency
        self.rows += other.rows
        for source, count in other.sources.items():
            self.sources[source] = self.sources.get(source, 0) + count
        self.add_odd(other.odd)
        self.add_slowest(other.slowest)
        for kind, number in other.failed.items():
            self.fail(kind, number)
        if other.scores is not None:
            self.add_scores(other.scores)
        if other.segments is not None and self.segments is not None:
            self.segments += other.segments

    def copy(self) -> "OpenBlock":
        """Return a copy with counts of its own."""
        segments = self.segments.copy() if self.segments is not None else None
        return OpenBlock(
            self.cells.copy(),
            self.latency.copy(),
            self.rows,
            dict(self.sources),
            self.scores,
            segments,
            dict(self.odd),
            dict(self.failed),
            self.slowest,
        )

    def pack(self) -> Block:
        scores, segments = (
            b"" if found is None else pack_counts(found) for found in (self.scores, self.segments)
        )
        sources = dict(sorted(self.sources.items()))
        return Block(
            self.rows,
            pack_counts(self.cells),
            pack_counts(self.latency),
            sources,
            scores,
            segments,
            dict(sorted(self.odd.items())),
            dict(self.failed),
            self.slowest,
        )

    @classmethod
    def unpack(cls, block: Block) -> "OpenBlock":
        """Unpack what `pack` returned."""
        scores, segments = (
            unpack_counts(found) if found else None for found in (block.scores, block.segments)
        )
        return cls(
            unpack_counts(block.cells),
            unpack_counts(block.latency),
            block.rows,
            block.sources,
            scores,
            segments,
            dict(block.odd),
            block.failed,
            block.slowest,
        )


@dataclass(slots=True)
class OpenPane:
    """The pane that is being counted.

    Parameters
    ----------
    start
        Logical time (ms) of its first event.
    """

    start: int
    events: int = 0
    blocks: dict[str, OpenBlock] = field(default_factory=dict)
    failed: int = 0

    @property
    def size(self) -> int:
        """Number of its predictions, failed ones included."""
        return self.events + self.failed

    def block(self, version: str, size: int, segments: SegmentLayout | None = None) -> OpenBlock:
        """Return a version's block, made if absent; `size` is the number of its cells."""
        if version not in self.blocks:
            parted = segments.no_counts() if segments is not None else None
            self.blocks[version] = OpenBlock(np.zeros(size, dtype=np.int64), segments=parted)
        return self.blocks[version]

    def pack(self) -> bytes:
        """Pack the pane for the checkpoint."""
        return msgspec.msgpack.encode(
            _Packed(self.start, self.events, self._packed_blocks(), self.failed)
        )

    @classmethod
    def unpack(cls, packed: bytes) -> "OpenPane":
        """Unpack what `pack` returned."""
        state = msgspec.msgpack.decode(packed, type=_Packed)
        blocks = {version: OpenBlock.unpack(block) for version, block in state.blocks.items()}
        return cls(state.start, state.events, blocks, state.failed)

    def closed(
        self, partition: int, number: int, end: int, total: int, events_per_day: float | None
    ) -> Pane:
        """Return the pane as it is written to the panes stream."""
        return Pane(
            partition,
            number,
            self.start,
            end,
            self.events,
            total,
            events_per_day,
            self._packed_blocks(),
        )

    def _packed_blocks(self) -> dict[str, Block]:
        """Pack the blocks in an order that does not depend on how the log was cut into batches."""
        return {version: self.blocks[version].pack() for version in sorted(self.blocks)}


class _Packed(msgspec.Struct):
    start: int
    events: int
    blocks: dict[str, Block]
    failed: int = 0
