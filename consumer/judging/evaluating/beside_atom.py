"""Drift of what stands beside a value that has most of the rows.

Of a column of nine zeros in ten (claims, orders, rainfall) there are two questions: how often it is
not zero, which the PSI of the column answers, and how large it is then. The second is drowned in
the first: if all that is not zero is divided by four, the PSI of 8 % of the rows is small, and few
of its bins are beyond chance. So the rows beside the value are also held against those of the
reference as a column of their own, in bins of equal frequency. That is judged as any PSI is, above
the critical floor by more than chance explains, and is at most a WARNING, since most rows are as
they were. Fewer rows than a twentieth of the reference are left alone. Missing values drown the
others as a value does, so they are taken as one.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from driftgauge.consumer.judging.evaluating.psi_threshold import threshold
from driftgauge.shared.arrays import Ints
from driftgauge.shared.reference.profile import NumericReference, ReferenceProfile
from driftgauge.shared.statistics.counts import MIN_EXPECTED
from driftgauge.shared.statistics.psi import ABSENT_SHARE, population_stability

ATOM: Final = 0.5
"""Least share of the rows of the value beside which the others are judged."""
LEAST_SHARE: Final = 0.05
"""Least share of the reference's rows that stand beside it."""
LEAST_ROWS: Final = 40
"""Least rows beside it, in reference and window."""
MOST_BINS: Final = 10
MISSING_WORDS: Final = "PSI beside what is missing"
ABSENT_ROWS: Final = 0.5
"""Rows of an empty bin, as within segments: there are few rows."""


@dataclass(frozen=True)
class BesideAtom:
    """The rows of one column beside its commonest value, or beside what is missing.

    Parameters
    ----------
    cells
        Their cells in the vector of all cells, in the order of the values.
    reference
        Reference rows of each.
    rows
        All rows of the reference.
    words
        What their PSI is called.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> values = np.where(rng.random(20_000) < 0.9, 0.0, rng.lognormal(3, 1, 20_000))
    >>> column = NumericReference.build("claims", values)
    >>> beside = BesideAtom.of(ReferenceProfile(20_000, (column,)), 0)
    >>> window = np.bincount(column.cells(values[:3000] / 4), minlength=len(column.counts))
    >>> beside.bins(window), beside.psi(window, 3000) > beside.threshold(0.25, 1e-6, window, 3000)
    (10, True)
    """

    cells: Ints
    reference: Ints
    rows: int
    words: str = "PSI beside its commonest value"

    may_be_critical = False

    @classmethod
    def of(cls, profile: ReferenceProfile, place: int) -> "BesideAtom | None":
        """Take them from a column of a profile; None if neither a value nor MISSING has most of its
        rows, or too few stand beside it.
        """
        column = profile.columns[place]
        if not isinstance(column, NumericReference):
            return None
        counts = np.array(column.counts, dtype=np.int64)
        values = np.arange(column.missing)
        atom = int(np.argmax(counts[values]))
        is_atom = atom % 2 == 1 and counts[atom] >= ATOM * counts[values].sum()
        first = int(profile.offsets[place])
        least = max(LEAST_ROWS, LEAST_SHARE * profile.rows)
        for cells, heavy, words in (
            (np.delete(values, atom), is_atom, cls.words),
            (values, counts[column.missing] >= ATOM * profile.rows, MISSING_WORDS),
        ):
            if heavy and counts[cells].sum() >= least:
                return cls(first + cells, counts[cells], profile.rows, words)
        return None

    def bins(self, cells: Ints) -> int:
        """Return into how many bins the rows are parted, so that each is expected to have enough in
        the smaller sample; 1 with too few rows.
        """
        m = int(cells[self.cells].sum())
        return 1 if m < LEAST_ROWS else len(self._binning(m)[1])

    def psi(self, cells: Ints, _rows: int) -> float:
        """Return the PSI of these rows by themselves; 0 with too few.

        Parameters
        ----------
        cells
            Window rows over all cells.
        """
        window = cells[self.cells]
        m = int(window.sum())
        if m < LEAST_ROWS:
            return 0.0
        place, reference = self._binning(m)
        seen = np.bincount(place, weights=window, minlength=len(reference)).astype(np.int64)
        absent = max(ABSENT_SHARE, ABSENT_ROWS / m)
        return float(population_stability(reference, seen, absent))

    def threshold(self, floor: float, alpha: float, cells: Ints, _rows: int) -> float:
        """Return the PSI that is exceeded with probability alpha when the true one is `floor`."""
        bins, m = self.bins(cells), int(cells[self.cells].sum())
        if bins == 1:
            return float("inf")
        return threshold(floor, alpha, bins, self._reference_rows, m)

    def _binning(self, m: int) -> tuple[Ints, Ints]:
        """Return the bin of each cell for m window rows, and the reference rows of each bin: about
        as many are in each, and none is empty.
        """
        bins = min(MOST_BINS, int(min(m, self._reference_rows) // MIN_EXPECTED))
        if bins not in self._binnings:
            self._binnings[bins] = self._bin(bins)
        return self._binnings[bins]

    @cached_property
    def _reference_rows(self) -> int:
        return int(self.reference.sum())

    @cached_property
    def _binnings(self) -> dict[int, tuple[Ints, Ints]]:
        """What was binned before, by the number of bins that was asked for: a few entries."""
        return {}

    def _bin(self, bins: int) -> tuple[Ints, Ints]:
        middle = np.cumsum(self.reference) - self.reference / 2
        even: Ints = np.minimum(middle * bins / self._reference_rows, bins - 1).astype(np.int64)
        used = np.unique(even[self.reference > 0])
        place = np.maximum(np.searchsorted(used, even, side="right") - 1, 0)
        return place, np.bincount(place, weights=self.reference).astype(np.int64)
