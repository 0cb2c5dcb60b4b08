"""Metrics of numbers: how far predictions were from the true values."""

import math
from collections.abc import Callable
from fractions import Fraction

from driftgauge.shared.performance.exact import as_float, root_of, square_of, value_of
from driftgauge.shared.performance.metric import Confidence, Metric, undefined
from driftgauge.shared.performance.sums import Sums


def of_numbers(sums: Sums, sure: Confidence) -> dict[str, Metric]:
    """Compute the metrics of numbers.

    mae, mean_error and mape are means, with normal intervals. The error is prediction minus label.
    mape leaves out labels that are 0, and `n` says how many are left.

    Examples
    --------
    >>> import numpy as np
    >>> from driftgauge.shared.performance.layout import Layout
    >>> sums = Sums.of(Layout("numeric"), np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 2.0]))
    >>> found = of_numbers(sums, Confidence())
    >>> found["mae"].value, found["mean_error"].value, found["r2"].value
    (1.0, 0.3333333333333333, -1.5)
    """
    n, ratios = int(sums.count("rows")[0]), int(sums.count("nonzero")[0])
    value, square = _by_name(sums, value_of), _by_name(sums, square_of)
    mape = sure.mean(value("ratio"), square("ratio2"), ratios, least=0.0)
    return {
        "mae": sure.mean(value("abs_e"), square("e2"), n, least=0.0),
        "rmse": _rmse(square("e2"), square("e4"), n, sure),
        "r2": _r2(square("e2"), value("y"), square("y2"), n),
        "mean_error": sure.mean(value("e"), square("e2"), n),
        "mape": mape if ratios else undefined("every label is 0" if n else "no rows"),
    }


def _by_name(sums: Sums, convert: Callable[[int], Fraction]) -> Callable[[str], Fraction]:
    return lambda name: convert(sums.total(name))


def _rmse(squares: Fraction, fourths: Fraction, n: int, sure: Confidence) -> Metric:
    """Give the root of the mean squared error.

    Its interval is the root of the normal one of the mean squared error, whose variance comes from
    the fourth powers: the chi-squared interval would need normal errors.
    """
    mean = sure.mean(squares, fourths, n, least=0.0)
    if mean.value is None:
        return mean
    value = root_of(squares / n)
    if mean.low is None or mean.high is None:
        return Metric(value, None, None, n, note=mean.note)
    return Metric(value, min(math.sqrt(mean.low), value), max(math.sqrt(mean.high), value), n)


def _r2(squares: Fraction, total: Fraction, label_squares: Fraction, n: int) -> Metric:
    """Give the coefficient of determination; of labels that are all the same it is not defined."""
    spread = label_squares - total**2 / n if n else Fraction(0)
    if n < 2 or spread <= 0:
        return undefined("fewer than 2 rows" if n < 2 else "all labels are the same", n)
    return Metric(as_float(1 - squares / spread), None, None, n, note="no interval is known for it")
