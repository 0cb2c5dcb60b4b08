"""What predictions are worth: the value of 1,000 labelled predictions, by the value of each right
and wrong prediction of classes, or by the cost of a unit of error of numbers. Pure.

Of classes it is a weighted sum of the confusion matrix, of numbers the mean absolute error in
money: so it follows from the sums of a window, and nothing more is counted for it.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec
import numpy as np

from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.performance.classification import NO_ROWS, OTHER
from driftgauge.shared.performance.layout import Layout
from driftgauge.shared.performance.metric import Confidence, Metric, undefined
from driftgauge.shared.performance.regression import mae
from driftgauge.shared.performance.sums import Sums
from driftgauge.shared.performance.weighted_shares import mean_weight
from driftgauge.shared.reference.units import MOST_UNIT

VALUE: Final = "value"
"""Name of the metric."""
PREDICTIONS: Final = 1000
"""Predictions that it is the value of."""
MOST: Final = 1e12
"""Largest value of one prediction, so that no square is beyond the floats."""


class Worth(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the predictions of a model are worth, as its policy states it.

    Parameters
    ----------
    unit
        Unit of the values, such as EUR.
    matrix
        Value of a prediction by its label, and then by what was predicted; a cost is below 0. None
        for a model of numbers.
    cost_per_unit_of_error
        Cost of a unit of the absolute error, above 0; None for a model of classes.

    Examples
    --------
    >>> worth = Worth("EUR", {"good": {"good": 12, "bad": -5}, "bad": {"good": -250, "bad": 0}})
    >>> list(worth.faults()), list(Worth("EUR", {"good": {"good": 12}}).faults())
    ([], [(('matrix',), 'states values of fewer than two labels')])
    """

    unit: str
    matrix: dict[str, dict[str, float]] | None = None
    cost_per_unit_of_error: float | None = None

    def faults(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield what is wrong with it, as a clause without a subject, behind its place: names of
        fields, labels and predictions.
        """
        unit = self.unit
        if not 0 < len(unit) <= MOST_UNIT or not unit.isprintable() or unit != unit.strip():
            yield (
                ("unit",),
                f"needs a `unit` of at most {MOST_UNIT} printable characters, such as EUR",
            )
        if (self.matrix is None) == (self.cost_per_unit_of_error is None):
            wanted = "a `matrix` of values by label and prediction, or a `cost_per_unit_of_error`"
            yield (), f"needs either {wanted}"
        elif self.matrix is not None:
            for place, fault in _faults_of(self.matrix):
                yield ("matrix", *place), fault
        elif not 0 < (self.cost_per_unit_of_error or 0.0) <= MOST:
            field = "cost_per_unit_of_error"
            yield (field,), f"has a `{field}` that is no number above 0 and up to {MOST:g}"

    def lacking(self, layout: Layout) -> str:
        """Return why a version's predictions have no value by it; empty if they have one.

        Examples
        --------
        >>> Worth("EUR", cost_per_unit_of_error=0.3).lacking(Layout("categorical", ("no", "yes")))
        'the policy states a cost per unit of error, and the version predicts classes'
        """
        if layout.kind == "numeric":
            what = "a value of classes, and the version predicts numbers"
            return f"the policy states {what}" if self.matrix is not None else ""
        if self.matrix is None:
            return "the policy states a cost per unit of error, and the version predicts classes"
        absent = [name for name in layout.classes if name not in self.matrix]
        return f"the policy states no value of the class {absent[0]!r}" if absent else ""

    def values(self, layout: Layout) -> Floats:
        """Return the values in the order of a confusion matrix; NaN where OTHER has none, of which
        the matrix may have a row and a column too.
        """
        names = [*layout.classes, OTHER]
        matrix: Mapping[str, Mapping[str, float]] = self.matrix or {}
        return np.array(
            [[matrix.get(label, {}).get(said, np.nan) for said in names] for label in names]
        )


def _faults_of(
    matrix: Mapping[str, Mapping[str, float]],
) -> Iterator[tuple[tuple[str, ...], str]]:
    if len(matrix) < 2:
        yield (), "states values of fewer than two labels"
    for label, row in matrix.items():
        for said in dict.fromkeys((*matrix, *row)):
            what, place = f"value of {label!r} predicted as {said!r}", (label, said)
            if said not in matrix:
                yield place, f"has a {what}, which is no label in it"
            elif said not in row:
                yield place, f"has no {what}"
            elif not abs(row[said]) <= MOST:
                yield place, f"has a {what} that is no number from -{MOST:g} to {MOST:g}"
    if len(matrix) > 1 and len({one for row in matrix.values() for one in row.values()}) == 1:
        yield (), "has the same value for every prediction, right or wrong"


def value(sums: Sums, worth: Worth, sure: Confidence) -> Metric:
    """Compute the value of 1,000 labelled predictions, in the unit of `worth`.

    Of classes its interval is that of a weighted sum of shares (weighted_shares.py); rows of OTHER
    without a value are left out, and `n` says how many rows are not. Of numbers it is that of the
    mean absolute error.

    Examples
    --------
    >>> sums = Sums.of(Layout("numeric"), np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 2.0]))
    >>> value(sums, Worth("EUR", cost_per_unit_of_error=0.5), Confidence()).value
    -500.0
    """
    lacking = worth.lacking(sums.layout)
    if lacking:
        return undefined(lacking)
    if sums.layout.kind == "numeric":
        return _of_errors(mae(sums, sure), worth)
    return of_matrix(sums.matrix, worth.values(sums.layout), sure)


def of_matrix(matrix: Ints, values: Floats, sure: Confidence) -> Metric:
    """Compute the value of 1,000 predictions from a confusion matrix and the value of each cell, of
    which some are NaN.

    Examples
    --------
    >>> found = of_matrix(
    ...     np.array([[90, 5], [1, 4]]), np.array([[0.0, -5.0], [-250.0, 100.0]]), Confidence()
    ... )
    >>> found.value, round(found.low), round(found.high)
    (1250.0, -10342, 7897)
    """
    known = ~np.isnan(values)
    counts, left = matrix[known], int(matrix[~known].sum())
    n = int(counts.sum())
    note = f"rows of classes that the policy states no value of are left out: {left:,}"
    if not n:
        return undefined(note if left else NO_ROWS)
    mean = float(counts @ values[known]) / n
    low, high = mean_weight(counts, values[known], sure)
    return Metric(
        PREDICTIONS * mean, PREDICTIONS * low, PREDICTIONS * high, n, note=note if left else ""
    )


def amounts(matrix: Ints, values: Floats) -> Floats:
    """Return what each cell of a confusion matrix adds to the value of 1,000 predictions; NaN where
    a cell has none.

    Examples
    --------
    >>> amounts(np.array([[2, 1], [0, 1]]), np.array([[4.0, -8.0], [-1.0, np.nan]])).tolist()
    [[2666.6666666666665, -2666.6666666666665], [0.0, nan]]
    """
    rows = max(int(matrix[~np.isnan(values)].sum()), 1)
    return PREDICTIONS * values * matrix / rows + 0.0  # which makes no zero negative


def largest_loss(matrix: Ints, before: Ints, values: Floats) -> tuple[int, int, float]:
    """Find the cell whose other share of the rows takes most from the value of 1,000 predictions:
    its label, its prediction, and how much that is, below 0.

    Parameters
    ----------
    matrix, before
        Confusion matrices of now and of the reference.

    Examples
    --------
    >>> now, before = np.array([[6, 2], [0, 2]]), np.array([[8, 0], [0, 2]])
    >>> largest_loss(now, before, np.array([[1.0, -20.0], [-5.0, 2.0]]))
    (0, 1, -4000.0)
    """
    moved = np.nan_to_num(amounts(matrix, values) - amounts(before, values))
    label, said = np.unravel_index(moved.argmin(), moved.shape)
    return int(label), int(said), float(moved.min())


def _of_errors(errors: Metric, worth: Worth) -> Metric:
    """Price a mean absolute error: the upper end of its interval is the lower one of the value."""
    factor = price(worth)
    low, high = (None if end is None else factor * end for end in (errors.high, errors.low))
    worse = None if errors.value is None else factor * errors.value
    return Metric(worse, low, high, errors.n, note=errors.note)


def price(worth: Worth) -> float:
    """Return the value of 1,000 predictions with an error of 1."""
    return -PREDICTIONS * (worth.cost_per_unit_of_error or 0.0)
