"""Joined rows that judging does not know yet, and the delta that passes them on.

Rows are collected until there are enough, or the oldest has waited long enough: then one delta
revises all their panes. The moment depends only on the log, and a delta never names a pane that was
not written before it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from operator import attrgetter
from typing import Any, Final

import msgspec
import numpy as np

from driftgauge.consumer.counting.labels.pending import Truth, Waiting
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.contract.pane import DELAY_EDGES_S, Revised, pack_changes, pack_counts
from driftgauge.shared.performance import Layout, Sums
from driftgauge.shared.reference.profile import Column

DELTA_ROWS = 5000
"""Number of joined rows at which a delta is written."""
PANES_AT_ONCE = 256
"""Most panes whose rows are summed up together: late labels can belong to as many panes, and 20
classes in 63 segments take 33 KB for each.
"""
DELTA_MS = 5000
"""Entry time (ms) after which joined rows are passed on at the next label or the end of a pane."""
VERSION: Final = attrgetter("version")


class Joined(msgspec.Struct, array_like=True, gc=False):
    """A prediction with its label.

    Parameters
    ----------
    told
        Label that judging knows; None if it knows none.
    label
        Current label.
    delay_ms
        Time of the first label minus time of the prediction (ms), if judging does not know the
        label.
    corrected
        Number of times that the label was replaced since judging was told.
    segments
        Packed segments, as in `Waiting`.
    time
        Event time (ms) of the prediction.
    """

    version: str
    prediction: Truth
    probabilities: list[float] | None
    told: Truth | None
    label: Truth
    delay_ms: int | None
    corrected: int = 0
    segments: bytes = b""
    time: int = 0


class Revisions(msgspec.Struct):
    """The joined rows that are to be passed on to judging.

    Parameters
    ----------
    number
        Number of deltas so far.
    since
        Entry time (ms) of the first row, or of the last delta if it left some.
    size
        Number of rows in all panes.
    rows
        Rows by pane, then by digest of the prediction's id.

    Examples
    --------
    >>> revisions = Revisions()
    >>> revisions.join(b"id", Waiting(1, "1.0.0", 0, 2.5), 3.5, 7000, 60_000)
    >>> (
    ...     revisions.due(closed=0, now=99_000),
    ...     revisions.due(closed=1, now=61_000),
    ...     revisions.due(closed=1, now=65_000),
    ... )
    (False, False, True)
    """

    number: int = 0
    since: int = 0
    size: int = 0
    rows: dict[int, dict[bytes, Joined]] = {}

    def join(self, digest: bytes, waiting: Waiting, label: Truth, time: int, now: int) -> None:
        """Take the first label of a prediction. `time` is when it became known, `now` its entry
        time (ms).
        """
        rows = self.rows.get(waiting.pane) or self._rows(waiting.pane, now)
        if digest in rows:  # another prediction of the same id, which has its label
            rows[digest + len(rows).to_bytes(8)] = rows.pop(digest)
        delay_ms = time - waiting.time
        rows[digest] = Joined(
            waiting.version,
            waiting.prediction,
            waiting.probabilities,
            None,
            label,
            delay_ms,
            0,
            waiting.segments,
            waiting.time,
        )
        self.size += 1

    def correct(self, digest: bytes, waiting: Waiting, label: Truth, now: int) -> None:
        """Replace the label of a prediction."""
        rows = self._rows(waiting.pane, now)
        if digest not in rows:
            rows[digest] = Joined(
                waiting.version,
                waiting.prediction,
                waiting.probabilities,
                waiting.label,
                label,
                None,
                segments=waiting.segments,
                time=waiting.time,
            )
            self.size += 1
        rows[digest].label = label
        rows[digest].corrected += 1

    def ready(self, closed: int) -> int:
        """Count the rows of closed panes."""
        return self.size - len(self.rows.get(closed + 1, ()))

    def due(self, closed: int, now: int) -> bool:
        """Return whether rows of panes up to `closed`, the last closed one, are due."""
        waited = now - self.since >= DELTA_MS
        if not waited and self.size < DELTA_ROWS:
            return False  # as nearly always: it is asked at every label
        ready = self.ready(closed)
        return ready > 0 and (waited or ready >= DELTA_ROWS)

    def first_labels(self, closed: int) -> list[tuple[bytes, Joined]]:
        """Return the rows of closed panes whose label judging does not know, with the digests of
        their ids, pane by pane.
        """
        panes = sorted(pane for pane in self.rows if pane <= closed)
        return [
            found for pane in panes for found in self.rows[pane].items() if found[1].told is None
        ]

    def take(self, closed: int, now: int, versions: Mapping[str, CellMap]) -> list[Revised]:
        """Take out the rows of closed panes, summed up."""
        panes = sorted(pane for pane in self.rows if pane <= closed)
        if panes:
            self.number += 1
            self.since = now
        revised = []
        for first in range(0, len(panes), PANES_AT_ONCE):
            chosen = panes[first : first + PANES_AT_ONCE]
            parts = [self.rows.pop(pane) for pane in chosen]
            rows = [row for part in parts for row in part.values()]
            self.size -= len(rows)
            names = list(map(VERSION, rows))
            of_rows = np.repeat(chosen, list(map(len, parts)))
            for version in sorted(set(names)):
                mine = np.array([name == version for name in names])
                found = rows if mine.all() else list(compress(rows, mine.tolist()))
                revised += _revised(version, of_rows[mine], found, versions[version])
        return sorted(revised, key=attrgetter("pane", "version"))

    def _rows(self, pane: int, now: int) -> dict[bytes, Joined]:
        if not self.rows:
            self.since = now
        return self.rows.setdefault(pane, {})


@dataclass(frozen=True)
class _Rows:
    """Rows of one version that are summed up together, each for its pane.

    Parameters
    ----------
    places
        Position of each row's pane among `panes` panes.
    labels
        Labels that are summed up: the current ones, or those that judging knows.
    """

    cell_map: CellMap
    rows: Sequence[Joined]
    labels: Sequence[Truth | None]
    places: Ints
    panes: int

    def sums(self) -> list[Sums]:
        """Sum up each pane's rows."""
        layout = self.cell_map.layout
        assert layout is not None  # noqa: S101  only predictions of versions with labels wait
        predictions, labels = (
            _column(layout, _each(self.rows, "prediction")),
            _column(layout, self.labels),
        )
        return Sums.by_group(
            layout, predictions, labels, _scores(layout, self.rows), self.places, self.panes
        )

    def by_label(self) -> Ints | None:
        """Count each pane's labels by cell, shape (panes, cells); None for a version whose
        reference has none.
        """
        reference, layout = self.cell_map.labels, self.cell_map.layout
        if reference is None or layout is None:
            return None
        cells = self.places * len(reference.counts) + reference.cells(_column(layout, self.labels))
        return np.bincount(cells, minlength=self.panes * len(reference.counts)).reshape(
            self.panes, -1
        )

    def by_segment(self) -> Ints | None:
        """Sum up each pane's rows by segment, shape (panes, numbers); None for a version without
        segments.
        """
        segments, measures = self.cell_map.segments, self.cell_map.measures
        if segments is None or measures is None:
            return None
        predictions = _column(measures.layout, _each(self.rows, "prediction"))
        labels = _column(measures.layout, self.labels)
        codes = segments.unpacked(_each(self.rows, "segments")) + self.places * segments.size
        return measures.of(predictions, labels, codes, segments.size * self.panes).reshape(
            self.panes, -1
        )


def _each(rows: Sequence[Joined], name: str) -> list[Any]:
    """Return one field of each row."""
    return list(map(attrgetter(name), rows))


def _revised(
    version: str, of_rows: Ints, rows: Sequence[Joined], cell_map: CellMap
) -> list[Revised]:
    """Sum up rows of one version, pane by pane: all panes at once, since each has few rows.

    Parameters
    ----------
    of_rows
        The pane of each row.
    """
    names, places = np.unique(of_rows, return_inverse=True)
    panes, before = names.tolist(), _each(rows, "told")
    known = _Rows(cell_map, rows, _each(rows, "label"), places, len(panes))
    chosen = [place for place, label in enumerate(before) if label is not None]
    told = None
    if chosen:
        replaced = [rows[place] for place in chosen]
        told = _Rows(cell_map, replaced, _each(replaced, "told"), places[chosen], len(panes))
    sums = known.sums()
    if told is not None:
        sums = [one - other for one, other in zip(sums, told.sums(), strict=True)]
    labelled = np.bincount(places, minlength=len(panes)) - np.bincount(
        places[chosen], minlength=len(panes)
    )
    corrected = np.bincount(places, _each(rows, "corrected"), len(panes)).astype(np.int64)
    columns = zip(
        panes,
        labelled.tolist(),
        corrected.tolist(),
        _delays(rows, places, len(panes)),
        (one.pack() for one in sums),
        _changes(known, told, _Rows.by_label),
        _changes(known, told, _Rows.by_segment),
        strict=True,
    )
    return [Revised(pane, version, *found) for pane, *found in columns]


def _delays(rows: Sequence[Joined], places: Ints, panes: int) -> list[bytes]:
    """Count the delays of each pane's first labels, packed; empty where there is none."""
    delays_ms = np.array(_each(rows, "delay_ms"), dtype=np.float64)  # None becomes NaN
    chosen = np.flatnonzero(~np.isnan(delays_ms))
    seconds = delays_ms[chosen] / 1000
    kinds = len(DELAY_EDGES_S) + 1
    cells = places[chosen] * kinds + np.searchsorted(DELAY_EDGES_S, seconds)
    counts = np.bincount(cells, minlength=panes * kinds).reshape(panes, kinds)
    return [pack_counts(pane) if pane.any() else b"" for pane in counts]


def _changes(
    known: _Rows, told: _Rows | None, count: Callable[[_Rows], Ints | None]
) -> list[bytes]:
    """Return the packed changes of the counts of each pane; empty for a version without such
    counts.
    """
    total, before = count(known), count(told) if told is not None else None
    if total is None:
        return [b""] * known.panes
    return [pack_changes(pane) for pane in (total if before is None else total - before)]


def _column(layout: Layout, values: Sequence[Truth | None]) -> Column:
    return np.array(values, dtype=np.float64) if layout.kind == "numeric" else list(values)


def _scores(layout: Layout, rows: Sequence[Joined]) -> Floats | None:
    """Return the probabilities, shape (rows, classes); NaN in rows that have none, or not those of
    the classes.
    """
    if not layout.scored or all(row.probabilities is None for row in rows):
        return None
    scores = np.full((len(rows), len(layout.classes)), np.nan)
    for place, row in enumerate(rows):
        if row.probabilities is not None and len(row.probabilities) == len(layout.classes):
            scores[place] = row.probabilities
    return scores
