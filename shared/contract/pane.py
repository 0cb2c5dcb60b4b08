"""Panes: counts of consecutive events of a partition, and the other entries from counting to
judging.

The counts of a window are the sum of its panes. In Redis a pane is the stream entry `<n>-0`, so
that it can never be written twice; further entries after pane n have the ids `<n>-1`, `<n>-2`, ….
"""

import zlib
from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from driftgauge.shared.arrays import Ints
from driftgauge.shared.contract.events import Milliseconds
from driftgauge.shared.contract.severity import AlertSeverity
from driftgauge.shared.unpacking import inflate

FEW_COUNTS = 100
NO_PANE = 2**40
"""Number that no pane has: an entry with such an id got it from Redis's clock."""
MOST_COUNTS = 8_000_000
"""Most counts of one array of a pane: those of 2,000 columns in 150 segments."""
Count = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
COUNT_TYPES = frozenset("bBhHiIlLqQ")
"""The types of packed counts, by the names of numpy."""
FIELD = b"b"
"""Field of an entry of the panes stream that holds the message."""
WRITER = b"w"
"""Field beside it that tells under which lease it was written. A pane that was lost, and is counted
again, has the same number and often the same bytes, but another writer.
"""
WRITER_DIGITS = 8
LATENCY_EDGES_MS = np.geomspace(0.05, 60_000, 63)
"""Edges of the 64 latency cells."""
DELAY_EDGES_S = np.geomspace(1, 40 * 86_400, 47)
"""Edges of the 48 cells of a label's delay, in seconds; each is about 1.4 times the one before."""


MOST_NAMES = 5
"""Most unseen categories of a column that are named."""
LONGEST_NAME = 60
"""Most characters of such a name."""
MOST_TRACES = 3
"""Most traces that are named for one thing."""
Slowest = tuple[tuple[float, str], ...]
"""The slowest traced predictions: latency (ms) and trace."""


def first_of(texts: Iterable[str], most: int) -> tuple[str, ...]:
    """Return the first different ones of some texts.

    >>> first_of(["b", "a", "b", "c"], 2)
    ('b', 'a')
    """
    return tuple(dict.fromkeys(texts))[:most]


def slowest_of(found: Iterable[tuple[float, str]]) -> Slowest:
    """Return the slowest of some traced predictions, each trace once: the same in whatever order
    and parts they are looked at.

    >>> slowest_of([(2.0, "a"), (9.0, "b"), (3.0, "a"), (1.0, "c"), (3.0, "d")])
    ((9.0, 'b'), (3.0, 'a'), (3.0, 'd'))
    """
    longest: dict[str, float] = {}
    for latency_ms, trace in found:
        longest[trace] = max(latency_ms, longest.get(trace, latency_ms))
    ranked = sorted((-latency_ms, trace) for trace, latency_ms in longest.items())
    return tuple((-negative, trace) for negative, trace in ranked[:MOST_TRACES])


class OddValues(msgspec.Struct, frozen=True, omit_defaults=True):
    """Values of a column that its reference does not have: the lowest and the highest number
    outside its range, or the names of the unseen categories that came first; and the traces of the
    first predictions that had them, and of the first that had no value.

    Examples
    --------
    >>> OddValues(-9.0, 120.0).then(OddValues(-1.0, 900.0))
    OddValues(lowest=-9.0, highest=900.0, names=(), traces=(), missing=())
    >>> OddValues(names=("a", "b")).then(OddValues(names=("b", "c"))).names
    ('a', 'b', 'c')
    """

    lowest: float | None = None
    highest: float | None = None
    names: tuple[str, ...] = ()
    traces: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def then(self, later: "OddValues") -> "OddValues":
        """Return these values and later ones together."""
        lowest = [one for one in (self.lowest, later.lowest) if one is not None]
        highest = [one for one in (self.highest, later.highest) if one is not None]
        return OddValues(
            min(lowest, default=None),
            max(highest, default=None),
            first_of((*self.names, *later.names), MOST_NAMES),
            first_of((*self.traces, *later.traces), MOST_TRACES),
            first_of((*self.missing, *later.missing), MOST_TRACES),
        )


class Block(msgspec.Struct, frozen=True):
    """The part of a pane that belongs to one model version.

    Parameters
    ----------
    rows
        Predictions that count for drift.
    cells
        Packed counts over all cells of the version's reference.
    latency
        Packed counts of the latency cells.
    sources
        Predictions of each source, whether they count for drift or not.
    scores
        Packed counts of the probabilities (shared/performance/estimate.py), of the rows that count
        for drift; empty for a version whose performance cannot be estimated from them.
    segments
        Packed counts by segment and bin (`SegmentLayout.counts`), of the rows that count for drift;
        empty for a version without segments.
    odd
        Values that the reference does not have, by column, of the rows that count for drift.
    failed
        Failed predictions by the kind of their error; they are no rows.
    slowest
        The slowest traced predictions that count for drift.
    """

    rows: Count
    cells: bytes
    latency: bytes
    sources: dict[str, int]
    scores: bytes = b""
    segments: bytes = b""
    odd: dict[int, OddValues] = {}
    failed: dict[str, Count] = {}
    slowest: Slowest = ()


class Pane(msgspec.Struct, frozen=True, tag="pane"):
    """A closed pane.

    Parameters
    ----------
    number
        Number of the pane, from 1, per partition.
    start, end
        Logical times (ms) of its first event and of its closing.
    events
        Number of predictions in the pane.
    total
        Number of the partition's predictions until the end of the pane.
    events_per_day
        Measured traffic of the partition, None until a whole logical day is known.
    blocks
        Counts by model version.
    """

    partition: int
    number: Count
    start: Milliseconds
    end: Milliseconds
    events: Count
    total: Count
    events_per_day: float | None
    blocks: dict[str, Block]


class Alarm(msgspec.Struct, frozen=True, tag="alarm"):
    """An online detector's alarm; it leaves counting at once.

    Parameters
    ----------
    time
        Logical time (ms) of the event that raised it.
    total
        Number of the partition's predictions up to and including that event.
    column
        Name of the feature, or `prediction`.
    detector
        Name of the detector.
    delay
        Events since the change, as the detector estimates it; of ADWIN, since it (re)started.
    value, expected, threshold
        Current value of the detector's statistic, its value without drift, and its threshold; None
        where the detector has none.
    width
        Number of values that the estimate is based on.
    effect
        Estimated effect, in words.
    severity
        `warning` for evidence of a change, `critical` for a broken feed.
    mean_rank
        Mean reference rank of the values since the change, between 0 and 1, .5 without one; None
        if it is not known.
    odd
        Values of the column in the pane, up to the event, that the reference does not have; None if
        it has all.
    """

    partition: int
    time: Milliseconds
    total: Count
    version: str
    column: str
    detector: str
    delay: int
    statistic: str
    value: float
    expected: float | None
    width: int
    effect: str
    threshold: float | None = None
    severity: AlertSeverity = "warning"
    mean_rank: float | None = None
    odd: OddValues | None = None


class Watermark(msgspec.Struct, frozen=True, tag="watermark"):
    """Logical time (ms) that the partition has reached without closing a pane."""

    partition: int
    time: Milliseconds
    total: Count


class Revised(msgspec.Struct, frozen=True):
    """The changes of one version's part of one pane by labels, to be added to the pane.

    Parameters
    ----------
    pane
        Number of the pane that the predictions are in.
    labelled
        Number of predictions that got their first label.
    corrected
        Number of labels that were replaced by another.
    delays
        Packed counts of the delay cells: time of the first label minus time of the prediction;
        empty if there was none.
    sums
        Packed `driftgauge.shared.performance.Sums` of the rows with their labels now, less those of
        the labels that these replace.
    labels
        Packed counts of the labels' cells (`PerformanceReference.labels`), in the same way; empty
        for a version whose reference has no labels.
    segments
        Packed sums by segment (`driftgauge.shared.performance.Measures`), in the same way; empty
        for a version without segments.
    """

    pane: int
    version: str
    labelled: int
    corrected: int
    delays: bytes
    sums: bytes
    labels: bytes = b""
    segments: bytes = b""


class Delta(msgspec.Struct, frozen=True, tag="delta"):
    """Labels that were joined to predictions. It revises panes of the partition, all of which were
    written before.

    Parameters
    ----------
    time, total
        Logical time (ms) and number of the partition's predictions when it was written.
    revision
        Number of the revision, from 1, per partition.
    revised
        Changes by pane and version; each pair occurs once.
    """

    partition: int
    time: Milliseconds
    total: Count
    revision: int
    revised: list[Revised]


class NewReference(msgspec.Struct, frozen=True, tag="reference"):
    """Entry from which on a version is compared with another of its references
    (shared/reference/history.py).

    Parameters
    ----------
    time
        Logical time (ms).
    total
        Number of the partition's predictions until here.
    change
        Number of the change; a change with a smaller or equal number than an earlier one is
        ignored.
    number
        Number of the reference.
    """

    partition: int
    time: Milliseconds
    total: Count
    version: str
    change: int
    number: int
    who: str
    reason: str
    undo: bool


class RollUp(msgspec.Struct, frozen=True):
    """The sum of the panes of a logical hour or day: an entry of a stream that is kept longer than
    the panes.

    Parameters
    ----------
    pane
        The sum in the form of a pane; its number is that of the last pane, and the entry's id.
    first
        Number of the first pane in it.
    kept
        The first and the latest alarm of each version, detector and column.
    alarms
        Number of alarms in the time.
    """

    pane: Pane
    first: int
    kept: list[Alarm]
    alarms: int


Span = Literal["hour", "day"]
PaneEntry = Pane | Alarm | NewReference | Watermark | Delta

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(PaneEntry).decode
decode_rollup = msgspec.msgpack.Decoder(RollUp).decode


def pack_counts(counts: Ints) -> bytes:
    """Pack counts: the smallest unsigned type that holds them, many of them compressed.

    Examples
    --------
    >>> unpack_counts(pack_counts(np.array([0, 300, 2]))).tolist()
    [0, 300, 2]
    """
    return _packed(counts, np.min_scalar_type(int(counts.max(initial=0))))


def _packed(counts: Ints, kind: np.dtype[Any]) -> bytes:
    plain = counts.astype(kind.newbyteorder("<")).tobytes()
    head = kind.char.encode()
    if len(counts) <= FEW_COUNTS:
        return head + b"-" + plain
    packer = zlib.compressobj(
        1, strategy=zlib.Z_RLE
    )  # counts have runs of zeros, and no words that come again
    return head + b"z" + packer.compress(plain) + packer.flush()


def pack_changes(counts: Ints) -> bytes:
    """Pack counts of which some may be negative, as those of corrections are; `unpack_counts` reads
    them.

    Examples
    --------
    >>> unpack_counts(pack_changes(np.array([0, -300, 2]))).tolist()
    [0, -300, 2]
    """
    largest = int(np.abs(counts).max(initial=0))
    kind = next(np.dtype(kind) for kind in "bhiq" if largest <= np.iinfo(kind).max)
    return _packed(counts, kind)


def unpack_counts(packed: bytes, most: int = MOST_COUNTS, exactly: int | None = None) -> Ints:
    """Unpack what `pack_counts` returned.

    Parameters
    ----------
    most
        Most counts that it may hold.
    exactly
        How many it must hold; None for any number.

    Raises
    ------
    ValueError
        If it is not what `pack_counts` returned, or holds another number of counts.
    """
    name = packed[:1].decode()
    if name not in COUNT_TYPES:
        raise ValueError(f"counts have no type {name!r}")
    kind = np.dtype(name).newbyteorder("<")
    plain = inflate(packed[2:], most * kind.itemsize) if packed[1:2] == b"z" else packed[2:]
    counts = np.frombuffer(plain, dtype=kind).astype(np.int64)
    if exactly is not None and len(counts) != exactly:
        raise ValueError(f"it has {len(counts):,} counts instead of {exactly:,}")
    return counts
