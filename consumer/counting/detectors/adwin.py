"""ADWIN (Bifet and Gavaldà 2007), river's, fed with ranks: what people know, with a delta that
comes from a budget.

Each column starts from 1,000 reference ranks, so that a drift is found against the reference and
not against the first events that happened to come. After an alarm it starts from them again: what
came since must not become the new normal by itself.
"""

from importlib.metadata import version
from operator import length_hint
from typing import ClassVar, Self

import msgspec
import numpy as np
from numpy.typing import NDArray
from river._river_rust.drift import (
    AdaptiveWindowing,  # ADWIN itself; the wrapper only adds Python time to each update
)

from driftgauge.consumer.counting.detectors.base import (
    Detection,
    Observed,
    detector,
    frame,
    unframe,
)
from driftgauge.consumer.counting.detectors.effect import describe_shift
from driftgauge.shared.arrays import Floats
from driftgauge.shared.reference.profile import ReferenceProfile

Floats32 = NDArray[np.float32]

SEED_RANKS = 1000
RECENT = 256
"""Latest events from which an alarm estimates the effect: ADWIN's own window still holds much of
what was before.
"""
RIVER = version("river")


class _State(msgspec.Struct):
    """river's helper gives its state as bytes whose layout belongs to its version, so the version
    is framed with it.
    """

    river: str
    alpha: float
    columns: list[int]
    since: list[int]
    windows: list[bytes]
    recent: bytes


@detector("adwin", share=0.1, errors_share=0.01)
class RankAdwin:
    """ADWIN on the ranks of each column.

    Examples
    --------
    >>> from driftgauge.shared.reference.profile import NumericReference
    >>> values = np.random.default_rng(0).normal(size=5000)
    >>> profile = ReferenceProfile(5000, (NumericReference.build("x", values),))
    >>> cell_ranks = np.linspace(0, 1, profile.offsets[-1])
    >>> upper_half = np.resize(np.arange(len(cell_ranks) // 2, len(cell_ranks)), (1, 500))
    >>> found = RankAdwin.start(profile, [0], cell_ranks, 1e-6).update(
    ...     Observed(upper_half, cell_ranks, [])
    ... )
    >>> found[0].column, found[0].value > 0.5
    (0, True)
    """

    name: ClassVar[str]
    share: ClassVar[float]
    errors_share: ClassVar[float]
    needs_exchangeable: ClassVar[bool]

    def __init__(self, columns: list[int], alpha: float, seeds: list[list[float]]) -> None:
        self.columns = columns
        self.alpha = alpha
        self._seeds = seeds
        self._windows = [self._seeded(place) for place in range(len(columns))]
        self._since = [0] * len(columns)
        self._recent = np.full((len(columns), RECENT), 0.5, dtype=np.float32)

    @classmethod
    def start(
        cls, reference: ReferenceProfile, columns: list[int], ranks: Floats, alpha: float
    ) -> Self:
        return cls(columns, alpha, seed_ranks(reference, columns, ranks))

    def update(self, observed: Observed) -> list[Detection]:
        ranks = observed.ranks
        seen = np.concatenate((self._recent, ranks[self.columns].astype(np.float32)), axis=1)
        complete: list[bool] = np.logical_not(np.isnan(ranks).any(axis=1)).tolist()
        found: list[Detection] = []
        for place, column in enumerate(self.columns):
            for row, delay in self._alarms(place, ranks[column], complete=complete[column]):
                found.append(
                    _detection(row, column, delay, seen[place, row + 1 : row + 1 + RECENT])
                )
        self._recent = seen[:, -RECENT:]
        return sorted(found, key=lambda detection: (detection.row, detection.column))

    def _alarms(self, place: int, ranks: Floats, *, complete: bool) -> list[tuple[int, int]]:
        """Feed one column; give row and delay of each alarm.

        The loop runs in C and stops at an alarm, the only moment when Python has something to do.
        """
        rows = None if complete else np.flatnonzero(~np.isnan(ranks))
        values: list[float] = ranks.tolist() if rows is None else ranks[rows].tolist()
        waiting = iter(values)

        found: list[tuple[int, int]] = []
        done = 0
        while any(map(self._windows[place].update, waiting)):
            row = len(values) - length_hint(waiting) - 1
            row = row if rows is None else int(rows[row])
            found.append((row, self._since[place] + row + 1 - done))
            self._windows[place] = self._seeded(place)
            self._since[place] = 0
            done = row + 1
        self._since[place] += len(ranks) - done
        return found

    def _seeded(self, place: int) -> AdaptiveWindowing:
        """Make a window with river's default settings that has seen the reference."""
        delta = self.alpha / len(self.columns)
        window = AdaptiveWindowing(
            delta=delta, clock=32, max_buckets=5, min_window_length=5, grace_period=10
        )
        for rank in self._seeds[place]:
            window.update(rank)
        return window

    def pack(self) -> bytes:
        windows: list[bytes] = [window.__getstate__() for window in self._windows]
        return frame(
            _State(RIVER, self.alpha, self.columns, self._since, windows, self._recent.tobytes())
        )

    @classmethod
    def unpack(cls, frame: bytes, reference: ReferenceProfile, ranks: Floats) -> Self:
        """Read a packed state; one of another version of river starts from the reference again."""
        state = unframe(frame, _State)
        detector = cls.start(reference, state.columns, ranks, state.alpha)
        if state.river == RIVER:
            detector._restore(state)  # noqa: SLF001  of our own kind
        return detector

    def _restore(self, state: _State) -> None:
        self._since = state.since
        self._recent = np.frombuffer(state.recent, dtype=np.float32).reshape(-1, RECENT)
        for window, packed in zip(self._windows, state.windows, strict=True):
            window.__setstate__(packed)


def _detection(row: int, column: int, delay: int, recent: Floats32) -> Detection:
    """Describe an alarm by the latest ranks: those since the most likely moment of the change.

    That moment is where the sum of deviations from 1/2, counted back from the alarm, stands out
    most for its length.
    """
    backwards = recent[~np.isnan(recent)][::-1].astype(np.float64)
    lengths = np.arange(1, len(backwards) + 1)
    sums = np.cumsum(backwards - 0.5)
    width = int(np.argmax(np.abs(sums) / np.sqrt(lengths))) + 1
    mean = 0.5 + float(sums[width - 1]) / width
    return Detection(
        row=row,
        column=column,
        delay=delay,
        statistic="mean_rank",
        value=mean,
        expected=0.5,
        width=width,
        effect=describe_shift(mean, width),
        mean_rank=mean,
    )


def seed_ranks(reference: ReferenceProfile, columns: list[int], ranks: Floats) -> list[list[float]]:
    """Return even quantiles of each column's reference ranks, in one fixed random order."""
    order = np.random.default_rng(20_100).permutation(SEED_RANKS)
    seeds = []
    for column in columns:
        first, last = int(reference.offsets[column]), int(reference.offsets[column + 1])
        counts = np.array(reference.columns[column].counts[:-1], dtype=float)
        if not counts.sum():
            seeds.append([0.5] * SEED_RANKS)
            continue
        shares = (np.arange(SEED_RANKS) + 0.5) / SEED_RANKS
        cells = np.searchsorted(np.cumsum(counts) / counts.sum(), shares)
        seeds.append(ranks[first : last - 1][cells][order].tolist())
    return seeds
