"""The labelled window of a version: its latest panes with enough labelled predictions, however late
the labels came.

Every pane waits here for its labels until newer panes have enough of them, or it is too old. A
delta revises the pane of its predictions, so the window's performance is that of the predictions
made in it. The sums are exact (shared/performance), so subtracting a pane leaves no rounding error.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec
import numpy as np

from driftgauge.consumer.judging.windows.window import DAY_MS
from driftgauge.shared.arrays import Ints
from driftgauge.shared.contract.pane import (
    DELAY_EDGES_S,
    Pane,
    Revised,
    pack_changes,
    pack_counts,
    unpack_counts,
)
from driftgauge.shared.performance import Sums

MAX_SPANS = 512
"""Most spans of a partition. Beyond it the older half is merged in pairs, so that late labels and
many panes a minute do not need a span for each pane.
"""


class Span(msgspec.Struct, frozen=True):
    """Consecutive panes of a partition, as the checkpoint stores them: one pane at first, more
    after merging.

    Parameters
    ----------
    first, last
        Numbers of its first and last pane.
    predictions
        Number of the version's predictions in them.
    labelled, corrected
        Number of first labels, and of labels that replaced another.
    delays, sums
        Packed counts of the delay cells, and packed sums; empty without labels.
    segments
        Packed sums by segment (`driftgauge.shared.performance.Measures`); empty without labels or
        segments.
    labels
        Packed counts of the labels' cells; empty without labels, or if the reference has none.
    """

    partition: int
    first: int
    last: int
    start: int
    end: int
    predictions: int
    labelled: int = 0
    corrected: int = 0
    delays: bytes = b""
    sums: bytes = b""
    segments: bytes = b""
    labels: bytes = b""

    @property
    def key(self) -> str:
        return f"{self.partition}:{self.first}"

    def revised(self, revised: Revised) -> "Span":
        """Return the span with the changes of labels added."""
        return msgspec.structs.replace(
            self,
            labelled=self.labelled + revised.labelled,
            corrected=self.corrected + revised.corrected,
            delays=_joined(self.delays, revised.delays),
            sums=_summed(self.sums, revised.sums),
            segments=_added(self.segments, revised.segments),
            labels=_added(self.labels, revised.labels),
        )

    def joined(self, later: "Span") -> "Span":
        """Return this span and the next one as one."""
        return Span(
            self.partition,
            self.first,
            later.last,
            self.start,
            later.end,
            self.predictions + later.predictions,
            self.labelled + later.labelled,
            self.corrected + later.corrected,
            _joined(self.delays, later.delays),
            _summed(self.sums, later.sums),
            _added(self.segments, later.segments),
            _added(self.labels, later.labels),
        )


@dataclass(slots=True)
class LabelledWindow:
    """The labelled window of a version: its spans, and their sum.

    Parameters
    ----------
    sums
        Sums of all labelled rows; None if there never was one.
    spans
        Spans by partition, oldest first.
    delays
        Counts of the delay cells (shared/contract/pane.py).
    segments
        Sums by segment; None if no label of a version with segments ever came.
    labels
        Counts of the labels' cells; None if no label of a version whose reference has labels ever
        came.
    """

    sums: Sums | None = None
    spans: dict[int, list[Span]] = field(default_factory=dict)
    delays: Ints = field(default_factory=lambda: np.zeros(len(DELAY_EDGES_S) + 1, dtype=np.int64))
    predictions: int = 0
    labelled: int = 0
    corrected: int = 0
    segments: Ints | None = None
    labels: Ints | None = None

    @classmethod
    def of(cls, spans: Iterable[Span]) -> "LabelledWindow":
        """Sum the spans of a checkpoint."""
        window = cls()
        for span in sorted(spans, key=lambda span: (span.partition, span.first)):
            window.spans.setdefault(span.partition, []).append(span)
            window.predictions += span.predictions
            window._count(span, 1)
        return window

    def add(self, pane: Pane, predictions: int) -> tuple[list[Span], list[Span]]:
        """Add a pane, which waits for its labels.

        Returns
        -------
        kept, gone
            Spans to write, and spans that were merged into others.
        """
        span = Span(pane.partition, pane.number, pane.number, pane.start, pane.end, predictions)
        self.spans.setdefault(pane.partition, []).append(span)
        self.predictions += predictions
        kept, gone = self._join_old(pane.partition)
        return [span, *kept], gone

    def revise(self, partition: int, revised: Revised) -> Span | None:
        """Add labels to their pane; None if it has left the window: newer panes have their labels
        already.
        """
        spans = self.spans.get(partition, [])
        place = bisect_right(spans, revised.pane, key=lambda span: span.first) - 1
        if place < 0 or spans[place].last < revised.pane:
            return None
        spans[place] = spans[place].revised(revised)
        self._count(revised, 1)
        return spans[place]

    def trim(self, least_rows: int, days: int) -> list[Span]:
        """Remove spans that the window does not need, oldest first; return them."""
        dropped = []
        while (oldest := self._oldest()) is not None and (
            self.labelled - oldest.labelled >= least_rows or oldest.end < self.end - days * DAY_MS
        ):
            self.spans[oldest.partition].pop(0)
            self.predictions -= oldest.predictions
            self._count(oldest, -1)
            dropped.append(oldest)
        return dropped

    @property
    def start(self) -> int:
        oldest = self._oldest()
        return oldest.start if oldest is not None else 0

    @property
    def end(self) -> int:
        return max((spans[-1].end for spans in self.spans.values() if spans), default=0)

    @property
    def latest_label(self) -> int:
        """End (ms) of the latest pane that has a label; 0 if none has."""
        found = (
            next((span.end for span in reversed(spans) if span.labelled), 0)
            for spans in self.spans.values()
        )
        return max(found, default=0)

    def delay_ms(self, share: float) -> float:
        """Return a quantile of the time from prediction to label, in ms: the upper edge of its
        cell.
        """
        cumulative = np.cumsum(self.delays)
        cell = int(np.searchsorted(cumulative, share * cumulative[-1]))
        return float(DELAY_EDGES_S[min(cell, len(DELAY_EDGES_S) - 1)]) * 1000

    def _oldest(self) -> Span | None:
        heads = [spans[0] for spans in self.spans.values() if spans]
        return min(heads, key=lambda span: (span.end, span.partition), default=None)

    def _count(self, labels: Span | Revised, sign: int) -> None:
        """Add (sign 1) or subtract (sign -1) the labels of a span or a revision."""
        self.labelled += sign * labels.labelled
        self.corrected += sign * labels.corrected
        if labels.delays:
            self.delays += sign * unpack_counts(labels.delays, exactly=len(self.delays))
        if labels.sums:
            sums = Sums.unpack(labels.sums)
            total = self.sums or Sums.zero(sums.layout)
            self.sums = total + sums if sign > 0 else total - sums
        if labels.segments:
            numbers = sign * unpack_counts(labels.segments)
            self.segments = numbers if self.segments is None else self.segments + numbers
        if labels.labels:
            cells = sign * unpack_counts(labels.labels)
            self.labels = cells if self.labels is None else self.labels + cells

    def _join_old(self, partition: int) -> tuple[list[Span], list[Span]]:
        """Merge the older half of too many spans in pairs; return the merged ones, and those that
        were merged into them.
        """
        spans = self.spans[partition]
        if len(spans) <= MAX_SPANS:
            return [], []
        half = len(spans) // 4 * 2
        pairs = list(zip(spans[:half:2], spans[1:half:2], strict=True))
        joined = [older.joined(newer) for older, newer in pairs]
        self.spans[partition] = joined + spans[half:]
        return joined, [newer for _, newer in pairs]


def _joined(one: bytes, other: bytes) -> bytes:
    """Add packed counts, where there are any."""
    if not one or not other:
        return one or other
    return pack_counts(unpack_counts(one) + unpack_counts(other))


def _added(one: bytes, other: bytes) -> bytes:
    """Add packed numbers of which some may be negative, where there are any."""
    if not one or not other:
        return one or other
    return pack_changes(unpack_counts(one) + unpack_counts(other))


def _summed(one: bytes, other: bytes) -> bytes:
    """Add packed sums, where there are any."""
    if not one or not other:
        return one or other
    return (Sums.unpack(one) + Sums.unpack(other)).pack()
