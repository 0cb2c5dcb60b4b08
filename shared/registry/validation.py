"""One run of a version's gates: files, reference, methods, and on rows schema, metrics, latency,
and no regression.
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
from driftgauge.shared.reference.frames import as_column
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
LATENCY_S: Final = 10.0
"""Longest time that is spent on measuring the latency."""
WARM_UP: Final = 5


@dataclass(frozen=True)
class ValidationData:
    """Rows with true values that a version is checked on.

    Parameters
    ----------
    frame
        One column per feature, and that of the target.
    target
        Column of the true values; empty for the schema's target.
    prediction
        Column of the predictions, for a model that is only monitored.
    digest
        SHA-256 of the file; empty to compute one of the rows.
    """

    frame: pd.DataFrame
    target: str = ""
    prediction: str = PREDICTION
    digest: str = ""

    def __post_init__(self) -> None:
        if self.frame.empty:
            raise BadData("There are no rows to validate on; give at least one.")

    def sha256(self) -> str:
        return self.digest or hashlib.sha256(self.frame.to_csv(index=False).encode()).hexdigest()


class ValidationRun:
    """One run of a version's gates, in the order in which each needs the one before."""

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
        faults = self._registry.verify(self._model, self._version)
        yield GateResult(
            "files", passed=not faults, bound="SHA-256 as registered", detail=" ".join(faults)
        )
        if faults:  # nothing of it is to be loaded
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
        except BadData:  # said by the check of the schema
            return
        try:
            labelled = _labelled(published, estimator, columns, data)
        except Exception as error:  # noqa: BLE001  a model can raise anything; it becomes a failed gate
            yield GateResult("predictions", passed=False, detail=_told(error))
            return
        yield from self._bounds(published, labelled)
        if estimator is not None:
            yield _latency(published, estimator, columns)
            yield from self._regression(published, labelled, data)

    def _bounds(
        self, published: PublishedVersion, labelled: scores.LabelledPredictions | None
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
        labelled: scores.LabelledPredictions | None,
        data: ValidationData,
    ) -> Iterator[GateResult]:
        """Compare with the production version on the same rows."""
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
        except Exception as error:  # noqa: BLE001  a model can raise anything; not to be compared is not to pass
            yield GateResult(
                name,
                passed=False,
                detail=f"{current} cannot be compared on these rows: {_told(error)}",
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
) -> scores.LabelledPredictions | None:
    """Predict the rows, and set the true values beside; None without true values."""
    schema = published.schema
    target = data.target or schema.target
    if schema.prediction is None:
        return None
    if estimator is not None:
        predictions = predict(schema, estimator, columns)
        chances, classes = probabilities(schema, estimator, columns), class_labels(estimator)
    elif data.prediction in data.frame.columns:
        predictions, chances, classes = (
            as_column(data.frame[data.prediction], schema.prediction),
            None,
            (),
        )
    elif published.manifest.gates.metrics:
        raise BadData(
            f"The model is only monitored, and the rows have no column {data.prediction!r} of its "
            f"predictions."
        )
    else:
        return None
    if not target:
        return None
    if target not in data.frame.columns:
        raise BadData(f"The rows have no column {target!r} of true values; name it as the target.")
    truth = as_column(data.frame[target], schema.prediction)
    for name, values in ((target, truth), (data.prediction, predictions)):
        if any(value is None or value != value for value in values):  # noqa: PLR0124  NaN is missing
            raise BadData(f"{name} is missing in some rows; remove them.")
    return scores.LabelledPredictions(truth, predictions, chances, classes)


def _latency(published: PublishedVersion, estimator: Any, columns: list[Column]) -> GateResult:
    """Measure how long single rows take; a row that the model cannot predict alone fails the
    check.
    """
    name, bound = "p99 latency of one row, ms", published.manifest.gates.max_latency_ms
    try:
        taken = _timed(published, estimator, columns)
    except Exception as error:  # noqa: BLE001  a model can raise anything; it becomes a failed gate
        return GateResult(name, passed=False, bound=f"<= {bound:g}", detail=_told(error))
    value = float(np.quantile(taken, 0.99, method="inverted_cdf"))
    return GateResult(name, value <= bound, value, f"<= {bound:g}")


def _timed(published: PublishedVersion, estimator: Any, columns: list[Column]) -> list[float]:
    """Give the time of each single row, in ms, after some to warm up."""
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


def _told(error: Exception) -> str:
    """Say what kind of error a model raised, and where; not its text, which can quote a row's
    values.
    """
    if isinstance(error, DriftgaugeError):
        return str(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {frame.filename}:{frame.lineno}"
