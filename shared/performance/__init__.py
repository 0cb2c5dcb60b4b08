"""The performance of a model: sums over joined rows, which add over panes, and the metrics that
follow from them. Pure.

A joined row is a prediction with its label. `exact` sums floats without rounding, `layout` says
what is summed for a version, and `sums` sums it. `metrics` is the table of all metrics, which
`regression`, `classification` and `probabilities` compute from sums, with the intervals of
`metric`; `value` says what predictions are worth, by what a policy states of them, with the
interval of `weighted_shares`. By segment less is summed: `measures`, of which `by_segment` computes
fewer metrics, and `fairness` how alike the segments of a feature are treated. `estimate` estimates
the metrics without labels, `baseline` has the values that they are compared with.
"""

from driftgauge.shared.performance.baseline import (
    LABEL,
    REFERENCE_CONFIDENCE,
    Baseline,
    PerformanceBaselines,
    PerformanceReference,
    error_of,
)
from driftgauge.shared.performance.by_segment import SegmentMetric, by_segment, mean_errors
from driftgauge.shared.performance.classification import OTHER, confusion
from driftgauge.shared.performance.estimate import (
    ASSUMPTION,
    ScoreMap,
    can_estimate,
    empty_counts,
    estimate,
    score_counts,
)
from driftgauge.shared.performance.fairness import (
    MEASURES,
    Disparity,
    GroupCounts,
    Measure,
    Rate,
    disparity,
    label_counts,
)
from driftgauge.shared.performance.layout import Layout
from driftgauge.shared.performance.measures import Measures
from driftgauge.shared.performance.metric import Confidence, Metric
from driftgauge.shared.performance.metrics import (
    LOSSES,
    METRICS,
    Definition,
    definition,
    metrics,
    unit_of,
)
from driftgauge.shared.performance.sums import Sums
from driftgauge.shared.performance.value import VALUE, Worth, amounts, largest_loss

__all__ = [
    "ASSUMPTION",
    "LABEL",
    "LOSSES",
    "MEASURES",
    "METRICS",
    "OTHER",
    "REFERENCE_CONFIDENCE",
    "VALUE",
    "Baseline",
    "Confidence",
    "Definition",
    "Disparity",
    "GroupCounts",
    "Layout",
    "Measure",
    "Measures",
    "Metric",
    "PerformanceBaselines",
    "PerformanceReference",
    "Rate",
    "ScoreMap",
    "SegmentMetric",
    "Sums",
    "Worth",
    "amounts",
    "by_segment",
    "can_estimate",
    "confusion",
    "definition",
    "disparity",
    "empty_counts",
    "error_of",
    "estimate",
    "label_counts",
    "largest_loss",
    "mean_errors",
    "metrics",
    "score_counts",
    "unit_of",
]
