"""What the performance rule says of one metric beside its baseline.

A metric is CRITICAL when it is worse than its baseline by more than the limit (accuracy and F1 down
by 5 %, MAE and RMSE up by 5 %) and its confidence interval, at the level that the false-alarm
budget leaves, excludes the baseline. The error of the baseline itself is in it: the interval of the
difference is MOVER's (Zou and Donner 2008, Stat. in Medicine 27, 1693-1702).
"""

import numpy as np

from driftgauge.consumer.judging.evaluating.reading import Evidence, Reading
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.shared.contract.severity import AlertSeverity
from driftgauge.shared.performance import LOSSES, Baseline, Confidence, Metric
from driftgauge.shared.wording.numbers import figure, signed_percent, with_unit
from driftgauge.shared.wording.titles import title


def judge(
    name: str,
    metric: Metric,
    base: Baseline,
    sure: Confidence,
    policy: JudgingPolicy,
    widened: float = 1.0,
) -> tuple[Reading, Evidence]:
    """Judge a metric: worse by more than the limit, and not by chance.

    Parameters
    ----------
    widened
        Factor of the half width of its interval.
    """
    assert metric.value is not None  # noqa: S101  its caller has looked
    towards = metric.low if name in LOSSES else metric.high
    own = abs(metric.value - towards) * widened if towards is not None else np.inf
    margin = float(np.hypot(own, sure.z * base.error))
    worse = metric.value - base.value if name in LOSSES else base.value - metric.value
    floor = policy.performance_drop * abs(base.value)
    bad = worse > floor and worse > margin
    severity: AlertSeverity | None = "critical" if bad else None
    sign = 1 if name in LOSSES else -1
    limit = base.value + sign * max(floor, margin)
    quiet = worse < policy.resolve_below * max(floor, margin)
    shown = float(limit) if np.isfinite(limit) else None
    return Reading(severity, quiet=quiet, summary=summary(name, metric, base)), Evidence(
        name, metric.value, shown, base.value, unit=base.unit
    )


def summary(name: str, metric: Metric, base: Baseline) -> str:
    """Say a metric beside its baseline."""
    assert metric.value is not None  # noqa: S101  its caller has looked
    change = ""
    if base.value:
        change = f" ({signed_percent((metric.value - base.value) / abs(base.value))})"
    now, usual = (with_unit(figure(one), base.unit) for one in (metric.value, base.value))
    return f"{title(name)} {now}, baseline {usual}{change}, {metric.n:,} labelled predictions"
