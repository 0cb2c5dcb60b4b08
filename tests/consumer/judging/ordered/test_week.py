"""Whole days in the judge's stream, and what the rule of ordered columns makes of them."""

import itertools
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from driftgauge.consumer.judging.advance import advance
from driftgauge.consumer.judging.evaluating.budget import levels
from driftgauge.consumer.judging.evaluating.evaluation import Evaluation
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.evaluating.last_week import LastWeek
from driftgauge.consumer.judging.evaluating.reading import Reading
from driftgauge.consumer.judging.ordered.week import DAY_MS, REMEMBERED, VersionDays, WeekProgress
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.state import JudgingState
from driftgauge.consumer.judging.windows.window import WindowPane
from driftgauge.shared.contract.alert import Alert
from driftgauge.shared.contract.alerts import cloud_event
from driftgauge.shared.contract.pane import Pane, PaneEntry, pack_counts
from driftgauge.shared.contract.snapshot import FeatureReport, Snapshot, Statistic
from driftgauge.shared.reference.calibration import Order
from driftgauge.shared.rules.drift import PSI_WEEK
from tests.consumer.judging.weeks import FIRST_DAY, panes, rows, version_of

VERSION = version_of()
SIZES = {"1.0.0": int(VERSION.reference.offsets[-1])}
POLICY = JudgingPolicy(expected_events_per_day=96)
START = FIRST_DAY + 200


def judged(
    entries: list[tuple[str, PaneEntry]],
    version: JudgedVersion = VERSION,
    cuts: tuple[int, ...] = (),
    policy: JudgingPolicy | None = None,
) -> tuple[list[Alert], list[Snapshot], dict[bytes, bytes]]:
    """Judge entries, through a checkpoint at each cut."""
    alerts, snapshots, fields = [], [], {}
    edges = (0, *cuts, len(entries))
    for first, last in itertools.pairwise(edges):
        state = JudgingState.unpack(fields, SIZES)
        outputs = advance(state, entries[first:last], "plant", {"1.0.0": version}, policy or POLICY)
        alerts += outputs.alerts
        snapshots += [
            *outputs.snapshots,
            *(outputs.current.values() if last == len(entries) else ()),
        ]
        fields |= state.pack_changed()
        fields = {name: packed for name, packed in fields.items() if packed}
    return alerts, snapshots, fields


def feature(snapshot: Snapshot, name: str) -> FeatureReport:
    return next(found for found in snapshot.features if found.name == name)


def psi_of(snapshot: Snapshot, name: str) -> Statistic:
    return next(found for found in feature(snapshot, name).statistics if found.name == "psi")


def test_a_shift_of_an_ordered_feature_is_found_within_a_week() -> None:
    """A large shift raises one psi_week alert that fires at once, a week at the latest after it,
    with its threshold.
    """
    random = np.random.default_rng(2)
    before, after = rows(random, 14), rows(random, 8, shift=2.5)
    columns = [
        np.concatenate(pair) if isinstance(pair[0], np.ndarray) else [*pair[0], *pair[1]]
        for pair in zip(before, after, strict=True)
    ]
    alerts, _, _ = judged(panes(VERSION, columns, START))
    fired = next(
        alert
        for alert in alerts
        if alert.rule == PSI_WEEK.name and alert.feature == "slow" and alert.state == "firing"
    )
    assert START + 14 < fired.updated // 86_400_000 <= START + 21
    assert fired.evidence.threshold is not None
    assert fired.evidence.value > fired.evidence.threshold >= 0.1
    assert fired.evidence.expected is not None


def test_a_daily_rule_reminds_at_its_evaluations() -> None:
    """An alert of whole days is moved at midnights alone, however many panes a day has: so are its
    reminders, where a policy asks for them, a week apart, since before that most of its rows are
    the same. Without them what stands is told once.
    """
    random = np.random.default_rng(2)
    entries = panes(VERSION, rows(random, 60, shift=2.5), START)
    silent, _, _ = judged(entries)
    assert "reminder" not in {alert.change for alert in silent}
    alerts, _, _ = judged(entries, policy=replace(POLICY, renotify_ms=14_400_000))
    own = [alert for alert in alerts if (alert.rule, alert.feature) == (PSI_WEEK.name, "slow")]
    moments = [alert.updated for alert in own if alert.change == "reminder"]
    apart = np.diff(moments)
    assert 6 <= len(moments) <= 12
    assert (apart == 7 * DAY_MS).all()
    first_panes = {
        pane.end
        for _, pane in panes(VERSION, rows(random, 60), START)[::4]
        if isinstance(pane, Pane)
    }
    assert {alert.updated for alert in own} <= first_panes


def test_values_beyond_the_range_of_an_ordered_column() -> None:
    """Neighbouring panes hold the same week of rows: the alert is over a week after it became
    quiet, and does not flap.
    """
    evaluations = [
        one.quiet_days
        for order in ("ordered", "exchangeable")
        for one in out_of_range_readings(order)
    ]
    assert evaluations == [6, 0]


def out_of_range_readings(order: Order) -> list[Reading]:
    """Return the reading of `slow` with all values beyond its range, taken as ordered or not."""
    made = VERSION.calibration
    assert made is not None
    features = (msgspec.structs.replace(made.features[0], order=order), *made.features[1:])
    version = JudgedVersion(
        VERSION.schema, VERSION.reference, msgspec.structs.replace(made, features=features)
    )
    cells = np.zeros(version.reference.offsets[-1], dtype=np.int64)
    cells[0] = 1000
    found = Evaluation(version, cells, 1000, levels(POLICY, 96, 4), POLICY).readings(
        {(0, "out_of_range")}
    )
    return [reading for column, rule, reading, _ in found if (column, rule) == (0, "out_of_range")]


def test_the_closed_form_is_silent_about_ordered_features() -> None:
    """Weeks that are like the reference's would alarm the closed-form threshold, so it is not
    asked.
    """
    entries = panes(VERSION, rows(np.random.default_rng(4), 56), START)
    alerts, _, _ = judged(entries)
    assert not [alert for alert in alerts if alert.rule == "psi"]
    assumed = JudgedVersion(VERSION.schema, VERSION.reference)
    assert [
        alert
        for alert in judged(entries, assumed)[0]
        if alert.rule == "psi" and alert.feature == "slow"
    ]


def test_an_alert_of_the_rule_before_a_calibration_ends() -> None:
    """A PSI alert that fires when its feature turns out to be ordered resolves, and is not left
    behind.
    """
    entries = panes(VERSION, rows(np.random.default_rng(4), 56, shift=1.5), START)
    state = JudgingState()
    advance(
        state,
        entries[:120],
        "plant",
        {"1.0.0": JudgedVersion(VERSION.schema, VERSION.reference)},
        POLICY,
    )
    assert [
        alert for alert in state.alerts.values() if alert.rule == "psi" and alert.feature == "slow"
    ]
    found = advance(state, entries[120:], "plant", {"1.0.0": VERSION}, POLICY).alerts
    assert [alert.state for alert in found if alert.rule == "psi" and alert.feature == "slow"] == [
        "resolved"
    ]


def test_seven_whole_days_are_waited_for() -> None:
    """The first day may be a part of one: an ordered feature is judged from the eighth midnight on,
    and says so.
    """
    entries = panes(VERSION, rows(np.random.default_rng(5), 9), START)
    _, snapshots, _ = judged(entries[: 4 * 8])
    slow = feature(snapshots[-1], "slow")
    assert (slow.severity, slow.reason) == (
        "insufficient_data",
        "ordered in time: 6 of 7 whole days",
    )
    psi = psi_of(snapshots[-1], "slow")
    assert (psi.name, psi.value) == ("psi", None)
    _, snapshots, _ = judged(entries[: 4 * 8 + 1])
    psi = psi_of(snapshots[-1], "slow")
    assert psi.value is not None
    assert psi.warning == pytest.approx(VERSION.calibration.features[0].threshold)  # type: ignore[union-attr]
    assert "7 whole days" in psi.note


def test_the_week_is_that_of_its_days() -> None:
    """The PSI that is shown is that of the last 7 whole days' rows, whatever the window of panes
    holds.
    """
    columns = rows(np.random.default_rng(6), 12)
    _, snapshots, _ = judged(panes(VERSION, columns, START)[: 4 * 11 + 1])
    week = [values[4 * 24 * 4 : 11 * 96] for values in columns]
    cells = [
        column.cells(values) for column, values in zip(VERSION.reference.columns, week, strict=True)
    ]
    counts = np.concatenate(
        [
            np.bincount(found, minlength=len(column.counts))
            for found, column in zip(cells, VERSION.reference.columns, strict=True)
        ]
    )
    assert VERSION.week is not None
    expected = VERSION.week.psi(VERSION.week.bins.count(counts))[0]
    assert psi_of(snapshots[-1], "slow").value == pytest.approx(expected)


def test_the_clock_and_exchangeable_features() -> None:
    """A function of the clock is excluded with that reason; an independent feature keeps the
    closed-form thresholds.
    """
    _, snapshots, _ = judged(panes(VERSION, rows(np.random.default_rng(7), 30), START))
    hour, noise = feature(snapshots[-1], "hour"), feature(snapshots[-1], "noise")
    assert hour.severity == "excluded"
    assert "time of day" in hour.reason
    psi = psi_of(snapshots[-1], "noise")
    assert psi.warning is not None
    assert psi.warning > 0.1
    assert noise.severity == "ok"


def test_a_short_ordered_reference_is_uncalibrated() -> None:
    """With less than 8 weeks an ordered feature has integrity alone, and its severity says so."""
    version = version_of(days=35)
    _, snapshots, fields = judged(
        panes(version, rows(np.random.default_rng(8), 30, shift=1), START), version
    )
    slow = feature(snapshots[-1], "slow")
    assert slow.severity == "uncalibrated"
    assert "8 weeks" in slow.reason
    unknown = version_of(days=35)
    made = unknown.calibration
    assert made is not None
    features = tuple(
        msgspec.structs.replace(found, order="uncalibrated") for found in made.features
    )
    unknown = JudgedVersion(
        unknown.schema, unknown.reference, msgspec.structs.replace(made, features=features)
    )
    _, snapshots, _ = judged(panes(unknown, rows(np.random.default_rng(8), 10), START), unknown)
    assert (snapshots[-1].severity, snapshots[-1].verdict[:13]) == ("uncalibrated", "Uncalibrated:")
    assert not [name for name in fields if name.startswith(b"day:")]


def test_replay_through_checkpoints_is_identical() -> None:
    """A checkpoint at any pane changes nothing, though a step judges a day's week once: alerts,
    snapshots and state are the same bytes, with a pane that comes a day late too.
    """
    random = np.random.default_rng(9)
    entries = panes(VERSION, rows(random, 12, shift=2.0), START)
    late = entries[36][1]
    assert isinstance(late, Pane)
    entries.insert(42, ("42-1", msgspec.structs.replace(late, number=1000)))
    whole, reports, fields = judged(entries)
    assert any(alert.rule == "psi_week" for alert in whole)
    for cuts in ((1, 31, 32, 33, 40), tuple(range(1, len(entries)))):
        parts, others, after = judged(entries, cuts=cuts)
        assert [cloud_event(alert) for alert in whole] == [cloud_event(alert) for alert in parts]
        assert [cloud_event(one) for one in reports] == [cloud_event(one) for one in others]
        assert fields == after


def test_the_week_is_judged_until_a_day_changes() -> None:
    """What was judged of the last 7 days holds for every pane of today, and no longer: until a day
    begins, an earlier one gets a late pane, or another reference is in force.
    """
    days, size = VersionDays(WeekProgress(10, 10)), len(VERSION.reference.columns)
    counts = np.ones(VERSION.week.size if VERSION.week else size, dtype=np.int64)
    for day in range(10, 19):
        days.add(day, counts)
    week = LastWeek(VERSION, POLICY, days)
    days.add(18, counts)
    assert week.holds(VERSION, days)
    assert week.lacking_days == ""
    assert not week.holds(version_of(), days)
    assert not week.holds(VERSION, None)
    days.add(17, counts)
    assert not week.holds(VERSION, days)
    week = LastWeek(VERSION, POLICY, days)
    days.add(19, counts)
    assert not week.holds(VERSION, days)


def test_days_are_bounded() -> None:
    """Whatever the stream, at most 8 days of a version are kept, in memory and in the
    checkpoint.
    """
    _, _, fields = judged(panes(VERSION, rows(np.random.default_rng(10), 40), START))
    assert len([name for name in fields if name.startswith(b"day:")]) == 8
    assert (
        sum(len(packed) for name, packed in fields.items() if name.startswith((b"day:", b"week:")))
        < 4000
    )


def test_a_late_pane_counts_on_its_own_day() -> None:
    """A pane of yesterday that comes late adds to yesterday, and evaluates nothing again."""
    days = VersionDays(WeekProgress(10, 10))
    assert (days.add(10, np.array([1])), days.due) == ([], False)
    assert (days.add(11, np.array([2])), days.due) == ([], True)
    assert (days.add(10, np.array([4])), days.due) == ([], False)
    assert (days.days[10].tolist(), days.progress.today) == ([5], 11)
    assert days.add(30, np.array([1])) == [10, 11]


def test_a_month_in_alarm_offers_a_new_reference() -> None:
    """Above 30 % of 30 evaluations in alarm the snapshot offers to accept a new reference; 30 % do
    not.
    """
    days = VersionDays(WeekProgress(0, 0))
    for place in range(REMEMBERED):
        days.note(in_alarm=place >= REMEMBERED - 9)
    assert not days.offers_reference
    days.note(in_alarm=True)
    assert days.offers_reference
    assert len(days.progress.alarms) == REMEMBERED


def test_the_offer_stands_in_the_snapshot() -> None:
    """After 6 weeks of a process that has moved away, the snapshot's notes offer it."""
    _, snapshots, _ = judged(panes(VERSION, rows(np.random.default_rng(11), 42, shift=3.0), START))
    assert any("accept a new reference" in note for note in snapshots[-1].notes)
    assert any("false episodes per 30 days" in note for note in snapshots[-1].notes)


def test_a_week_with_days_that_are_absent_is_not_judged() -> None:
    """A stream that stood still for some days is not held against whole weeks: it says which days
    there are.
    """
    entries = panes(VERSION, rows(np.random.default_rng(12), 24), START)
    _, snapshots, _ = judged(
        [entry for place, entry in enumerate(entries) if not 4 * 12 <= place < 4 * 15]
    )
    assert feature(snapshots[-1], "slow").severity != "insufficient_data"
    kept = [
        entry for place, entry in enumerate(entries[: 4 * 18 + 1]) if not 4 * 12 <= place < 4 * 15
    ]
    _, snapshots, _ = judged(kept)
    slow = feature(snapshots[-1], "slow")
    assert (slow.severity, slow.reason) == (
        "insufficient_data",
        "ordered in time: rows on 4 of the last 7 days, the reference has 7",
    )


def test_the_days_of_a_version_without_events_are_dropped() -> None:
    """A version that had no event for a week leaves nothing in the checkpoint."""
    state = JudgingState()
    day = DAY_MS * START
    empty = pack_counts(np.zeros(SIZES["1.0.0"], dtype=np.int64))
    for version, start in (("old", day), ("1.0.0", day + 7 * DAY_MS), ("1.0.0", day + 8 * DAY_MS)):
        state.count_day(version, VERSION.week, WindowPane(0, 1, start, start + 1, 0, empty))
    assert set(state.days) == {"1.0.0"}
    assert {name: packed for name, packed in state.changed.items() if b":old" in name} == {
        b"week:old": b"",
        f"day:old:{START}".encode(): b"",
    }
