"""The false-alarm budget becomes significance levels, by the traffic (docs/detectors.md)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.shared.performance import VALUE
from driftgauge.shared.reference.feature import Kind

DAYS_PER_MONTH = 30
INTEGRITY_TESTS = 3
"""Number of integrity tests of a column: missing, unseen, out of range."""
JUDGED_METRICS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "numeric": ("mae", "rmse"),
    "categorical": ("accuracy", "f1_macro"),
}
"""Metrics that the performance rule judges of every model, by the kind of the prediction."""
PERFORMANCE_TESTS = 2
"""Number of them."""
FAIRNESS_SHARE: Final = 0.5
"""Part of what the segments have of the performance's share for the limits on fairness, if a policy
states some.
"""
PAST_DAYS = 36
"""Verdicts of 30 days on past days: each by itself, or in its week."""
SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Levels:
    """Significance of one test of one column at one evaluation; `_day` of one past day, `fairness`
    of one limit.
    """

    psi: float
    integrity: float
    performance: float = 0.5
    performance_day: float = 0.5
    segment_psi: float = 0.5
    segment_performance: float = 0.5
    segment_performance_day: float = 0.5
    target: float = 0.5
    target_day: float = 0.5
    fairness: float = 0.5


def judged_metrics(kind: Kind, policy: JudgingPolicy) -> tuple[str, ...]:
    """Return the metrics of the whole model that the performance rule judges: the value of the
    predictions too, if the policy states what they are worth.

    Examples
    --------
    >>> judged_metrics("numeric", JudgingPolicy())
    ('mae', 'rmse')
    """
    return (*JUDGED_METRICS[kind], *((VALUE,) if policy.value is not None else ()))


def _tests_of_model(policy: JudgingPolicy) -> int:
    """Count these metrics; each has the same part of their share of the budget."""
    return len(judged_metrics("numeric", policy))


def fairness_share(policy: JudgingPolicy) -> float:
    """Return the part of the segments' budget for performance that limits on fairness take."""
    return FAIRNESS_SHARE if policy.fairness else 0.0


def levels(policy: JudgingPolicy, events_per_day: float, columns: int, segments: int = 0) -> Levels:
    """Share the budget of 30 days among all tests that will be made in them.

    Each pane is evaluated, and a pane is full or an hour old; there are never more panes than
    events. If a version has segments, their tests get `segment_share` of the shares of PSI and
    performance, of which the limits on fairness take theirs.

    Parameters
    ----------
    columns, segments
        Number of judged columns and segments.

    Examples
    --------
    >>> f"{levels(JudgingPolicy(), 100_000, 18).psi:.3g}"
    '1.39e-06'
    """
    by_time = min(events_per_day, SECONDS_PER_DAY / policy.pane_seconds)
    evaluations = max(events_per_day / policy.pane_events, by_time) * DAYS_PER_MONTH
    tests = evaluations * max(columns, 1)
    budget, of_segments = policy.false_alarms_per_month, policy.segment_share if segments else 0.0
    psi = policy.psi_share * budget / tests
    performance = policy.performance_share * budget * (1 - policy.late_share) / evaluations
    past = policy.performance_share * budget * policy.late_share / PAST_DAYS
    of_model = (1 - of_segments) / _tests_of_model(policy)
    of_fairness = fairness_share(policy)
    of_falls = of_segments * (1 - of_fairness) / max(segments, 1) / PERFORMANCE_TESTS
    fairness = policy.performance_share * budget * of_segments * of_fairness / evaluations
    of_target = policy.psi_share * budget * (1 - of_segments) / max(columns, 1)
    return Levels(
        psi=min(psi * (1 - of_segments), 0.5),
        integrity=min(
            policy.integrity_share / 2 * budget / (tests * INTEGRITY_TESTS), 0.5
        ),  # as much is the online test's
        performance=min(performance * of_model, 0.5),
        performance_day=min(past * of_model, 0.5),
        segment_psi=min(psi * of_segments / max(segments, 1), 0.5),
        segment_performance=min(performance * of_falls, 0.5),
        segment_performance_day=min(past * of_falls, 0.5),
        target=min(psi * (1 - of_segments) * (1 - policy.late_share), 0.5),
        target_day=min(of_target * policy.late_share / PAST_DAYS, 0.5),
        fairness=min(fairness / max(len(policy.fairness), 1), 0.5),
    )


def levels_of_one(
    policy: JudgingPolicy, columns: int, false_alarms: float, *, labelled: bool = False
) -> Levels:
    """Share the false alarms of one comparison among its tests, as those of a stream are shared.

    Parameters
    ----------
    columns
        Columns that are judged.
    false_alarms
        How many the comparison may have on average.
    labelled
        Whether the performance is judged too.

    Examples
    --------
    >>> from driftgauge.consumer.judging.policy import JudgingPolicy
    >>> policy = JudgingPolicy(psi_share=0.6, integrity_share=0.4)
    >>> round(levels_of_one(policy, 2, 0.01).psi, 6)
    0.003
    """
    shares = policy.psi_share + policy.integrity_share
    shares += policy.performance_share if labelled else 0
    columns = max(columns, 1)
    psi = false_alarms * policy.psi_share / shares / columns
    integrity = false_alarms * policy.integrity_share / shares / columns / INTEGRITY_TESTS
    if not labelled:
        return Levels(psi=psi, integrity=integrity)
    performance = false_alarms * policy.performance_share / shares / _tests_of_model(policy)
    return Levels(psi=psi, integrity=integrity, performance=performance, target=psi)
