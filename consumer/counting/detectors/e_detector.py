"""The e-detector: a sequential test whose false-alarm rate holds at every moment, for all columns
together.

A conformal Shiryaev-Roberts e-detector (Vovk et al., arXiv 2102.10439; Shin, Ramdas and Rinaldo,
arXiv 2203.03532). Each value's rank cell has a known distribution (`rank_cells`), experts bet
against it (`bets`), and the e-value e of a bet has mean 1 at most while the events are
exchangeable. Therefore R <- (1 + R) e, averaged over experts and columns, has a mean of at most the
number of events, however the columns depend on each other: on average R takes at least c events to
reach c.

R is evaluated after every 4th event that the detector has seen, and bets are renewed after every
64th. Events that do not fill a step wait in the state, so that the result does not depend on how
the log is cut into batches.

After an alarm it starts with the reference again. The column that raised it rests first, because
its alert fires already: so it does not restart the other columns, which may drift too, again and
again.
"""

from collections.abc import Iterator
from typing import ClassVar, Self

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
from driftgauge.consumer.counting.detectors.bets import (
    EXPERTS,
    HISTOGRAMS,
    bets,
    faded,
    tilts,
    unmoved,
)
from driftgauge.consumer.counting.detectors.history import History
from driftgauge.consumer.counting.detectors.rank_cells import CELLS, FEW, RankCells
from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.reference.profile import ReferenceProfile

STEP = 4
"""Events between evaluations of R."""
RENEWAL = 64
"""Events between renewals of the bets, a multiple of STEP."""
REST = 1024
"""Events for which a column rests after its alarm, a multiple of RENEWAL; less than a window, so
that its alert does not end meanwhile.
"""
STRETCH = 1024
"""Most events that are processed at once, a multiple of PART."""
PART = 128
"""Events whose e-values are made at once, so that they fit into the processor's cache."""

Bytes = NDArray[np.int8]


class _State(msgspec.Struct):
    alpha: float
    columns: list[int]
    seen: int
    arrays: dict[str, bytes]
    history: bytes = b""
    rank_cells: int = 0
    """Of which rank cells the counts are: those of another release are none of these."""


ARRAYS = (
    "wakes",
    "ages",
    "counts",
    "base_ages",
    "base_counts",
    "histograms",
    "scores",
    "pending",
)
"""Names of the arrays of the state; the histograms are stored by columns."""


@detector("e_detector", share=0.3, errors_share=0.03)
class EDetector:
    """A conformal Shiryaev-Roberts e-detector of all columns.

    Examples
    --------
    >>> from driftgauge.shared.reference.profile import NumericReference
    >>> random = np.random.default_rng(0)
    >>> column = NumericReference.build("x", random.normal(size=5000))
    >>> profile = ReferenceProfile(5000, (column,))
    >>> shifted = Observed(
    ...     column.cells(random.normal(1, 1, 500))[None], np.empty(0), [str(i) for i in range(500)]
    ... )
    >>> found = EDetector.start(profile, [0], np.empty(0), 1e-5).update(shifted)[0]
    >>> found.delay < 60, found.value >= found.threshold
    (True, True)
    """

    name: ClassVar[str]
    share: ClassVar[float]
    errors_share: ClassVar[float]
    needs_exchangeable: ClassVar[bool]

    def __init__(self, reference: ReferenceProfile, columns: list[int], alpha: float) -> None:
        self.columns = columns
        self.alpha = alpha
        self.threshold = 1 / alpha
        self._rank_cells = RankCells.build(reference, columns)
        self._gaps, self._rows = self._rank_cells.gaps, self._rank_cells.rows
        self._constants = self._rank_cells.constants
        law = unmoved(self._gaps.T, np.zeros_like(self._gaps.T))
        self._tilts = tilts(law)
        self._start = np.repeat(law[None], HISTOGRAMS, axis=0)
        self._seen = 0
        self._wakes = np.zeros(len(columns), dtype=np.int64)
        """Event count at which a resting column takes part again; 0 if it does not rest."""
        self._latest = History(reference, columns)
        self._pending = np.empty((len(columns), 0), dtype=np.int8)
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
        self._ages = np.zeros(len(self.columns), dtype=np.int64)
        self._counts = np.zeros_like(self._gaps)
        self._renew(self._start)
        self._scores = np.zeros(len(self.columns) * EXPERTS)

    def _renew(self, histograms: Floats) -> None:
        """Fix the histograms on which the bets of the next events are based."""
        self._histograms = histograms
        self._base_ages, self._base_counts = self._ages, self._counts

    def update(self, observed: Observed) -> list[Detection]:
        self._latest.take(observed)
        cells = np.concatenate((self._pending, self._rank_cells.of(observed)), axis=1)
        before = self._pending.shape[1]
        whole = cells.shape[1] // STEP * STEP
        done, found = 0, list[Detection]()
        while done < whole:
            self._wake()
            stop = min(
                whole, done + STRETCH, *(done + self._wakes[self._wakes > 0] - self._seen).tolist()
            )
            done, worst = self._advance(cells, done, stop)
            if worst is not None:
                after = cells.shape[1] - done
                found.append(self._alarm(done - 1 - before, after, *worst))
        self._pending = cells[:, whole:]
        return found

    def _wake(self) -> None:
        """Start columns that have rested with the reference again."""
        awake = (self._wakes > 0) & (self._wakes <= self._seen)
        if awake.any():
            self._wakes = np.where(awake, 0, self._wakes)
            self._ages = np.where(awake, 0, self._ages)
            self._counts = np.where(awake[:, None], 0, self._counts)
            self._renew(np.where(awake, self._start, self._histograms))

    def _advance(self, cells: Bytes, first: int, last: int) -> tuple[int, tuple[int, float] | None]:
        """Process events to `last`, or to the first evaluation at which R reaches c; then return
        the worst column and R too.
        """
        for before, history in self._history(cells[:, first:last]):
            totals = history.sum(axis=1)
            over = np.flatnonzero(totals >= self.threshold)
            if len(over):
                evaluation = int(over[0])
                passed = before + (evaluation + 1) * STEP
                self._seen += passed
                by_column = history[evaluation].reshape(-1, EXPERTS).sum(axis=1)
                return first + passed, (int(by_column.argmax()), float(totals[evaluation]))
            self._scores = history[-1].copy()
        self._seen += last - first
        return last, None

    def _history(self, cells: Bytes) -> Iterator[tuple[int, Floats]]:
        """Count events; then yield, part by part, the events before the part and each expert's
        share of R at its evaluations, shape (evaluations, columns x experts), in memory that is
        used again. `_scores` must be the last of them when the next part is asked for.
        """
        columns, events = cells.shape
        blocks = (self._seen % RENEWAL + np.arange(events)) // RENEWAL
        number = int(blocks[-1]) + 1
        rows = np.ascontiguousarray(cells.T).astype(np.int64)
        rows *= number * columns
        rows += (blocks * columns)[:, None] + np.arange(columns)
        counts = np.bincount(rows.ravel(), minlength=CELLS * number * columns)
        counts = counts.reshape(CELLS, number, columns)
        rarities = self._rarities(cells, counts.sum(axis=1))
        taken = self._bets(counts, events)
        share = 1 / (columns * EXPERTS)
        awake = np.repeat((self._wakes == 0) * share, EXPERTS) if self._wakes.any() else share
        begins = self._may_begin(cells) if self._constants.any() else None
        memory = np.empty((2, min(PART, events) // STEP, columns * EXPERTS))
        for first in range(0, events, PART):
            steps = min(PART, events - first) // STEP
            kept, added = memory[:, :steps]
            part = slice(first, first + PART)
            # all first events of the steps, then all second ones: numpy is fast along long rows
            ordered = rows[part].reshape(steps, STEP, columns).swapaxes(0, 1).ravel()
            rare = rarities[part].reshape(steps, STEP, columns).swapaxes(0, 1).ravel()
            factors = taken.take(ordered, axis=0).reshape(STEP, steps, columns * EXPERTS)
            # numpy is slow along the experts alone
            factors *= rare.repeat(EXPERTS).reshape(factors.shape)
            _compose(factors, kept, added)
            added *= awake
            if begins is not None:
                begin = slice(first // STEP, first // STEP + steps)
                added *= np.repeat(begins[begin], EXPERTS, axis=1)
            yield first, _recursion(self._scores, kept, added)

    def _may_begin(self, cells: Bytes) -> NDArray[np.bool_]:
        """Return where a change may begin, shape (evaluations, columns): of a constant only where
        another value comes. Else R would grow by every event that says nothing, and alarm in the
        end.
        """
        moved = (cells != FEW[1][1]).reshape(len(cells), -1, STEP).any(axis=2)
        possible: NDArray[np.bool_] = (moved | ~self._constants[:, None]).T
        return possible

    def _rarities(self, cells: Bytes, counts: Ints) -> Floats:
        """Return how rare, without drift, the cell is that each value fell into: one over its
        chance (g + k) / (n + 1 + t), shape (events, columns).

        Parameters
        ----------
        counts
            How often each cell comes in each column, shape (CELLS, columns).
        """
        columns, events = cells.shape
        # column by column: numpy sorts 8 bits in one pass
        order = cells.argsort(axis=1, kind="stable")
        order *= columns
        order += np.arange(columns)[:, None]
        sizes = counts.T.ravel()
        firsts = (self._gaps + self._counts).ravel() - (np.cumsum(sizes) - sizes)
        favourable = np.empty(cells.size, dtype=np.int64)
        favourable[order.ravel()] = np.arange(cells.size) + firsts.repeat(sizes)
        possible = (self._rows + 1 + self._ages) + np.arange(events)[:, None]
        rarities: Floats = possible / favourable.reshape(events, columns)
        return rarities

    def _bets(self, counts: Ints, events: int) -> Floats:
        """Return each block's bets, shape (CELLS x blocks x columns, experts), and add the blocks
        to the histograms.

        Parameters
        ----------
        counts
            Of each block, shape (CELLS, blocks, columns).
        """
        number = counts.shape[1]
        first = RENEWAL - self._seen % RENEWAL
        edges = np.minimum(first + RENEWAL * np.arange(number), events)
        ages = self._ages + edges[:, None]
        known = self._counts.T[:, None] + np.cumsum(counts, axis=1)
        base_ages = np.concatenate((self._base_ages[None], ages[:-1]))
        base_counts = np.concatenate((self._base_counts.T[:, None], known[:, :-1]), axis=1)
        renewed = number - int((self._seen + events) % RENEWAL > 0)
        histograms = self._histogram_of_each(known - base_counts, ages - base_ages, renewed)
        self._ages, self._counts = ages[-1], np.ascontiguousarray(known[:, -1].T)
        if renewed:
            self._base_ages = ages[renewed - 1]
            self._base_counts = np.ascontiguousarray(known[:, renewed - 1].T)
        return bets(unmoved(self._gaps.T[:, None], base_counts), histograms, self._tilts)

    def _histogram_of_each(self, new: Ints, passed: Ints, renewed: int) -> Floats:
        """Return the histograms that each block's bets are based on, shape (3, CELLS, blocks,
        columns), and keep those of the next block.

        Parameters
        ----------
        new, passed
            What came since the bets before were fixed until the end of each block: counts, shape
            (CELLS, blocks, columns), and events, shape (blocks, columns).
        renewed
            Number of blocks at whose end bets are renewed.
        """
        kept, gained = faded(new[:, :renewed], passed[:renewed])
        found = np.empty((renewed + 1, *self._histograms.shape))
        found[0] = self._histograms
        for block in range(renewed):
            np.multiply(found[block], kept[block], out=found[block + 1])
            found[block + 1] += gained[block]
        self._histograms = found[-1].copy()
        return np.ascontiguousarray(found[: new.shape[1]].transpose(1, 2, 0, 3))

    def _alarm(self, row: int, after: int, place: int, score: float) -> Detection:
        """Describe an alarm, and start again."""
        column, effect = self.columns[place], self._latest.effect(place, after)
        self._restart()
        self._wakes[place] = -(-(self._seen + REST) // RENEWAL) * RENEWAL
        return Detection(
            row=row,
            column=column,
            delay=effect.delay,
            statistic="shiryaev_roberts",
            value=score,
            expected=None,
            width=effect.width,
            effect=effect.words,
            threshold=self.threshold,
            mean_rank=effect.mean_rank,
        )

    def pack(self) -> bytes:
        arrays = {
            name: np.ascontiguousarray(getattr(self, f"_{name}")).tobytes() for name in ARRAYS
        }
        arrays["histograms"] = np.ascontiguousarray(self._histograms.T).tobytes()
        return frame(
            _State(
                self.alpha,
                self.columns,
                self._seen,
                arrays,
                self._latest.pack(),
                self._rank_cells.checksum,
            )
        )

    @classmethod
    def unpack(cls, frame: bytes, reference: ReferenceProfile, ranks: Floats) -> Self:  # noqa: ARG003
        """Read a packed state; one of other rank cells starts from the reference again."""
        state = unframe(frame, _State)
        detector = cls(reference, state.columns, state.alpha)
        if state.rank_cells != detector._rank_cells.checksum:
            return detector
        detector._seen = state.seen
        detector._latest.restore(state.history)
        for name in ARRAYS:
            plain = state.arrays[name]
            like: NDArray[np.generic] = getattr(detector, f"_{name}")
            shape = (len(state.columns), -1) if name == "pending" else like.shape
            setattr(
                detector, f"_{name}", np.frombuffer(plain, dtype=like.dtype).reshape(shape).copy()
            )
        stored = np.frombuffer(state.arrays["histograms"]).reshape(detector._histograms.T.shape)
        detector._histograms = stored.T.copy()
        return detector


def _compose(factors: Floats, kept: Floats, added: Floats) -> None:
    """Write a and b of R <- a R + b for four updates R <- (1 + R) e.

    Parameters
    ----------
    factors
        The e-values, shape (4, evaluations, …).
    kept, added
        Memory for a and b, shape (evaluations, …).
    """
    second = factors[2] * factors[3]
    np.multiply(factors[0], factors[1], out=kept)
    np.add(factors[1], kept, out=added)
    added *= second
    added += second
    added += factors[3]
    kept *= second


def _recursion(scores: Floats, kept: Floats, added: Floats) -> Floats:
    """Return R at every evaluation, in the memory of `added`. Beyond c it may overflow to infinity,
    which is harmless.
    """
    with np.errstate(over="ignore"):
        for a, b in zip(kept, added, strict=True):
            np.multiply(scores, a, a)
            np.add(a, b, b)
            scores = b
    return added
