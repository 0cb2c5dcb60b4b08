"""The definition of a statistic: a name, a title, and a function of one column's counts.

Each statistic is one file beside this one with a decorated function. It is found by its place: then
`driftgauge.NAME`, comparisons, snapshots, pages and the thresholds of policy files have it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from driftgauge.shared.arrays import Floats
from driftgauge.shared.contract.snapshot import Statistic
from driftgauge.shared.reference.feature import Kind
from driftgauge.shared.statistics.counts import ColumnCounts

Compute = Callable[..., Statistic]
"""A function of a column's counts, and options by name, that returns the statistic."""
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
        """Compute it; it has no value for a column of another kind, as its note says."""
        if not self.suits(counts):
            return undefined(self.name, NOT_FOR_THIS_KIND)
        return self.compute(counts, **options)


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


def statistics_of(counts: ColumnCounts) -> list[Statistic]:
    """Return all statistics that suit a column's kind; one that is undefined says why."""
    return [known(counts) for known in STATISTICS.values() if known.suits(counts)]


def undefined(name: str, note: str) -> Statistic:
    """Return a statistic that has no value for these counts."""
    return Statistic(name, None, note=note)
