"""The statistics of two samples of one feature, for notebooks and pipelines: `driftgauge.psi`,
`driftgauge.ks`, … and all of them at once.
"""

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any, Protocol

import msgspec
import numpy as np
import pandas as pd

from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.contract.snapshot import Statistic
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.frames import as_column, kind_of
from driftgauge.shared.reference.profile import CategoricalReference, NumericReference
from driftgauge.shared.statistics import STATISTICS, ColumnCounts, Definition
from driftgauge.shared.statistics.base import undefined
from driftgauge.shared.tables.frames import plain

Sample = Sequence[Any] | Floats | pd.Series


def statistics(reference: Sample, current: Sample) -> dict[str, Statistic]:
    """Compute all statistics that suit two samples of one feature, by name.

    Parameters
    ----------
    reference, current
        Numbers (NaN or None is missing), or categories as text (None is missing); each at least one
        row.

    Examples
    --------
    >>> sorted(statistics([0, 1, 3], [5, 6, 8]))
    ['jensen_shannon', 'ks', 'psi', 'wasserstein']
    """
    counts = _counts(reference, current)
    return {
        name: _computed(known, counts, reference, current)
        for name, known in STATISTICS.items()
        if known.suits(counts)
    }


class SampleStatistic(Protocol):
    """A statistic of two samples of one feature: `driftgauge.psi`, `driftgauge.ks`, …."""

    def __call__(self, reference: Sample, current: Sample, **options: float) -> Statistic:
        """Compute it; the options are those of the statistic's own file."""


@lru_cache
def of_samples(name: str) -> SampleStatistic:
    """Return a statistic as a function of two samples.

    Numbers are compared exactly, whatever their number: each distinct value of the reference is a
    cell of its own.

    Examples
    --------
    >>> of_samples("ks")([1, 2, 3, 4], [3, 4, 5, 6]).value
    0.5
    >>> found = of_samples("psi")(np.arange(1000), np.arange(1000) + 200)
    >>> round(found.value, 3), round(found.expected, 3)
    (1.6, 0.018)
    >>> round(of_samples("wasserstein")([0, 1, 3], [5, 6, 8]).value, 9)
    5.0
    """
    known = STATISTICS[name]

    def compute(reference: Sample, current: Sample, **options: float) -> Statistic:
        return _computed(known, _counts(reference, current), reference, current, **options)

    compute.__name__ = compute.__qualname__ = name
    compute.__doc__ = known.compute.__doc__
    return compute


def _computed(
    known: Definition, counts: ColumnCounts, reference: Sample, current: Sample, **options: float
) -> Statistic:
    """Compute a statistic by counts, and by the samples where counts only approximate it."""
    found = known(counts, **options)
    if known.exact is None or found.value is None:
        return found
    before, after = (numbers[~np.isnan(numbers)] for numbers in map(_numbers, (reference, current)))
    if not (np.isfinite(before).all() and np.isfinite(after).all()):
        note = "it is not finite: a sample holds infinite values"
        return undefined(note).each(found.name, windows=1)[0]
    return msgspec.structs.replace(found, value=known.exact(before, after))


def _numbers(sample: Sample) -> Floats:
    """Return the numbers of a sample, infinite ones too."""
    return np.asarray(plain(pd.Series(sample)).to_numpy(dtype=np.float64, na_value=np.nan))


def _ranked(before: Floats, after: Floats) -> tuple[Floats, Floats]:
    """Return numbers as places in the order of all; infinities are the outermost.

    Statistics that are counted on bins and cells depend on the order alone.
    """
    order = np.unique(np.concatenate([before, after]))
    ranks = [np.searchsorted(order, one).astype(np.float64) for one in (before, after)]
    return (
        np.where(np.isnan(before), np.nan, ranks[0]),
        np.where(np.isnan(after), np.nan, ranks[1]),
    )


class _RawCounts(ColumnCounts):
    """The counts of two samples as they are: bins are not pooled, as other libraries have it."""

    @cached_property
    def bins(self) -> tuple[Ints, Ints]:
        place = np.array(self.reference.bin_of_cell)
        reference, window = (
            np.bincount(place, cells).astype(np.int64)
            for cells in (self.reference_cells, self.window)
        )
        used = reference + window > 0
        return reference[used], window[used]

    @property
    def large_bins(self) -> tuple[Ints, Ints]:
        """The same bins, however few rows they have."""
        return self.bins


def _counts(reference: Sample, current: Sample) -> ColumnCounts:
    """Count two samples; every distinct value of the reference is a cell, so that nothing is
    approximate.
    """
    before, after = (plain(pd.Series(one)).rename("sample") for one in (reference, current))
    if not len(before) or not len(after):
        raise BadData("A sample has no rows; give at least one.")
    kind = kind_of(before)
    if kind == "numeric" and pd.api.types.is_numeric_dtype(after):
        both = _numbers(before), _numbers(after)
        if any(np.isinf(one).any() for one in both):
            before, after = map(pd.Series, _ranked(*both))
    feature = Feature("values", kind)
    values = as_column(before, feature)
    column: NumericReference | CategoricalReference = (
        NumericReference.build("values", values, cuts=max(len(values), 2))
        if kind == "numeric"
        else CategoricalReference.build("values", values, top=max(len(values), 1))
    )
    cells = column.cells(as_column(after, feature))
    return _RawCounts(column, np.bincount(cells, minlength=len(column.counts)))
