"""Joined rows that judging does not know yet, and the delta that tells it.

Rows are kept until enough of them, or the oldest for long enough, are there: then one delta revises all their panes. When
that is, hangs on the log alone, and a delta never names a pane that was not written before it.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import attrgetter

import msgspec
import numpy as np

from consumer.counting.cells import CellMap
from consumer.counting.pending import Truth, Waiting
from shared.pane import DELAY_EDGES_S, Revised, pack_changes, pack_counts
from shared.performance import Layout, Sums
from shared.reference import Column, Floats, Ints

DELTA_ROWS = 5000
"""Joined rows that are told at once."""
DELTA_MS = 5000
"""Entry time after which joined rows are told at the next label, or at the closing of a pane."""


class Joined(msgspec.Struct, array_like=True, gc=False):
    """A prediction with its label.

    Parameters
    ----------
    told
        The label that judging knows; None if it knows none.
    label
        As it is now.
    delay_ms
        Time of the first label minus time of the prediction, if judging does not know the label.
    corrected
        How often the label was replaced since judging was told.
    segments
        As in `Waiting`.
    """

    version: str
    prediction: Truth
    probabilities: list[float] | None
    told: Truth | None
    label: Truth
    delay_ms: int | None
    corrected: int = 0
    segments: bytes = b""


class Revisions(msgspec.Struct):
    """The rows to tell.

    Parameters
    ----------
    number
        Deltas so far.
    since
        Entry time (ms) of the first row, or of the last delta if it left some.
    size
        Rows, in all panes.
    rows
        By pane, and by digest of the prediction's id.

    Examples
    --------
    >>> revisions = Revisions()
    >>> revisions.join(b"id", Waiting(1, "1.0.0", 0, 2.5), 3.5, 7000, 60_000)
    >>> revisions.due(closed=0, now=99_000), revisions.due(closed=1, now=61_000), revisions.due(closed=1, now=65_000)
    (False, False, True)
    """

    number: int = 0
    since: int = 0
    size: int = 0
    rows: dict[int, dict[bytes, Joined]] = {}

    def join(self, digest: bytes, waiting: Waiting, label: Truth, time: int, now: int) -> None:
        """Take the first label of a prediction, which became known at `time`; `now` is its entry time."""
        rows = self._rows(waiting.pane, now)
        if digest in rows:  # another prediction of the same id, which has its label
            rows[digest + len(rows).to_bytes(8)] = rows.pop(digest)
        delay_ms = time - waiting.time
        rows[digest] = Joined(
            waiting.version, waiting.prediction, waiting.probabilities, None, label, delay_ms, segments=waiting.segments
        )
        self.size += 1

    def correct(self, digest: bytes, waiting: Waiting, label: Truth, now: int) -> None:
        """Replace the label of a prediction."""
        rows = self._rows(waiting.pane, now)
        if digest not in rows:
            rows[digest] = Joined(
                waiting.version, waiting.prediction, waiting.probabilities, waiting.label, label, None,
                segments=waiting.segments,
            )  # fmt: skip
            self.size += 1
        rows[digest].label = label
        rows[digest].corrected += 1

    def ready(self, closed: int) -> int:
        """Count the rows of closed panes."""
        return self.size - len(self.rows.get(closed + 1, ()))

    def due(self, closed: int, now: int) -> bool:
        """Whether rows of closed panes, the last of which is `closed`, are to be told."""
        ready = self.ready(closed)
        return ready > 0 and (now - self.since >= DELTA_MS or ready >= DELTA_ROWS)

    def first_labels(self, closed: int) -> list[tuple[bytes, Joined]]:
        """Give the rows of closed panes whose label judging does not know, with the digests of their ids, pane by pane."""
        panes = sorted(pane for pane in self.rows if pane <= closed)
        return [found for pane in panes for found in self.rows[pane].items() if found[1].told is None]

    def take(self, closed: int, now: int, versions: Mapping[str, CellMap]) -> list[Revised]:
        """Take out the rows of closed panes, summed up."""
        panes = sorted(pane for pane in self.rows if pane <= closed)
        if panes:
            self.number += 1
            self.since = now
        taken = [(pane, self.rows.pop(pane)) for pane in panes]
        self.size -= sum(len(rows) for _, rows in taken)
        return [revised for pane, rows in taken for revised in _revised(pane, rows, versions)]

    def _rows(self, pane: int, now: int) -> dict[bytes, Joined]:
        if not self.rows:
            self.since = now
        return self.rows.setdefault(pane, {})


def _revised(pane: int, rows: Mapping[bytes, Joined], versions: Mapping[str, CellMap]) -> list[Revised]:
    by_version = groupby(sorted(rows.values(), key=attrgetter("version")), key=attrgetter("version"))
    return [_sum_up(pane, version, list(found), versions[version]) for version, found in by_version]


def _sum_up(pane: int, version: str, rows: Sequence[Joined], cell_map: CellMap) -> Revised:
    """Sum up the rows of one version."""
    layout = cell_map.layout
    assert layout is not None  # noqa: S101  only predictions of versions with labels wait
    sums = _sums(layout, rows, [row.label for row in rows])
    replaced = [row for row in rows if row.told is not None]
    if replaced:
        sums = sums - _sums(layout, replaced, [row.told for row in replaced])
    seconds = np.array([row.delay_ms for row in rows if row.delay_ms is not None]) / 1000
    delays = np.bincount(np.searchsorted(DELAY_EDGES_S, seconds), minlength=len(DELAY_EDGES_S) + 1)
    corrected = sum(row.corrected for row in rows)
    packed = pack_counts(delays) if len(seconds) else b""
    labels, segments = _by_label(cell_map, rows, replaced), _by_segment(cell_map, rows, replaced)
    return Revised(pane, version, len(rows) - len(replaced), corrected, packed, sums.pack(), labels, segments)


def _by_label(cell_map: CellMap, rows: Sequence[Joined], replaced: Sequence[Joined]) -> bytes:
    """Count the labels by cell, packed; empty for a version whose reference has none."""
    reference, layout = cell_map.labels, cell_map.layout
    if reference is None or layout is None:
        return b""
    size = len(reference.counts)
    total = np.bincount(reference.cells(_column(layout, [row.label for row in rows])), minlength=size)
    if replaced:
        total -= np.bincount(reference.cells(_column(layout, [row.told for row in replaced])), minlength=size)
    return pack_changes(total)


def _by_segment(cell_map: CellMap, rows: Sequence[Joined], replaced: Sequence[Joined]) -> bytes:
    """Sum up the rows by segment, packed; empty for a version without segments."""
    parted, measures = cell_map.segments, cell_map.measures
    if parted is None or measures is None:
        return b""

    def summed(rows: Sequence[Joined], labels: Sequence[Truth | None]) -> Ints:
        predictions = _column(measures.layout, [row.prediction for row in rows])
        codes = parted.unpacked([row.segments for row in rows])
        return measures.of(predictions, _column(measures.layout, labels), codes, parted.size)

    total = summed(rows, [row.label for row in rows])
    if replaced:
        total -= summed(replaced, [row.told for row in replaced])
    return pack_changes(total)


def _sums(layout: Layout, rows: Sequence[Joined], labels: Sequence[Truth | None]) -> Sums:
    return Sums.of(layout, _column(layout, [row.prediction for row in rows]), _column(layout, labels), _scores(layout, rows))


def _column(layout: Layout, values: Sequence[Truth | None]) -> Column:
    return np.array(values, dtype=np.float64) if layout.kind == "numeric" else list(values)


def _scores(layout: Layout, rows: Sequence[Joined]) -> Floats | None:
    """Give the probabilities, shape (rows, classes); NaN in rows that have none, or not those of the classes."""
    if not layout.scored or all(row.probabilities is None for row in rows):
        return None
    scores = np.full((len(rows), len(layout.classes)), np.nan)
    for place, row in enumerate(rows):
        if row.probabilities is not None and len(row.probabilities) == len(layout.classes):
            scores[place] = row.probabilities
    return scores
