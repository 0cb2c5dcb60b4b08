"""The published metrics: what a threshold may name. A new one is one function with a decorator.

A column's metric is computed for one column of an evaluated window, a model's for the window as a
whole; None where it is not defined, for lack of rows or by its nature.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from driftgauge.consumer.judging.evaluating.evaluation import Evaluation
from driftgauge.consumer.judging.labelled.performance import Labelled
from driftgauge.consumer.judging.labelled.target import Target
from driftgauge.consumer.judging.policy import FAILED, LATENCY
from driftgauge.consumer.judging.segments.window import SegmentWindow
from driftgauge.consumer.judging.windows.failures import FailureWindow
from driftgauge.consumer.judging.windows.window import VersionWindow
from driftgauge.shared.arrays import Ints
from driftgauge.shared.contract.pane import LATENCY_EDGES_MS
from driftgauge.shared.contract.snapshot import Statistic
from driftgauge.shared.rules import RULES
from driftgauge.shared.statistics import STATISTICS

LEAST_ATTEMPTS: Final = 500
LEAST_FAILED: Final = 5
"""Least attempts for a share of failed predictions, or least failed ones: so that one or two of few
raise no alert.
"""
LEAST_LATENCIES: Final = 100
"""Least predictions with a latency for their 99 % quantile; with fewer it is just the maximum."""


@dataclass(frozen=True, slots=True)
class EvaluatedWindow:
    """An evaluated window, the input of the metrics. `events_per_day` is the model's traffic,
    `labelled` the labelled window if labels come, `target` its labels if the reference has labels
    too, and `segments` the version's segments if its schema names any.
    """

    evaluation: Evaluation
    window: VersionWindow
    events_per_day: float
    labelled: Labelled | None = None
    target: Target | None = None
    segments: SegmentWindow | None = None
    failures: FailureWindow = field(default_factory=FailureWindow)


ColumnMetric = Callable[[EvaluatedWindow, int], Statistic | None]
ModelMetric = Callable[[EvaluatedWindow], float | None]
MODEL_METRICS: dict[str, ModelMetric] = {}
MODEL_UNITS: dict[str, str] = {}
"""Unit of each metric of the whole window that has one."""


def model_metric(name: str, unit: str = "") -> Callable[[ModelMetric], ModelMetric]:
    """Register a metric of the model's whole window under its name."""

    def register(compute: ModelMetric) -> ModelMetric:
        MODEL_METRICS[name], MODEL_UNITS[name] = compute, unit
        return compute

    return register


def statistic_of(judged: EvaluatedWindow, column: int, name: str) -> Statistic | None:
    """Compute a statistic of a column; None below the least rows, or where it is undefined."""
    evaluation = judged.evaluation
    if evaluation.lacking:
        return None
    found = STATISTICS[name](evaluation.version.counts_of(evaluation.cells, column))
    return None if found.value is None else found


def _statistic(name: str) -> ColumnMetric:
    return lambda judged, column: statistic_of(judged, column, name)


def _share(rule: str) -> ColumnMetric:
    def share(judged: EvaluatedWindow, column: int) -> Statistic | None:
        evaluation = judged.evaluation
        check = next(
            (one for one in evaluation.version.checks if (one.column, one.rule) == (column, rule)),
            None,
        )
        if check is None or not evaluation.rows:
            return None
        return Statistic(
            f"{rule}_share",
            int(evaluation.cells[check.cells].sum()) / evaluation.rows,
            check.reference,
        )

    return share


def column_metrics() -> dict[str, ColumnMetric]:
    """Return the metrics of a column, by name: its statistics, and its shares of broken values."""
    broken = sorted(
        name for name, rule in RULES.items() if rule.kind == "data_quality" and not rule.online
    )
    shares = {f"{name}_share": _share(name) for name in broken}
    return {**{name: _statistic(name) for name in STATISTICS}, **shares}


@model_metric(LATENCY, "ms")
def latency_p99_ms(judged: EvaluatedWindow) -> float | None:
    """Return the 99 % quantile of the serving latency, in ms."""
    counts = judged.window.latency
    return latency_quantile(counts, 0.99) if counts.sum() >= LEAST_LATENCIES else None


@model_metric(FAILED)
def failed_share(judged: EvaluatedWindow) -> float | None:
    """Return the share of the latest predictions that failed; None while too few were tried, or
    failed, to say so.
    """
    window = judged.failures
    enough = window.attempts >= LEAST_ATTEMPTS or window.failed >= LEAST_FAILED
    return window.failed / window.attempts if enough else None


@model_metric("events_per_day")
def events_per_day(judged: EvaluatedWindow) -> float | None:
    """Return the measured traffic of the model."""
    return judged.events_per_day


@model_metric("window_rows")
def window_rows(judged: EvaluatedWindow) -> float | None:
    """Return the rows of the window."""
    return judged.window.rows


def latency_quantile(counts: Ints, share: float) -> float:
    """Return a quantile (ms) of the latencies from their 64 cells, taken as evenly spread on the
    logarithmic scale inside one.

    Examples
    --------
    >>> counts = np.zeros(64, dtype=np.int64)
    >>> counts[30] = 100
    >>> bool(LATENCY_EDGES_MS[29] < latency_quantile(counts, 0.99) <= LATENCY_EDGES_MS[30])
    True
    """
    cumulative = np.cumsum(counts)
    rank = share * cumulative[-1]
    cell = int(np.searchsorted(cumulative, rank))
    inside = (rank - (cumulative[cell] - counts[cell])) / max(counts[cell], 1)
    low = np.log(LATENCY_EDGES_MS[max(cell - 1, 0)])
    high = np.log(LATENCY_EDGES_MS[min(cell, len(LATENCY_EDGES_MS) - 1)])
    return float(np.exp(low + inside * (high - low)))
