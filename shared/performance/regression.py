"""Metrics of numbers, each a function of the sums of joined rows. The error of a row is its
prediction minus its label.
"""

import math
from fractions import Fraction

from driftgauge.shared.performance.exact import as_float, root_of, square_of, value_of
from driftgauge.shared.performance.metric import Confidence, Metric, undefined
from driftgauge.shared.performance.sums import Sums


def mae(sums: Sums, sure: Confidence) -> Metric:
    """Compute the mean absolute error.

    Examples
    --------
    >>> import numpy as np
    >>> from driftgauge.shared.performance.layout import Layout
    >>> sums = Sums.of(Layout("numeric"), np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 2.0]))
    >>> [metric(sums, Confidence()).value for metric in (mae, mean_error, r2)]
    [1.0, 0.3333333333333333, -1.5]
    """
    squares = square_of(sums.total("e2"))
    return sure.mean(value_of(sums.total("abs_e")), squares, sums.rows, least=0.0)


def mean_error(sums: Sums, sure: Confidence) -> Metric:
    """Compute the mean error: above 0 where the model predicts too much."""
    return sure.mean(value_of(sums.total("e")), square_of(sums.total("e2")), sums.rows)


def mape(sums: Sums, sure: Confidence) -> Metric:
    """Compute the mean absolute error as a share of the label; labels that are 0 are left out, and
    `n` says how many rows are not.
    """
    n = int(sums.count("nonzero")[0])
    if not n:
        return undefined("every label is 0" if sums.rows else "no rows")
    squares = square_of(sums.total("ratio2"))
    return sure.mean(value_of(sums.total("ratio")), squares, n, least=0.0)


def rmse(sums: Sums, sure: Confidence) -> Metric:
    """Compute the root of the mean squared error.

    Its interval is the root of the normal one of the mean squared error, whose variance comes from
    the fourth powers: the chi-squared interval would need normal errors.
    """
    squares, n = square_of(sums.total("e2")), sums.rows
    mean = sure.mean(squares, square_of(sums.total("e4")), n, least=0.0)
    if mean.value is None:
        return mean
    value = root_of(squares / n)
    if mean.low is None or mean.high is None:
        return Metric(value, None, None, n, note=mean.note)
    return Metric(value, min(math.sqrt(mean.low), value), max(math.sqrt(mean.high), value), n)


def r2(sums: Sums, _: Confidence) -> Metric:
    """Compute the coefficient of determination; of labels that are all the same it is not
    defined.
    """
    n, total = sums.rows, value_of(sums.total("y"))
    spread = square_of(sums.total("y2")) - total**2 / n if n else Fraction(0)
    if n < 2 or spread <= 0:
        return undefined("fewer than 2 rows" if n < 2 else "all labels are the same", n)
    value = as_float(1 - square_of(sums.total("e2")) / spread)
    return Metric(value, None, None, n, note="no interval is known for it")
