"""Groups a model's alerts into incidents, moment by moment: which they join, how large they are,
and what people are told.

It holds the state; grouping.py says which incident an alert belongs to, life.py what is told of
one, and headline.py in which words.
"""

from collections.abc import Callable, Container, Mapping, Sequence

import msgspec

from driftgauge.consumer.judging.alerting import AlertContext
from driftgauge.consumer.judging.alerts.actions import Circumstances
from driftgauge.consumer.judging.alerts.lifecycle import AlertState, State
from driftgauge.consumer.judging.alerts.notices import Notice
from driftgauge.consumer.judging.incidents import effects
from driftgauge.consumer.judging.incidents.changes import Changes, Located
from driftgauge.consumer.judging.incidents.grouping import columns_of, incident_of
from driftgauge.consumer.judging.incidents.headline import Facts, action, headline
from driftgauge.consumer.judging.incidents.life import Moved, joined, moved, resolved
from driftgauge.consumer.judging.incidents.state import IncidentState, Member, cause_kind
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.state import JudgingState
from driftgauge.consumer.judging.windows.window import DAY_MS
from driftgauge.shared.contract.alerts import MARKS, incident_id
from driftgauge.shared.contract.incident import (
    MOST_EVIDENCE,
    MOST_FEATURES,
    CauseKind,
    Change,
    Incident,
    IncidentAlert,
    IncidentCause,
    IncidentKind,
)
from driftgauge.shared.performance import definition
from driftgauge.shared.reference.profile import PREDICTION, NumericReference
from driftgauge.shared.rules import rule_of
from driftgauge.shared.rules.data_quality import OUT_OF_RANGE
from driftgauge.shared.rules.drift import PSI
from driftgauge.shared.wording.plain import clip

WEEK_MS = 7 * DAY_MS
MOVED = 0.1
"""Least distance of a mean rank from a half, beyond what values out of range explain, that says
that all values moved: some .35 standard deviations.
"""
MOSTLY = 0.5
"""Share of a column's values beyond which values out of range are broken however they moved."""
SUMMARY = 200
"""Most characters of an alert's summary in an incident."""

ContextOf = Callable[[str], AlertContext]
"""Evaluates the window of a version."""


class Incidents:
    """The incidents of one model."""

    def __init__(self, state: JudgingState, model: str, policy: JudgingPolicy) -> None:
        self._state = state
        self._model = model
        self._policy = policy

    def follow(
        self,
        notices: Sequence[Notice],
        now: int,
        around: Mapping[str, Circumstances],
        context_of: ContextOf,
    ) -> list[Moved]:
        """Group the alert transitions of a moment; return what moved of the incidents, to be
        written.

        Parameters
        ----------
        around
            Circumstances of each version of the notices.
        context_of
            Called for versions whose alerts fire, and no others.
        """
        before = dict(self._state.incidents)
        if not notices and not any(self._is_waiting(one) for one in before.values()):
            return []
        changes: dict[str, tuple[AlertContext, Changes]] = {}
        for notice in notices:
            if notice.transition.change not in MARKS:
                self._take(notice.alert, notice.transition.state, now, context_of, changes)
        return self._moved(before, now, around, changes)

    def catch_up(
        self,
        versions: Container[str],
        now: int,
        around_of: Callable[[str], Circumstances],
        context_of: ContextOf,
    ) -> list[Moved]:
        """Bring the incidents up to the alerts, where a release without incidents moved these:
        those that fire join or open one, and those that ended since are taken out.

        Parameters
        ----------
        versions
            Versions that can be evaluated; alerts of others stay as they are.
        around_of
            Returns the circumstances of a version.
        """
        before = dict(self._state.incidents)
        firing = {
            name: alert
            for name, alert in self._state.alerts.items()
            if alert.state == "firing" and rule_of(alert.rule).notify
        }
        for incident in before.values():
            ended = {name for name, one in incident.members.items() if one.is_firing} - set(firing)
            if ended and incident.is_open:
                self._state.keep_incident(resolved(incident, ended, now))
        astray = [
            alert
            for alert in firing.values()
            if alert.version in versions and self._holding(alert.fingerprint) is None
        ]
        changes: dict[str, tuple[AlertContext, Changes]] = {}
        for alert in sorted(astray, key=lambda one: (one.started, one.fingerprint)):
            self._take(alert, "firing", now, context_of, changes)
        around = {version: around_of(version) for version in sorted(changes)}
        return self._moved(before, now, around, changes)

    def _moved(
        self,
        before: Mapping[str, IncidentState],
        now: int,
        around: Mapping[str, Circumstances],
        changes: Mapping[str, tuple[AlertContext, Changes]],
    ) -> list[Moved]:
        """Return what moved of the incidents, by their alerts or by the time."""
        found = []
        for name in sorted(self._state.incidents, key=lambda one: (self._opened(one), one)):
            incident = self._state.incidents[name]
            was = before.get(name)
            if was is not incident:
                incident = self._told(self._remeasured(incident, changes, now), around, changes)
            step = moved(
                was, incident, now, heard=self._is_heard(incident, now), policy=self._policy
            )
            if step is not None:
                found.append(step)
        return found

    def _opened(self, name: str) -> int:
        return self._state.incidents[name].opened

    def _is_waiting(self, incident: IncidentState) -> bool:
        """Return whether time alone may move it: a silence ends, or a reminder is due."""
        if not incident.is_open:
            return incident.is_told
        return incident.muted or incident.notified is None or bool(self._policy.renotify_ms)

    def _is_heard(self, incident: IncidentState, now: int) -> bool:
        """Return whether one of its alerts that fire is not silenced; if it is over, of those that
        ended last, which are remembered while they are silenced.
        """
        alerts = self._state.alerts
        ends = {name: one.alert.ended for name, one in incident.members.items()}
        firing = [alerts.get(name) for name, ended in ends.items() if ended is None]
        if firing:
            return any(one is not None and not one.is_silenced(now) for one in firing)
        last = max(ended for ended in ends.values() if ended is not None)
        over = [alerts.get(name) for name, ended in ends.items() if ended == last]
        return any(one is None or not one.is_silenced(now) for one in over)

    def _take(
        self,
        alert: AlertState,
        state: State,
        now: int,
        context_of: ContextOf,
        changes: dict[str, tuple[AlertContext, Changes]],
    ) -> None:
        """Let an alert that enters a state join its incident, or leave it."""
        if not rule_of(alert.rule).notify:
            return
        holding = self._holding(alert.fingerprint)
        if state == "resolved" and holding is not None:
            self._state.keep_incident(resolved(holding, {alert.fingerprint}, now))
        if state != "firing":
            return
        if alert.version not in changes:
            context = context_of(alert.version)
            judged = context.judged
            changes[alert.version] = context, Changes(judged.evaluation, judged.window, now)
        change, member = self._measured(alert, now, *changes[alert.version])
        found = holding or incident_of(alert, change, self._remembered(now))
        if found is None:
            name = incident_id(self._model, alert.fingerprint, now)
            kind: IncidentKind = "operation" if member.kind == "operation" else "model"
            found = IncidentState(name, kind, alert.version, alert.severity, now, now, change)
        elif not found.is_open:
            found = msgspec.structs.replace(found, severity=alert.severity)
        self._state.keep_incident(joined(found, [member], now))

    def _remembered(self, now: int) -> list[IncidentState]:
        """Return the incidents that an alert may join: open ones, and those within the cooldown."""
        oldest = now - self._policy.cooldown_ms
        return [
            one
            for one in self._state.incidents.values()
            if one.ended is None or one.ended >= oldest
        ]

    def _holding(self, fingerprint: str) -> IncidentState | None:
        """Return the open incident in which an alert fires."""
        for incident in self._state.incidents.values():
            member = incident.members.get(fingerprint)
            if incident.is_open and member is not None and member.is_firing:
                return incident
        return None

    def _measured(
        self, alert: AlertState, now: int, context: AlertContext, changes: Changes
    ) -> tuple[Change, Member]:
        """Return when what an alert tells of began, and how large it is."""
        column = context.judged.evaluation.version.place.get(alert.feature)
        located = changes.of(column) if column is not None else None
        change = self._change(alert, now, context, changes, located)
        published = IncidentAlert(
            alert.fingerprint,
            alert.version,
            alert.feature,
            alert.rule,
            alert.severity,
            clip(alert.summary, SUMMARY),
            alert.started,
            now,
            alert.segment,
            change=change,
            traces=alert.evidence.traces if alert.evidence is not None else (),
        )
        is_moved = self._is_moved(alert, located)
        kind = _kind(alert, context)
        if is_moved and kind == "broken_values":
            kind = "feature"
        return change, Member(
            published,
            kind,
            tuple(sorted(columns_of(alert))),
            self._effect(alert, kind, context, located, PSI.name if is_moved else alert.rule),
            round(located.strength if located is not None else _worse(alert), 6),
            located is not None and located.is_sure,
        )

    def _is_moved(self, alert: AlertState, located: Located | None) -> bool:
        """Return whether values out of range are no broken ones: all values of the column moved,
        and those at its ends came out of range with them.

        If most of them are out of range, they are broken: a sensor that fails, or another unit.
        Else a finding of the window's drift says so unless broken values explain it. So does a
        detector whose mean rank is further from a half than values at one end alone can bring it: a
        share s of them brings it s / 2 away.
        """
        statistic = alert.evidence.statistic if alert.evidence is not None else ""
        if OUT_OF_RANGE.name not in {alert.rule, statistic} or located is None:
            return False
        outside = int(located.cells[0] + located.cells[-2]) / max(int(located.cells.sum()), 1)
        others = self._state.alerts_of(alert.version)
        if outside > MOSTLY:
            return False
        broken = {one.fingerprint for one in others if rule_of(one.rule).kind == "data_quality"}
        drifting = [
            other
            for other in others
            if other.feature == alert.feature
            and other.state == "firing"
            and rule_of(other.rule).kind == "drift"
        ]
        return any(
            _moved_by(other) > outside / 2 + MOVED
            if rule_of(other.rule).online
            else other.inhibited_by not in broken
            for other in drifting
        )

    def _remeasured(
        self,
        incident: IncidentState,
        changes: Mapping[str, tuple[AlertContext, Changes]],
        now: int,
    ) -> IncidentState:
        """Return an incident with what the panes tell by now of its cause, which may be more than
        when it joined, and show that another alert is the cause.
        """
        cause = incident.members[incident.cause]
        alert = self._state.alerts.get(incident.cause)
        known = changes.get(cause.alert.version)
        if known is None or alert is None or not alert.is_open:
            return incident
        _, member = self._measured(alert, now, *known)
        when = cause.alert.change if cause.is_sure or not member.is_sure else member.alert.change
        published = msgspec.structs.replace(member.alert, joined=cause.alert.joined, change=when)
        member = msgspec.structs.replace(
            member, alert=published, is_sure=cause.is_sure or member.is_sure
        )
        return joined(incident, [member], now)

    def _change(
        self,
        alert: AlertState,
        now: int,
        context: AlertContext,
        changes: Changes,
        located: Located | None,
    ) -> Change:
        rule = rule_of(alert.rule)
        if rule.weekly:
            return Change(alert.started, alert.started - WEEK_MS, alert.started)
        if rule.online:
            since = changes.back(alert.delay)
            by_detector = Change(since, changes.back(2 * alert.delay), now)
            return located.when if located is not None and located.is_sure else by_detector
        if located is not None:
            return located.when
        evidence = alert.evidence
        start, end = (
            context.judged.window.span(now)
            if evidence is None
            else (evidence.window_start, evidence.window_end)
        )
        since = min(max(alert.started, start), now)
        return Change(since, min(start, since), max(end, since))

    def _effect(
        self,
        alert: AlertState,
        kind: CauseKind,
        context: AlertContext,
        located: Located | None,
        rule: str,
    ) -> str:
        """Say what happened to what an alert is about, by a rule."""
        if kind in {"operation", "fairness"}:
            return effects.of_limit(alert) if kind == "operation" else effects.of_fairness(alert)
        if rule_of(alert.rule).kind == "performance":
            return effects.of_performance(alert)
        if alert.segment:
            names = [clip(name, 20) for name in alert.columns[:3]]
            return f"{', '.join(names)} changed there" if names else "its values changed"
        if located is None:
            return _of_labels(alert, context)
        version = context.judged.evaluation.version
        column = version.reference.columns[version.place[alert.feature]]
        if rule_of(alert.rule).online and not located.is_sure:
            return effects.of_alarm(alert, ordered=isinstance(column, NumericReference))
        usual = "higher" if alert.feature == PREDICTION or kind == "joint" else "too"
        unit = version.unit(version.place[alert.feature])
        return effects.of_column(column, located.cells, rule, unit=unit, usual=usual)

    def _told(
        self,
        incident: IncidentState,
        around: Mapping[str, Circumstances],
        changes: Mapping[str, tuple[AlertContext, Changes]],
    ) -> IncidentState:
        """Return an incident with its headline and what to do, by its alerts as they are now."""
        facts = self._facts(incident, around, changes)
        what, advice = action(facts)
        cause = incident.members[incident.cause].alert
        return msgspec.structs.replace(
            incident,
            change=cause.change or incident.change,
            headline=headline(facts),
            action=what,
            advice=advice,
            effect=facts.effect,
            watched=facts.watched,
        )

    def _facts(
        self,
        incident: IncidentState,
        around: Mapping[str, Circumstances],
        changes: Mapping[str, tuple[AlertContext, Changes]],
    ) -> Facts:
        cause = incident.members[incident.cause]
        circumstances = around.get(cause.alert.version)
        context = changes.get(cause.alert.version)
        watched = incident.watched
        if context is not None:
            version = context[0].judged.evaluation.version
            prediction = version.place.get(PREDICTION)
            watched = sum(place != prediction for place in version.watched) - len(version.derived)
        performance = _performance(incident)
        return Facts(
            cause,
            cause.alert.change or incident.change,
            [(one.alert.feature, one.effect) for one in incident.features],
            watched,
            "" if performance is None else performance.effect,
            prediction=any(one.kind == "prediction" for one in incident.members.values()),
            regressed=circumstances is not None
            and circumstances.is_new
            and _fell(incident, cause.alert.version),
            outdated=circumstances is not None and circumstances.outdated,
            broken=all(one.kind == "broken_values" for one in incident.features),
        )

    def write(self, found: Moved, now: int) -> Incident:
        """Keep an incident that was moved; return its transition as it is published."""
        incident = found.incident
        self._state.keep_incident(incident)
        members = list(incident.members.values())
        columns = [one.alert.feature for one in incident.features]
        cause = incident.members[incident.cause]
        snapshot = self._state.report_of(self._model, cause.alert.version)
        return Incident(
            id=incident.id,
            model=self._model,
            version=incident.version,
            kind=incident.kind,
            state="open" if incident.is_open else "resolved",
            severity=incident.severity,
            number=incident.number,
            change=found.change,
            notify=found.notify,
            headline=incident.headline,
            action=incident.action,
            advice=incident.advice,
            cause=IncidentCause(
                cause.kind,
                cause.alert.fingerprint,
                cause.alert.feature,
                cause.alert.rule,
                cause.alert.segment,
                cause.effect,
                cause.alert.version,
            ),
            since=incident.change.since,
            earliest=incident.change.earliest,
            latest=incident.change.latest,
            opened=incident.opened,
            updated=now,
            ended=incident.ended,
            features=columns[:MOST_FEATURES],
            of_features=len(columns),
            effect=incident.effect,
            alerts=[one.alert for one in members[:MOST_EVIDENCE]],
            of_alerts=len(members),
            snapshot=snapshot,
            report=f"/reports/{snapshot}" if snapshot else "",
            acknowledged=incident.acknowledged,
            silenced=incident.silenced,
            muted=incident.is_open and incident.muted,
        )


def _moved_by(alert: AlertState) -> float:
    """Return how far the mean rank of a detector's values is from a half; 0 if it is not known."""
    rank = alert.evidence.mean_rank if alert.evidence is not None else None
    return 0.0 if rank is None else abs(rank - 0.5)


def _kind(alert: AlertState, context: AlertContext) -> CauseKind:
    """Return what an alert is as a cause; a segment that falls as all others do is none. However a
    derived column moved, it is the features of which it is derived that no longer go together.
    """
    kind, segments = cause_kind(alert), context.judged.segments
    if alert.feature in context.judged.evaluation.version.derived:
        return "joint"
    if kind == "segment" and rule_of(alert.rule).kind == "performance" and alert.inhibited_by:
        explaining = segments.change.explaining if segments is not None else ()
        return "segment" if alert.segment in explaining else "performance"
    return kind


def _worse(alert: AlertState) -> float:
    """Return how much worse a metric is than usual, as a share; 0 if that is not known."""
    evidence = alert.evidence
    if evidence is None or not evidence.expected or rule_of(alert.rule).kind != "performance":
        return 0.0
    return abs(evidence.value - evidence.expected) / abs(evidence.expected)


def _of_labels(alert: AlertState, context: AlertContext) -> str:
    """Say what happened to the labels."""
    target = context.judged.target
    if target is None:
        return "changed"
    column, cells = target.reference.column, target.counts.window
    return effects.of_column(column, cells, alert.rule, unit=target.unit, usual="higher")


def _performance(incident: IncidentState) -> Member | None:
    """Return the alert that tells best what became of the performance: a metric of the window
    before a detector's word.
    """
    found = [one for one in incident.members.values() if one.kind == "performance"]
    return min(
        found,
        key=lambda one: (bool(one.alert.segment), definition(_metric_of(one)) is None),
        default=None,
    )


def _fell(incident: IncidentState, version: str) -> bool:
    """Return whether a fall of a version's performance fires."""
    return any(
        one.kind == "performance" and one.is_firing and one.alert.version == version
        for one in incident.members.values()
    )


def _metric_of(member: Member) -> str:
    return rule_of(member.alert.rule).member(member.alert.rule)
