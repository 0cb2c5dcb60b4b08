"""One run of a version's gates: files, reference and methods; on validation data also the schema,
the metrics, the latency, and the comparison with the version in production.
"""

import hashlib
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from driftgauge.shared.errors import BadData, DriftgaugeError, ModelNotFound
from driftgauge.shared.reference.frames import answers_of
from driftgauge.shared.reference.profile import PREDICTION, Column
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.versions import scores
from driftgauge.shared.versions.agreement import faults_of
from driftgauge.shared.versions.gates import GateResult
from driftgauge.shared.versions.manifest import PublishedVersion
from driftgauge.shared.versions.prediction import (
    class_labels,
    model_columns,
    model_inputs,
    predict,
    probabilities,
)

LATENCY_ROWS: Final = 200
"""Single rows whose latency is measured."""
LATENCY_S: Final = 10.0
"""Longest time that is spent on measuring the latency, in seconds."""
WARM_UP: Final = 5
"""Predictions before the measurement."""


@dataclass(frozen=True)
class ValidationData:
    """Rows with true values to run a version's gates on.

    Parameters
    ----------
    frame
        One column per feature, and one with the true values.
    target_column
        Column of the true values; empty uses the target of the schema.
    prediction_column
        Column of the predictions; only needed for a model that is only monitored.
    digest
        SHA-256 (hex) of the file; empty computes one of the rows.

    Raises
    ------
    BadData
        If there are no rows.
    """

    frame: pd.DataFrame
    target_column: str = ""
    prediction_column: str = PREDICTION
    digest: str = ""

    def __post_init__(self) -> None:
        if self.frame.empty:
            raise BadData("There are no rows to validate on; give at least one.")

    def sha256(self) -> str:
        """Return the SHA-256 (hex) of the file or, if that is unknown, of the rows as CSV."""
        return self.digest or hashlib.sha256(self.frame.to_csv(index=False).encode()).hexdigest()


class ValidationRun:
    """One run of a version's gates, in an order in which each can rely on the ones before.

    Parameters
    ----------
    data
        Rows with true values; None runs only the gates that need no rows.

    Attributes
    ----------
    metrics
        Metric to its value on the data, as far as the gates have run.
    against
        The version in production that it was compared with; empty if there was none.
    """

    def __init__(
        self, registry: ModelRegistry, model: str, version: str, data: ValidationData | None
    ) -> None:
        self.metrics: dict[str, float] = {}
        self.against = ""
        self._registry = registry
        self._model = model
        self._version = version
        self._data = data

    def results(self) -> Iterator[GateResult]:
        """Run the gates, and yield the result of each."""
        faults = self._registry.verify(self._model, self._version)
        yield GateResult(
            "files", passed=not faults, bound="SHA-256 as registered", detail=" ".join(faults)
        )
        if faults:  # a changed model file must not be loaded
            return
        published = self._registry.load(self._model, self._version)
        rows, least = published.reference.rows, published.manifest.gates.min_reference_rows
        yield _at_least("reference rows", rows, least, "register with more rows of --reference")
        estimator = None
        if published.manifest.artifact:
            try:
                estimator = self._registry.load_artifact(self._model, self._version)
            except Exception as error:  # noqa: BLE001  a model file can raise anything; it becomes a failed gate
                yield GateResult("load", passed=False, detail=f"{type(error).__name__}: {error}")
                return
            for method in published.manifest.gates.methods:
                there = callable(getattr(estimator, method, None))
                yield GateResult(
                    f"method {method}",
                    there,
                    detail="" if there else "the model has no such method",
                )
        if self._data is not None:
            yield from self._on_data(published, estimator, self._data)

    def _on_data(
        self, published: PublishedVersion, estimator: Any, data: ValidationData
    ) -> Iterator[GateResult]:
        faults = faults_of(data.frame, published.schema)
        yield GateResult("schema", passed=not faults, detail="; ".join(faults))
        try:
            columns = model_columns(data.frame, published.schema)
        except BadData:  # the gate of the schema has said so
            return
        try:
            labelled = _labelled(published, estimator, columns, data)
        except Exception as error:  # noqa: BLE001  a model can raise anything; it becomes a failed gate
            yield GateResult("predictions", passed=False, detail=_described(error))
            return
        yield from self._bounds(published, labelled)
        if estimator is not None:
            yield _latency(published, estimator, columns)
            yield from self._regression(published, labelled, data)

    def _bounds(
        self, published: PublishedVersion, labelled: scores.Outcomes | None
    ) -> Iterator[GateResult]:
        gates = published.manifest.gates
        if labelled is None:
            for name in gates.metrics:
                yield GateResult(
                    name,
                    passed=False,
                    detail="the rows have no true values; name their column as the target",
                )
            return
        numeric = published.schema.prediction == "numeric"
        for name in dict.fromkeys((*gates.metrics, *scores.usual_metrics(numeric=numeric))):
            try:
                self.metrics[name] = scores.score(name, labelled)
            except BadData as error:
                if name in gates.metrics:
                    yield GateResult(name, passed=False, detail=str(error))
        for name, bound in gates.minimum.items():
            if name in self.metrics:
                value = self.metrics[name]
                yield GateResult(name, value >= bound, value, f">= {bound:g}")
        for name, bound in gates.maximum.items():
            if name in self.metrics:
                value = self.metrics[name]
                yield GateResult(name, value <= bound, value, f"<= {bound:g}")

    def _regression(
        self,
        published: PublishedVersion,
        labelled: scores.Outcomes | None,
        data: ValidationData,
    ) -> Iterator[GateResult]:
        """Compare the metrics with those of the version in production on the same rows."""
        try:
            current = self._registry.production(self._model)
        except ModelNotFound:
            return
        if current == self._version or labelled is None:
            return
        name = f"no worse than {current}"
        try:
            before = self._registry.load(self._model, current)
            if not before.manifest.artifact:
                return
            self.against = current
            columns = model_columns(data.frame, before.schema)
            earlier = _labelled(
                before, self._registry.load_artifact(self._model, current), columns, data
            )
            assert earlier is not None  # noqa: S101  the same target as above
            compared = {metric: scores.score(metric, earlier) for metric in self.metrics}
        except Exception as error:  # noqa: BLE001  a model can raise anything; without a comparison the gate fails
            yield GateResult(
                name,
                passed=False,
                detail=f"{current} cannot be compared on these rows: {_described(error)}",
            )
            return
        for metric, value in self.metrics.items():
            yield _no_worse(
                f"{metric} {name}",
                metric,
                value,
                compared[metric],
                published.manifest.gates.tolerance,
            )


def _labelled(
    published: PublishedVersion, estimator: Any, columns: list[Column], data: ValidationData
) -> scores.Outcomes | None:
    """Predict the rows and put the true values beside the predictions.

    It is None if the rows have no true values, or the schema has no prediction.
    """
    schema = published.schema
    target = data.target_column or schema.target
    if schema.prediction is None:
        return None
    if estimator is not None:
        predictions = predict(schema, estimator, columns)
        chances, classes = probabilities(schema, estimator, columns), class_labels(estimator)
    elif data.prediction_column in data.frame.columns:
        predictions, chances, classes = (
            answers_of(data.frame[data.prediction_column], schema),
            None,
            (),
        )
    elif published.manifest.gates.metrics:
        raise BadData(
            f"The model is only monitored, and the rows have no column "
            f"{data.prediction_column!r} of its predictions."
        )
    else:
        return None
    if not target:
        return None
    if target not in data.frame.columns:
        raise BadData(f"The rows have no column {target!r} of true values; name it as the target.")
    truth = answers_of(data.frame[target], schema)
    for name, values in ((target, truth), (data.prediction_column, predictions)):
        if any(value is None or value != value for value in values):  # noqa: PLR0124  NaN is missing
            raise BadData(f"{name} is missing in some rows; remove them.")
    return scores.Outcomes(truth, predictions, chances, classes)


def _latency(published: PublishedVersion, estimator: Any, columns: list[Column]) -> GateResult:
    """Run the gate of the latency; a model that cannot predict a single row fails it."""
    name, bound = "p99 latency of one row, ms", published.manifest.gates.max_latency_ms
    try:
        taken = _timed(published, estimator, columns)
    except Exception as error:  # noqa: BLE001  a model can raise anything; it becomes a failed gate
        return GateResult(name, passed=False, bound=f"<= {bound:g}", detail=_described(error))
    value = float(np.quantile(taken, 0.99, method="inverted_cdf"))
    return GateResult(name, value <= bound, value, f"<= {bound:g}")


def _timed(published: PublishedVersion, estimator: Any, columns: list[Column]) -> list[float]:
    """Return how long the prediction of each single row took, in ms."""
    taken: list[float] = []
    begun = time.monotonic()
    for turn in range(WARM_UP + LATENCY_ROWS):
        place = turn % len(columns[0])
        row = [column[place : place + 1] for column in columns]
        start = time.perf_counter()
        estimator.predict(model_inputs(published.schema, estimator, row))
        taken.append((time.perf_counter() - start) * 1000)
        if turn >= WARM_UP and time.monotonic() - begun > LATENCY_S:
            break
    return taken[WARM_UP:]


def _at_least(name: str, value: float, bound: float, advice: str) -> GateResult:
    passed = value >= bound
    return GateResult(name, passed, value, f">= {bound:g}", "" if passed else advice)


def _no_worse(name: str, metric: str, value: float, before: float, tolerance: float) -> GateResult:
    slack = tolerance * abs(before)
    if scores.larger_is_better(metric):
        return GateResult(name, value >= before - slack, value, f">= {before - slack:.6g}")
    return GateResult(name, value <= before + slack, value, f"<= {before + slack:.6g}")


def _described(error: Exception) -> str:
    """Describe an error of a model by its type and place.

    Its own message is left out, because it can quote the values of a row.
    """
    if isinstance(error, DriftgaugeError):
        return str(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {frame.filename}:{frame.lineno}"
