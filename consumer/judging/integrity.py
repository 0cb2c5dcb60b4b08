"""Integrity: did the share of missing, unseen or out-of-range values rise by more than chance?

The reference gives a law for the share, the window is tested against it by the one-sided beta-binomial tail, which takes
into account that the reference is a sample too:

- missing: Jeffreys' prior, Beta(x + 1/2, n - x + 1/2) for x missing in n reference rows;
- unseen: the same with the number of categories seen once, the Good-Turing estimate of new ones;
- out of range: the share of exchangeable rows outside the smallest and largest of n is Beta(2, n - 1), exactly. In a
  reference that was accepted later, o of n rows may lie outside the range of the registered one: Beta(2 + o, n - 1 - o).
"""

from functools import lru_cache
from typing import Literal

import numpy as np
from scipy import special

from shared.reference import Floats
from shared.snapshot import Share

Rule = Literal["missing", "unseen", "out_of_range"]
Law = tuple[float, float]
"""The two parameters of a beta law."""


def jeffreys(count: float, rows: float) -> Law:
    """Give the law of a share of which `count` in `rows` were seen."""
    return count + 0.5, rows - count + 0.5


def beyond_range(rows: float, outside: float = 0.0) -> Law:
    """Give the law of the share outside a range that `outside` of `rows` exchangeable values left."""
    return 2.0 + outside, max(rows - 1.0 - outside, 1.0)


@lru_cache(maxsize=4096)
def limit(law: Law, m: int, alpha: float) -> int:
    """Give the least count among m rows whose tail is at most alpha."""
    return int(np.searchsorted(-upper_tail(*law, m), -alpha))


def tested(rule: Rule, count: int, m: int, law: Law, reference: float) -> Share:
    """Give a share with the p-value of its rise."""
    return Share(rule, reference, count / m, p_value=float(upper_tail(*law, m)[count]))


@lru_cache(maxsize=8)  # each is as long as the window; columns with equal laws follow each other
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
