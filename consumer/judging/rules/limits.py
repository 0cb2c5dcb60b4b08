"""Limits on published metrics, as a user states them: no statistical claim, no share of the
budget.
"""

from collections.abc import Iterable, Iterator

from driftgauge.consumer.judging.evaluating.reading import Evidence, Reading
from driftgauge.consumer.judging.policy import JudgingPolicy, Threshold
from driftgauge.consumer.judging.rules.finding import Finding, OpenAlerts
from driftgauge.consumer.judging.rules.metrics import (
    MODEL_METRICS,
    MODEL_UNITS,
    EvaluatedWindow,
    column_metrics,
)
from driftgauge.shared.contract.severity import AlertSeverity
from driftgauge.shared.contract.snapshot import RuleLevel
from driftgauge.shared.rules.limits import THRESHOLD
from driftgauge.shared.wording.numbers import figure, with_unit
from driftgauge.shared.wording.titles import title


def findings(
    judged: EvaluatedWindow, open_alerts: OpenAlerts, policy: JudgingPolicy
) -> Iterator[Finding]:
    """Yield the values at or beyond a limit, and those of open alerts."""
    for limits in policy.thresholds:
        rule = THRESHOLD.of(limits.metric)
        for name, value, expected in _values(judged, limits, policy.thresholds):
            if severity_of(limits, value) is not None or (name, rule) in open_alerts:
                yield Finding(name, rule, *held_against(limits, value, expected, policy))


def levels(judged: EvaluatedWindow, policy: JudgingPolicy, events: float) -> Iterator[RuleLevel]:
    """Yield the limits as they were stated."""
    for one in policy.thresholds:
        named = THRESHOLD.of(one.metric) + (f" ({one.feature})" if one.feature else "")
        missing = one.feature is not None and one.feature not in judged.evaluation.version.place
        note = (
            f"this version has no column {one.feature}"
            if missing
            else f"bad {one.direction}; operational, no budget"
        )
        yield RuleLevel(named, None, None, one.warning, events, one.critical, note)


def _values(
    judged: EvaluatedWindow, limits: Threshold, others: Iterable[Threshold]
) -> Iterator[tuple[str, float, float | None]]:
    """Yield feature, value and expected value of a metric for each feature that it is limited for;
    a limit for one feature has priority.
    """
    if limits.metric in MODEL_METRICS:
        value = MODEL_METRICS[limits.metric](judged)
        if value is not None:
            yield "", value, None
        return
    version = judged.evaluation.version
    own = {one.feature for one in others if one.metric == limits.metric and one.feature is not None}
    if limits.feature is None:
        chosen = [
            column
            for column in version.watched
            if version.reference.columns[column].name not in own
        ]
    else:
        chosen = [version.place[limits.feature]] if limits.feature in version.place else []
    for column in chosen:
        found = column_metrics()[limits.metric](judged, column)
        if found is not None and found.value is not None:
            yield version.reference.columns[column].name, found.value, found.expected


def severity_of(limits: Threshold, value: float) -> AlertSeverity | None:
    """Return how bad a value is by limits; None if it is within them.

    Examples
    --------
    >>> severity_of(Threshold("accuracy", warning=0.9, critical=0.8, direction="below"), 0.85)
    'warning'
    """

    def beyond(limit: float | None) -> bool:
        if limit is None:
            return False
        return value >= limit if limits.direction == "above" else value <= limit

    return "critical" if beyond(limits.critical) else "warning" if beyond(limits.warning) else None


def held_against(
    limits: Threshold, value: float, expected: float | None, policy: JudgingPolicy
) -> tuple[Reading, Evidence]:
    """Judge a value by limits. It is quiet below `resolve_below` times the lower limit; if low
    values are bad, above the higher limit divided by it.
    """
    above, severity = limits.direction == "above", severity_of(limits, value)
    stated = [limit for limit in (limits.warning, limits.critical) if limit is not None]
    first = (min if above else max)(stated)
    shown = limits.critical if severity == "critical" and limits.critical is not None else first
    quiet = value < policy.resolve_below * first if above else value * policy.resolve_below > first
    side = "at or above" if above else "at or below"
    unit = MODEL_UNITS.get(limits.metric, "")
    found, limit = (with_unit(figure(one), unit) for one in (value, shown))
    summary = f"{title(limits.metric)} {found} is {side if severity else 'not ' + side} {limit}"
    return Reading(severity, quiet=quiet, summary=summary), Evidence(
        limits.metric, value, shown, expected, unit=unit
    )
