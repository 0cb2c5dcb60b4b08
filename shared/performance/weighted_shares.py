"""The interval of a weighted sum of shares: of the mean weight of rows that fall into cells, such
as the value of predictions by the cells of the confusion matrix. Pure.

On each side it is the wider one of two, which hold all means of cell shares pi that a test of the
counts n_k does not reject: Pearson's score test, sum (n_k - n pi_k)^2 / (n pi_k) <= z^2, and the
likelihood-ratio test, 2 sum n_k log(n_k / (n pi_k)) <= z^2 (Owen 1988, Biometrika 75, 237-249).

Of many rows both are the normal interval, whose variance is (sum p w^2 - (sum p w)^2) / n. Of few
in a cell of much weight they are not. Far out, where the level of an alarm is, many rows in a rare
cell are likelier than the score test has it, and none of them likelier than the ratio test has it;
the normal interval has no width at all if all rows are in one cell. The wider one is right for
both.
"""

import math
from collections.abc import Callable

import numpy as np

from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.performance.metric import Confidence


def mean_weight(counts: Ints, weights: Floats, sure: Confidence) -> tuple[float, float]:
    """Compute the interval of the mean weight.

    Parameters
    ----------
    counts, weights
        Rows of each cell, at least one in all, and its weight.

    Examples
    --------
    >>> low, high = mean_weight(np.array([2, 8]), np.array([0.0, 1.0]), Confidence(0.95))
    >>> f"{low:.3f} {high:.3f}"  # Wilson's is 0.490 to 0.943, that of the likelihood 0.501 to 0.964
    '0.490 0.964'
    """
    n = float(counts.sum())
    limit = sure.z**2 / n
    return -_largest(counts / n, -weights, limit), _largest(counts / n, weights, limit)


def _largest(shares: Floats, weights: Floats, limit: float) -> float:
    """Find the largest mean weight that one of the tests allows, with a limit of its statistic by
    row.
    """
    best, width = float(weights.max()), float(np.ptp(weights))
    p = shares[shares > 0]
    gaps = (best - weights[shares > 0]) / (width or 1.0)
    if not gaps.any():
        return best
    at_best = float(p[gaps == 0].sum())
    return best - width * min(
        _by_score(p, gaps, at_best, limit), _by_ratio(p, gaps, at_best, limit)
    )


def _by_score(p: Floats, gaps: Floats, at_best: float, limit: float) -> float:
    """Find the smallest mean gap, sum pi g, of shares pi with sum p^2 / pi <= 1 + limit.

    By Lagrange's multipliers pi is in proportion to p / sqrt(t + g), and it remains to find t.
    Where no row has the gap 0, t may be 0, and then the cells of that gap have what the others
    leave.

    Parameters
    ----------
    at_best
        Share of the rows whose gap is 0.
    """
    roots, most = np.sqrt(gaps), 1 + limit
    mean = float(p @ roots)
    if not at_best and float((p / roots).sum()) * mean <= most:
        return mean**2 / most

    def beyond(t: float) -> float:
        roots = np.sqrt(gaps + t)
        return float((p / roots).sum()) * float(p @ roots) - most

    least = 2 * math.log(at_best * mean / most) if at_best else FARTHEST
    roots = np.sqrt(gaps + _root(beyond, least, -math.log(limit) / 2))
    return float((p * gaps / roots).sum() / (p / roots).sum())


def _by_ratio(p: Floats, gaps: Floats, at_best: float, limit: float) -> float:
    """Find the same of shares pi with 2 sum p log(p / pi) <= limit: pi is in proportion to
    p / (t + g).
    """
    most = limit / 2
    if not at_best:
        scale = float((p / gaps).sum())
        distance = float(p @ np.log(gaps)) + math.log(scale)
        if distance <= most:
            return math.exp(distance - most) / scale

    def beyond(t: float) -> float:
        return float(p @ np.log(gaps + t)) + math.log(float((p / (gaps + t)).sum())) - most

    least = FARTHEST
    if at_best:
        rest = float(p[gaps > 0] @ np.log(gaps[gaps > 0]))
        least = max((math.log(at_best) + rest - most) / (1 - at_best), FARTHEST)
    t = _root(beyond, least, -math.log(limit) / 2)
    return 1 / float((p / (gaps + t)).sum()) - t


FARTHEST = -690.0
"""Logarithm of about the smallest float."""


def _root(beyond: Callable[[float], float], least: float, most: float) -> float:
    """Find where a falling function is 0, between two logarithms that bound the place.

    Of both tests the upper bound is Kantorovich's: E[X] E[1/X] <= 1 + 1 / (4 t (t + 1)) for X from
    t to t + 1.
    """
    from scipy.optimize import brentq  # an API computes no interval

    found = brentq(lambda logarithm: beyond(math.exp(logarithm)), least - 1, most + 1)
    return math.exp(float(found))
