"""DDM (Gama, Medas, Castillo and Rodrigues 2004, SBIA, 286-295): compares the share of errors with
its lowest value so far.

Its input are errors, 0 or 1: for classes whether the prediction is wrong, for numbers whether the
absolute error is larger than 9 in 10 of the reference's. With p the mean of all so far and s =
sqrt(p (1 - p) / n), it remembers where p + s was least, and alarms at p + s > p_min + k s_min. So
it finds only a rise, and finds it the later the more events it has seen, since p is the mean over
all of them.

Two things differ from the paper, which starts without data and has k = 3. This one starts with the
reference's errors, up to 1,000 rows, plus half an error as in Jeffreys' prior: without data, 30
right predictions make s_min 0, and the first error raises an alarm. And k follows from the budget,
by the fit in `threshold`.
"""

import math
from dataclasses import dataclass
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
from driftgauge.shared.reference.profile import NumericReference, ReferenceProfile

CHANCE: Final = 0.01
"""Its share of the budget: the probability of a false alarm in the time in which the budget allows
the model one.
"""
SEED_ROWS: Final = 1000
LARGE: Final = 0.9
"""Quantile of the reference's absolute errors above which an error of a number counts as 1: the one
of .5, .75 and .9 that detects fastest (docs/detectors.md).
"""


def threshold(errors: float, rows: float, horizon: float) -> float:
    """Return k, with which a false alarm within `horizon` events after a start has probability
    `CHANCE` at most.

    It is an upper bound, fitted to the results of `benchmarks.detection.ddm` for 250 rows or more.
    k grows with the skewness of the share of errors, and hardly with the horizon, since DDM becomes
    less sensitive with each event.

    Parameters
    ----------
    errors, rows
        Errors and rows of the reference that it starts with.

    Examples
    --------
    >>> [round(threshold(share * 1000, 1000, 3e6), 2) for share in (0.5, 0.1, 0.02)]
    [3.84, 4.08, 4.77]
    """
    share = (errors + 0.5) / (rows + 1)
    skewness = max(0.0, (1 - 2 * share) / math.sqrt(rows * share * (1 - share)))
    return 3.85 + 1.8 * skewness + 12 * skewness**2 - 0.6 * min(1.0, math.sqrt(rows / horizon))


class Counts(msgspec.Struct, array_like=True, frozen=True):
    """State of DDM: events and errors since its start, and both where p + s was least."""

    events: int = 0
    errors: int = 0
    least_events: int = 0
    least_errors: int = 0


@dataclass(frozen=True)
class Ddm:
    """The DDM test on arrays.

    Parameters
    ----------
    k
        Threshold, in standard deviations.
    rows, errors
        Rows and errors that it starts with; both 0 for none.
    warm_start
        Number of first events at which it never alarms.

    Examples
    --------
    >>> test = Ddm(3.0, warm_start=30)
    >>> counts, row = test.advance(Counts(), np.array([0, 1] * 50 + [1] * 50))
    >>> row, counts.least_events
    (125, 99)
    """

    k: float
    rows: float = 0.0
    errors: float = 0.0
    warm_start: int = 0

    def advance(self, counts: Counts, values: NDArray[np.integer]) -> tuple[Counts, int | None]:
        """Process values (0 or 1) to the end or the first alarm; return the new counts, and the
        alarm's row or None. The result does not depend on how values are cut into arrays.
        """
        events = counts.events + np.arange(1, len(values) + 1)
        errors = counts.errors + np.cumsum(values)
        share, sd = self._mean(events, errors)
        level = np.where(events > self.warm_start, share + sd, np.inf)
        first, first_sd = self._least(counts)
        before = np.minimum.accumulate(np.concatenate(([first + first_sd], level)))[:-1]
        places = np.maximum.accumulate(
            np.where((level <= before) & (level < np.inf), np.arange(len(values)), -1)
        )
        least, least_sd = (
            np.where(places < 0, start, found[places])
            for start, found in ((first, share), (first_sd, sd))
        )
        alarms = np.flatnonzero(
            (events > self.warm_start) & (share + sd > least + self.k * least_sd)
        )
        last = int(alarms[0]) if len(alarms) else len(values) - 1
        if last < 0:
            return counts, None
        place = int(places[last])
        kept = (
            (counts.least_events, counts.least_errors)
            if place < 0
            else (int(events[place]), int(errors[place]))
        )
        return Counts(int(events[last]), int(errors[last]), *kept), last if len(alarms) else None

    def level(self, counts: Counts) -> tuple[float, float, float, float]:
        """Return p + s, its least value, what it must exceed for an alarm, and p where it was
        least.
        """
        share, sd = self._mean(np.array([counts.events]), np.array([counts.errors]))
        least, least_sd = self._least(counts)
        return float(share[0] + sd[0]), least + least_sd, least + self.k * least_sd, least

    def _least(self, counts: Counts) -> tuple[float, float]:
        """Return p and s where their sum was least; infinite before there was any."""
        if not counts.least_events and not self.rows:
            return np.inf, 0.0
        share, sd = self._mean(np.array([counts.least_events]), np.array([counts.least_errors]))
        return float(share[0]), float(sd[0])

    def _mean(self, events: Ints, errors: Ints) -> tuple[Floats, Floats]:
        rows = events + self.rows
        share = (errors + self.errors) / rows
        return share, np.sqrt(share * (1 - share) / rows)


class _State(msgspec.Struct):
    alpha: float
    columns: list[int]
    counts: list[Counts]


@detector("ddm", errors_share=CHANCE)
class ErrorDdm:
    """DDM on the errors of a version.

    Examples
    --------
    >>> column = NumericReference.build("error", np.array([0.0] * 900 + [1.0] * 100))
    >>> profile = ReferenceProfile(1000, (column,))
    >>> wrong = Observed(column.cells(np.ones(200))[None], np.empty(0), [])
    >>> found = ErrorDdm.start(profile, [0], np.empty(0), 1e-8).update(wrong)[0]
    >>> found.delay, found.effect
    (33, '100.0 % errors instead of 10.0 % over 33 labels')
    """

    name: ClassVar[str]
    share: ClassVar[float]
    errors_share: ClassVar[float]
    needs_exchangeable: ClassVar[bool]

    def __init__(self, reference: ReferenceProfile, columns: list[int], alpha: float) -> None:
        self.columns = columns
        self.alpha = alpha
        self._watched = [_Column.of(reference, column, alpha) for column in columns]
        self._counts = [Counts()] * len(columns)

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
        rows = observed.cells_of(self.columns)
        found = [one for place, cells in enumerate(rows) for one in self._alarms(place, cells)]
        return sorted(found, key=lambda one: (one.row, one.column))

    def _alarms(self, place: int, cells: Ints) -> list[Detection]:
        """Feed one column; after an alarm it starts again with the reference."""
        watched, found, done = self._watched[place], list[Detection](), 0
        values = watched.errors(cells)
        while done < len(values):
            counts, row = watched.test.advance(self._counts[place], values[done:])
            if row is None:
                self._counts[place] = counts
                break
            found.append(watched.detection(counts, done + row, self.columns[place]))
            self._counts[place] = Counts()
            done += row + 1
        return found

    def pack(self) -> bytes:
        return frame(_State(self.alpha, self.columns, self._counts))

    @classmethod
    def unpack(cls, frame: bytes, reference: ReferenceProfile, ranks: Floats) -> Self:  # noqa: ARG003
        state = unframe(frame, _State)
        detector = cls(reference, state.columns, state.alpha)
        detector._counts = state.counts
        return detector


@dataclass(frozen=True)
class _Column:
    """A column of errors: first cell whose values count as an error, and the test at its start."""

    first: int
    what: str
    test: Ddm

    @classmethod
    def of(cls, reference: ReferenceProfile, column: int, alpha: float) -> "_Column":
        profile = reference.columns[column]
        assert isinstance(profile, NumericReference)  # noqa: S101  errors are numbers
        counts = np.array(profile.counts[:-1])
        total = max(int(counts.sum()), 1)
        if set(profile.cuts) <= {0.0, 1.0}:
            limit, what = 2 * profile.cuts.index(0.0) + 1 if 0.0 in profile.cuts else 0, "errors"
        else:
            limit = int(np.searchsorted(np.cumsum(counts), LARGE * total))
            what = f"errors above {profile.cuts[min(limit // 2, len(profile.cuts) - 1)]:.4g}"
        share = float(counts[limit + 1 :].sum() / total)
        rows = float(min(total, SEED_ROWS))
        k = threshold(share * rows, rows, CHANCE / alpha)
        return cls(
            int(reference.offsets[column]) + limit + 1, what, Ddm(k, rows + 1, share * rows + 0.5)
        )

    def errors(self, cells: Ints) -> Ints:
        return (cells >= self.first).astype(np.int64)

    def detection(self, counts: Counts, row: int, column: int) -> Detection:
        """Describe an alarm by what came since p + s was least."""
        value, expected, limit, before = self.test.level(counts)
        width = counts.events - counts.least_events
        now = (counts.errors - counts.least_errors) / width
        words = f"{now:.1%} {self.what} instead of {before:.1%} over {width} labels"
        return Detection(
            row=row,
            column=column,
            delay=width,
            statistic="ddm",
            value=value,
            expected=expected,
            width=width,
            effect=words.replace("%", " %"),
            threshold=limit,
        )
