"""Online integrity: do missing, unseen or out-of-range values come more often than in the
reference?

The same sequential test as the e-detector, on counts of 64 events. A share has g of the reference's
n + 1 gaps: one more than the missing rows, the two gaps outside the smallest and largest value, one
more than the categories seen once (Good and Turing's estimate of new ones). After t values, k of
them bad, the next one is bad with chance (g + k) / (n + 1 + t). The bets are on feeds that break: a
share of all values turns bad. R <- (1 + R) e after each 64 events, averaged over bets and tests; at
R >= c / 64 it alarms, so that at least c events pass between false alarms on average. That bound is
exact for out-of-range values (conformal) and for missing ones (`rank_cells`); for unseen categories
it is as good as Good and Turing, whose estimate counts for as many fewer rows as its error is
larger than a binomial's.

It also runs on columns that are ordered in time, whose share of missing values is usually steadier
than the values; but there the bound is not guaranteed.
"""

from typing import ClassVar, Self

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, xlogy

from driftgauge.consumer.counting.detectors.base import (
    Detection,
    Observed,
    detector,
    frame,
    unframe,
)
from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.reference.profile import (
    CategoricalReference,
    ColumnReference,
    NumericReference,
    ReferenceProfile,
)

BLOCK = 64
"""Events between evaluations."""
REST = 1024
"""Events for which a test rests after its alarm, a multiple of BLOCK; less than a window, so that
its alert does not end meanwhile.
"""
BROKEN = np.array([0.01, 0.05, 0.25, 0.9])
"""Shares of bad values on which the tests bet."""
RECENT = 32
"""Number of latest blocks from which an alarm estimates the time of the change and the share."""
STRETCH = 64
"""Most blocks that are processed at once."""
WORDS = {
    "missing": "missing",
    "unseen": "of categories that the reference does not have",
    "out_of_range": "out of range",
}
ARRAYS = ("wakes", "trials", "bad", "scores", "open", "recent")
"""Names of the arrays of the state."""


class _State(msgspec.Struct):
    alpha: float
    columns: list[int]
    seen: int
    arrays: dict[str, bytes]


@detector("integrity", share=0.08, needs_exchangeable=False)
class OnlineIntegrity:
    """Sequential tests of the shares of missing and of unseen or out-of-range values of every
    column.

    Examples
    --------
    >>> from driftgauge.shared.reference.profile import NumericReference
    >>> column = NumericReference.build("x", np.arange(5000.0))
    >>> profile = ReferenceProfile(5000, (column,))
    >>> values = np.where(np.arange(640) % 20 == 7, np.nan, 9.0)
    >>> test = OnlineIntegrity.start(profile, [0], np.empty(0), 1e-7)
    >>> test.update(Observed(column.cells(values)[None], np.empty(0), []))[0].effect
    '5.5 % missing instead of 0.0 % over 128 events'
    """

    name: ClassVar[str]
    share: ClassVar[float]
    errors_share: ClassVar[float]
    needs_exchangeable: ClassVar[bool]

    def __init__(self, reference: ReferenceProfile, columns: list[int], alpha: float) -> None:
        self.columns = columns
        self.alpha = alpha
        self.threshold = 1 / (alpha * BLOCK)
        self._rules, self._gaps, self._rows = _laws(
            [reference.columns[column] for column in columns]
        )
        self._shares = _shares([reference.columns[column] for column in columns])
        self._kinds = _kinds(reference, columns)
        tests = 2 * len(columns)
        self._seen = 0
        self._wakes = np.zeros(tests, dtype=np.int64)
        """Event count at which a resting test takes part again; 0 if it does not rest."""
        self._open = np.zeros(tests, dtype=np.int64)
        """Bad values in the block that is not full yet."""
        self._recent = np.zeros((RECENT, tests), dtype=np.int64)
        self._restart()

    @classmethod
    def start(
        cls,
        reference: ReferenceProfile,
        columns: list[int],
        ranks: Floats,  # noqa: ARG003  every detector is started alike
        alpha: float,
    ) -> Self:
        return cls(reference, columns, alpha)

    def _restart(self) -> None:
        """Forget everything but the reference."""
        self._trials = np.zeros(len(self._gaps), dtype=np.int64)
        self._bad = np.zeros(len(self._gaps), dtype=np.int64)
        self._scores = np.zeros((len(self._gaps), len(BROKEN)))

    def update(self, observed: Observed) -> list[Detection]:
        before = self._seen % BLOCK
        blocks = self._blocks(observed.cells_of(self.columns), before)
        self._seen -= before
        done, found = 0, list[Detection]()
        while done < len(blocks):
            self._wake()
            due = (self._wakes[self._wakes > 0] - self._seen) // BLOCK
            part = blocks[done : min(done + STRETCH, *(done + due).tolist(), len(blocks))]
            passed, worst = self._advance(part)
            self._recent = np.concatenate((self._recent, part[:passed]))[-RECENT:]
            done += passed
            if worst is not None:
                found.append(self._alarm(done * BLOCK - before - 1, worst))
        self._seen += (before + observed.cells.shape[1]) % BLOCK
        return found

    def _blocks(self, cells: Ints, before: int) -> Ints:
        """Return the bad values of each full block, shape (blocks, tests); keep those of the last
        one, if it is not full.
        """
        kinds = self._kinds.take(cells)
        rows, events = np.nonzero(kinds)
        tests = rows + len(self.columns) * (kinds[rows, events].astype(np.int64) - 1)
        count = (before + cells.shape[1]) // BLOCK + 1
        places = (before + events) // BLOCK * len(self._gaps) + tests
        counts = np.bincount(places, minlength=count * len(self._gaps)).reshape(count, -1)
        counts[0] += self._open
        self._open = counts[-1]
        full: Ints = counts[:-1]
        return full

    def _wake(self) -> None:
        """Start tests that have rested with the reference again."""
        awake = (self._wakes > 0) & (self._wakes <= self._seen)
        if awake.any():
            self._wakes = np.where(awake, 0, self._wakes)
            self._trials = np.where(awake, 0, self._trials)
            self._bad = np.where(awake, 0, self._bad)

    def _advance(self, blocks: Ints) -> tuple[int, int | None]:
        """Process full blocks to the end, or to the first at which R reaches c / 64; then return
        the worst test too.
        """
        factors = self._factors(blocks)
        weights = ((self._wakes == 0) / factors[0].size)[:, None]
        for number, factor in enumerate(factors, start=1):
            self._scores = (weights + self._scores) * factor
            self._seen += BLOCK
            if self._scores.sum() >= self.threshold:
                return number, int(self._scores.sum(axis=1).argmax())
        return len(blocks), None

    def _factors(self, blocks: Ints) -> Floats:
        """Return the e-values, shape (blocks, tests, bets), and count the blocks.

        A block's chance is a product of the chances of its values one after another, whose order
        does not matter.
        """
        trials = np.full_like(blocks, BLOCK)
        trials[:, len(self.columns) :] -= blocks[:, : len(self.columns)]
        all_trials = self._trials + np.cumsum(trials, axis=0)
        all_bad = self._bad + np.cumsum(blocks, axis=0)
        bad, good = (
            self._gaps + all_bad - blocks,
            self._good + all_trials - trials - (all_bad - blocks),
        )
        possible = self._rows + 1 + all_trials - trials
        self._trials, self._bad = all_trials[-1], all_bad[-1]

        law = (bad / (bad + good))[:, :, None]
        chance = _rising(bad, blocks) + _rising(good, trials - blocks) - _rising(possible, trials)
        bet = blocks[:, :, None] * np.log(law + BROKEN * (1 - law))
        bet += (trials - blocks)[:, :, None] * np.log((1 - BROKEN) * (1 - law))
        factors: Floats = np.exp(
            np.minimum(bet - chance[:, :, None], 300.0)
        )  # past any c, and still a number
        return factors

    @property
    def _good(self) -> Floats:
        good: Floats = np.maximum(self._rows + 2 - self._gaps, 1)
        return good

    def _alarm(self, row: int, test: int) -> Detection:
        """Describe an alarm, and start again."""
        rule, place = self._rules[test], test % len(self.columns)
        value, events = self._estimate(test)
        expected = float(self._shares[test])
        self._restart()
        self._wakes[test] = self._seen + REST
        return Detection(
            row=row,
            column=self.columns[place],
            delay=events,
            statistic=rule,
            value=value,
            expected=expected,
            width=events,
            effect=(
                f"{100 * value:.1f} % {WORDS[rule]} instead of {100 * expected:.1f} % "
                f"over {events} events"
            ),
            severity="critical",
        )

    def _estimate(self, test: int) -> tuple[float, int]:
        """Return the share of bad values since the likeliest moment of the change, and the events
        since then.
        """
        bad = np.cumsum(self._recent[::-1, test])
        events = BLOCK * np.arange(1, RECENT + 1)
        law = self._gaps[test] / (self._rows[test] + 2)
        gains = xlogy(bad, bad / (events * law)) + xlogy(
            events - bad, (1 - bad / events) / (1 - law)
        )
        blocks = int(np.argmax(np.where(bad > events * law, gains, 0.0)))
        return float(bad[blocks] / events[blocks]), int(events[blocks])

    def pack(self) -> bytes:
        arrays = {
            name: np.ascontiguousarray(getattr(self, f"_{name}")).tobytes() for name in ARRAYS
        }
        return frame(_State(self.alpha, self.columns, self._seen, arrays))

    @classmethod
    def unpack(cls, frame: bytes, reference: ReferenceProfile, ranks: Floats) -> Self:  # noqa: ARG003
        state = unframe(frame, _State)
        detector = cls(reference, state.columns, state.alpha)
        detector._seen = state.seen
        for name, plain in state.arrays.items():
            like: NDArray[np.generic] = getattr(detector, f"_{name}")
            setattr(
                detector,
                f"_{name}",
                np.frombuffer(plain, dtype=like.dtype).reshape(like.shape).copy(),
            )
        return detector


def _laws(columns: list[ColumnReference]) -> tuple[list[str], Floats, Floats]:
    """Return each test's rule, gaps and rows: of missing values for all columns, then of what else
    may be wrong.
    """
    rules = ["missing"] * len(columns)
    gaps: list[float] = []
    rows: list[float] = []
    for column in columns:
        gaps.append(column.counts[-1] + 1)
        rows.append(sum(column.counts))
    for column in columns:
        categorical = isinstance(column, CategoricalReference)
        rules.append("unseen" if categorical else "out_of_range")
        values = sum(column.counts[:-1])
        if isinstance(column, CategoricalReference):
            wider = column.new_dispersion
            gaps.append((column.singletons + 1) / wider)
            rows.append((values + 1) / wider - 1)
        else:
            gaps.append(_outside(column) + 2)
            rows.append(values)
    return rules, np.array(gaps, dtype=np.float64), np.array(rows, dtype=np.float64)


def _shares(columns: list[ColumnReference]) -> Floats:
    """Return the expected share of each test, as shown to people."""
    missing = [column.counts[-1] / max(sum(column.counts), 1) for column in columns]
    beyond = [
        column.singletons if isinstance(column, CategoricalReference) else _outside(column)
        for column in columns
    ]
    rows = [max(sum(column.counts[:-1]), 1) for column in columns]
    return np.array([*missing, *(count / row for count, row in zip(beyond, rows, strict=True))])


def _outside(column: NumericReference) -> int:
    """Count the values outside the range of the registered reference, which only a reference that
    was accepted later has.
    """
    return column.counts[0] + column.counts[-2] if column.cuts else 0


def _kinds(reference: ReferenceProfile, columns: list[int]) -> NDArray[np.int8]:
    """Return for each of all cells 1 if it is MISSING, 2 if its values are unseen or out of range,
    else 0.
    """
    kinds = np.zeros(int(reference.offsets[-1]), dtype=np.int8)
    for column in columns:
        first, last = int(reference.offsets[column]), int(reference.offsets[column + 1]) - 1
        known = reference.columns[column]
        kinds[last] = 1
        if isinstance(known, CategoricalReference):
            kinds[first + known.unseen : last] = 2
        else:
            kinds[[first, last - 1]] = 2
    return kinds


def _rising(start: Floats, factors: Ints) -> Floats:
    """Return the logarithm of start (start + 1) ... (start + factors - 1)."""
    result: Floats = gammaln(start + factors) - gammaln(start)
    return result
