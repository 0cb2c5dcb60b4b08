"""Judging's one step: state, entries of the panes and commands in; changed state, alerts and
snapshots out.

The order of a moment: a pane is added to the windows of its versions, each window is evaluated, the
alerts move (alerting.py), their transitions are written as one group (notices.py), and a report is
taken if a transition or the time requires one (snapshotting.py).
"""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from driftgauge.consumer.judging import commanding
from driftgauge.consumer.judging.alerting import AlertContext, Alerting
from driftgauge.consumer.judging.alerts import notices
from driftgauge.consumer.judging.alerts.lifecycle import AlertState
from driftgauge.consumer.judging.evaluating.budget import Levels, levels
from driftgauge.consumer.judging.evaluating.evaluation import Evaluation
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.evaluating.last_week import LastWeek
from driftgauge.consumer.judging.following import Incidents
from driftgauge.consumer.judging.labelled.late import ModelFell, Question, falls, look
from driftgauge.consumer.judging.labelled.performance import Labelled
from driftgauge.consumer.judging.labelled.target import LabelsDrifted, Target
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.rules.metrics import EvaluatedWindow
from driftgauge.consumer.judging.segments.past_days import SegmentFell
from driftgauge.consumer.judging.segments.window import SegmentWindow
from driftgauge.consumer.judging.snapshotting import NoReporting, Outputs, Reporting
from driftgauge.consumer.judging.state import JudgingState
from driftgauge.consumer.judging.stated import PolicyChange, Proposal
from driftgauge.consumer.judging.windows.failures import Attempts, FailureWindow
from driftgauge.consumer.judging.windows.labelled import LabelledWindow
from driftgauge.consumer.judging.windows.labelled_days import LabelledDay, LabelledDays
from driftgauge.consumer.judging.windows.window import (
    DAY_MS,
    HOUR_MS,
    VersionWindow,
    WindowPane,
)
from driftgauge.shared.contract.alert import Alert
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.contract.pane import (
    Alarm,
    Block,
    Delta,
    NewReference,
    Pane,
    PaneEntry,
    Watermark,
)
from driftgauge.shared.performance import LABEL, VALUE, PerformanceBaselines
from driftgauge.shared.rules import rule_of
from driftgauge.shared.rules.performance import PERFORMANCE, SEGMENT_PERFORMANCE


def advance(
    state: JudgingState,
    entries: Sequence[tuple[str, PaneEntry]],
    model: str,
    versions: Mapping[str, JudgedVersion],
    policy: JudgingPolicy,
    commands: Sequence[tuple[str, bytes | None]] = (),
) -> Outputs:
    """Judge entries of the panes.

    Parameters
    ----------
    state
        State of the model, changed in place. Discard it if the outputs could not be committed.
    entries
        Entry id and content, in the order in which they were read. An entry at or before its
        partition's offset was judged before and is ignored.
    versions
        Versions that the entries name and those of the open alerts, with their references, by
        `reference_key`.
    commands
        Entry id and content of people's commands, which are applied before the entries. Commands
        that were applied before are ignored.
    """
    step_ = _Step(state, model, versions, policy)
    for entry_id, packed in commands:
        step_.command(entry_id, packed)
    take = step_.take if policy.partitions == 1 else step_.take_merged
    for entry_id, entry in entries:
        if state.progress.is_new(entry.partition, entry_id):
            state.progress.offsets[entry.partition] = entry_id
            take(entry_id, entry)
    return step_.reporting.finish()


def catch_up(
    state: JudgingState,
    model: str,
    versions: Mapping[str, JudgedVersion],
    policy: JudgingPolicy,
) -> list[Incident]:
    """Bring the incidents of a checkpoint up to its alerts; return their transitions.

    There are none unless a release without incidents wrote it: before an upgrade, or after going
    back to one. From the same checkpoint come the same incidents.

    Parameters
    ----------
    state
        State of the model, changed in place. Discard it if the transitions could not be committed.
    versions
        Versions by `reference_key`, as for `advance`; alerts of others stay as they are.
    """
    return _Step(state, model, versions, policy).catch_up()


def take_up(
    state: JudgingState,
    model: str,
    versions: Mapping[str, JudgedVersion],
    settings: JudgingPolicy,
    proposal: Proposal,
) -> Outputs:
    """Take up a policy from here on, and record it with its place in the log.

    Alerts of rules that it does not have, or has with other limits, end with that reason. The rest
    goes on, and is judged by it from the next entry on.

    Parameters
    ----------
    state
        State of the model, changed in place. Discard it if the outputs could not be committed.
    versions
        Versions by `reference_key`, as for `advance`; alerts of others end at their next pane.
    settings
        The policy without a file.
    """
    progress = state.progress
    before, known = policy_of(state, settings), state.policies
    change = PolicyChange(
        known[-1].number + 1 if known else 1,
        proposal.said,
        proposal.origin,
        progress.now,
        progress.judged,
        dict(sorted(progress.offsets.items())),
    )
    state.keep_policy(change)
    after = policy_of(state, settings)
    # what was in force before the first recorded one is not known; its alerts may be of the same
    return _Step(state, model, versions, after).take_up(before if known else after)


def policy_of(state: JudgingState, settings: JudgingPolicy) -> JudgingPolicy:
    """Return the policy that is in force: that of the settings, and what the file that was taken up
    last states.
    """
    return state.policies[-1].said.apply(settings) if state.policies else settings


class Transitions(NamedTuple):
    """Transitions of alerts and of incidents that an entry caused."""

    alerts: list[Alert]
    incidents: list[Incident]


class Rejudging:
    """Judges entries in a known order from an empty state and without snapshots, for a backtest.

    Parameters
    ----------
    versions
        Versions by `reference_key`, as for `advance`.
    recorded
        Whether policies that were taken up, among the entries, are taken up again; `policy` is then
        that of the settings, without a file.
    """

    def __init__(
        self,
        model: str,
        versions: Mapping[str, JudgedVersion],
        policy: JudgingPolicy,
        *,
        recorded: bool = False,
    ) -> None:
        self._settings = policy
        self._recorded = recorded
        self._step = self._step_by(_Step(JudgingState(), model, versions, policy))

    def _step_by(self, step: "_Step") -> "_Step":
        step.reporting = NoReporting(
            step.state, step.model, step.policy, step.alerting, step.outputs
        )
        return step

    def take(self, entry: PaneEntry | PolicyChange) -> Transitions:
        """Judge an entry, or take up a policy; return the transitions that it caused."""
        if not isinstance(entry, PolicyChange):
            self._step.take_known(entry)
        elif self._recorded:
            self._take_up(entry)
        self._step.state.changed.clear()
        outputs = self._step.outputs
        found = Transitions(outputs.alerts[:], outputs.incidents[:])
        outputs.alerts.clear()
        outputs.incidents.clear()
        return found

    def _take_up(self, change: PolicyChange) -> None:
        """Judge by another policy from here on."""
        state, before = self._step.state, self._step.policy
        known = bool(state.policies)
        state.keep_policy(change)
        after = policy_of(state, self._settings)
        self._step = self._step_by(_Step(state, self._step.model, self._step.versions, after))
        self._step.take_up(before if known else after)


class _Step:
    """One step: `command` for each command, `take` or `take_merged` for each entry."""

    def __init__(
        self,
        state: JudgingState,
        model: str,
        versions: Mapping[str, JudgedVersion],
        policy: JudgingPolicy,
    ) -> None:
        self.state = state
        self.model = model
        self.versions = versions
        self.policy = policy
        self.outputs = Outputs()
        self.alerting = Alerting(state, model, policy)
        self.incidents = Incidents(state, model, policy)
        self.reporting = Reporting(state, model, policy, self.alerting, self.outputs)
        self._weeks: dict[str, LastWeek] = {}

    def catch_up(self) -> list[Incident]:
        """Bring the incidents up to the alerts, at the time of the last judged entry."""
        now, key = self.state.progress.now, self.state.progress.reference_key
        firing = {alert.version for alert in self.state.alerts.values()}
        moved = self.incidents.catch_up(
            {version for version in firing if key(version) in self.versions},
            now,
            lambda version: self.alerting.circumstances(version, now),
            lambda version: self._context(version, now),
        )
        return [self.incidents.write(one, now) for one in moved]

    def take_up(self, before: JudgingPolicy) -> Outputs:
        """End the alerts that only the policy before raised, and forget what it found of past
        days.
        """
        if before.value != self.policy.value:
            self.state.forget_falls(VALUE)
        now, key = self.state.progress.now, self.state.progress.reference_key
        versions = {*self.state.windows, *(one.version for one in self.state.alerts.values())}
        for version in sorted(one for one in versions if key(one) in self.versions):
            context = self._context(version, now)
            self.alerting.end_other(context, before)
            self.reporting.consider(context)
        self._end_moment(now)
        return self.reporting.finish()

    def take(self, _entry_id: str, entry: PaneEntry) -> None:
        """Judge an entry of the only partition."""
        self.state.progress.totals[entry.partition] = entry.total
        self.take_known(entry)

    def take_known(self, entry: PaneEntry) -> None:
        """Judge an entry whose turn is known."""
        if isinstance(entry, Watermark):
            return
        totals = self.state.progress.totals
        totals[entry.partition] = max(entry.total, totals.get(entry.partition, 0))
        if isinstance(entry, Pane | Delta):
            self.judge(entry)
        elif isinstance(entry, Alarm):
            self.judge_alarm(entry)
        elif isinstance(entry, NewReference):
            self.judge_reference(entry)

    def take_merged(self, entry_id: str, entry: PaneEntry) -> None:
        """Judge an alarm at once, and the panes and labels whose turn has come (see merge.py).

        Only judged entries count as events, because how much of the other partitions was read by
        then is random.
        """
        progress, merge = self.state.progress, self.state.merge
        merge.add(entry)
        if isinstance(entry, Pane | Delta):
            self.state.hold(entry, entry_id)
        elif isinstance(entry, Alarm | NewReference):
            progress.record(entry, entry_id)
            self.take_known(entry)
        for ready in merge.ready(self.policy.partitions):
            self.state.let_go(ready)
            self.take_known(ready)

    def judge(self, entry: Pane | Delta) -> None:
        """Judge a pane, or labels that revise panes."""
        if isinstance(entry, Pane):
            self.judge_pane(entry)
        else:
            self.judge_labels(entry)

    def judge_pane(self, pane: Pane) -> None:
        """Add a pane to the windows of its versions and evaluate them."""
        progress = self.state.progress
        if progress.now // DAY_MS < pane.start // DAY_MS:
            self.begin_day(pane.start)
        progress.judged += 1
        progress.events_per_day[pane.partition] = pane.events_per_day
        for version, block in pane.blocks.items():
            if block.rows or block.failed:
                self._attempt(version, pane, block)
            if not block.rows:  # only predictions that do not count for drift: no new evidence
                continue
            self._await_labels(version, pane, block.rows)
            progress.see(version, pane.end)
            progress.last_rows[version] = progress.events
            part = WindowPane(
                pane.partition,
                pane.number,
                pane.start,
                pane.end,
                block.rows,
                block.cells,
                block.latency,
                block.scores,
                block.segments,
                block.odd,
                block.slowest,
            )
            window = self._window(version)
            window.add(part)
            self.state.keep_pane(version, part)
            for old in window.trim(self.policy.window_events, self.policy.window_days):
                self.state.drop_pane(version, old)
            self.state.count_day(version, self._judged(version).week, part)
            context = self._context(version, pane.end, self._look(version, pane.end))
            progress.unjudged.pop(version, None)
            self.alerting.settle(context)
            self._note_told(context)
            self._note_week(context)
            self.reporting.remember(context)
            self.reporting.consider(context)
        self._retire(pane.end)
        self._end_moment(pane.end)

    def _attempt(self, version: str, pane: Pane, block: Block) -> None:
        """Note which predictions of a pane failed; with no other rows there, judge that alone."""
        self.state.keep_attempts(
            version,
            Attempts(pane.end, block.rows, block.failed),
            least=self.policy.window_events,
            days=self.policy.window_days,
        )
        if not block.rows:
            self.state.progress.see(version, pane.end)
            context = self._context(version, pane.end)
            self.alerting.settle_limits(context)
            self._note_told(context)
            self.reporting.consider(context)

    def begin_day(self, now: int) -> None:
        """Begin a logical day, before its first pane is judged: a pane never spans midnight."""
        self.state.forget_alerts(now)
        self.state.forget_incidents(now - self.policy.cooldown_ms)
        for version, window in list(self.state.labelled.items()):
            if window.end < now - self.policy.labelled_days * DAY_MS:
                self.state.drop_labelled(version)

    # -- labels ------------------------------------------------------------------------------------

    def _await_labels(self, version: str, pane: Pane, predictions: int) -> None:
        """Add a pane to the labelled window, where it waits for its labels."""
        if not self.versions[version].labels:
            return
        days = self.state.labelled_days.setdefault(version, LabelledDays())
        self.state.keep_labelled_day(version, days.add(pane, predictions))
        self.state.trim_labelled_days(version, pane.end, self.policy.labelled_days)
        window = self.state.labelled.setdefault(version, LabelledWindow())
        kept, gone = window.add(pane, predictions)
        for span in (*gone, *window.trim(self.policy.labelled_rows, self.policy.labelled_days)):
            self.state.drop_span(version, span)
        for span in kept:
            self.state.keep_span(version, span)

    def judge_labels(self, delta: Delta) -> None:
        """Add labels to their panes. The performance is judged at the next pane, or earlier when as
        many labels came as a pane has predictions.
        """
        touched: dict[str, int] = {}
        for revised in delta.revised:
            window = self.state.labelled.get(revised.version)
            span = window.revise(delta.partition, revised) if window is not None else None
            days = self.state.labelled_days.get(revised.version)
            day = days.revise(delta.partition, revised) if days is not None else None
            if span is not None:
                self.state.keep_span(revised.version, span)
            if day is not None:
                self.state.keep_labelled_day(revised.version, day)
            if span is None and day is None:
                self.state.progress.labels_too_late += revised.labelled
                continue
            touched[revised.version] = (
                touched.get(revised.version, 0) + revised.labelled + revised.corrected
            )
        self.state.progress.now = max(self.state.progress.now, delta.time)
        for version, labels in touched.items():
            self._judge_performance(version, labels, delta.time)
        self._end_moment(delta.time)

    def _judge_performance(self, version: str, labels: int, now: int) -> None:
        unjudged = self.state.progress.unjudged
        for old in self.state.labelled[version].trim(
            self.policy.labelled_rows, self.policy.labelled_days
        ):
            self.state.drop_span(version, old)
        unjudged[version] = unjudged.get(version, 0) + labels
        if version not in self.state.windows:  # it is no longer used
            return
        fallen = self._look(version, now)
        context = self._context(version, now, fallen)
        worth = unjudged[version] // self.policy.pane_events
        if not worth and not fallen:
            self.reporting.note(context)
            return
        if worth:
            unjudged[version] = 0
        for _ in range(
            max(1, min(worth, max(self.policy.bad_to_fire, self.policy.quiet_to_resolve)))
        ):
            self.alerting.settle_performance(
                context
            )  # labels of two panes are two evaluations, also when they come at once
        self._note_told(context)
        self.reporting.remember_metric(context)
        self.reporting.consider(context)

    def _look(self, version: str, now: int) -> set[int]:
        """Judge the past days of a version whose labels changed; return those that are bad."""
        judged, days = self._judged(version), self.state.labelled_days.get(version)
        if days is None or judged.baselines is None or not judged.labels:
            return set()
        over = days.take_over(now)
        if not over:
            return set()
        seen = look(days, over, self._questions(judged, judged.baselines), now)
        for day in seen:
            self.state.keep_labelled_day(version, day)
        return {day.day for day in seen if day.bad}

    def _questions(self, judged: JudgedVersion, baselines: PerformanceBaselines) -> list[Question]:
        """Return what past days are asked; the levels do not hang on the traffic, which is another
        at every time.
        """
        policy, segments = self.policy, judged.segments
        level = levels(
            policy,
            policy.expected_events_per_day,
            judged.judged_columns,
            len(segments.names) if segments is not None else 0,
        )
        asked: list[Question] = [ModelFell(baselines, level.performance_day, policy)]
        asked += SegmentFell.of_all(segments, level.segment_performance_day, policy)
        if judged.target is not None and not judged.target_excluded:
            asked.append(LabelsDrifted(judged.target, level.target_day, policy))
        return asked

    def _note_told(self, context: AlertContext) -> None:
        """Note which past days the alerts of the labels tell of: those that they speak of, and
        those that a fall has in the window as it happens.
        """
        labelled, days = context.judged.labelled, self.state.labelled_days.get(context.version)
        if labelled is None or days is None:
            return
        window = labelled.window
        last = window.latest_label // DAY_MS
        present = range(max(window.start // DAY_MS, last - 1), last + 1)
        for alert in self.state.alerts_of(context.version):
            name = _subject_of(alert)
            if alert.state != "firing" or not name:
                continue
            fall = labelled.falls.get(name)
            for day in () if fall is None else fall.days:
                self._tell(context.version, days.days[day], name, late=True)
            for day in () if labelled.late else present:
                if day in days.days:
                    self._tell(context.version, days.days[day], name, late=False)

    def _tell(self, version: str, day: LabelledDay, metric: str, *, late: bool) -> None:
        if metric not in day.told:
            day.told = {**day.told, metric: late}
            self.state.keep_labelled_day(version, day)

    def judge_alarm(self, alarm: Alarm) -> None:
        """Let the alert of an online detector's alarm fire at once; one that fires already
        stays.
        """
        if self.state.progress.is_outdated(alarm):
            return
        self.state.progress.see(alarm.version, alarm.time)
        context = self._context(alarm.version, alarm.time)
        self.alerting.alarm(alarm, context)
        if self.alerting.notices:
            self.reporting.consider(context)
        self._end_moment(alarm.time)

    def judge_reference(self, entry: NewReference) -> None:
        """Judge a version by another reference from here on; the alerts that depend on the previous
        reference end with that reason.

        The window stays, since the new reference has the same cells: it is judged again at its next
        pane, so no drift is missed for lack of rows.
        """
        state, version = self.state, entry.version
        if not state.progress.note_change(entry) or (
            version not in state.windows and not state.alerts_of(version)
        ):
            return
        context = self._context(version, entry.time)
        verb = (
            f"back to reference {entry.number}"
            if entry.undo
            else f"reference {entry.number} accepted"
        )
        self.alerting.end_referring(context, f"{verb} by {entry.who}: {entry.reason}")
        if version in state.days:
            state.days[version].progress.alarms = []  # they were of the reference before
            state.keep_week(version)
        self.reporting.consider(context)
        self._end_moment(entry.time)

    def command(self, entry_id: str, packed: bytes | None) -> None:
        """Apply a command to an alert or an incident; one that cannot be applied is counted and
        logged.
        """
        marked, refused = commanding.apply(
            self.state, self.alerting, self.incidents, entry_id, packed
        )
        self.outputs.incidents += marked
        if refused:
            self.outputs.refused.append(refused)
        for notice in self.alerting.notices:
            if notice.alert.version in self.versions:
                self.reporting.note(self._context(notice.alert.version, self.state.progress.now))
        self._end_moment(self.state.progress.now)

    def _end_moment(self, now: int) -> None:
        """Take the reports of a moment; write its transitions as one group, and those of the
        incidents that they join.
        """
        found = self.alerting.notices
        around = {
            notice.alert.version: self.alerting.circumstances(notice.alert.version, now)
            for notice in found
        }
        moved = self.incidents.follow(
            found, now, around, lambda version: self._context(version, now)
        )
        self.reporting.end_moment({one.incident.version for one in moved if one.change == "opened"})
        self.outputs.alerts += notices.write(
            self.model, now, found, around, partial(self.state.report_of, self.model)
        )
        self.outputs.incidents += [self.incidents.write(one, now) for one in moved]
        found.clear()

    def _retire(self, now: int) -> None:
        """End the alerts of versions that are no longer used, and forget their windows."""
        for version in sorted(self.state.windows):
            reason = self._retirement(version, now)
            if not reason:
                continue
            context = self._context(version, now)
            had = len(self.alerting.notices)
            self.alerting.end_version(context, reason)
            if len(self.alerting.notices) > had:
                self.reporting.report(context)
            for pane in self.state.windows.pop(version).panes:
                self.state.drop_pane(version, pane)
            self.state.progress.last_rows.pop(version, None)
            self.state.drop_histories(version)
            if self.state.failures.pop(version, None) is not None:
                self.state.changed[f"failures:{version}".encode()] = b""
            self.reporting.settle(version)
            self.outputs.ended.add(version)

    def _retirement(self, version: str, now: int) -> str:
        """Return why a version is no longer used; empty if it may still be."""
        end = self.state.windows[version].end
        if not end:
            return ""
        if end < now - self.policy.version_silent_hours * HOUR_MS:
            return f"version inactive: no events of {version}"
        passed = self.state.progress.events - self.state.progress.last_rows.get(version, 0)
        if (
            end >= now - self.policy.version_superseded_hours * HOUR_MS
            or passed < self.policy.window_events
        ):
            return ""
        others = {
            name: window.end for name, window in self.state.windows.items() if name != version
        }
        latest = max(sorted(others), key=others.__getitem__, default="")
        return (
            f"superseded by {latest}: no events of {version}"
            if latest and others[latest] > end
            else ""
        )

    # -- evaluation --------------------------------------------------------------------------------

    def _judged(self, version: str) -> JudgedVersion:
        """Return a version with the reference that it is judged by."""
        return self.versions[self.state.progress.reference_key(version)]

    def _window(self, version: str) -> VersionWindow:
        size = int(self._judged(version).reference.offsets[-1])
        return self.state.windows.setdefault(version, VersionWindow.of(size, []))

    def _note_week(self, context: AlertContext) -> None:
        """Record at a logical midnight whether an ordered column is in alarm."""
        days = self.state.days.get(context.version)
        if days is not None and days.due and not context.judged.evaluation.week.lacking_days:
            days.note(
                in_alarm=any(
                    rule_of(alert.rule).weekly for alert in self.state.alerts_of(context.version)
                )
            )
            self.state.keep_week(context.version)

    def _context(self, version: str, now: int, fallen: Collection[int] = ()) -> AlertContext:
        """Evaluate a version's window as it stands; `fallen` are past days just found bad."""
        judged, window = self._judged(version), self._window(version)
        rate = self.state.progress.model_events_per_day(self.policy.expected_events_per_day)
        segments = judged.segments
        level = levels(
            self.policy,
            rate,
            judged.judged_columns,
            len(segments.names) if segments is not None else 0,
        )
        labelled = self._labelled(version, judged, level, now, fallen)
        tell = labelled is not None and labelled.is_fresh(now, window.end - window.start)
        days = self.state.days.get(version)
        week = self._weeks.get(version)
        if week is None or not week.holds(judged, days):
            week = self._weeks[version] = LastWeek(judged, self.policy, days)
        evaluation = Evaluation(
            judged,
            window.cells,
            window.rows,
            level,
            self.policy,
            days,
            tell,
            week,
        )
        parted = (
            None
            if segments is None
            else SegmentWindow(segments, window.segments, level, self.policy, labelled)
        )
        target = Target.of(judged, labelled) if labelled is not None else None
        return AlertContext(
            version,
            EvaluatedWindow(
                evaluation,
                window,
                rate,
                labelled,
                target,
                parted,
                self.state.failures.get(version, FailureWindow()),
            ),
            now,
        )

    def _labelled(
        self,
        version: str,
        judged: JudgedVersion,
        level: Levels,
        now: int,
        fallen: Collection[int],
    ) -> Labelled | None:
        if judged.baselines is None or not judged.labels:
            return None
        window = self.state.labelled.setdefault(version, LabelledWindow())
        days = self.state.labelled_days.get(version, LabelledDays())
        open_since = {
            _subject_of(alert): alert.started
            for alert in self.state.alerts_of(version)
            if _subject_of(alert)
        }
        past = falls(days, open_since, fallen)
        return Labelled(window, judged.baselines, level, self.policy, now, past)


def _subject_of(alert: AlertState) -> str:
    """Name what an alert is about as past days do (`LabelledDay.bad`): a metric, a segment whose
    performance fell, or the labels; empty if it is about something else.
    """
    rule = rule_of(alert.rule)
    if rule is PERFORMANCE:
        return PERFORMANCE.member(alert.rule)
    if rule is SEGMENT_PERFORMANCE:
        return alert.segment
    return alert.feature if alert.feature == LABEL else ""
