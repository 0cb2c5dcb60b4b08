"""Judging's one step: state and entries of the panes in, changed state, alerts and snapshots out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from consumer.judging.calibration import levels
from consumer.judging.evaluation import PSI_WEEK, Evaluation, Evidence, JudgedVersion
from consumer.judging.lifecycle import AlertState, Transition, step, worst
from consumer.judging.policy import JudgingPolicy
from consumer.judging.report import column_reports, notes
from consumer.judging.state import JudgingState, Reported
from consumer.judging.window import VersionWindow, WindowPane
from shared.alerts import fingerprint
from shared.pane import Alarm, Pane, PaneEntry
from shared.reference import PREDICTION
from shared.snapshot import ActiveAlert, Alert, AlertEvidence, FeatureReport, Severity, Snapshot, Window

HOUR_MS = 3_600_000
ONLINE_RULES = ("adwin",)
"""Rules whose alarms come from online detectors."""
ALARM_DELAYS = 3
"""An online alert is over when nothing was alarmed for this many times the last alarm's delay."""


@dataclass(slots=True)
class Outputs:
    """What a step wrote: alert transitions and snapshot reports in order, the latest snapshot of each version."""

    alerts: list[Alert] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    current: dict[str, Snapshot] = field(default_factory=dict)


def advance(
    state: JudgingState,
    entries: Sequence[tuple[str, PaneEntry]],
    model: str,
    versions: Mapping[str, JudgedVersion],
    policy: JudgingPolicy,
) -> Outputs:
    """Judge entries of the panes.

    Parameters
    ----------
    state
        Is changed; throw it away if the outputs could not be committed.
    entries
        Entry id and content, in the order in which they were read. One at or before its partition's offset was judged
        before, and is left out.
    versions
        All versions that the entries name.
    """
    step_ = _Step(state, model, versions, policy)
    take = step_.take if policy.partitions == 1 else step_.take_merged
    for entry_id, entry in entries:
        if state.progress.is_new(entry.partition, entry_id):
            state.progress.offsets[entry.partition] = entry_id
            take(entry_id, entry)
    return step_.finish()


class _Step:
    """One step: `take` or `take_merged` for each entry."""

    def __init__(
        self, state: JudgingState, model: str, versions: Mapping[str, JudgedVersion], policy: JudgingPolicy
    ) -> None:
        self.state = state
        self.model = model
        self.versions = versions
        self.policy = policy
        self.outputs = Outputs()
        self._latest: dict[str, tuple[Evaluation, VersionWindow, int]] = {}

    def take(self, _entry_id: str, entry: PaneEntry) -> None:
        """Judge an entry of the only partition as it comes."""
        self.state.progress.totals[entry.partition] = entry.total
        if isinstance(entry, Pane):
            self.judge_pane(entry)
        elif isinstance(entry, Alarm):
            self.judge_alarm(entry)

    def take_merged(self, entry_id: str, entry: PaneEntry) -> None:
        """Judge an alarm at once, and the panes whose turn has come.

        Events are those of what was judged: how many of the other partitions were read by then is chance.
        """
        progress, merge = self.state.progress, self.state.merge
        merge.add(entry)
        if isinstance(entry, Pane):
            self.state.hold(entry)
        elif isinstance(entry, Alarm):
            progress.record(entry, entry_id)
            progress.totals[entry.partition] = max(entry.total, progress.totals.get(entry.partition, 0))
            self.judge_alarm(entry)
        for pane in merge.ready(self.policy.partitions):
            self.state.let_go(pane)
            progress.totals[pane.partition] = max(pane.total, progress.totals.get(pane.partition, 0))
            self.judge_pane(pane)

    def judge_pane(self, pane: Pane) -> None:
        """Add a pane to the windows of its versions and evaluate them."""
        self.state.progress.judged += 1
        self.state.progress.events_per_day[pane.partition] = pane.events_per_day
        for version, block in pane.blocks.items():
            if not block.rows:  # only predictions that do not count for drift: no new evidence
                continue
            part = WindowPane(pane.partition, pane.number, pane.start, pane.end, block.rows, block.cells)
            window = self.state.windows.setdefault(version, VersionWindow.of(len(self._cells(version)), []))
            window.add(part)
            self.state.keep_pane(version, part)
            for old in window.trim(self.policy.window_events, self.policy.window_days):
                self.state.drop_pane(version, old)
            self.state.count_day(version, self.versions[version].week, part)
            evaluation = self._evaluate(version, window)
            self._settle(version, evaluation, window, pane.end)
            self._note_week(version, evaluation)
        self._retire_silent(pane.end)

    def judge_alarm(self, alarm: Alarm) -> None:
        """An online detector's alarm fires at once; one that fires already is kept alive."""
        version = alarm.version
        window = self.state.windows.setdefault(version, VersionWindow.of(len(self._cells(version)), []))
        summary = f"{alarm.detector.upper()}: {alarm.effect}"
        alert = self._alert(version, alarm.column, alarm.detector, alarm.time)
        known = alert.fingerprint in self.state.alerts
        alert = msgspec.structs.replace(
            alert, severity="warning", state="firing", updated=alarm.time, summary=summary,
            last_alarm=self.state.progress.events, delay=alarm.delay, bad=alert.bad + 1, quiet=0,
        )  # fmt: skip
        self.state.keep_alert(alert)
        if known:
            return
        evidence = Evidence(alarm.statistic, alarm.value, None, alarm.expected)
        transition = self._transition(alert, "firing", evidence, window, alarm.time, effect=alarm.effect)
        self._report(version, self._evaluate(version, window), window, alarm.time, [transition])

    # -- evaluation -----------------------------------------------------------------------------------------------

    def _cells(self, version: str) -> range:
        return range(int(self.versions[version].reference.offsets[-1]))

    def _evaluate(self, version: str, window: VersionWindow) -> Evaluation:
        """Evaluate a version's window as it stands."""
        judged = self.versions[version]
        rate = self.state.progress.model_events_per_day(self.policy.expected_events_per_day)
        level = levels(self.policy, rate, len(judged.watched))
        return Evaluation(judged, window.cells, window.rows, level, self.policy, self.state.days.get(version))

    def _note_week(self, version: str, evaluation: Evaluation) -> None:
        """Remember at a logical midnight whether an ordered column is in alarm."""
        days = self.state.days.get(version)
        if days is not None and days.due and not evaluation.lacking_days:
            days.note(in_alarm=any(alert.rule == PSI_WEEK for alert in self.state.alerts_of(version)))
            self.state.keep_week(version)

    def _settle(self, version: str, evaluation: Evaluation, window: VersionWindow, now: int) -> None:
        """Move the alerts of a version by its evaluation, and report."""
        transitions: list[Alert] = []
        for column, rule, reading, evidence in evaluation.readings(self._watching(version)):
            name = self.versions[version].reference.columns[column].name
            alert = self._alert(version, name, rule, now)
            moved, transition = step(alert, reading, now, self.policy.bad_to_fire, self.policy.quiet_to_resolve)
            self._store(moved, transition)
            if transition is not None:
                transitions.append(self._transition(moved, transition, evidence, window, now))
        transitions += self._end_online(version, evaluation, window, now)
        self._report(version, evaluation, window, now, transitions)

    def _watching(self, version: str) -> set[tuple[int, str]]:
        """Give column and rule of the version's alerts."""
        place = self.versions[version].place
        return {(place[alert.feature], alert.rule) for alert in self.state.alerts_of(version)}

    def _end_online(self, version: str, evaluation: Evaluation, window: VersionWindow, now: int) -> list[Alert]:
        """Resolve online alerts that were not alarmed again for long enough, while the column's PSI is quiet."""
        ended = []
        for alert in self.state.alerts_of(version):
            if alert.rule not in ONLINE_RULES or not evaluation.psi_quiet(self.versions[version].place[alert.feature]):
                continue
            patience = max(self.policy.window_events, ALARM_DELAYS * alert.delay)
            passed = self.state.progress.events - alert.last_alarm
            if passed >= patience:
                over = msgspec.structs.replace(alert, summary=f"no further alarm in {passed:,} events, and PSI is quiet")
                self._store(over, "resolved")
                evidence = Evidence("events_since_alarm", passed, patience, None)
                ended.append(self._transition(over, "resolved", evidence, window, now))
        return ended

    def _retire_silent(self, now: int) -> None:
        """Resolve the alerts of versions that have had no pane for long, and forget their windows."""
        limit = now - self.policy.version_silent_hours * HOUR_MS
        silent = sorted(version for version, window in self.state.windows.items() if 0 < window.end < limit)
        for version in silent:
            window = self.state.windows.pop(version)
            transitions = []
            for alert in self.state.alerts_of(version):
                ended = msgspec.structs.replace(alert, summary=f"version inactive: no events of {version}")
                transition: Transition = "resolved" if alert.state == "firing" else "inactive"
                self._store(ended, transition)
                transitions.append(self._transition(ended, transition, Evidence("rows", 0, 0, None), window, now))
            if transitions:
                self._report(version, self._evaluate(version, window), window, now, transitions)
            for pane in window.panes:
                self.state.drop_pane(version, pane)

    # -- alerts ---------------------------------------------------------------------------------------------------

    def _alert(self, version: str, column: str, rule: str, now: int) -> AlertState:
        """Give the alert as it stands, or a new one."""
        name = fingerprint(self.model, version, column, rule)
        return self.state.alerts.get(name) or AlertState(name, version, column, rule, "warning", "pending", now, now, "")

    def _store(self, alert: AlertState, transition: Transition | None) -> None:
        if transition not in {"resolved", "inactive"}:
            self.state.keep_alert(alert)
        elif alert.fingerprint in self.state.alerts:
            self.state.drop_alert(alert.fingerprint)

    def _transition(
        self,
        alert: AlertState,
        transition: Transition,
        evidence: Evidence,
        window: VersionWindow,
        now: int,
        effect: str = "",
    ) -> Alert:
        written = Alert(
            fingerprint=alert.fingerprint, model=self.model, version=alert.version, feature=alert.feature, rule=alert.rule,
            severity=alert.severity, state=transition, summary=alert.summary,
            evidence=AlertEvidence(
                statistic=evidence.statistic, value=evidence.value, threshold=evidence.threshold, expected=evidence.expected,
                n=self.versions[alert.version].reference.rows, m=window.rows, events=self.state.progress.events,
                window_start=window.start, window_end=window.end, effect=effect,
            ),
            started=alert.started, updated=now, ended=now if transition in {"resolved", "inactive"} else None,
            snapshot=self._snapshot_id(alert.version) if transition in {"firing", "resolved"} else "",
        )  # fmt: skip
        self.outputs.alerts.append(written)
        return written

    # -- snapshots ------------------------------------------------------------------------------------------------

    def _snapshot_id(self, version: str) -> str:
        return f"{self.model}-{version}-{self.state.progress.events:012d}"

    def _report(
        self, version: str, evaluation: Evaluation, window: VersionWindow, now: int, transitions: list[Alert]
    ) -> None:
        """Take a snapshot report when an alert fired or resolved, or when it is time; note what the current one needs."""
        progress = self.state.progress
        alerted = any(alert.state in {"firing", "resolved"} for alert in transitions)
        due = self._report_due(progress.reported.get(version), window.rows, now)
        self._latest[version] = (evaluation, window, now)
        if alerted or due:
            snapshot = self._snapshot(version, evaluation, window, now)
            self.outputs.snapshots.append(msgspec.structs.replace(snapshot, trigger="alert" if alerted else "schedule"))
            progress.reported[version] = Reported(now, progress.events)

    def _report_due(self, last: Reported | None, rows: int, now: int) -> bool:
        """Whether a scheduled report is due; the first one as soon as there is enough to judge."""
        if last is None:
            return rows >= self.policy.min_window_rows
        return (
            now - last.time >= self.policy.snapshot_seconds * 1000
            or self.state.progress.events - last.events >= self.policy.snapshot_events
        )

    def finish(self) -> Outputs:
        """Take the current snapshot of every version that was evaluated: only the last one of a step is wanted."""
        for version, (evaluation, window, now) in self._latest.items():
            self.outputs.current[version] = self._snapshot(version, evaluation, window, now)
        return self.outputs

    def _snapshot(self, version: str, evaluation: Evaluation, window: VersionWindow, now: int) -> Snapshot:
        progress = self.state.progress
        alerts = [
            ActiveAlert(
                alert.fingerprint, alert.feature, alert.rule, alert.severity, alert.state, alert.started, alert.summary
            )
            for alert in self.state.alerts_of(version)
        ]
        reports = [_with_alerts(report, alerts) for report in column_reports(evaluation)]
        prediction = reports.pop() if reports[-1].name == PREDICTION and len(reports) > self._features(version) else None
        severity = worst([report.severity for report in (*reports, *((prediction,) if prediction else ()))])
        reference = self.versions[version].reference
        return Snapshot(
            id=self._snapshot_id(version), model=self.model, version=version, trigger="current", created=now,
            severity=severity, verdict=verdict(severity, reports, prediction, window.rows),
            window=Window(window.start, window.end, window.rows, len(window.panes), progress.events),
            reference_rows=reference.rows, features=reports, prediction=prediction, alerts=alerts,
            events_per_day=progress.model_events_per_day(self.policy.expected_events_per_day),
            notes=notes(evaluation),
        )  # fmt: skip

    def _features(self, version: str) -> int:
        return len(self.versions[version].schema.features)


def verdict(severity: Severity, features: list[FeatureReport], prediction: FeatureReport | None, rows: int) -> str:
    """Say in one sentence how things stand."""
    everything = [*features, *([prediction] if prediction else [])]
    if severity == "insufficient_data":
        reason = next((report.reason for report in everything if report.severity == severity), "no column to judge")
        return f"Insufficient data: {reason}."
    if severity == "uncalibrated":
        return "Uncalibrated: the columns are ordered in time, and the reference is too short: integrity only."
    drifted = [report.name for report in everything if report.severity in {"warning", "critical"}]
    watched = sum(report.severity != "excluded" for report in everything)
    if not drifted:
        return f"Normal: none of {watched} columns drifted in the last {rows:,} predictions."
    names = ", ".join(drifted[:3]) + (f" and {len(drifted) - 3} more" if len(drifted) > 3 else "")
    return f"{severity.capitalize()}: {len(drifted)} of {watched} columns drifted ({names})."


def _with_alerts(report: FeatureReport, alerts: list[ActiveAlert]) -> FeatureReport:
    """Raise a column's severity to that of its firing alerts: a firing online alert is a warning though PSI is calm."""
    firing = [alert for alert in alerts if alert.feature == report.name and alert.state == "firing"]
    worse = [alert for alert in firing if worst([alert.severity, report.severity]) != report.severity]
    if not worse:
        return report
    return msgspec.structs.replace(report, severity=worse[0].severity, reason=worse[0].summary)
