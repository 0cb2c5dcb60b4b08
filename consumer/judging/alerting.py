"""Moves the alerts of a model through their lives: by findings, by online alarms, by the end of a
version, by commands.

It holds the state and collects the notices of a moment; lifecycle.py describes an alert's life.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from driftgauge.consumer.judging.alerts.actions import Circumstances
from driftgauge.consumer.judging.alerts.inhibition import cause_of
from driftgauge.consumer.judging.alerts.lifecycle import AlertState, Moved, end, next_life, step
from driftgauge.consumer.judging.alerts.notices import Notice
from driftgauge.consumer.judging.evaluating.broken import broken_since, broken_values, traces_of
from driftgauge.consumer.judging.evaluating.contributions import contributions
from driftgauge.consumer.judging.evaluating.reading import Evidence, Reading
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.rules import fairness, limits, performance
from driftgauge.consumer.judging.rules.finding import Finding, OpenAlerts
from driftgauge.consumer.judging.rules.findings import (
    findings,
    is_judged,
    is_of_reference,
    limits_of,
)
from driftgauge.consumer.judging.rules.metrics import EvaluatedWindow
from driftgauge.consumer.judging.state import JudgingState
from driftgauge.shared.contract.alert import AlertEvidence, BrokenValues, Contribution
from driftgauge.shared.contract.alerts import fingerprint
from driftgauge.shared.contract.pane import Alarm, OddValues
from driftgauge.shared.contract.severity import worst
from driftgauge.shared.performance import LABEL
from driftgauge.shared.rules import rule_of
from driftgauge.shared.wording.titles import rule_words

ALARM_DELAYS = 3
"""An online alert ends after this many times the last alarm's delay without a further alarm."""
EXPLAINING = 3
"""Most drifting columns that a performance alert names."""


@dataclass(frozen=True, slots=True)
class AlertContext:
    """A version's window, evaluated at a moment of logical time (ms)."""

    version: str
    judged: EvaluatedWindow
    now: int


class Alerting:
    """The alerts of one model.

    Attributes
    ----------
    notices
        Notices of the moment that is being judged.
    """

    def __init__(self, state: JudgingState, model: str, policy: JudgingPolicy) -> None:
        self.notices: list[Notice] = []
        self._state = state
        self._model = model
        self._policy = policy

    def settle(self, context: AlertContext) -> None:
        """Move the alerts of a version by the findings of the rules in its window."""
        self._end_unjudged(context)
        self._follow(findings(context.judged, self._open_alerts(context), self._policy), context)
        for alert in self._state.alerts_of(context.version):
            if alert.online:
                self._settle_online(alert, context)

    def settle_performance(self, context: AlertContext) -> None:
        """Move only the alerts that depend on labels, when labels come without a pane."""
        opened = self._open_alerts(context)
        self._follow(performance.findings(context.judged, opened, self._policy), context)
        self._follow(fairness.of_labels(context.judged, opened, self._policy), context)

    def settle_limits(self, context: AlertContext) -> None:
        """Move only the alerts of limits, when a pane has nothing but failed predictions."""
        self._follow(
            limits.findings(context.judged, self._open_alerts(context), self._policy), context
        )

    def _open_alerts(self, context: AlertContext) -> OpenAlerts:
        known = self._state.alerts_of(context.version)
        return {(alert.segment or alert.feature, alert.rule) for alert in known if not alert.online}

    def _follow(self, found: Iterable[Finding], context: AlertContext) -> None:
        for one in found:
            reading, evidence = one.reading, self._evidence(one.evidence, context)
            rule = rule_of(one.rule)
            if rule.kind == "performance" and not rule.of_segment:
                reading = msgspec.structs.replace(
                    reading, summary=reading.summary + self._explanation(context)
                )
            if reading.severity is not None:
                meaning = _meaning(one.feature, context)
                reading = msgspec.structs.replace(reading, summary=reading.summary + meaning)
            if rule.kind == "performance" or one.feature == LABEL:
                evidence = _labelled_evidence(evidence, one.evidence, context)
            alert = self._alert(context.version, one.feature, one.rule, context.now, one.segment)
            if one.columns:
                alert = msgspec.structs.replace(alert, columns=one.columns)
            self._step(alert, reading, evidence, context)

    def _explanation(self, context: AlertContext) -> str:
        """Name the columns that drift while the performance is down."""
        drifting = [
            alert
            for alert in self._state.alerts_of(context.version)
            if alert.feature and alert.state == "firing"
        ]
        names = list(dict.fromkeys(alert.feature for alert in drifting))
        return f"; {', '.join(names[:EXPLAINING])} drifting with it" if names else ""

    def alarm(self, alarm: Alarm, context: AlertContext) -> None:
        """Let the alert of an online detector's alarm fire, or prolong it if it fires already."""
        if not is_judged(alarm.detector, alarm.column, self._policy):
            return
        alert = self._alert(context.version, alarm.column, alarm.detector, context.now)
        alert = msgspec.structs.replace(
            alert, online=True, last_alarm=self._state.progress.events, delay=alarm.delay
        )
        meaning = _meaning(alarm.column, context)
        summary = f"{rule_words(alarm.detector)}: {alarm.effect}{meaning}"
        evidence = self._evidence(
            Evidence(alarm.statistic, alarm.value, alarm.threshold, alarm.expected),
            context,
            alarm.effect,
        )
        broken, traces = _broken_since(alarm, context)
        evidence = msgspec.structs.replace(
            evidence, mean_rank=alarm.mean_rank, broken=broken, traces=traces
        )
        self._step(
            alert,
            Reading(alarm.severity, quiet=False, summary=summary, at_once=True),
            evidence,
            context,
        )

    def end_version(self, context: AlertContext, summary: str) -> None:
        """End the alerts of a version that is no longer used."""
        for alert in self._state.alerts_of(context.version):
            evidence = self._evidence(Evidence("rows", 0, 0, None), context)
            self.keep(end(alert, context.now, self._policy, summary), evidence, context.now)

    def end_referring(self, context: AlertContext, summary: str) -> None:
        """End the alerts of a version that depend on the previous reference, without a cooldown."""
        for alert in self._state.alerts_of(context.version):
            if is_of_reference(alert.rule, alert.feature):
                evidence = alert.evidence or self._evidence(Evidence("rows", 0, 0, None), context)
                self._end_for_good(alert, evidence, context, summary)

    def end_other(self, context: AlertContext, before: JudgingPolicy) -> None:
        """End the alerts of a version that another policy raised: those of rules that this policy
        does not have, or has with other limits. Without a cooldown: by its own limits it may raise
        them at once.
        """
        for alert in self._state.alerts_of(context.version):
            name, subject = alert.rule, alert.segment or alert.feature
            if not is_judged(name, subject, self._policy):
                why = "the policy changed: it has no such rule any more"
            elif limits_of(name, subject, self._policy) != limits_of(name, subject, before):
                why = "the policy changed: its limits are others now"
            else:
                continue
            evidence = alert.evidence or self._evidence(Evidence("rows", 0, 0, None), context)
            self._end_for_good(alert, evidence, context, why)

    def _end_for_good(
        self, alert: AlertState, evidence: AlertEvidence, context: AlertContext, summary: str
    ) -> None:
        """End an alert without a cooldown."""
        ended, transition = end(alert, context.now, self._policy, summary)
        moved = msgspec.structs.replace(ended, held_until=0), transition
        self.keep(moved, evidence, context.now)

    def keep(self, moved: Moved, evidence: AlertEvidence, now: int) -> None:
        """Keep an alert that was moved, and collect its transition."""
        alert, transition = moved
        if transition is not None:
            alert = msgspec.structs.replace(alert, evidence=evidence)
            self.notices.append(Notice(alert, transition, evidence))
        if alert.is_open:
            self._state.keep_alert(alert)
        elif alert.is_remembered(now):
            self._state.keep_alert(msgspec.structs.replace(alert, evidence=None, acknowledged=None))
        elif alert.fingerprint in self._state.alerts:
            self._state.drop_alert(alert.fingerprint)

    def circumstances(self, version: str, now: int) -> Circumstances:
        """Return the circumstances by which an action is chosen."""
        seen = self._state.progress.first_seen
        since = seen.get(version, now)
        earlier = {name for name, first in seen.items() if first < since}
        fell = any(
            alert.version in earlier
            and alert.state == "firing"
            and rule_of(alert.rule).kind == "performance"
            for alert in self._state.alerts.values()
        )
        days = self._state.days.get(version)
        outdated = days is not None and days.offers_reference
        return Circumstances(
            now, self._state.alerts_of(version), since, bool(earlier) and not fell, outdated
        )

    def _alert(
        self, version: str, column: str, rule: str, now: int, segment: str = ""
    ) -> AlertState:
        """Return the open alert, or a new one."""
        name = fingerprint(self._model, version, column, rule, segment)
        known = self._state.alerts.get(name)
        if known is None:
            return AlertState(
                name, version, column, rule, "warning", "pending", now, now, "", segment=segment
            )
        return known if known.is_open else next_life(known, now)

    def _step(
        self, alert: AlertState, reading: Reading, evidence: AlertEvidence, context: AlertContext
    ) -> None:
        severity = worst((alert.severity, reading.severity or alert.severity))
        worse = (
            msgspec.structs.replace(alert, severity=severity, notified=None)
            if severity != alert.severity
            else alert
        )  # that is news
        cause = cause_of(worse, self._state.alerts_of(context.version), context.judged.evaluation)
        marked = (
            msgspec.structs.replace(alert, inhibited_by=cause)
            if cause != alert.inhibited_by
            else alert
        )
        moved, transition = step(marked, reading, context.now, self._policy)
        if transition is not None:
            evidence = _traced(_explained(evidence, alert, context), alert, context)
        self.keep((moved, transition), evidence, context.now)

    def _settle_online(self, alert: AlertState, context: AlertContext) -> None:
        """End an online alert if its detector was silent for long enough and its column is quiet in
        the window.

        A detector starts again after an alarm, so a lasting drift raises alarm after alarm. Silence
        for several delays therefore means that the drift is over, not that the detector adapted to
        it.
        """
        renewed = rule_of(alert.rule).renewed
        patience = max(0 if renewed else self._policy.window_events, ALARM_DELAYS * alert.delay)
        passed = self._state.progress.events - alert.last_alarm
        if passed >= patience and self._is_quiet(alert, context):
            summary = f"no further alarm in {passed:,} events, and PSI is quiet"
            reading = Reading(None, quiet=True, summary=summary, over=True)
            evidence = self._evidence(
                Evidence("events_since_alarm", passed, patience, None), context
            )
        else:
            reading = Reading(alert.severity, quiet=False, summary=alert.summary, at_once=True)
            evidence = alert.evidence or self._evidence(
                Evidence("events_since_alarm", passed, patience, None), context
            )
        self._step(alert, reading, evidence, context)

    def _is_quiet(self, alert: AlertState, context: AlertContext) -> bool:
        """Return whether the window agrees that an online alert is over."""
        evaluation = context.judged.evaluation
        rule = rule_of(alert.rule)
        if rule.kind in {"performance", "improvement"}:
            readings = (
                context.judged.labelled.readings() if context.judged.labelled is not None else ()
            )
            return not any(reading.severity for _, reading, _ in readings)
        column = evaluation.version.place.get(alert.feature)
        columns = evaluation.version.watched if column is None else [column]
        broken = rule.kind == "data_quality" and any(
            other.feature == alert.feature
            and rule_of(other.rule).kind == "data_quality"
            and not other.online
            for other in self._state.alerts_of(context.version)
        )
        return not broken and all(evaluation.psi_quiet(place) for place in columns)

    def _end_unjudged(self, context: AlertContext) -> None:
        """End alerts of rules that the policy no longer has, since nothing evaluates them."""
        for alert in self._state.alerts_of(context.version):
            if not is_judged(alert.rule, alert.segment or alert.feature, self._policy):
                evidence = alert.evidence or self._evidence(Evidence("rows", 0, 0, None), context)
                self.keep(
                    end(alert, context.now, self._policy, "the policy no longer has this rule"),
                    evidence,
                    context.now,
                )

    def _evidence(self, found: Evidence, context: AlertContext, effect: str = "") -> AlertEvidence:
        window = context.judged.window
        start, end = window.span(context.now)
        return AlertEvidence(
            statistic=found.statistic,
            value=found.value,
            threshold=found.threshold,
            expected=found.expected,
            n=context.judged.evaluation.version.reference.rows if found.n is None else found.n,
            m=window.rows if found.m is None else found.m,
            events=self._state.progress.events,
            window_start=start if found.start is None else found.start,
            window_end=end if found.end is None else found.end,
            effect=effect,
            cells=list(found.cells),
            unit=found.unit,
        )


def _meaning(feature: str, context: AlertContext) -> str:
    """Say what it means that a derived column moved; nothing of another."""
    if feature not in context.judged.evaluation.version.derived:
        return ""
    return "; the numeric features no longer go together as in the reference"


def _explained(evidence: AlertEvidence, alert: AlertState, context: AlertContext) -> AlertEvidence:
    """Add what is wrong with the values to the evidence of a rule of broken values, and the cells
    that contribute most to the drift to that of another rule, unless it has them.
    """
    if rule_of(alert.rule).kind != "data_quality":
        if evidence.cells:
            return evidence
        return msgspec.structs.replace(evidence, cells=_cells(context, alert.feature))
    evaluation = context.judged.evaluation
    column = evaluation.version.place.get(alert.feature)
    if evidence.broken is not None or alert.online or column is None:
        return evidence
    reference, odd = evaluation.version.reference.columns[column], context.judged.window.odd(column)
    cells = evaluation.version.part(evaluation.cells, column)
    broken = broken_values(reference, cells, odd)
    broken = msgspec.structs.replace(broken, unit=evaluation.version.unit(column))
    return msgspec.structs.replace(evidence, broken=broken)


def _traced(evidence: AlertEvidence, alert: AlertState, context: AlertContext) -> AlertEvidence:
    """Add traces to the evidence, unless it has some: of predictions with the broken values, else
    of the slowest in the window.
    """
    if evidence.traces:
        return evidence
    window, broken = context.judged.window, evidence.broken
    column = context.judged.evaluation.version.place.get(alert.feature)
    found: tuple[str, ...] = ()
    if broken is not None and column is not None:
        found = traces_of(broken, window.odd(column))
    return msgspec.structs.replace(evidence, traces=found or window.traces)


def _broken_since(
    alarm: Alarm, context: AlertContext
) -> tuple[BrokenValues | None, tuple[str, ...]]:
    """Return what is wrong with the values by an online test, and traces of them: the worst of the
    window's panes and of the open one.
    """
    version = context.judged.evaluation.version
    column = version.place.get(alarm.column)
    if column is None or rule_of(alarm.detector).kind != "data_quality":
        return None, ()
    odd = context.judged.window.odd(column).then(alarm.odd or OddValues())
    found = broken_since(version.reference.columns[column], alarm, odd)
    if found is None:
        return None, ()
    return msgspec.structs.replace(found, unit=version.unit(column)), traces_of(found, odd)


def _cells(context: AlertContext, feature: str) -> list[Contribution]:
    """Return the cells of a column, or of the labels, that contribute most to its drift; none for
    alerts about the model.
    """
    evaluation, target = context.judged.evaluation, context.judged.target
    if feature == LABEL and target is not None:
        return contributions(target.reference.column, target.counts.window)
    column = evaluation.version.place.get(feature)
    if column is None:
        return []
    return contributions(
        evaluation.version.reference.columns[column],
        evaluation.version.part(evaluation.cells, column),
    )


def _labelled_evidence(
    evidence: AlertEvidence, found: Evidence, context: AlertContext
) -> AlertEvidence:
    """Return the evidence of a metric with the labelled window's times and rows."""
    labelled = context.judged.labelled
    if labelled is None:
        return evidence
    window = labelled.window
    reference = labelled.baselines.reference
    rows = reference.rows if reference is not None else 0
    return msgspec.structs.replace(
        evidence,
        n=rows if found.n is None else found.n,
        m=window.labelled if found.m is None else found.m,
        window_start=window.start if found.start is None else found.start,
        window_end=window.end if found.end is None else found.end,
    )
