"""Stuck values: does a column repeat one value for longer than the reference makes possible?

A sensor that hangs sends values that are all in range, and an ordered column with few rows has no
other rule that would see it. If the chance of a run to go on does not grow with its length, then of
R runs, the longest of which has length M, a new one is longer than c M with a chance of
Gamma(c + 1) / R^c, in the mean over references; and likewise beyond M / 4, of the runs that are
that long, since short ones may be of another kind. The limit is the larger of the two lengths for
which that chance is within the budget. Runs that are bounded (nights without sun) stay further
below it. A reference with so few runs that no length is long enough says nothing. Fewer than
`LEAST` equal values are never stuck: a client may ask again about the same thing.
"""

from collections.abc import Sequence
from math import ceil, lgamma, log
from typing import ClassVar, Final, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from driftgauge.consumer.counting.detectors.base import (
    Detection,
    Observed,
    detector,
    frame,
    unframe,
)
from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.reference.profile import ReferenceProfile
from driftgauge.shared.reference.runs import LONG, Runs, repeatable

LEAST: Final = 16
"""Equal values in a row below which nothing is called stuck."""
NEVER: Final = 0
"""The limit of a column that is not watched."""
REST: Final = 1024
"""Events after which a run that goes on is alarmed again; before, whenever it has doubled."""
FINENESS: Final = 0.05
MOST_TIMES: Final = 50


class _State(msgspec.Struct):
    alpha: float
    columns: list[int]
    limits: list[int] | None
    marks: list[int]
    lengths: list[int]


@detector("stuck", share=0.02, needs_exchangeable=False)
class StuckValues:
    """Runs of one value, in every column whose reference has an order in time.

    Examples
    --------
    >>> from driftgauge.shared.reference.profile import NumericReference
    >>> from driftgauge.shared.reference.runs import marks
    >>> column = NumericReference.build("x", np.arange(5000.0))
    >>> found = StuckValues.start(ReferenceProfile(5000, (column,)), [0], np.empty(0), 1e-6)
    >>> values = np.concatenate((np.arange(50.0), np.full(40, 7.5)))
    >>> cells = column.cells(values)
    >>> marked = marks(column, values, cells)[None]
    >>> seen = Observed(cells[None], np.empty(0), [], marked, [Runs(5000, 4000, 6, 99)])
    >>> found.update(seen)[0].effect
    'one value 16 times in a row, where the longest run of the reference is 6'
    """

    name: ClassVar[str]
    share: ClassVar[float]
    errors_share: ClassVar[float]
    needs_exchangeable: ClassVar[bool]

    def __init__(self, reference: ReferenceProfile, columns: list[int], alpha: float) -> None:
        self.columns = columns
        self.alpha = alpha
        self._limits: Ints | None = None
        self._marks = np.zeros(len(columns), dtype=np.int64)
        self._lengths = np.zeros(len(columns), dtype=np.int64)
        self._repeatable = np.concatenate([repeatable(one) for one in reference.columns])

    @classmethod
    def start(
        cls,
        reference: ReferenceProfile,
        columns: list[int],
        ranks: Floats,  # noqa: ARG003  every detector is started alike
        alpha: float,
    ) -> Self:
        return cls(reference, columns, alpha)

    def update(self, observed: Observed) -> list[Detection]:
        if observed.marks is None:
            return []
        if self._limits is None:
            self._limits = self._law(observed.runs)
        found = [
            self._alarm(row, place, int(lengths[row]), observed.runs)
            for place, lengths in self._run_lengths(observed, observed.marks).items()
            for row in np.flatnonzero(np.isin(lengths, self._due(place, lengths))).tolist()
        ]
        return sorted(found, key=lambda one: (one.row, one.column))

    def _due(self, place: int, lengths: Ints) -> list[int]:
        """Return the lengths at which runs of a column are alarmed."""
        assert self._limits is not None  # noqa: S101  set by update
        first = int(self._limits[place])
        return due_lengths(first, int(lengths.max())) if first != NEVER else []

    def _law(self, runs: Sequence[Runs | None]) -> Ints:
        """Return the limit of each column: the first length that is too long."""
        level = self.alpha / max(len(self.columns), 1)
        known = [runs[column] if column < len(runs) else None for column in self.columns]
        return np.array([NEVER if one is None else limit(one, level) for one in known])

    def _run_lengths(self, observed: Observed, marked: Ints) -> dict[int, Ints]:
        """Return how long the run of each value is until it, it included, of the columns that can
        have one of `LEAST`; 0 of what makes none.

        Such a run has the same value at two of every eighth event one after the other, or goes on
        from before. Of the other columns the last events alone matter, for the next batch.
        """
        goes_on = (marked[self.columns, 0] == self._marks) & (self._lengths > 0)
        sample = marked[self.columns, :: LEAST // 2]
        busy = goes_on | (sample[:, 1:] == sample[:, :-1]).any(axis=1)
        found = {}
        for place, column in enumerate(self.columns):
            first = 0 if busy[place] else max(0, marked.shape[1] - LEAST)
            known = self._repeatable[observed.cells[column, first:]]
            before = int(self._lengths[place]) if goes_on[place] else 0
            lengths = _lengths(marked[column, first:], known, before)
            self._marks[place], self._lengths[place] = marked[column, -1], lengths[-1]
            if busy[place]:
                found[place] = lengths
        return found

    def _alarm(self, row: int, place: int, length: int, runs: Sequence[Runs | None]) -> Detection:
        column = self.columns[place]
        known = runs[column] if column < len(runs) else None
        longest = known.longest if known is not None else 0
        assert self._limits is not None  # noqa: S101  set by update
        return Detection(
            row=row,
            column=column,
            delay=min(length, REST),
            statistic="run",
            value=float(length),
            expected=float(longest),
            width=length,
            effect=(
                f"one value {length:,} times in a row, where the longest run of the reference is "
                f"{longest:,}"
            ),
            threshold=float(self._limits[place]),
            severity="critical",
        )

    def pack(self) -> bytes:
        limits = None if self._limits is None else self._limits.tolist()
        return frame(
            _State(self.alpha, self.columns, limits, self._marks.tolist(), self._lengths.tolist())
        )

    @classmethod
    def unpack(cls, frame: bytes, reference: ReferenceProfile, ranks: Floats) -> Self:  # noqa: ARG003
        state = unframe(frame, _State)
        detector = cls(reference, state.columns, state.alpha)
        detector._limits = None if state.limits is None else np.array(state.limits, dtype=np.int64)
        detector._marks = np.array(state.marks, dtype=np.int64)
        detector._lengths = np.array(state.lengths, dtype=np.int64)
        return detector


def limit(runs: Runs, level: float) -> int:
    """Return the first run length that is too long; NEVER if the reference has too few runs.

    Parameters
    ----------
    level
        False alarms allowed per event of this column.

    Examples
    --------
    >>> limit(Runs(5000, 5000, 1, 5000), 1e-9), limit(Runs(5000, 2000, 40, 180), 1e-9)
    (16, 130)
    >>> limit(Runs(5000, 12, 900, 12), 1e-9) == NEVER
    True
    """
    of_run = min(level * runs.rows / runs.number, 0.5)
    of_all = _times(runs.number, of_run)
    if of_all is None:
        return NEVER
    found = of_all * runs.longest
    of_long = _times(runs.long, min(of_run * runs.number / runs.long, 0.5))
    if of_long is not None:
        found = max(found, (LONG + of_long * (1 - LONG)) * runs.longest)
    return max(LEAST, 1 + ceil(found))


def _times(number: int, level: float) -> float | None:
    """Return how many times the longest of some runs another one is with a chance of `level`; None
    if they are too few to say.
    """
    times = 1.0
    while lgamma(times + 1) - times * log(number) > log(level):
        times += FINENESS
        if times > min(number, MOST_TIMES):
            return None
    return times


def _lengths(marked: Ints, known: NDArray[np.bool_], before: int) -> Ints:
    """Return the length of the run of each value until it; the first goes on with one of `before`.

    Examples
    --------
    >>> _lengths(np.array([7, 7, 8, 8, 8]), np.array([True, True, True, True, False]), 3).tolist()
    [4, 5, 1, 2, 0]
    """
    events = np.arange(1, len(marked) + 1)
    begins = np.ones(len(marked), dtype=np.bool_)
    begins[1:] = (marked[1:] != marked[:-1]) | ~known[1:] | ~known[:-1]
    begins[0] = not before or not known[0]
    begun = np.maximum.accumulate(np.where(begins, events, 0))
    lengths: Ints = np.where(begun == 0, events + before, events - begun + 1) * known
    return lengths


def due_lengths(first: int, longest: int) -> list[int]:
    """Return the lengths at which a run is alarmed: the first one that is too long, whenever it has
    doubled, and each `REST` events when it is that long.

    Examples
    --------
    >>> due_lengths(400, 3000)
    [400, 800, 1600, 2624]
    """
    due = []
    while first <= longest:
        due.append(first)
        first = 2 * first if first < REST else first + REST
    return due
