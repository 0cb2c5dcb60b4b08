"""The half of the rows that had no say in the choice of slices: it gives their figures, and tests
them.
"""

from typing import NamedTuple

import msgspec

from driftgauge.consumer.slicing.choosing import LEAST_ROWS
from driftgauge.consumer.slicing.rows import rows_of
from driftgauge.shared.arrays import Flags, Floats
from driftgauge.shared.performance import Layout, Metric, Sums, metrics
from driftgauge.shared.reference.profile import Column


class WorstSlice(msgspec.Struct, frozen=True):
    """A slice with large errors, as the half of the rows has it that did not choose it.

    Parameters
    ----------
    condition
        As `driftgauge slice` takes it.
    rows
        Its rows with a label in that half.
    value, low, high
        The metric of these rows, and its interval of 95 %.
    rest
        The metric of all other rows of that half.
    p_value
        Holm's, of the test that its errors are as those of the other rows.
    worse
        Whether it is named as worse.
    """

    condition: str
    rows: int
    value: float | None
    low: float | None
    high: float | None
    rest: float | None
    p_value: float
    worse: bool


class HeldOut(NamedTuple):
    """The rows that had no say in the choice."""

    layout: Layout
    predictions: Column
    labels: Column
    errors: Floats

    def p_value(self, inside: Flags) -> float:
        """Test whether the errors of a slice are larger than those of the other rows."""
        rows = int(inside.sum())
        if rows < LEAST_ROWS // 2 or rows == len(inside):
            return 1.0
        from scipy import stats

        if self.layout.kind == "numeric":
            found = stats.mannwhitneyu(
                self.errors[inside],
                self.errors[~inside],
                alternative="greater",
                method="asymptotic",
            )
            return float(found.pvalue)
        wrong = int(self.errors.sum())
        return float(
            stats.hypergeom.sf(int(self.errors[inside].sum()) - 1, len(inside), wrong, rows)
        )

    @property
    def name(self) -> str:
        """The name of the metric."""
        return "mae" if self.layout.kind == "numeric" else "accuracy"

    def told(self, condition: str, inside: Flags, p_value: float, level: float) -> WorstSlice:
        """Return the figures of a slice, whose corrected p-value is known."""
        own, rest = self.metric(inside), self.metric(~inside)
        return WorstSlice(
            condition,
            int(inside.sum()),
            own.value,
            own.low,
            own.high,
            rest.value,
            p_value,
            p_value <= level and self.is_worse(own, rest),
        )

    def is_worse(self, own: Metric, rest: Metric) -> bool:
        """Tell whether the metric itself is worse, as errors in another order need not make it."""
        if own.value is None or rest.value is None:
            return False
        larger = own.value > rest.value
        return larger if self.layout.kind == "numeric" else own.value < rest.value

    def metric(self, rows: Flags) -> Metric:
        """Compute the metric of some rows, as it is computed everywhere."""
        sums = Sums.of(self.layout, rows_of(self.predictions, rows), rows_of(self.labels, rows))
        return metrics(sums, names=(self.name,))[self.name]


def holm(values: list[float]) -> list[float]:
    """Correct p-values for their number, so that the least is right of all together.

    Examples
    --------
    >>> holm([0.25, 0.03125, 0.5])
    [0.5, 0.09375, 0.5]
    """
    found, largest = [0.0] * len(values), 0.0
    for place, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        largest = max(largest, min((len(values) - place) * values[index], 1.0))
        found[index] = largest
    return found
