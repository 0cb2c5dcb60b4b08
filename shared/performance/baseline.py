"""The baselines of a version's performance: its metrics when it was made, and how its probabilities
relate to labels.
"""

import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import msgspec
import numpy as np

from driftgauge.shared.arrays import Floats
from driftgauge.shared.performance.estimate import ScoreMap
from driftgauge.shared.performance.layout import Layout
from driftgauge.shared.performance.measures import Measures
from driftgauge.shared.performance.metric import Confidence, Metric
from driftgauge.shared.performance.metrics import metrics, unit_of
from driftgauge.shared.performance.sums import Sums
from driftgauge.shared.performance.value import VALUE, Worth, of_matrix, price
from driftgauge.shared.reference.profile import (
    PREDICTION,
    CategoricalReference,
    Column,
    ColumnReference,
    NumericReference,
    ReferenceProfile,
)
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.reference.segments import SegmentLayout

LABEL = "label"
"""Name of the column of labels in profiles, snapshots and alerts."""
REFERENCE_CONFIDENCE = 0.95
"""The confidence of the intervals in a `PerformanceReference`."""
FAR: Final = Confidence(1 - 1e-6)
"""Of about this confidence is an alarm. There a value that is the luck of few rows may be too high
by far more, in standard errors, than at 95 %.
"""


class PerformanceReference(msgspec.Struct, frozen=True):
    """The performance on the reference rows that have a label; plain JSON beside the reference.

    Parameters
    ----------
    rows
        Reference rows with prediction and label.
    metrics
        The metrics of these rows, with intervals of `REFERENCE_CONFIDENCE`.
    scores
        Observed frequency of each class by its predicted probability; None for a model without
        probabilities.
    errors
        Profile of the rows' errors (see `error_of`).
    labels
        Profile of the labels, with which the labels of a window are compared.
    segments
        Sums by segment, flat, as `Measures.of` returns them; empty for a version without segments.
    confusion
        The confusion matrix of the rows, in the order of `Layout.codes`: labels down, predictions
        across. Empty for numbers, and for a version that was registered before it was kept.
    """

    rows: int
    metrics: dict[str, Metric]
    scores: ScoreMap | None = None
    errors: NumericReference | None = None
    labels: ColumnReference | None = None
    segments: list[int] = []
    confusion: list[list[int]] = []

    @property
    def mean_error(self) -> float | None:
        """Mean error of the labelled reference rows; None where it is not known."""
        return self.errors.mean if self.errors is not None else None

    @classmethod
    def of(
        cls,
        layout: Layout,
        predictions: Column,
        labels: Column,
        probabilities: Floats | None = None,
    ) -> "PerformanceReference | None":
        """Measure reference rows; None if none has both a prediction and a label.

        Parameters
        ----------
        predictions, labels
            One value a row: arrays with NaN, or lists with None, where one is missing.
        probabilities
            Shape (rows, classes), with NaN in the rows that have none; None for a model without.
        """
        known = _known(predictions, labels)
        if not known:
            return None
        said, truth = _chosen(predictions, known), _chosen(labels, known)
        given = probabilities[known] if probabilities is not None and layout.scored else None
        sums = Sums.of(layout, said, truth, given)
        found = metrics(sums, REFERENCE_CONFIDENCE)
        scores = None
        if given is not None:
            has = np.flatnonzero(~np.isnan(given).any(axis=1)).tolist()
            scores = ScoreMap.fit(layout, _chosen(truth, has), given[has]) if has else None
        errors = np.array([error_of(one, other) for one, other in zip(said, truth, strict=True)])
        defined = {name: metric for name, metric in found.items() if metric.value is not None}
        kind = NumericReference if layout.kind == "numeric" else CategoricalReference
        return cls(
            len(known),
            defined,
            scores,
            NumericReference.build("error", errors),
            kind.build(LABEL, truth),
            confusion=[] if layout.kind == "numeric" else sums.matrix.tolist(),
        )

    @classmethod
    def of_version(
        cls,
        schema: Schema,
        profile: ReferenceProfile,
        columns: list[Column],
        labels: Column,
        probabilities: Floats | None = None,
    ) -> "PerformanceReference | None":
        """Measure the reference rows of a version, by its segments too; None if it predicts
        nothing.

        Parameters
        ----------
        columns
            The columns that the profile was built from, in stream order, the predictions last.
        labels, probabilities
            Labels and probabilities of the same rows, as in `of`.
        """
        layout, segments = Layout.of(schema, profile), SegmentLayout.of(profile)
        if layout is None or profile.columns[-1].name != PREDICTION:
            return None
        found = cls.of(layout, columns[-1], labels, probabilities)
        if found is None or segments is None:
            return found
        known = _known(columns[-1], labels)
        said, truth = _chosen(columns[-1], known), _chosen(labels, known)
        codes = segments.codes(profile.cells(columns))[:, known]
        sums = Measures.of_version(layout, profile, found.mean_error).of(
            said, truth, codes, segments.size
        )
        return msgspec.structs.replace(found, segments=sums.tolist())


class Baseline(msgspec.Struct, frozen=True):
    """The value that a metric is compared with.

    Parameters
    ----------
    error
        Standard error of the value; 0 if it is not known, and the value is taken as exact.
    unit
        Unit of both; empty if the metric has none.
    """

    value: float
    error: float
    unit: str = ""


class PerformanceBaselines(msgspec.Struct, frozen=True):
    """The layout of a version's performance sums, and its baselines.

    Parameters
    ----------
    stated
        The metrics of the manifest.
    reference
        Performance on the labelled reference rows, with the map for estimates; None without such
        rows.
    unit
        Unit of the labels, as the schema has it.

    Examples
    --------
    >>> reference = PerformanceReference(400, {"accuracy": Metric(0.8, 0.7608, 0.8392, 400)})
    >>> found = PerformanceBaselines(
    ...     Layout("categorical", ("a", "b")), {"accuracy": 0.81}, reference
    ... ).baseline("accuracy")
    >>> found.value, round(found.error, 3)
    (0.81, 0.02)
    """

    layout: Layout
    stated: Mapping[str, float]
    reference: PerformanceReference | None = None
    unit: str = ""

    def baseline(self, name: str, worth: Worth | None = None) -> Baseline | None:
        """Return the baseline of a metric: what the manifest states, else what the labelled
        reference rows gave.

        The standard error is that of the reference rows, on which the stated metrics are measured
        as a rule.

        Parameters
        ----------
        worth
            What predictions are worth; without it `value` has none.
        """
        if name == VALUE:
            return self._value(worth) if worth is not None else None
        measured = self.reference.metrics.get(name) if self.reference is not None else None
        known = measured.value if measured is not None else None
        value = self.stated.get(name, self.stated.get(name.removesuffix("_macro"), known))
        if value is None:
            return None
        error = _error_of(measured) if measured is not None else 0.0
        return Baseline(value, error, unit_of(name, self.unit))

    def _value(self, worth: Worth) -> Baseline | None:
        """Return what the labelled reference rows were worth, or the errors of the baseline are."""
        if worth.lacking(self.layout):
            return None
        if self.layout.kind == "numeric":
            errors, factor = self.baseline("mae"), price(worth)
            return errors and Baseline(
                factor * errors.value, abs(factor) * errors.error, worth.unit
            )
        if self.reference is None or not self.reference.confusion:
            return None
        matrix = np.array(self.reference.confusion, np.int64)
        found = _value_of(matrix.tobytes(), worth.values(self.layout).tobytes())
        if found.value is None or found.low is None:
            return None
        return Baseline(found.value, (found.value - found.low) / FAR.z, worth.unit)


def error_of(prediction: object, label: object) -> float:
    """Return the error of a row: the absolute error of a number; of a class 0 if it is right, else
    1.

    Examples
    --------
    >>> error_of("a", "b"), error_of(2.5, 4.0)
    (1.0, 1.5)
    """
    if isinstance(prediction, (int, float)) and isinstance(label, (int, float)):
        return min(abs(float(prediction) - float(label)), sys.float_info.max)
    return float(prediction != label)


@lru_cache(maxsize=256)  # the same at every pane
def _value_of(matrix: bytes, values: bytes) -> Metric:
    """Compute the value by a confusion matrix and the values of its cells."""
    return of_matrix(np.frombuffer(matrix, np.int64), np.frombuffer(values), FAR)


def _error_of(measured: Metric) -> float:
    """Return the standard error that an interval of `REFERENCE_CONFIDENCE` tells of; 0 without
    one.
    """
    if measured.low is None or measured.high is None:
        return 0.0
    return (measured.high - measured.low) / (2 * Confidence(REFERENCE_CONFIDENCE).z)


def _known(predictions: Column, labels: Column) -> list[int]:
    """Find the rows that have both."""
    return [
        row
        for row, pair in enumerate(zip(predictions, labels, strict=True))
        if not any(map(_is_missing, pair))
    ]


def _is_missing(value: object) -> bool:
    return value is None or value != value  # noqa: PLR0124  NaN is missing


def _chosen(values: Column, rows: list[int]) -> Column:
    return [values[row] for row in rows] if isinstance(values, list) else values[rows]
