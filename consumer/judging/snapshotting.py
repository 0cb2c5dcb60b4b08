"""Takes the snapshots of a step: a report when an incident opened, an alert moved an hour after
the last report, or one is due; and the current snapshot of each version at the step's end.

One fault raises dozens of alerts within minutes. A report for each would say the same again and
again, so an incident has at most one an hour; the alerts and incidents of the meantime name the
latest one.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import msgspec

from driftgauge.consumer.judging.alerting import AlertContext, Alerting
from driftgauge.consumer.judging.alerts.actions import recommend, recommended
from driftgauge.consumer.judging.alerts.lifecycle import AlertState
from driftgauge.consumer.judging.labelled.performance import report as report_performance
from driftgauge.consumer.judging.labelled.worth import value_notes
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.reports.column_report import column_drafts, notes
from driftgauge.consumer.judging.reports.drafts import Draft, Drafts
from driftgauge.consumer.judging.rules.findings import findings_of_columns, rule_levels
from driftgauge.consumer.judging.rules.metrics import EvaluatedWindow
from driftgauge.consumer.judging.segments.report import report as report_segments
from driftgauge.consumer.judging.state import JudgingState, Reported
from driftgauge.consumer.judging.windows.failures import FailureWindow
from driftgauge.consumer.judging.windows.history import History
from driftgauge.consumer.judging.windows.window import DAY_MS, HOUR_MS
from driftgauge.shared.contract.alert import Action, Alert
from driftgauge.shared.contract.alerts import MARKS, snapshot_id
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.contract.severity import ALARMING, Severity, worst
from driftgauge.shared.contract.snapshot import (
    ActiveAlert,
    Failures,
    FeatureReport,
    Snapshot,
    Trigger,
    Window,
)
from driftgauge.shared.reference.profile import PREDICTION
from driftgauge.shared.rules import rule_of
from driftgauge.shared.statistics.psi import PSI
from driftgauge.shared.wording.plain import clip
from driftgauge.shared.wording.titles import severity_words

UNJUDGED = frozenset({"insufficient_data", "uncalibrated"})
MOST_SEGMENTS = 3
"""Most segments that a verdict names."""


@dataclass(slots=True)
class Outputs:
    """Outputs of a step: transitions of alerts and incidents, and snapshot reports, in order; and
    the current snapshot of each version.

    `refused` says why each refused command could not be applied, and `ended` names the versions
    that are not judged any more.
    """

    alerts: list[Alert] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    current: dict[str, Snapshot] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Noted:
    """Input of a snapshot: a version's context, and the number of the model's events."""

    context: AlertContext
    events: int


class Reporting:
    """The snapshots of one model."""

    def __init__(
        self,
        state: JudgingState,
        model: str,
        policy: JudgingPolicy,
        alerting: Alerting,
        outputs: Outputs,
    ) -> None:
        self._state = state
        self._model = model
        self._policy = policy
        self._alerting = alerting
        self._outputs = outputs
        self._latest: dict[str, _Noted] = {}
        self._moment: dict[str, AlertContext] = {}
        self._drafts = Drafts()
        self._reports: list[Draft] = []
        self._written: dict[str, tuple[_Noted, Draft]] = {}
        self._current: dict[str, Draft] = {}

    def note(self, context: AlertContext) -> None:
        """Note that a version has changed, so that its current snapshot is taken at the end of the
        step.
        """
        self._latest[context.version] = _Noted(context, self._state.progress.events)

    def remember(self, context: AlertContext) -> None:
        """Store the PSI and the first metric of an evaluation for the charts over time."""
        oldest = context.now - self._policy.window_days * DAY_MS
        self._state.keep_psi(
            context.version, context.now, context.judged.evaluation.judged_psi, oldest
        )
        self.remember_metric(context)

    def remember_metric(self, context: AlertContext) -> None:
        """Store the first metric of an evaluation, if there are labels."""
        labelled = context.judged.labelled
        value = labelled.first_metric if labelled is not None else None
        if value is not None:
            self._state.keep_metric(context.version, context.now, value, context.now - DAY_MS)

    def consider(self, context: AlertContext) -> None:
        """Note a version that may need a report of this moment, once it is known which incidents
        opened.
        """
        self.note(context)
        self._moment[context.version] = context

    def end_moment(self, opened: Collection[str]) -> None:
        """Take the reports of a moment; `opened` are the versions of which an incident opened."""
        for version, context in self._moment.items():
            self.report(context, opened=version in opened)
        self._moment.clear()

    def report(self, context: AlertContext, *, opened: bool = False) -> None:
        """Take a snapshot report if one of the moment's transitions requires it, or one is due."""
        self.note(context)
        alerted = self._is_alerted(context, opened=opened)
        if alerted or self._is_due(context):
            self._take(context, alerted=alerted)
            progress = self._state.progress
            progress.reported[context.version] = Reported(context.now, progress.events)

    def _take(self, context: AlertContext, *, alerted: bool) -> None:
        noted = self._latest[context.version]
        draft = self._draft(noted, "alert" if alerted else "schedule")
        self._written[context.version] = noted, draft
        self._reports.append(draft)

    def _is_alerted(self, context: AlertContext, *, opened: bool) -> bool:
        """Return whether an alert fired or resolved, and the report of it is not one more of the
        same hour and incident.
        """
        last = self._state.progress.reported.get(context.version)
        if not opened and last is not None and context.now - last.time < HOUR_MS:
            return False
        return any(
            notice.alert.version == context.version
            and notice.transition.state in {"firing", "resolved"}
            and notice.transition.change not in MARKS
            for notice in self._alerting.notices
        )

    def _is_due(self, context: AlertContext) -> bool:
        """Return whether a scheduled report is due; the first one is due as soon as there are
        enough rows.
        """
        last = self._state.progress.reported.get(context.version)
        if last is None:
            return context.judged.window.rows >= self._policy.min_window_rows
        return (
            context.now - last.time >= self._policy.snapshot_seconds * 1000
            or self._state.progress.events - last.events >= self._policy.snapshot_events
        )

    def finish(self) -> Outputs:
        """Take the current snapshot of every version that changed in the step, and give all of
        them the numbers of their columns.

        If a version has not changed since its last report, that report is its current snapshot.
        """
        for version in list(self._latest):
            self.settle(version)
        self._drafts.finish()
        self._outputs.snapshots += [draft.snapshot for draft in self._reports]
        self._outputs.current |= {
            version: msgspec.structs.replace(draft.snapshot, trigger="current")
            for version, draft in self._current.items()
        }
        windows = self._state.windows
        judged = {name for name in self._outputs.current if name in windows and windows[name].panes}
        self._outputs.ended |= self._outputs.current.keys()
        self._outputs.ended -= judged
        return self._outputs

    def settle(self, version: str) -> None:
        """Take the current snapshot of a version that does not change any more."""
        noted = self._latest.pop(version, None)
        if noted is not None:
            written, draft = self._written.get(version, (None, None))
            self._current[version] = (
                draft if draft and written is noted else self._draft(noted, "current")
            )

    def _draft(self, noted: "_Noted", trigger: Trigger) -> Draft:
        """Draft the snapshot of a version, and let it wait for the numbers of its columns."""
        judged = noted.context.judged
        labels = judged.target.counts.window.copy() if judged.target is not None else None
        cells = judged.evaluation.cells.copy()  # later panes are added in place
        snapshot = self._snapshot(noted, trigger)
        return self._drafts.add(Draft(snapshot, judged.evaluation.version, cells, labels))

    def _snapshot(self, noted: "_Noted", trigger: Trigger) -> Snapshot:
        """Return a snapshot without the numbers of its columns."""
        context = noted.context
        version, judged = context.version, context.judged
        around = self._alerting.circumstances(version, context.now)
        alerts = [_active(alert, recommend(alert, around), context.now) for alert in around.alerts]
        history = self._state.histories.get(version, History())
        drafts = _column_drafts(judged, self._policy)
        past = history.columns() or [[] for _ in drafts]
        firing = defaultdict[str, list[ActiveAlert]](list)
        for alert in alerts:
            if alert.state == "firing":
                firing[alert.feature].append(alert)
        reports = [
            msgspec.structs.replace(
                _with_alerts(report, firing[report.name]), psi_history=of_column
            )
            for report, of_column in zip(drafts, past, strict=True)
        ]
        features = len(judged.evaluation.version.schema.features)
        prediction = (
            reports.pop() if reports[-1].name == PREDICTION and len(reports) > features else None
        )
        of_model = [alert.severity for alert in firing[""]]
        target = judged.target.draft() if judged.target is not None else None
        if target is not None:
            target = _with_alerts(target, firing[target.name])
        moved = [target] if target is not None and target.severity == "warning" else []
        every = [*reports, *((prediction,) if prediction else ()), *moved]
        found: list[Severity] = [*(report.severity for report in every), *of_model]
        severity = worst(found) if found else "insufficient_data"
        window, span = judged.window, judged.window.span(context.now)
        performance = report_performance(
            judged.labelled,
            judged.evaluation.version.baselines,
            window.scores,
            span,
            self._policy.value,
        )
        if performance is not None:
            metric = self._state.metrics.get(version, History())
            performance = msgspec.structs.replace(
                performance,
                target=target,
                history_times=list(metric.times),
                history=next(iter(metric.columns()), []),
            )
        return Snapshot(
            id=snapshot_id(self._model, version, noted.events),
            model=self._model,
            version=version,
            trigger=trigger,
            created=context.now,
            severity=severity,
            verdict=verdict(severity, every, window.rows, alerts),
            window=Window(*span, window.rows, len(window.panes), noted.events),
            reference_rows=judged.evaluation.version.reference.rows,
            features=reports,
            prediction=prediction,
            alerts=alerts,
            events_per_day=judged.events_per_day,
            actions=recommended(around),
            levels=rule_levels(judged, self._policy),
            notes=[
                *notes(judged.evaluation),
                *failure_notes(judged.failures),
                *value_notes(self._policy.value, judged.evaluation.version.baselines),
            ],
            history_times=list(history.times),
            performance=performance,
            reference=judged.evaluation.version.number,
            segments=report_segments(judged.segments) if judged.segments is not None else None,
            failures=report_failures(judged.failures),
        )


class NoReporting(Reporting):
    """Takes no snapshots, for a backtest that needs only the alerts and which reports they name."""

    def note(self, context: AlertContext) -> None:
        pass

    def _take(self, context: AlertContext, *, alerted: bool) -> None:
        pass


def report_failures(window: FailureWindow) -> Failures | None:
    """Return the failed predictions; None if there are none."""
    return Failures(window.attempts, window.failed, window.kinds) if window.failed else None


def failure_notes(window: FailureWindow) -> list[str]:
    """Tell of failed predictions in a sentence, if there are any.

    Examples
    --------
    >>> from driftgauge.consumer.judging.windows.failures import Attempts
    >>> window = FailureWindow()
    >>> window.add(Attempts(1, 60, {"ValueError": 40}), least=100, days=7)
    >>> failure_notes(window)
    ['40 of the last 100 predictions failed, most of them with ValueError (40).']
    """
    if not window.failed:
        return []
    kind, number = window.kinds[0]
    told = f"{window.failed:,} of the last {window.attempts:,} predictions failed"
    return [f"{told}, most of them with {clip(kind, 64)} ({number:,})."]


def verdict(
    severity: Severity,
    everything: list[FeatureReport],
    rows: int,
    alerts: list[ActiveAlert] | None = None,
) -> str:
    """Return the verdict of a snapshot in one sentence."""
    if severity == "insufficient_data":
        reason = next(
            (report.reason for report in everything if report.severity == severity),
            "no column to judge",
        )
        return f"{severity_words(severity).capitalize()}: {reason}."
    if severity == "uncalibrated":
        return (
            "Uncalibrated: the columns are ordered in time, and the reference is too short: "
            "integrity only."
        )
    drifted = [report.name for report in everything if report.severity in ALARMING]
    unread = [report.name for report in everything if report.severity == "unreadable"]
    watched = sum(report.severity not in {"excluded", "unreadable"} for report in everything)
    if unread:
        others = [report for report in everything if report.severity != "unreadable"]
        rest = worst(report.severity for report in others) if others else severity
        return (
            f"{len(unread)} of {watched + len(unread)} columns cannot be compared "
            f"({_named(unread)}). {verdict(rest, others, rows, alerts)}"
        )
    unjudged = [report for report in everything if report.severity in UNJUDGED]
    watched -= len(unjudged)
    falls, of_model = _of_model(
        [alert for alert in alerts or () if not alert.feature and alert.state == "firing"]
    )
    if not drifted and not falls and not of_model:
        return (
            f"{severity_words('ok')}: none of {watched} columns drifted in {rows:,} rows"
            f"{_unjudged(unjudged)}."
        )
    told = f"{len(drifted)} of {watched} columns drifted ({_named(drifted)})"
    columns = [told] if drifted else []
    return f"{severity.capitalize()}: {'; '.join([*falls, *columns, *of_model])}."


def _named(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _unjudged(reports: list[FeatureReport]) -> str:
    """Say which columns are not judged, and why the first is not."""
    if not reports:
        return ""
    names = _named([report.name for report in reports])
    return f"; {len(reports)} not judged ({names}): {reports[0].reason}"


def _of_model(firing: list[ActiveAlert]) -> tuple[list[str], list[str]]:
    """Return the parts of the verdict about the model: falls of its performance; and lesser
    findings.

    Evidence that errors grew is left out if there is a fall. A few segments are named that nothing
    else explains; limits on operational metrics come last.
    """
    whole = [alert for alert in firing if not alert.segment]
    falls = [
        alert.summary
        for alert in whole
        if rule_of(alert.rule).kind == "performance" and alert.severity == "critical"
    ]
    others = [
        alert
        for alert in whole
        if rule_of(alert.rule).kind != "performance" or (alert.severity != "critical" and not falls)
    ]
    limits = [alert.summary for alert in others if rule_of(alert.rule).kind == "limit"]
    evidence = [alert.summary for alert in others if rule_of(alert.rule).kind != "limit"]
    parts = [
        f"{alert.segment}: {alert.summary}"
        for alert in firing
        if alert.segment and not alert.inhibited_by
    ]
    more = [f"{len(parts) - MOST_SEGMENTS} more segments"] if len(parts) > MOST_SEGMENTS else []
    return falls, [*evidence, *parts[:MOST_SEGMENTS], *more, *limits]


def _column_drafts(judged: EvaluatedWindow, policy: JudgingPolicy) -> list[FeatureReport]:
    """Report how every column stands, including the findings of limits and of the classic
    policy.
    """
    reports = column_drafts(judged.evaluation)
    if policy.kind == "classic":
        reports = [_classic(report, policy) for report in reports]
    for found in findings_of_columns(judged, policy):
        place = judged.evaluation.version.place.get(found.feature)
        if place is not None and found.reading.severity and reports[place].severity != "excluded":
            severity = worst([found.reading.severity, reports[place].severity])
            if severity != reports[place].severity:
                reports[place] = msgspec.structs.replace(
                    reports[place], severity=severity, reason=found.reading.summary
                )
    return reports


def _classic(report: FeatureReport, policy: JudgingPolicy) -> FeatureReport:
    """Remove the calibrated PSI thresholds and their conclusion from a report, for the classic
    policy.
    """
    statistics = [
        msgspec.structs.replace(one, warning=policy.psi_warning, critical=policy.psi_critical)
        if one.name == PSI
        else one
        for one in report.statistics
    ]
    calm = report.severity in ALARMING
    return msgspec.structs.replace(
        report,
        statistics=statistics,
        severity="ok" if calm else report.severity,
        reason="" if calm else report.reason,
    )


def _active(alert: AlertState, action: Action, now: int) -> ActiveAlert:
    return ActiveAlert(
        alert.fingerprint,
        alert.feature,
        alert.rule,
        alert.severity,
        "firing" if alert.state == "firing" else "pending",
        alert.started,
        alert.summary,
        action=action,
        acknowledged=alert.acknowledged.who if alert.acknowledged else "",
        silenced_until=alert.silenced.until if alert.silenced and alert.is_silenced(now) else None,
        inhibited_by=alert.inhibited_by,
        segment=alert.segment,
    )


def _with_alerts(report: FeatureReport, firing: Sequence[ActiveAlert]) -> FeatureReport:
    """Raise a column's severity to that of its firing alerts: an online alert may fire while PSI is
    quiet.
    """
    if (
        report.severity == "excluded"
    ):  # by a calibration, while an alert from before it goes on to its end
        return report
    worse = [
        alert for alert in firing if worst([alert.severity, report.severity]) != report.severity
    ]
    if not worse:
        return report
    return msgspec.structs.replace(report, severity=worse[0].severity, reason=worse[0].summary)
