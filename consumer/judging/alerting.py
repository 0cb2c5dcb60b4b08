"""Moves the alerts of a model through their lives: by findings, by online alarms, by the end of a
version, by commands.

It keeps the state and collects the notices of a moment; what a life is stands in lifecycle.py.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from driftgauge.consumer.judging.alerts.actions import Circumstances
from driftgauge.consumer.judging.alerts.inhibition import ONLINE_INTEGRITY, cause_of
from driftgauge.consumer.judging.alerts.lifecycle import AlertState, Moved, end, next_life, step
from driftgauge.consumer.judging.alerts.notices import Notice, with_evidence
from driftgauge.consumer.judging.evaluating.contributions import contributions
from driftgauge.consumer.judging.evaluating.reading import Evidence, Reading
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.rules.findings import (
    Finding,
    findings,
    is_judged,
    is_of_reference,
    performance_findings,
)
from driftgauge.consumer.judging.rules.metrics import Judged
from driftgauge.consumer.judging.state import JudgingState
from driftgauge.shared.contract.alert import AlertEvidence, Contribution
from driftgauge.shared.contract.alerts import (
    DATA_QUALITY,
    IMPROVEMENT,
    MARKS,
    PERFORMANCE,
    SEGMENT_PERFORMANCE,
    fingerprint,
)
from driftgauge.shared.contract.pane import Alarm
from driftgauge.shared.contract.severity import worst
from driftgauge.shared.performance import LABEL

ALARM_DELAYS = 3
"""An online alert is over when nothing was alarmed for this many times the last alarm's delay."""
EXPLAINING = 3
"""Drifting columns that a performance alert names."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A version's window, evaluated at a moment of logical time (ms)."""

    version: str
    judged: Judged
    now: int


class Alerting:
    """The alerts of one model.

    Attributes
    ----------
    notices
        Of the moment that is being judged.
    """

    def __init__(self, state: JudgingState, model: str, policy: JudgingPolicy) -> None:
        self.notices: list[Notice] = []
        self._state = state
        self._model = model
        self._policy = policy

    def settle(self, scene: Scene) -> None:
        """Move the alerts of a version by what the rules say of its window."""
        self._end_unjudged(scene)
        self._follow(findings(scene.judged, self._watching(scene), self._policy), scene)
        for alert in self._state.alerts_of(scene.version):
            if alert.online:
                self._settle_online(alert, scene)

    def settle_performance(self, scene: Scene) -> None:
        """Move the alerts that labels speak of: labels come without a pane."""
        self._follow(performance_findings(scene.judged, self._watching(scene)), scene)

    def _watching(self, scene: Scene) -> set[tuple[str, str]]:
        known = self._state.alerts_of(scene.version)
        return {(alert.segment or alert.feature, alert.rule) for alert in known if not alert.online}

    def _follow(self, found: Iterable[Finding], scene: Scene) -> None:
        for one in found:
            reading, evidence = one.reading, self._evidence(one.evidence, scene)
            if one.rule.startswith(PERFORMANCE):
                reading = msgspec.structs.replace(
                    reading, summary=reading.summary + self._explanation(scene)
                )
            if one.rule.startswith((PERFORMANCE, SEGMENT_PERFORMANCE)) or one.feature == LABEL:
                evidence = _labelled_evidence(evidence, one.evidence, scene)
            alert = self._alert(scene.version, one.feature, one.rule, scene.now, one.segment)
            if one.columns:
                alert = msgspec.structs.replace(alert, columns=one.columns)
            self._step(alert, reading, evidence, scene)

    def _explanation(self, scene: Scene) -> str:
        """Name the columns whose drift goes with a fall of the performance."""
        drifting = [
            alert
            for alert in self._state.alerts_of(scene.version)
            if alert.feature and alert.state == "firing"
        ]
        names = list(dict.fromkeys(alert.feature for alert in drifting))
        return f"; {', '.join(names[:EXPLAINING])} drifting with it" if names else ""

    def alarm(self, alarm: Alarm, scene: Scene) -> None:
        """Let an online detector's alarm fire, or keep what fires alive."""
        if not is_judged(alarm.detector, alarm.column, self._policy):
            return
        alert = self._alert(scene.version, alarm.column, alarm.detector, scene.now)
        alert = msgspec.structs.replace(
            alert, online=True, last_alarm=self._state.progress.events, delay=alarm.delay
        )
        name = (
            alarm.detector.removeprefix(PERFORMANCE)
            .removeprefix(IMPROVEMENT)
            .upper()
            .replace("_", "-")
        )
        summary = f"{name}: {alarm.effect}"
        evidence = self._evidence(
            Evidence(alarm.statistic, alarm.value, alarm.threshold, alarm.expected),
            scene,
            alarm.effect,
        )
        self._step(
            alert,
            Reading(alarm.severity, quiet=False, summary=summary, at_once=True),
            evidence,
            scene,
        )

    def end_version(self, scene: Scene, summary: str) -> None:
        """End the alerts of a version that is no longer used."""
        for alert in self._state.alerts_of(scene.version):
            evidence = self._evidence(Evidence("rows", 0, 0, None), scene)
            self.keep(end(alert, scene.now, self._policy, summary), evidence, scene.now)

    def end_referring(self, scene: Scene, summary: str) -> None:
        """End the alerts of a version that hung on the reference before; no cooldown holds back
        their next life.
        """
        for alert in self._state.alerts_of(scene.version):
            if is_of_reference(alert.rule, alert.feature):
                evidence = alert.evidence or self._evidence(Evidence("rows", 0, 0, None), scene)
                ended, transition = end(alert, scene.now, self._policy, summary)
                self.keep(
                    (msgspec.structs.replace(ended, held_until=0), transition), evidence, scene.now
                )

    def keep(self, moved: Moved, evidence: AlertEvidence, now: int) -> None:
        """Keep an alert that was moved, and collect its transition."""
        alert, transition = moved
        if transition is not None:
            told = transition.state in {"firing", "resolved"} and transition.change not in MARKS
            snapshot = self.snapshot_id(alert.version, self._state.progress.events) if told else ""
            alert = with_evidence(alert, evidence, snapshot)
            self.notices.append(Notice(alert, transition, evidence))
        if alert.is_open:
            self._state.keep_alert(alert)
        elif alert.is_remembered(now):
            self._state.keep_alert(msgspec.structs.replace(alert, evidence=None, acknowledged=None))
        elif alert.fingerprint in self._state.alerts:
            self._state.drop_alert(alert.fingerprint)

    def snapshot_id(self, version: str, events: int) -> str:
        """Name the snapshot of a version after so many events of the model."""
        return f"{self._model}-{version}-{events:012d}"

    def circumstances(self, version: str, now: int) -> Circumstances:
        """Give what an action is chosen by."""
        seen = self._state.progress.first_seen
        since = seen.get(version, now)
        previous = any(first < since for first in seen.values())
        days = self._state.days.get(version)
        outdated = days is not None and days.offers_reference
        return Circumstances(now, self._state.alerts_of(version), since, previous, outdated)

    def _alert(
        self, version: str, column: str, rule: str, now: int, segment: str = ""
    ) -> AlertState:
        """Give the open alert, or begin a new life."""
        name = fingerprint(self._model, version, column, rule, segment)
        known = self._state.alerts.get(name)
        if known is None:
            return AlertState(
                name, version, column, rule, "warning", "pending", now, now, "", segment=segment
            )
        return known if known.is_open else next_life(known, now)

    def _step(
        self, alert: AlertState, reading: Reading, evidence: AlertEvidence, scene: Scene
    ) -> None:
        severity = worst((alert.severity, reading.severity or alert.severity))
        worse = (
            msgspec.structs.replace(alert, severity=severity, notified=None)
            if severity != alert.severity
            else alert
        )  # that is news
        cause = cause_of(worse, self._state.alerts_of(scene.version), scene.judged.evaluation)
        marked = (
            msgspec.structs.replace(alert, inhibited_by=cause)
            if cause != alert.inhibited_by
            else alert
        )
        moved, transition = step(marked, reading, scene.now, self._policy)
        if transition is not None and not evidence.cells:
            evidence = msgspec.structs.replace(evidence, cells=_cells(scene, alert.feature))
        self.keep((moved, transition), evidence, scene.now)

    def _settle_online(self, alert: AlertState, scene: Scene) -> None:
        """End an online alert that was not alarmed again for long enough, while its column is
        quiet; else it goes on.

        A detector starts anew after an alarm, so that a drift which stays is alarmed again and
        again: silence for several of its delays means that it is over, and not that the detector
        got used to it.
        """
        patience = max(self._policy.window_events, ALARM_DELAYS * alert.delay)
        passed = self._state.progress.events - alert.last_alarm
        if passed >= patience and self._is_quiet(alert, scene):
            summary = f"no further alarm in {passed:,} events, and PSI is quiet"
            reading = Reading(None, quiet=True, summary=summary, over=True)
            evidence = self._evidence(Evidence("events_since_alarm", passed, patience, None), scene)
        else:
            reading = Reading(alert.severity, quiet=False, summary=alert.summary, at_once=True)
            evidence = alert.evidence or self._evidence(
                Evidence("events_since_alarm", passed, patience, None), scene
            )
        self._step(alert, reading, evidence, scene)

    def _is_quiet(self, alert: AlertState, scene: Scene) -> bool:
        """Whether the window agrees that an online alert is over."""
        evaluation = scene.judged.evaluation
        if alert.rule.startswith((PERFORMANCE, IMPROVEMENT)):
            readings = scene.judged.labelled.readings() if scene.judged.labelled is not None else ()
            return not any(reading.severity for _, reading, _ in readings)
        column = evaluation.version.place.get(alert.feature)
        columns = evaluation.version.watched if column is None else [column]
        broken = alert.rule == ONLINE_INTEGRITY and any(
            other.feature == alert.feature and other.rule in DATA_QUALITY and not other.online
            for other in self._state.alerts_of(scene.version)
        )
        return not broken and all(evaluation.psi_quiet(place) for place in columns)

    def _end_unjudged(self, scene: Scene) -> None:
        """End alerts of rules that the policy has no longer: nothing would ever read them again."""
        for alert in self._state.alerts_of(scene.version):
            if not is_judged(alert.rule, alert.feature, self._policy):
                evidence = alert.evidence or self._evidence(Evidence("rows", 0, 0, None), scene)
                self.keep(
                    end(alert, scene.now, self._policy, "the policy no longer has this rule"),
                    evidence,
                    scene.now,
                )

    def _evidence(self, found: Evidence, scene: Scene, effect: str = "") -> AlertEvidence:
        window = scene.judged.window
        return AlertEvidence(
            statistic=found.statistic,
            value=found.value,
            threshold=found.threshold,
            expected=found.expected,
            n=scene.judged.evaluation.version.reference.rows if found.n is None else found.n,
            m=window.rows if found.m is None else found.m,
            events=self._state.progress.events,
            window_start=window.start,
            window_end=window.end,
            effect=effect,
            cells=list(found.cells),
        )


def _cells(scene: Scene, feature: str) -> list[Contribution]:
    """Give the cells of a column, or of the labels, that contribute most; none for what is about
    the model.
    """
    evaluation, target = scene.judged.evaluation, scene.judged.target
    if feature == LABEL and target is not None:
        return contributions(target.reference.column, target.counts.window)
    column = evaluation.version.place.get(feature)
    if column is None:
        return []
    return contributions(
        evaluation.version.reference.columns[column],
        evaluation.version.part(evaluation.cells, column),
    )


def _labelled_evidence(evidence: AlertEvidence, found: Evidence, scene: Scene) -> AlertEvidence:
    """Give the evidence of a metric its own window: the labelled one."""
    labelled = scene.judged.labelled
    if labelled is None:
        return evidence
    window = labelled.window
    reference = labelled.standard.reference
    rows = reference.rows if reference is not None else 0
    return msgspec.structs.replace(
        evidence,
        n=rows if found.n is None else found.n,
        m=window.labelled if found.m is None else found.m,
        window_start=window.start if found.start is None else found.start,
        window_end=window.end if found.end is None else found.end,
    )
