"""Takes the snapshots of a step: reports when an alert fired or resolved, or when it is time; the
current one of each version at the step's end.
"""

from dataclasses import dataclass, field

import msgspec

from driftgauge.consumer.judging.alerting import AlertContext, Alerting
from driftgauge.consumer.judging.alerts.actions import recommend, recommended
from driftgauge.consumer.judging.alerts.lifecycle import AlertState
from driftgauge.consumer.judging.evaluating.column_report import column_reports, notes
from driftgauge.consumer.judging.evaluating.performance import report as report_performance
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.rules.findings import findings, rule_levels
from driftgauge.consumer.judging.rules.metrics import EvaluatedWindow
from driftgauge.consumer.judging.segments.report import report as report_segments
from driftgauge.consumer.judging.state import JudgingState, Reported
from driftgauge.consumer.judging.windows.history import PsiHistory
from driftgauge.consumer.judging.windows.window import DAY_MS
from driftgauge.shared.contract.alert import Action, Alert
from driftgauge.shared.contract.alerts import MARKS
from driftgauge.shared.contract.severity import ALARMING, Severity, worst
from driftgauge.shared.contract.snapshot import (
    ActiveAlert,
    FeatureReport,
    Snapshot,
    Window,
)
from driftgauge.shared.reference.profile import PREDICTION
from driftgauge.shared.rules import rule_of
from driftgauge.shared.statistics.psi import PSI

MOST_SEGMENTS = 3
"""Most segments that a verdict names."""


@dataclass(slots=True)
class Outputs:
    """What a step wrote: alert transitions and snapshot reports in order, the latest snapshot of
    each version.

    `refused` says of each command that could not be applied why.
    """

    alerts: list[Alert] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    current: dict[str, Snapshot] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Noted:
    """What a snapshot is taken of: a version's context, and the events of the model by then."""

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
        self._written: dict[str, tuple[_Noted, Snapshot]] = {}

    def note(self, context: AlertContext) -> None:
        """Note that a version has changed: its current snapshot is taken when the step is over."""
        self._latest[context.version] = _Noted(context, self._state.progress.events)

    def remember(self, context: AlertContext) -> None:
        """Remember the PSI of an evaluation, for the lines over time."""
        oldest = context.now - self._policy.window_days * DAY_MS
        self._state.keep_psi(
            context.version, context.now, context.judged.evaluation.judged_psi, oldest
        )

    def report(self, context: AlertContext) -> None:
        """Take a snapshot report if one of the moment's transitions, or the time, asks for it."""
        progress = self._state.progress
        alerted = any(
            notice.alert.version == context.version
            and notice.transition.state in {"firing", "resolved"}
            and notice.transition.change not in MARKS
            for notice in self._alerting.notices
        )
        due = self._is_due(
            progress.reported.get(context.version), context.judged.window.rows, context.now
        )
        self.note(context)
        if alerted or due:
            noted = self._latest[context.version]
            snapshot = self._snapshot(noted)
            self._written[context.version] = noted, snapshot
            self._outputs.snapshots.append(
                msgspec.structs.replace(snapshot, trigger="alert" if alerted else "schedule")
            )
            progress.reported[context.version] = Reported(context.now, progress.events)

    def _is_due(self, last: Reported | None, rows: int, now: int) -> bool:
        """Return whether a scheduled report is due; the first one as soon as there is enough to
        judge.
        """
        if last is None:
            return rows >= self._policy.min_window_rows
        return (
            now - last.time >= self._policy.snapshot_seconds * 1000
            or self._state.progress.events - last.events >= self._policy.snapshot_events
        )

    def finish(self) -> Outputs:
        """Take the current snapshot of every version that changed: only the last one of a step is
        wanted.

        Nothing of a version changes without a note, so the report that was written last may be that
        one.
        """
        for version in list(self._latest):
            self.settle(version)
        return self._outputs

    def settle(self, version: str) -> None:
        """Take the current snapshot of a version, which nothing changes any more."""
        noted = self._latest.pop(version, None)
        if noted is not None:
            written, snapshot = self._written.get(version, (None, None))
            self._outputs.current[version] = (
                snapshot if snapshot and written is noted else self._snapshot(noted)
            )

    def _snapshot(self, noted: "_Noted") -> Snapshot:
        context = noted.context
        version, judged = context.version, context.judged
        around = self._alerting.circumstances(version, context.now)
        alerts = [_active(alert, recommend(alert, around), context.now) for alert in around.alerts]
        history = self._state.histories.get(version, PsiHistory())
        reports = [
            msgspec.structs.replace(_with_alerts(report, alerts), psi_history=history.of(column))
            for column, report in enumerate(_column_reports(judged, self._policy))
        ]
        features = len(judged.evaluation.version.schema.features)
        prediction = (
            reports.pop() if reports[-1].name == PREDICTION and len(reports) > features else None
        )
        of_model = [
            alert.severity for alert in alerts if not alert.feature and alert.state == "firing"
        ]
        target = _with_alerts(judged.target.report(), alerts) if judged.target is not None else None
        moved = [target] if target is not None and target.severity == "warning" else []
        every = [*reports, *((prediction,) if prediction else ()), *moved]
        found: list[Severity] = [*(report.severity for report in every), *of_model]
        severity = worst(found) if found else "insufficient_data"
        window = judged.window
        performance = report_performance(
            judged.labelled, judged.evaluation.version.baselines, window.scores
        )
        if performance is not None:
            performance = msgspec.structs.replace(performance, target=target)
        return Snapshot(
            id=self._alerting.snapshot_id(version, noted.events),
            model=self._model,
            version=version,
            trigger="current",
            created=context.now,
            severity=severity,
            verdict=verdict(severity, every, window.rows, alerts),
            window=Window(window.start, window.end, window.rows, len(window.panes), noted.events),
            reference_rows=judged.evaluation.version.reference.rows,
            features=reports,
            prediction=prediction,
            alerts=alerts,
            events_per_day=judged.events_per_day,
            actions=recommended(around),
            levels=rule_levels(judged, self._policy),
            notes=notes(judged.evaluation),
            history_times=list(history.times),
            performance=performance,
            reference=judged.evaluation.version.number,
            segments=report_segments(judged.segments) if judged.segments is not None else None,
        )


class NoReporting(Reporting):
    """Takes no snapshot: for a backtest, which wants the alerts alone."""

    def note(self, context: AlertContext) -> None:
        pass

    def report(self, context: AlertContext) -> None:
        pass


def verdict(
    severity: Severity,
    everything: list[FeatureReport],
    rows: int,
    alerts: list[ActiveAlert] | None = None,
) -> str:
    """Say in one sentence how things stand, of all columns that are reported."""
    if severity == "insufficient_data":
        reason = next(
            (report.reason for report in everything if report.severity == severity),
            "no column to judge",
        )
        return f"Insufficient data: {reason}."
    if severity == "uncalibrated":
        return (
            "Uncalibrated: the columns are ordered in time, and the reference is too short: "
            "integrity only."
        )
    drifted = [report.name for report in everything if report.severity in ALARMING]
    watched = sum(report.severity != "excluded" for report in everything)
    falls, of_model = _of_model(
        [alert for alert in alerts or () if not alert.feature and alert.state == "firing"]
    )
    if not drifted and not falls and not of_model:
        return f"Normal: none of {watched} columns drifted in {rows:,} rows."
    names = ", ".join(drifted[:3]) + (f" and {len(drifted) - 3} more" if len(drifted) > 3 else "")
    columns = [f"{len(drifted)} of {watched} columns drifted ({names})"] if drifted else []
    return f"{severity.capitalize()}: {'; '.join([*falls, *columns, *of_model])}."


def _of_model(firing: list[ActiveAlert]) -> tuple[list[str], list[str]]:
    """Say what fires of the model: falls of its performance; and what is less than these.

    Evidence that the errors grew says no more than a fall does. Of segments those are told that
    nothing else explains, and few; limits on the model's operation come last.
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


def _column_reports(judged: EvaluatedWindow, policy: JudgingPolicy) -> list[FeatureReport]:
    """Report every column; with thresholds or the classic policy, by what those rules say too."""
    reports = column_reports(judged.evaluation)
    if policy.kind == "classic":
        reports = [_classic(report, policy) for report in reports]
    for found in findings(judged, set(), policy):
        place = judged.evaluation.version.place.get(found.feature)
        if place is not None and found.reading.severity and reports[place].severity != "excluded":
            severity = worst([found.reading.severity, reports[place].severity])
            if severity != reports[place].severity:
                reports[place] = msgspec.structs.replace(
                    reports[place], severity=severity, reason=found.reading.summary
                )
    return reports


def _classic(report: FeatureReport, policy: JudgingPolicy) -> FeatureReport:
    """Take the calibrated thresholds of PSI out of a report, and what they said: the findings say
    the rest.
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


def _with_alerts(report: FeatureReport, alerts: list[ActiveAlert]) -> FeatureReport:
    """Raise a column's severity to that of its firing alerts: a firing online alert is a warning
    though PSI is calm.
    """
    if (
        report.severity == "excluded"
    ):  # by a calibration, while an alert from before it goes on to its end
        return report
    firing = [alert for alert in alerts if alert.feature == report.name and alert.state == "firing"]
    worse = [
        alert for alert in firing if worst([alert.severity, report.severity]) != report.severity
    ]
    if not worse:
        return report
    return msgspec.structs.replace(report, severity=worse[0].severity, reason=worse[0].summary)
