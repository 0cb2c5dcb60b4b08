"""The rules of a policy: what each says of an evaluated window.

performance the metrics of the labels against their baseline (performance.py), first, since it is what pages
standard    integrity and PSI (evaluation.py), the online detectors' alarms
classic     integrity; plain PSI .1 / .25; KS .2 with p < .05, as people know them, without a promise on false alarms
segments    drift and performance within each segment (segments.py): drift with the standard rules only
thresholds  with either: limits on any published metric, the serving latency among them
"""  # noqa: E501  a table, or what an example prints

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from driftgauge.consumer.judging.evaluating.budget import DAYS_PER_MONTH
from driftgauge.consumer.judging.evaluating.evaluation import PSI_WEEK
from driftgauge.consumer.judging.evaluating.reading import Evidence, Reading
from driftgauge.consumer.judging.policy import JudgingPolicy, Threshold
from driftgauge.consumer.judging.rules.metrics import (
    MODEL_METRICS,
    Judged,
    column_metrics,
    statistic_of,
)
from driftgauge.consumer.judging.segments.window import SegmentReading
from driftgauge.shared.contract.alerts import (
    DATA_QUALITY,
    IMPROVEMENT,
    PERFORMANCE,
    SEGMENT_PERFORMANCE,
    SEGMENT_PSI,
)
from driftgauge.shared.contract.severity import AlertSeverity
from driftgauge.shared.contract.snapshot import RuleLevel
from driftgauge.shared.performance import LABEL
from driftgauge.shared.statistics.psi import PSI

CLASSIC_PSI, CLASSIC_KS = "classic.psi", "classic.ks"
THRESHOLD = "threshold."
KS_LIMIT, KS_P = 0.2, 0.05
WINDOW_RULE = PERFORMANCE.removesuffix(".")
"""All metrics of the labelled window, where the budget is shown."""
INTEGRITY_NOTE = "one-sided, per test and window; half of the share is the online test's"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule says of a column, of a segment (and which columns drift in it), or, without
    either name, of the model.
    """

    feature: str
    rule: str
    reading: Reading
    evidence: Evidence
    segment: str = ""
    columns: tuple[str, ...] = ()


Watching = set[tuple[str, str]]
"""Feature (or segment) and rule of open alerts: those are read even when nothing is bad."""


def performance_findings(judged: Judged, watching: Watching) -> Iterator[Finding]:
    """Give the metrics of the labels that are bad, and those of open alerts: of the model, its
    segments, and the labels themselves.

    A fall of the model says which segment explains it.
    """
    parted = judged.segments
    found = (
        [*parted.performance_readings(_segments(watching, SEGMENT_PERFORMANCE))]
        if parted is not None
        else []
    )
    for name, reading, evidence in (
        judged.labelled.readings() if judged.labelled is not None else ()
    ):
        if reading.severity or ("", PERFORMANCE + name) in watching:
            yield Finding(
                "", PERFORMANCE + name, _explained(judged, name, reading, found), evidence
            )
    for one in found:
        yield _of_segment(judged, SEGMENT_PERFORMANCE, one)
    for rule, reading, evidence in judged.target.readings() if judged.target is not None else ():
        if reading.severity or (LABEL, rule) in watching:
            yield Finding(LABEL, rule, reading, evidence)


def _explained(
    judged: Judged, metric: str, reading: Reading, found: Iterable[SegmentReading]
) -> Reading:
    """Add to a fall of the model's metric which segments it comes from."""
    parted = judged.segments
    if parted is None or not reading.severity:
        return reading
    bad = [parted.standard.names[one.segment] for one in found if one.reading.severity]
    return msgspec.structs.replace(
        reading, summary=reading.summary + parted.change.explanation(metric, bad)
    )


def _segments(watching: Watching, rule: str) -> set[str]:
    return {segment for segment, known in watching if known == rule}


def _of_segment(judged: Judged, rule: str, found: SegmentReading) -> Finding:
    assert judged.segments is not None  # noqa: S101  its caller has them
    name, columns = (
        judged.segments.standard.names[found.segment],
        found.names if rule == SEGMENT_PSI else (),
    )
    return Finding("", rule, found.reading, found.evidence, name, columns)


def findings(judged: Judged, watching: Watching, policy: JudgingPolicy) -> Iterator[Finding]:
    """Give what is bad, and the reading of every open alert's rule.

    Performance first, since it ranks above all; then broken values, since they explain the rest.
    """
    yield from performance_findings(judged, watching)
    names = [column.name for column in judged.evaluation.version.reference.columns]
    place = judged.evaluation.version.place
    columns = {(place[feature], rule) for feature, rule in watching if feature in place}
    for column, rule, reading, evidence in judged.evaluation.readings(columns):
        if policy.kind == "standard" or rule in DATA_QUALITY:
            yield Finding(names[column], rule, reading, evidence)
    if judged.segments is not None:
        for one in judged.segments.drift_readings(_segments(watching, SEGMENT_PSI)):
            yield _of_segment(judged, SEGMENT_PSI, one)
    extra = [*_classic(judged, policy), *_thresholds(judged, policy)]
    yield from (
        found
        for found in extra
        if found.reading.severity or (found.feature, found.rule) in watching
    )


def is_judged(rule: str, feature: str, policy: JudgingPolicy) -> bool:
    """Whether a policy has this rule, so that an alert of it can still be read."""
    if rule.startswith(THRESHOLD):
        metric = rule.removeprefix(THRESHOLD)
        return any(
            one.metric == metric and one.feature in (None, feature) for one in policy.thresholds
        )
    if (
        rule in DATA_QUALITY
        or rule == SEGMENT_PERFORMANCE
        or rule.startswith((PERFORMANCE, IMPROVEMENT))
    ):
        return True
    return rule.startswith("classic.") == (policy.kind == "classic")


def is_of_reference(rule: str, feature: str) -> bool:
    """Whether a rule holds a column against the reference; performance and limits on the model's
    metrics do not, and labels are held against those of the registered one always.
    """
    if (
        feature == LABEL
        or rule == SEGMENT_PERFORMANCE
        or rule.startswith((PERFORMANCE, IMPROVEMENT))
    ):
        return False
    return rule.removeprefix(THRESHOLD) not in MODEL_METRICS


def _classic(judged: Judged, policy: JudgingPolicy) -> Iterator[Finding]:
    if policy.kind != "classic" or judged.evaluation.lacking:
        return
    for column in judged.evaluation.version.watched:
        name = judged.evaluation.version.reference.columns[column].name
        limits = Threshold(PSI, warning=policy.psi_warning, critical=policy.psi_critical)
        yield Finding(
            name, CLASSIC_PSI, *_limited(float(judged.evaluation.psi[column]), None, limits, policy)
        )
        ks = statistic_of(judged, column, "ks")
        if ks is not None and ks.value is not None and ks.p_value is not None:
            yield Finding(
                name,
                CLASSIC_KS,
                _ks(ks.value, ks.p_value, policy),
                Evidence("ks", ks.value, KS_LIMIT, ks.expected),
            )


def _ks(value: float, p_value: float, policy: JudgingPolicy) -> Reading:
    """Judge a KS statistic as people do: large, and not by chance."""
    chance = p_value >= KS_P
    severity: AlertSeverity | None = None if chance or value < KS_LIMIT else "warning"
    quiet = chance or value < policy.resolve_below * KS_LIMIT
    return Reading(
        severity,
        quiet=quiet,
        summary=f"KS {value:.3f}, limit {KS_LIMIT:g}; p {p_value:.2g}, limit {KS_P:g}",
    )


def _thresholds(judged: Judged, policy: JudgingPolicy) -> Iterator[Finding]:
    for limits in policy.thresholds:
        for name, value, expected in _values(judged, limits, policy.thresholds):
            yield Finding(
                name, THRESHOLD + limits.metric, *_limited(value, expected, limits, policy)
            )


def _values(
    judged: Judged, limits: Threshold, others: Iterable[Threshold]
) -> Iterator[tuple[str, float, float | None]]:
    """Give feature, value and expected value of a metric wherever it is limited; a limit for one
    feature goes first.
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


def _limited(
    value: float, expected: float | None, limits: Threshold, policy: JudgingPolicy
) -> tuple[Reading, Evidence]:
    """Judge a value by limits; quiet is below `resolve_below` of the lower one (beyond its inverse,
    if low is bad).
    """
    above = limits.direction == "above"

    def beyond(limit: float | None) -> bool:
        return limit is not None and (value >= limit if above else value <= limit)

    severity: AlertSeverity | None = (
        "critical" if beyond(limits.critical) else "warning" if beyond(limits.warning) else None
    )
    stated = [limit for limit in (limits.warning, limits.critical) if limit is not None]
    first = (min if above else max)(stated)
    shown = limits.critical if severity == "critical" and limits.critical is not None else first
    quiet = value < policy.resolve_below * first if above else value * policy.resolve_below > first
    side = "at or above" if above else "at or below"
    summary = f"{limits.metric} {value:.4g} is {side if severity else 'not ' + side} {shown:g}"
    return Reading(severity, quiet=quiet, summary=summary), Evidence(
        limits.metric, value, shown, expected
    )


def _weekly_level(judged: Judged, events: float) -> RuleLevel:
    """Show the budget of the ordered columns, beside that of the others: what replayed weeks of the
    reference realised.
    """
    calibration = judged.evaluation.version.calibration
    assert calibration is not None  # noqa: S101  without one no column is ordered
    realised = (
        "" if calibration.realised is None else f"; replayed weeks gave {calibration.realised:.2g}"
    )
    note = (
        f"false episodes of the ordered columns in 30 days{realised}; each column has its own "
        "threshold"
    )
    return RuleLevel(PSI_WEEK, calibration.target, None, None, events, None, note)


def _segment_levels(judged: Judged, policy: JudgingPolicy, events: float) -> Iterator[RuleLevel]:
    """Show the part of the budget that the segments' tests take."""
    if judged.segments is None:
        return
    level, of_segments = judged.evaluation.level, policy.segment_share
    if policy.kind == "standard":
        note = (
            "of one column within one segment; the limit of each is higher than the floor by what "
            "chance explains"
        )
        share = policy.psi_share * of_segments
        yield RuleLevel(
            SEGMENT_PSI, share, level.segment_psi, policy.psi_warning, events, None, note
        )
    if judged.labelled is not None:
        note = (
            "of one metric within one segment, worse than its baseline by this much, and beyond "
            "chance"
        )
        share = policy.performance_share * of_segments
        drop = policy.performance_drop
        yield RuleLevel(
            SEGMENT_PERFORMANCE, share, level.segment_performance, None, events, drop, note
        )


def _error_levels(policy: JudgingPolicy, events: float) -> Iterator[RuleLevel]:
    """Show the budget of the online detectors of errors."""
    budget = policy.false_alarms_per_month
    e_limit, delta = (
        events / (policy.e_detector_errors_share * budget),
        policy.adwin_errors_share * budget / events,
    )
    note = (
        "on the errors of labelled predictions: on average so many labels pass between false alarms"
    )
    yield RuleLevel(
        f"{PERFORMANCE}e_detector",
        policy.e_detector_errors_share,
        None,
        e_limit,
        events,
        None,
        note,
    )
    note = "delta, per label, on the errors of labelled predictions"
    yield RuleLevel(
        f"{PERFORMANCE}adwin", policy.adwin_errors_share, delta, None, events, None, note
    )
    note = (
        "chance of a false alarm in 30 days, on the errors of labelled predictions; its threshold "
        "follows from theirs"
    )
    yield RuleLevel(f"{PERFORMANCE}ddm", policy.ddm_errors_share, None, None, events, None, note)


def rule_levels(judged: Judged, policy: JudgingPolicy) -> list[RuleLevel]:
    """Show what the false-alarm budget became by the traffic, rule by rule."""
    events = judged.events_per_day * DAYS_PER_MONTH
    level, columns = judged.evaluation.level, max(len(judged.evaluation.version.watched), 1)
    budget, of_all = (
        policy.false_alarms_per_month,
        1 - policy.segment_share if judged.segments is not None else 1.0,
    )
    found = [
        RuleLevel(
            "integrity", policy.integrity_share, level.integrity, None, events, note=INTEGRITY_NOTE
        )
    ]
    if policy.kind == "classic":
        note = "plain, as people know it: no statement on false alarms"
        found.append(
            RuleLevel(
                CLASSIC_PSI, None, None, policy.psi_warning, events, policy.psi_critical, note
            )
        )
        found.append(RuleLevel(CLASSIC_KS, None, KS_P, KS_LIMIT, events, None, note))
    else:
        note = "floors of the true PSI; the limit of each column is higher by what chance explains"
        share = policy.psi_share * of_all
        found.append(
            RuleLevel(PSI, share, level.psi, policy.psi_warning, events, policy.psi_critical, note)
        )
        if judged.evaluation.version.ordered:
            found.append(_weekly_level(judged, events))
        e_limit = events / (policy.e_detector_share * budget)
        note = "c: on average so many events pass between false alarms of the whole model"
        found.append(
            RuleLevel("e_detector", policy.e_detector_share, None, e_limit, events, None, note)
        )
        delta = policy.adwin_share * budget / (events * columns)
        found.append(
            RuleLevel(
                "adwin",
                policy.adwin_share,
                delta,
                None,
                events,
                None,
                "delta, per event and column",
            )
        )
    if judged.labelled is not None:
        note = "a metric this much worse than its baseline, and beyond chance"
        drop = policy.performance_drop
        found.append(
            RuleLevel(
                WINDOW_RULE,
                policy.performance_share * of_all,
                level.performance,
                None,
                events,
                drop,
                note,
            )
        )
        found += _error_levels(policy, events)
    found += _segment_levels(judged, policy, events)
    for one in policy.thresholds:
        named = THRESHOLD + one.metric + (f" ({one.feature})" if one.feature else "")
        missing = one.feature is not None and one.feature not in judged.evaluation.version.place
        note = (
            f"this version has no column {one.feature}"
            if missing
            else f"bad {one.direction}; operational, no budget"
        )
        found.append(RuleLevel(named, None, None, one.warning, events, one.critical, note))
    return found
