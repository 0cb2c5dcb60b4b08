"""What a statistic is: a name, a title, and a function of one column's counts.

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
"""Takes a column's counts, and options by name; gives the statistic."""
Exact = Callable[[Floats, Floats], float]
"""Takes the values of two samples, none missing; gives the statistic's value."""
EVERY_KIND: Final[tuple[Kind, ...]] = ("numeric", "categorical")
NOT_FOR_THIS_KIND: Final = "not for this kind of column"


@dataclass(frozen=True, slots=True)
class Definition:
    """What is known of a statistic, whatever the counts.

    Parameters
    ----------
    name
        As it stands in snapshots and policy files, and as a function of the library.
    title
        What people read.
    compute
        The statistic of counts.
    kinds
        The kinds of columns that it is for.
    usual_limit
        The value above which people usually call it a drift; None where there is no such habit. No
        alert rests on it: it colours what has no threshold of its own.
    exact
        The value by the samples themselves; None where that by counts is exact.
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
