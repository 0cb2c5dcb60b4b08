"""Integrity: did the share of missing, unseen or out-of-range values rise by more than chance?

The reference gives a law for the share, the window is tested against it by the one-sided beta-binomial tail, which takes
into account that the reference is a sample too:

- missing: Jeffreys' prior, Beta(x + 1/2, n - x + 1/2) for x missing in n reference rows;
- unseen: the same with the number of categories seen once, the Good-Turing estimate of new ones;
- out of range: the share of exchangeable rows outside the smallest and largest of n is Beta(2, n - 1), exactly.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import special

from consumer.judging.statistics.base import ColumnCounts
from shared.reference import CategoricalReference, Floats
from shared.snapshot import Share


@dataclass(frozen=True, slots=True)
class Check:
    """One integrity check of one column: `count` of the window's rows, alarm from `limit` rows on."""

    share: Share
    count: int
    limit: int


def checks(counts: ColumnCounts, alpha: float) -> list[Check]:
    """Make the integrity checks that suit a column."""
    found = [_check("missing", int(counts.window[-1]), int(counts.reference_cells[-1]), counts, alpha)]
    if isinstance(counts.reference, CategoricalReference):
        unseen = int(counts.window[counts.reference.unseen])
        found.append(_check("unseen", unseen, counts.reference.singletons, counts, alpha))
    elif len(counts.reference.cuts):
        outside = int(counts.window[0] + counts.window[-2])
        present = int(counts.reference_cells[:-1].sum())
        found.append(_tested("out_of_range", outside, (2.0, max(present - 1.0, 1.0)), 0.0, counts.m, alpha))
    return found


def _check(name: str, count: int, expected: int, counts: ColumnCounts, alpha: float) -> Check:
    law = (expected + 0.5, counts.n - expected + 0.5)
    reference = 0.0 if name == "unseen" else expected / max(counts.n, 1)
    return _tested(name, count, law, reference, counts.m, alpha)


def _tested(name: str, count: int, law: tuple[float, float], reference: float, m: int, alpha: float) -> Check:
    tail = upper_tail(*law, m)
    share = Share(name, reference, count / max(m, 1), p_value=float(tail[count]))  # type: ignore[arg-type]  # a literal
    return Check(share, count, int(np.searchsorted(-tail, -alpha)))


@lru_cache(maxsize=1024)
def upper_tail(a: float, b: float, m: int) -> Floats:
    """Give P(Y >= y) for y = 0 … m + 1, Y beta-binomial with m draws and Beta(a, b).

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
