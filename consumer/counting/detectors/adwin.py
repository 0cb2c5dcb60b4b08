"""ADWIN (Bifet and Gavaldà 2007) as river implements it, on ranks, with a delta that follows from
the false-alarm budget.

Each column starts with 1,000 reference ranks, so that live data are compared with the reference and
not with the first events. After an alarm it starts with them again, because drifted data must not
become the new normal by themselves.
"""

from binascii import crc32
from importlib.metadata import version
from operator import length_hint
from typing import ClassVar, Self

import msgspec
import numpy as np
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
from driftgauge.consumer.counting.detectors.effect import Effect
from driftgauge.consumer.counting.detectors.history import History
from driftgauge.shared.arrays import Floats
from driftgauge.shared.reference.profile import ReferenceProfile

SEED_RANKS = 1000
RIVER = version("river")


class _State(msgspec.Struct):
    """State of river's ADWIN as bytes, whose layout depends on river's version, which is therefore
    stored too.
    """

    river: str
    alpha: float
    columns: list[int]
    since: list[int]
    windows: list[bytes]
    history: bytes = b""
    seeds: int = 0
    """Of which reference ranks the windows are: those of another release are none of these."""


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

    def __init__(
        self,
        reference: ReferenceProfile,
        columns: list[int],
        alpha: float,
        seeds: list[list[float]],
    ) -> None:
        self.columns = columns
        self.alpha = alpha
        self._seeds = seeds
        self._checksum = crc32(np.array(seeds).tobytes())
        self._windows = [self._seeded(place) for place in range(len(columns))]
        self._since = [0] * len(columns)
        self._latest = History(reference, columns)

    @classmethod
    def start(
        cls, reference: ReferenceProfile, columns: list[int], ranks: Floats, alpha: float
    ) -> Self:
        return cls(reference, columns, alpha, seed_ranks(reference, columns, ranks))

    def update(self, observed: Observed) -> list[Detection]:
        ranks = observed.ranks
        self._latest.take(observed)
        complete: list[bool] = np.logical_not(np.isnan(ranks).any(axis=1)).tolist()
        found: list[Detection] = []
        for place, column in enumerate(self.columns):
            for row, delay in self._alarms(place, ranks[column], complete=complete[column]):
                effect = self._latest.effect(place, ranks.shape[1] - row - 1)
                found.append(_detection(row, column, delay, effect))
        return sorted(found, key=lambda detection: (detection.row, detection.column))

    def _alarms(self, place: int, ranks: Floats, *, complete: bool) -> list[tuple[int, int]]:
        """Feed one column; return row and delay of each alarm.

        The loop runs in C and returns to Python only at an alarm.
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
            _State(
                RIVER,
                self.alpha,
                self.columns,
                self._since,
                windows,
                self._latest.pack(),
                self._checksum,
            )
        )

    @classmethod
    def unpack(cls, frame: bytes, reference: ReferenceProfile, ranks: Floats) -> Self:
        """Read a packed state; one of another version of river, or of other ranks, starts from the
        reference again.
        """
        state = unframe(frame, _State)
        detector = cls.start(reference, state.columns, ranks, state.alpha)
        if state.river == RIVER and state.seeds == detector._checksum:  # noqa: SLF001  of our own kind
            detector._restore(state)  # noqa: SLF001  of our own kind
        return detector

    def _restore(self, state: _State) -> None:
        self._since = state.since
        self._latest.restore(state.history)
        for window, packed in zip(self._windows, state.windows, strict=True):
            window.__setstate__(packed)


def _detection(row: int, column: int, delay: int, effect: Effect) -> Detection:
    """Describe an alarm; the mean rank is that of no change where the latest values do not tell."""
    return Detection(
        row=row,
        column=column,
        delay=delay,
        statistic="mean_rank",
        value=0.5 if effect.mean_rank is None else effect.mean_rank,
        expected=0.5,
        width=effect.width,
        effect=effect.words,
        mean_rank=effect.mean_rank,
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
