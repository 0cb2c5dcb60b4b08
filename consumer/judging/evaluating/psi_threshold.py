"""PSI threshold for a drift that is both large and significant.

With a true PSI of d, n reference rows, m window rows and B bins, PSI / (1/n + 1/m) has
approximately a noncentral chi-squared distribution with B - 1 degrees of freedom and noncentrality
d / (1/n + 1/m) (Potgieter, arXiv 2307.11878). Its quantile is the threshold for "significantly
larger than d".
"""

from functools import lru_cache


@lru_cache(maxsize=4096)
def threshold(floor: float, alpha: float, bins: int, n: int, m: float) -> float:
    """Return the PSI that is exceeded with probability alpha when the true PSI is `floor`.

    Examples
    --------
    >>> round(threshold(0.1, 0.01, 11, 5000, 2000), 3)
    0.15
    """
    from scipy import stats  # slow to import, and a worker starts without

    scale = 1 / n + 1 / m
    return float(scale * stats.ncx2.isf(alpha, max(bins - 1, 1), floor / scale))
