"""Integrity: did the share of missing, unseen or out-of-range values rise by more than chance?

The reference gives a beta distribution of the share, and the window's count is tested by the
one-sided beta-binomial tail, which takes into account that the reference is a sample too:

- missing: Jeffreys' prior, Beta(x + 1/2, n - x + 1/2) for x missing in n reference rows;
- unseen: the same with the number of categories seen once, the Good-Turing estimate of new ones,
  and as many fewer rows as its error is larger than a binomial's (Esty 1983);
- out of range: the share of exchangeable rows outside the smallest and largest of n is Beta(2, n -
  1), exactly. In a reference that was accepted later, o of n rows may lie outside the range of the
  registered one: Beta(2 + o, n - 1 - o).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy import special

from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.contract.snapshot import Share
from driftgauge.shared.reference.profile import (
    CategoricalReference,
    ColumnReference,
    ReferenceProfile,
)

Rule = Literal["missing", "unseen", "out_of_range"]
Law = tuple[float, float]
"""The two parameters of a beta distribution."""


def jeffreys(count: float, rows: float) -> Law:
    """Return the distribution of a share of which `count` in `rows` were seen (Jeffreys' prior)."""
    return count + 0.5, rows - count + 0.5


def beyond_range(rows: float, outside: float = 0.0) -> Law:
    """Return the distribution of the share outside a range, outside of which were `outside` of
    `rows` exchangeable values.
    """
    return 2.0 + outside, max(rows - 1.0 - outside, 1.0)


@lru_cache(maxsize=4096)
def limit(law: Law, m: int, alpha: float) -> int:
    """Return the least count among m rows whose tail is at most alpha."""
    return int(np.searchsorted(-upper_tail(*law, m), -alpha))


def tested(rule: Rule, count: int, m: int, law: Law, reference: float) -> Share:
    """Return a share with the p-value of its rise."""
    return Share(rule, reference, count / m, p_value=_p_value(law, m, count))


@lru_cache(maxsize=4096)  # most counts are 0 or few, pane after pane
def _p_value(law: Law, m: int, count: int) -> float:
    return float(upper_tail(*law, m)[count])


@lru_cache(maxsize=8)  # each is as long as the window; columns with equal laws follow each other
def upper_tail(a: float, b: float, m: int) -> Floats:
    """Return P(Y >= y) for y = 0 … m + 1, Y beta-binomial with m draws and Beta(a, b).

    Examples
    --------
    >>> from scipy import stats
    >>> bool(np.allclose(upper_tail(1.5, 999.5, 500)[3], stats.betabinom(500, 1.5, 999.5).sf(2)))
    True
    """
    y = np.arange(m + 1)
    log_choose = special.gammaln(m + 1) - special.gammaln(y + 1) - special.gammaln(m - y + 1)
    log_mass = log_choose + special.betaln(y + a, m - y + b) - special.betaln(a, b)
    tail = np.cumsum(np.exp(log_mass)[::-1])[::-1]
    return np.append(np.minimum(tail, 1.0), 0.0)


@dataclass(frozen=True, slots=True)
class IntegrityCheck:
    """One integrity check of one column: the bad cells, the distribution of their share, and the
    reference's share.
    """

    column: int
    rule: Rule
    cells: Ints
    law: tuple[float, float]
    reference: float

    @property
    def mean(self) -> float:
        return self.law[0] / sum(self.law)


def checks_of(
    profile: ReferenceProfile, place: int, dispersion: float = 1.0, clustering: float = 1.0
) -> Iterator[IntegrityCheck]:
    """Yield the integrity checks that apply to a column.

    Dependent rows carry less information than as many independent ones: for extremes they count as
    `dispersion` times fewer rows, for missing values as `clustering` times fewer.
    """
    column: ColumnReference = profile.columns[place]
    first, last = int(profile.offsets[place]), int(profile.offsets[place + 1]) - 1
    missing, share = column.counts[-1], column.counts[-1] / max(profile.rows, 1)
    law = jeffreys(missing / clustering, profile.rows / clustering)
    yield IntegrityCheck(place, "missing", np.array([last]), law, share)
    if isinstance(column, CategoricalReference):
        wider = column.new_dispersion
        law = jeffreys(column.singletons / wider, profile.rows / wider)
        unseen = sum(column.counts[column.unseen : -1])
        cells = np.arange(first + column.unseen, last)
        yield IntegrityCheck(place, "unseen", cells, law, unseen / max(profile.rows, 1))
    elif column.cuts:
        outside = column.counts[0] + column.counts[-2]
        law = beyond_range((profile.rows - missing) / dispersion, outside / dispersion)
        cells = np.array([first, last - 1])
        yield IntegrityCheck(place, "out_of_range", cells, law, outside / max(profile.rows, 1))
