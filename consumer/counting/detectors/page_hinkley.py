"""Page-Hinkley (Page 1954) as river implements it, with river's defaults, on ranks; off by default.

It has no share of the budget, since no bound of its false alarms is known. It starts with 1,000
reference ranks as ADWIN does, and starts again after an alarm. It processes values one at a time in
Python, about .35 µs each.
"""

from binascii import crc32
from typing import Any, ClassVar, Self

import msgspec
import numpy as np

from driftgauge.consumer.counting.detectors.adwin import seed_ranks
from driftgauge.consumer.counting.detectors.base import (
    Detection,
    Observed,
    detector,
    frame,
    unframe,
)
from driftgauge.consumer.counting.detectors.history import History
from driftgauge.shared.arrays import Floats
from driftgauge.shared.reference.profile import ReferenceProfile

Sums = tuple[float, float, float, float, float, float]
"""Values seen, their mean, the two running sums, and the extremes of these."""


class _State(msgspec.Struct):
    alpha: float
    columns: list[int]
    since: list[int]
    sums: list[Sums]
    history: bytes = b""
    seeds: int = 0


@detector("page_hinkley", share=0.0)
class RankPageHinkley:
    """Page-Hinkley on the ranks of each column.

    Examples
    --------
    >>> import numpy as np
    >>> from driftgauge.shared.reference.profile import NumericReference
    >>> profile = ReferenceProfile(500, (NumericReference.build("x", np.arange(500.0)),))
    >>> cell_ranks = np.linspace(0, 1, profile.offsets[-1])
    >>> top = Observed(np.full((1, 300), len(cell_ranks) - 10), cell_ranks, [])
    >>> RankPageHinkley.start(profile, [0], cell_ranks, 1e-6).update(top)[0].mean_rank > 0.9
    True
    """

    name: ClassVar[str]
    share: ClassVar[float]
    errors_share: ClassVar[float]
    needs_exchangeable: ClassVar[bool]

    def __init__(
        self, reference: ReferenceProfile, columns: list[int], alpha: float, seeded: list[Sums]
    ) -> None:
        self.columns = columns
        self._latest = History(reference, columns)
        self.alpha = alpha
        self._seeded = seeded
        self._checksum = crc32(np.array(seeded).tobytes())
        self._tests = [_with(sums) for sums in seeded]
        self._since = [0] * len(columns)

    @classmethod
    def start(
        cls, reference: ReferenceProfile, columns: list[int], ranks: Floats, alpha: float
    ) -> Self:
        seeded = [_after(seeds) for seeds in seed_ranks(reference, columns, ranks)]
        return cls(reference, columns, alpha, seeded)

    def update(self, observed: Observed) -> list[Detection]:
        self._latest.take(observed)
        found = [
            one
            for place in range(len(self.columns))
            for one in self._feed(place, observed.ranks[self.columns[place]])
        ]
        return sorted(found, key=lambda one: (one.row, one.column))

    def _feed(self, place: int, ranks: Floats) -> list[Detection]:
        """Feed one column; after an alarm it starts again with the reference."""
        found, test = list[Detection](), self._tests[place]
        for row, rank in enumerate(ranks.tolist()):
            self._since[place] += 1
            if rank == rank:  # noqa: PLR0124  a missing value's rank is NaN
                test.update(rank)
            if test.drift_detected:
                found.append(self._detection(row, place, len(ranks) - row - 1))
                test = self._tests[place] = _with(self._seeded[place])
                self._since[place] = 0
        return found

    def _detection(self, row: int, place: int, after: int) -> Detection:
        effect = self._latest.effect(place, after)
        _, _, rising, falling, least, most = _sums(self._tests[place])
        risen, fallen = rising - least, most - falling
        return Detection(
            row=row,
            column=self.columns[place],
            delay=self._since[place],
            statistic="page_hinkley",
            value=max(risen, fallen),
            expected=None,
            width=effect.width,
            effect=effect.words,
            threshold=self._tests[place].threshold,
            mean_rank=effect.mean_rank,
        )

    def pack(self) -> bytes:
        return frame(
            _State(
                self.alpha,
                self.columns,
                self._since,
                [_sums(test) for test in self._tests],
                self._latest.pack(),
                self._checksum,
            )
        )

    @classmethod
    def unpack(cls, frame: bytes, reference: ReferenceProfile, ranks: Floats) -> Self:
        state = unframe(frame, _State)
        detector = cls.start(reference, state.columns, ranks, state.alpha)
        if state.seeds == detector._checksum:  # noqa: SLF001  of our own kind
            detector._restore(state)  # noqa: SLF001
        return detector

    def _restore(self, state: _State) -> None:
        self._tests = [_with(sums) for sums in state.sums]
        self._since = state.since
        self._latest.restore(state.history)


def _fresh() -> Any:
    """Return river's test with its defaults; it has no types.

    It is imported at first use, because it imports scikit-learn, pandas and SQLAlchemy and is off
    by default.
    """
    from river.drift import PageHinkley

    return PageHinkley()


def _after(ranks: list[float]) -> Sums:
    test = _fresh()
    for rank in ranks:
        test.update(rank)
    return _sums(test)


def _sums(test: Any) -> Sums:
    mean = test._x_mean  # noqa: SLF001  river has no other way to its state
    return (
        mean.n,
        mean.get(),
        test._sum_increase,  # noqa: SLF001
        test._sum_decrease,  # noqa: SLF001
        test._min_increase,  # noqa: SLF001
        test._max_decrease,  # noqa: SLF001
    )


def _with(sums: Sums) -> Any:
    test = _fresh()
    mean: Any = test._x_mean  # noqa: SLF001
    mean.n, mean._mean = sums[:2]  # noqa: SLF001
    test._sum_increase, test._sum_decrease = sums[2:4]  # noqa: SLF001
    test._min_increase, test._max_decrease = sums[4:]  # noqa: SLF001
    return test
