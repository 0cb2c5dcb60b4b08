"""The definition of a statistic: a name, a title, and a function of one column's counts.

The function is given the counts of one window, or of many of the same column at once, as while a
worker catches up: it computes over the last axis, and gives each window's value by itself.

Each statistic is one file beside this one with a decorated function. It is found by its place: then
`driftgauge.NAME`, comparisons, snapshots, pages and the thresholds of policy files have it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from driftgauge.shared.arrays import Floats
from driftgauge.shared.contract.snapshot import Statistic
from driftgauge.shared.reference.feature import Kind
from driftgauge.shared.statistics.counts import ColumnCounts


@dataclass(frozen=True, slots=True)
class Values:
    """The values of a statistic, of each window: arrays of the shape of `ColumnCounts.m`, or what
    holds for all.

    Parameters
    ----------
    value
        Its value; None if it is not defined for these counts, as `note` says.
    expected
        Its mean without drift, for these sample sizes; None where no formula is known.
    p_value
        P-value of its test; None if there is none.
    note
        Why there is no value, or what to know of it; empty if there is nothing.
    """

    value: Floats | None
    expected: Floats | float | None = None
    p_value: Floats | None = None
    note: str | Sequence[str] = ""

    def each(self, name: str, windows: int) -> list[Statistic]:
        """Return the statistic of each window."""
        value, expected, p_value = (
            [None] * windows if one is None else np.broadcast_to(one, windows).tolist()
            for one in (self.value, self.expected, self.p_value)
        )
        note = [self.note] * windows if isinstance(self.note, str) else self.note
        return [
            Statistic(name, number, mean, chance, note=words)
            for number, mean, chance, words in zip(value, expected, p_value, note, strict=True)
        ]


Compute = Callable[..., Values]
"""A function of a column's counts, and options by name, that returns the statistic's values."""
Exact = Callable[[Floats, Floats], float]
"""A function of the values of two samples, none missing, that returns the statistic's value."""
EVERY_KIND: Final[tuple[Kind, ...]] = ("numeric", "categorical")
NOT_FOR_THIS_KIND: Final = "not for this kind of column"


@dataclass(frozen=True, slots=True)
class Definition:
    """The definition of a statistic.

    Parameters
    ----------
    name
        Name in snapshots and policy files, and of the library's function.
    title
        Name that people read.
    compute
        Computes the statistic from counts.
    kinds
        Kinds of columns that it applies to.
    usual_limit
        Value above which it is usually called a drift; None where there is no convention. It is no
        alert's threshold: it only colours values without a threshold of their own.
    exact
        Computes the exact value from two samples; None where the value from counts is exact.
    """

    name: str
    title: str
    compute: Compute
    kinds: Sequence[Kind] = EVERY_KIND
    usual_limit: float | None = None
    exact: Exact | None = None

    def suits(self, counts: ColumnCounts) -> bool:
        """Tell whether it is for a column's kind."""
        return ("numeric" if counts.is_numeric else "categorical") in self.kinds

    def __call__(self, counts: ColumnCounts, **options: float) -> Statistic:
        """Compute it of one window; it has no value for a column of another kind, as its note
        says.
        """
        return self.each(counts, **options)[0]

    def each(self, counts: ColumnCounts, **options: float) -> list[Statistic]:
        """Compute it of each window, as of one."""
        if not self.suits(counts):
            return undefined(NOT_FOR_THIS_KIND).each(self.name, counts.windows)
        values: Values = self.compute(counts, **options)
        return values.each(self.name, counts.windows)


STATISTICS: Final[dict[str, Definition]] = {}
"""All statistics, by name."""
_C = TypeVar("_C", bound=Compute)


def statistic(
    name: str,
    title: str,
    *,
    kinds: Sequence[Kind] = EVERY_KIND,
    usual_limit: float | None = None,
    exact: Exact | None = None,
) -> Callable[[_C], _C]:
    """Register the function of a statistic; see `Definition` for the parameters."""

    def register(compute: _C) -> _C:
        STATISTICS[name] = Definition(name, title, compute, kinds, usual_limit, exact)
        return compute

    return register


def statistics_of(counts: ColumnCounts) -> list[list[Statistic]]:
    """Return, for each window, all statistics that suit the column's kind; one that is undefined
    says why.
    """
    found = [known.each(counts) for known in STATISTICS.values() if known.suits(counts)]
    return [[of_one[window] for of_one in found] for window in range(counts.windows)]


def undefined(note: str) -> Values:
    """Return the values of a statistic that has none for these counts."""
    return Values(None, note=note)
