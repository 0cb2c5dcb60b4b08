"""Judging's step: alerts and snapshots out of panes and alarms."""

import math
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.windows.window import HOUR_MS
from driftgauge.shared.contract.alerts import cloud_event, fingerprint
from driftgauge.shared.contract.pane import Alarm, Block, OddValues, pack_counts, unpack_counts
from driftgauge.shared.contract.snapshot import Snapshot
from driftgauge.shared.reference.profile import NumericReference
from tests.consumer.builders import NOON
from tests.consumer.judging.builders import MAPS, NO_LATENCY, SIZES, Stream, block, judge


def stream(seed: int = 0) -> Stream:
    return Stream(np.random.default_rng(seed))


def eventful(seed: int) -> Stream:
    """Draw a stream in which everything happens: two partitions out of step, two versions, drift,
    alarms, silence.
    """
    made = stream(seed)
    random = made.random
    for place in range(30):
        partition = int(random.random() < 0.4)
        blocks = {
            "1.0.0": block(
                "1.0.0",
                random,
                300,
                shift=1.0 if 8 < place < 20 else 0.0,
                missing=0.02 + 0.1 * (place > 22),
            )
        }
        if place < 12:
            blocks["2.0.0"] = block("2.0.0", random, 300, shift=1.5 if place > 4 else 0.0)
        seconds = float(random.choice([-20, 5, 900, 30_000], p=[0.2, 0.5, 0.2, 0.1]))
        made.pane(blocks, seconds, partition)
        if random.random() < 0.3:
            made.alarm(str(random.choice(["smooth", "heavy", "prediction"])))
        if random.random() < 0.2:
            made.watermark(5)
    return made


@settings(max_examples=12)
@given(st.integers(0, 10**6), st.lists(st.integers(1, 44), max_size=5))
def test_replay_is_identical(seed: int, cuts: list[int]) -> None:
    """A checkpoint at any point changes nothing: alerts, snapshot reports and packed state are the
    same bytes, and so is what is current of each version in the end.
    """
    entries = eventful(seed).entries
    policy = JudgingPolicy(window_events=1500)
    whole = judge(entries, policy)
    parts = judge(
        entries,
        policy,
        [cut for cut in cuts if cut < len(entries)],
        shuffle=np.random.default_rng(seed),
    )
    assert [cloud_event(alert) for alert in parts.alerts] == [
        cloud_event(alert) for alert in whole.alerts
    ]
    assert [cloud_event(found) for found in parts.snapshots] == [
        cloud_event(found) for found in whole.snapshots
    ]
    assert parts.fields == whole.fields
    assert parts.current == whole.current


def test_entry_by_entry_is_one_batch() -> None:
    """What is left out of a step because nobody would see it is missed by nobody: judged one entry
    at a time, the same is written, in one checkpoint or in many.
    """
    entries = eventful(5).panes(3, seconds=20 * 3600).entries
    policy = JudgingPolicy(window_events=1500)
    whole, single = judge(entries, policy), judge(entries, policy, range(len(entries)))
    assert any(alert.summary.startswith("superseded") for alert in whole.alerts)
    assert single == whole


def test_the_eventful_stream_is_eventful() -> None:
    """The replay test above would mean little if nothing happened: every transition and rule occurs
    in it.
    """
    states = [
        state
        for seed in range(4)
        for state in judge(eventful(seed).entries, JudgingPolicy(window_events=1500)).states
    ]
    assert {state for _, _, state in states} == {"pending", "firing", "resolved", "inactive"}
    assert {"psi", "adwin", "missing"} <= {rule for _, rule, _ in states}


def test_a_lasting_shift_fires_once_and_resolves_once() -> None:
    """A drift becomes one alert, pending, firing, resolved, with evidence; the calm features stay
    silent.
    """
    made = stream().panes(10).panes(16, shift=1.0).panes(20)
    judged = judge(made.entries)
    psi = [alert for alert in judged.alerts if (alert.feature, alert.rule) == ("smooth", "psi")]
    ends = [alert.state for alert in psi if alert.state in {"firing", "resolved"}]
    assert {alert.feature for alert in judged.alerts} == {"smooth"}
    assert ends[0] == "firing"
    assert ends[-1] == "resolved"
    assert ends.count("resolved") == 1
    assert not judged.open
    assert len({alert.fingerprint for alert in psi}) == 1
    fired = next(alert for alert in psi if alert.state == "firing")
    assert fired.evidence.threshold is not None
    assert fired.evidence.value > fired.evidence.threshold > 0.1 > (fired.evidence.expected or 1)
    assert (fired.evidence.n, fired.evidence.m) == (5000, 2000)
    assert NOON < fired.started < fired.updated
    assert psi[-1].ended == psi[-1].updated


def test_an_outlier_pane_never_fires() -> None:
    """One bad evaluation is pending at most."""
    policy = JudgingPolicy(window_events=250, min_window_rows=200)
    states = judge(stream().panes(10).panes(1, shift=1.0).panes(10).entries, policy).states
    assert states == [("smooth", "psi", "pending"), ("smooth", "psi", "inactive")]


def test_an_online_alarm_fires_at_once_and_only_once() -> None:
    """An online detector's alarm fires without delay, is not repeated while it goes on, and
    resolves when it is over.
    """
    made = stream().panes(8).alarm().panes(4).alarm(delay=1000).panes(11)
    judged = judge(made.entries)
    assert judged.states == [("smooth", "adwin", "firing")]
    alert = judged.alerts[0]
    assert (alert.severity, alert.evidence.statistic, alert.evidence.effect) == (
        "warning",
        "mean_rank",
        "a shift",
    )
    assert alert.evidence.events == 2000
    assert judged.current["1.0.0"].severity == "warning"
    made.panes(2)
    resolved = judge(made.entries)
    assert resolved.states == [("smooth", "adwin", "firing"), ("smooth", "adwin", "resolved")]
    assert (
        resolved.alerts[-1].evidence.events == 3000 + 3000
    )  # three times the last delay, longer than a window
    assert resolved.current["1.0.0"].severity == "ok"


def test_an_online_alert_waits_for_its_psi() -> None:
    """While PSI is not quiet the online alert of the same column does not resolve."""
    made = stream().panes(8, shift=1.0).alarm().panes(20, shift=1.0)
    assert ("smooth", "adwin", "resolved") not in judge(made.entries).states


def test_an_alarm_before_the_first_pane() -> None:
    """An alarm may come before any pane of its version: it fires, and what it cannot know is
    insufficient data.
    """
    judged = judge(stream().alarm().entries)
    assert judged.states == [("smooth", "adwin", "firing")]
    (found,) = judged.snapshots
    assert found.window.rows == 0
    _assert_finite(msgspec.to_builtins(found))


def test_nothing_is_told_of_1970() -> None:
    """An alarm before the first pane has no window yet: report, evidence and incident tell of its
    own moment, not of the beginning of time.
    """
    made = stream().alarm(delay=40)
    judged = judge(made.entries)
    window, evidence = judged.snapshots[0].window, judged.alerts[0].evidence
    assert (window.start, window.end) == (made.now, made.now)
    assert (evidence.window_start, evidence.window_end) == (made.now, made.now)
    (incident,) = judged.incidents
    assert NOON < incident.earliest <= incident.since <= made.now
    assert incident.headline.startswith("Since 20 Nov")


def test_a_silent_version_resolves() -> None:
    """A version that was retired takes its alerts with it, pending ones too, and its window leaves
    the checkpoint.
    """
    made = stream()
    for _ in range(10):
        made.pane(
            {
                "1.0.0": block("1.0.0", made.random, 250),
                "2.0.0": block("2.0.0", made.random, 250, shift=1.0),
            }
        )
    made.alarm("heavy", "2.0.0")
    made.panes(1, seconds=23 * 3600)
    assert all(alert.state != "resolved" for alert in judge(made.entries).alerts)
    made.panes(1, seconds=2 * 3600)
    judged = judge(made.entries)
    ended = [alert for alert in judged.alerts if alert.summary.startswith("version inactive")]
    assert {(alert.version, alert.feature, alert.rule, alert.state) for alert in ended} == {
        ("2.0.0", "smooth", "psi", "resolved"),
        ("2.0.0", "heavy", "adwin", "resolved"),
    }
    assert not judged.open
    assert set(judged.state().windows) == {"1.0.0"}
    assert not judged.current["2.0.0"].alerts
    assert {alert.snapshot for alert in ended} <= {snapshot.id for snapshot in judged.snapshots}


def test_a_pending_alert_of_a_silent_version_is_not_resolved() -> None:
    """What never fired cannot resolve: a pending alert of a retired version becomes inactive."""
    made = stream()
    policy = JudgingPolicy(bad_to_fire=99)
    for _ in range(10):
        made.pane({"2.0.0": block("2.0.0", made.random, 250, shift=1.0)})
    made.panes(1, seconds=25 * 3600)
    assert judge(made.entries, policy).states == [
        ("smooth", "psi", "pending"),
        ("smooth", "psi", "inactive"),
    ]


def test_every_alert_names_a_snapshot_that_exists() -> None:
    """Firing and resolving name a report of the same version that is at most an hour old."""
    for seed in range(3):
        judged = judge(eventful(seed).entries, JudgingPolicy(window_events=1500))
        known = {snapshot.id: snapshot for snapshot in judged.snapshots}
        told = [alert for alert in judged.alerts if alert.state in {"firing", "resolved"}]
        assert told
        for alert in told:
            assert abs(alert.updated - known[alert.snapshot].created) < HOUR_MS
            assert known[alert.snapshot].version == alert.version
        assert not any(
            alert.snapshot for alert in judged.alerts if alert.state in {"pending", "inactive"}
        )


def test_an_incident_has_one_report_an_hour() -> None:
    """However many alerts a fault raises, the first report is of the moment at which its incident
    opened, and the next ones come an hour apart; replayed in pieces it has the same ones.
    """
    made = stream().panes(8, seconds=60)
    for _ in range(15):
        made.panes(1, seconds=600, shift=1.0, missing=0.3).alarm(delay=20)
    judged = judge(made.entries)
    opened = judged.incidents[0]
    moments = {one.updated for one in judged.alerts if one.state == "firing"}
    assert ({one.id for one in judged.incidents}, opened.change) == ({opened.id}, "opened")
    assert len(moments) > 4
    during = [one for one in judged.snapshots if one.created >= opened.updated]
    gaps = np.diff([one.created for one in during])
    assert during[0].created == opened.updated
    assert opened.report == f"/reports/{during[0].id}"
    assert len(during) == 3
    assert gaps.min() >= HOUR_MS
    assert judged.incidents[-1].snapshot == during[1].id, "the latest one by then"
    assert judge(made.entries, cuts=range(len(made.entries))).snapshots == judged.snapshots


def test_another_incident_has_its_own_report() -> None:
    """A second fault within the hour opens an incident, which is worth a report of its moment."""
    made = stream(2).panes(8).panes(10, shift=1.5).alarm("city", delay=50)
    judged = judge(made.entries)
    opened = [one for one in judged.incidents if one.change == "opened"]
    assert len(opened) == 2
    assert [one.created for one in judged.snapshots[1:]] == [one.updated for one in opened]


def test_snapshots_come_by_time_and_by_events() -> None:
    """Without any alert a report comes when there is enough to judge, then every logical hour or so
    many events.
    """
    hourly = judge(stream().panes(25, seconds=600).entries)
    assert [found.created - NOON for found in hourly.snapshots] == [
        1_200_000 + hour * HOUR_MS for hour in range(4)
    ]
    assert {found.trigger for found in hourly.snapshots} == {"schedule"}
    by_events = judge(stream().panes(20).entries, JudgingPolicy(snapshot_events=1000))
    assert [found.window.events for found in by_events.snapshots] == [500, 1500, 2500, 3500, 4500]


def test_an_alert_of_broken_values_says_what_is_wrong() -> None:
    """Its evidence has the kinds of broken values with their numbers, the reference's range and the
    worst values of the window's panes, and no cells of a PSI; that of an online test the share
    since the change and the worst value up to it.
    """
    made, reference = stream(), MAPS["1.0.0"].reference
    column = reference.columns[0]
    assert isinstance(column, NumericReference)
    below = [
        OddValues(-50.0, -9.0, traces=("odd0",)),
        OddValues(-70.0, -60.0, traces=("odd1",)),
    ]
    for place in range(12):
        good = block("1.0.0", made.random, 250)
        cells = unpack_counts(good.cells).copy()
        if place >= 8:
            moved = 1 + np.flatnonzero(cells[1 : len(column.counts) - 2])[:20]
            cells[moved] -= 1
            cells[0] += 20
        odd = {0: below[place % 2]} if place >= 8 else {}
        made.pane({"1.0.0": msgspec.structs.replace(good, cells=pack_counts(cells), odd=odd)})
    alarm = made.alarm("smooth", delay=64).entries[-1][1]
    assert isinstance(alarm, Alarm)
    made.entries[-1] = (
        made.entries[-1][0],
        msgspec.structs.replace(
            alarm,
            detector="integrity",
            statistic="out_of_range",
            value=0.25,
            width=64,
            odd=OddValues(-80.0, -80.0, traces=("online",)),
        ),
    )
    judged = judge(made.entries)
    fired = {one.rule: one for one in judged.alerts if one.state == "firing"}
    window = fired["out_of_range"].evidence.broken
    assert window is not None
    assert 40 <= window.outside < 60, "two or three panes with 20 rows, and what chance adds"
    assert window.missing > 0
    assert window.unseen == 0
    assert (window.smallest, window.largest) == (column.cuts[0], column.cuts[-1])
    assert (window.lowest, window.highest) == (-70.0, None)
    assert fired["out_of_range"].evidence.cells == []
    assert fired["out_of_range"].evidence.traces == ("odd0", "odd1")
    assert fired["integrity"].evidence.traces == ("odd0", "odd1", "online")
    online = fired["integrity"].evidence.broken
    assert online is not None
    assert (online.rows, online.outside, online.missing, online.lowest) == (64, 16, 0, -80.0)


def test_an_alert_names_the_slowest_traces_of_its_window() -> None:
    """Where no value is broken, the evidence has the slowest traced predictions of the window."""
    made = stream().panes(8)
    for place in range(8):
        found = block("1.0.0", made.random, 250, shift=1.0)
        slow = ((float(place % 5), f"trace{place}"),)
        made.pane({"1.0.0": msgspec.structs.replace(found, slowest=slow)})
    judged = judge(made.entries)
    fired = [one for one in judged.alerts if one.state == "firing"]
    assert fired
    last = fired[-1].evidence.traces
    assert last[0] == "trace4"
    assert len(last) <= 3
    evidence = {one.fingerprint: one.evidence.traces for one in fired}
    told = {one.fingerprint: one.traces for incident in judged.incidents for one in incident.alerts}
    assert told
    assert all(found == evidence[name] for name, found in told.items())


def test_missing_values_are_critical() -> None:
    """A sensor that was silent in 2 % of the training rows and is in 8 % now is critical: data
    quality before drift.
    """
    judged = judge(stream().panes(8).panes(8, missing=0.08).entries)
    assert {("smooth", "missing", "firing"), ("city", "missing", "firing")} <= set(judged.states)
    assert all(alert.severity == "critical" for alert in judged.alerts if alert.rule == "missing")
    assert judged.current["1.0.0"].severity == "critical"
    assert (
        "missing"
        in next(
            found for found in judged.current["1.0.0"].features if found.name == "smooth"
        ).reason
    )


def test_five_percent_missing_where_there_was_none() -> None:
    """5 % missing of a feature that the reference always has is critical within a window."""
    made = stream().panes(8)
    for _ in range(4):
        good = block("1.0.0", made.random, 250)
        made.pane({"1.0.0": _with_missing(good, column=1, rows=13)})
    judged = judge(made.entries)
    assert judged.states == [("discrete", "missing", "pending"), ("discrete", "missing", "firing")]
    assert judged.alerts[-1].severity == "critical"


def _with_missing(good: Block, column: int, rows: int) -> Block:
    from driftgauge.shared.contract.pane import unpack_counts
    from tests.consumer.judging.builders import MAPS

    cells = unpack_counts(good.cells)
    first, last = MAPS["1.0.0"].offsets[column], MAPS["1.0.0"].offsets[column + 1]
    fullest = first + int(np.argmax(cells[first : last - 1]))
    cells[fullest] -= rows
    cells[last - 1] += rows
    return msgspec.structs.replace(good, cells=pack_counts(cells))


def test_exchangeable_traffic_raises_nothing() -> None:
    """100 windows of traffic like the reference raise no alert at the default levels.

    The budget allows one false alarm in 3 million events; 27,000 events are .009 of one, so a right
    judge fails with probability below 1 %. The seed is fixed.
    """
    judged = judge(stream(1).panes(108).entries)
    assert judged.alerts == []
    assert judged.current["1.0.0"].verdict.startswith("OK: none of 7 columns drifted in 2,000 rows")


def test_too_few_rows_are_a_state_of_their_own() -> None:
    """Below 500 rows nothing is called normal or drifted: the severity is insufficient data, and
    says how many there are.
    """
    current = judge(stream().panes(1, shift=0.5).entries).current["1.0.0"]
    assert current.severity == "insufficient_data"
    assert current.verdict == "Too few rows: 250 of 500 window rows."


@pytest.mark.parametrize("rows", [0, 1, 250, 600])
def test_no_snapshot_ever_holds_nan_or_infinity(rows: int) -> None:
    """Whatever a window holds, every number of its snapshots is finite, so that any JSON reader can
    read it.
    """
    made = stream()
    for offset in range(4):
        cells = np.zeros(SIZES["1.0.0"], dtype=np.int64)
        from tests.consumer.judging.builders import MAPS

        for first, last in zip(MAPS["1.0.0"].offsets, MAPS["1.0.0"].offsets[1:], strict=False):
            cells[[first, last - 1, last - 2, (first + last) // 2][offset]] += rows
        made.pane({"1.0.0": Block(rows, pack_counts(cells), NO_LATENCY, {})})
        made.alarm()
    for window_events in (1, 2000):
        judged = judge(made.entries, JudgingPolicy(window_events=window_events, snapshot_events=1))
        for snapshot in [*judged.snapshots, *judged.current.values()]:
            _assert_finite(msgspec.to_builtins(snapshot))
            assert msgspec.json.decode(msgspec.json.encode(snapshot), type=Snapshot) == snapshot
        for alert in judged.alerts:
            _assert_finite(msgspec.to_builtins(alert))


def _assert_finite(value: object) -> None:
    if isinstance(value, float):
        assert math.isfinite(value)
    for inner in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        _assert_finite(inner)


def test_cloud_events_are_deterministic_and_complete() -> None:
    """An alert is a CloudEvents 1.0 event whose id tells transitions apart and is the same after a
    replay.
    """
    alerts = judge(stream().panes(8).panes(20, shift=1.0).panes(20).entries).alerts
    events = [msgspec.json.decode(cloud_event(alert)) for alert in alerts]
    assert len({event["id"] for event in events}) == len(events) > 2
    for event, alert in zip(events, alerts, strict=True):
        assert {"specversion", "id", "source", "type", "time", "data"} <= event.keys()
        assert (event["specversion"], event["type"]) == ("1.0", f"driftgauge.alert.{alert.state}")
        assert datetime.fromisoformat(event["time"]) == datetime.fromtimestamp(
            alert.updated / 1000, UTC
        )
        assert event["data"]["fingerprint"] == fingerprint(
            "plant", "1.0.0", alert.feature, alert.rule
        )


def test_a_severity_that_rises_is_another_event() -> None:
    """A subscriber that drops ids it knows still learns that a firing alert became critical, though
    no event was added.
    """
    alert = next(
        alert for alert in judge(eventful(1).entries).alerts if alert.severity == "warning"
    )
    worse = msgspec.structs.replace(alert, severity="critical")
    ids = {msgspec.json.decode(cloud_event(one))["id"] for one in (alert, worse)}
    assert len(ids) == 2


def test_partitions_add_up() -> None:
    """Two partitions with half the traffic each give the window of one partition with all of it."""
    random = np.random.default_rng(3)
    blocks = [block("1.0.0", random, 250) for _ in range(12)]
    one, two = stream(), stream()
    for place, part in enumerate(blocks):
        one.pane({"1.0.0": part})
        two.pane({"1.0.0": part}, partition=place % 2)
    first, second = judge(one.entries).current["1.0.0"], judge(two.entries).current["1.0.0"]
    assert first == second


def test_a_superseded_version_resolves_within_hours() -> None:
    """When a new version took over for an hour and a window of events, the old one's alerts end
    with its name.
    """
    made = stream().panes(12, shift=1.0)
    made.panes(9, version="2.0.0", seconds=60)
    assert all(
        alert.version == "1.0.0" and alert.state != "resolved"
        for alert in judge(made.entries).alerts
    )
    made.panes(1, version="2.0.0", seconds=3600)
    ended = [alert for alert in judge(made.entries).alerts if alert.state == "resolved"]
    assert {alert.summary for alert in ended} == {"superseded by 2.0.0: no events of 1.0.0"}
    assert not judge(made.entries).open


def test_a_version_that_is_no_longer_judged_is_named() -> None:
    """So that its metrics end: when it is retired, whatever the steps, and not while it is judged;
    if it comes back, it is judged again.
    """
    made = stream().panes(12)
    assert not judge(made.entries).ended
    made.panes(10, version="2.0.0", seconds=60).panes(1, version="2.0.0", seconds=3600)
    every = range(len(made.entries))
    assert judge(made.entries).ended == judge(made.entries, cuts=every).ended == {"1.0.0"}
    made.panes(1)
    assert not judge(made.entries).ended
    assert not judge(made.entries, cuts=range(len(made.entries))).ended


def test_a_canary_is_not_superseded() -> None:
    """A version that has few events, but has some, keeps its alerts: two versions may run side by
    side.
    """
    made = stream().panes(12, shift=1.0)
    for _ in range(30):
        parts = {
            "2.0.0": block("2.0.0", made.random, 250),
            "1.0.0": block("1.0.0", made.random, 3, shift=1.0),
        }
        made.pane(parts, seconds=1800)
    assert not [
        alert for alert in judge(made.entries).alerts if alert.summary.startswith("superseded")
    ]


def test_a_new_version_loses_no_transition_of_the_old_one() -> None:
    """Whatever the traffic, each alert that fired has resolved or is open in the end: none is left
    without an end.
    """
    for seed in range(6):
        judged = judge(
            eventful(seed).panes(1, seconds=26 * 3600).entries, JudgingPolicy(window_events=1500)
        )
        states: dict[str, str] = {}
        for alert in judged.alerts:
            states[alert.fingerprint] = alert.state
        still = {alert.fingerprint for alert in judged.open}
        assert {name for name, state in states.items() if state in {"pending", "firing"}} == still


def test_an_online_alarm_that_stays_does_not_flap() -> None:
    """A small drift that the detector alarms again and again for a day is one alert; it ends once
    it stays silent.
    """
    made = stream().panes(8)
    for _ in range(20):
        made.alarm().panes(6)
    states = judge(made.entries).states
    assert states == [("smooth", "adwin", "firing")]
    assert judge(made.panes(10).entries).states[-1] == ("smooth", "adwin", "resolved")


def test_online_integrity_waits_for_the_window() -> None:
    """The online alarm of broken values inhibits the window's, and lasts until the window is clean
    as well.
    """
    made = stream().panes(8)
    made.alarm()
    entry_id, alarm = made.entries[-1]
    made.entries[-1] = (
        entry_id,
        msgspec.structs.replace(alarm, detector="integrity", severity="critical"),
    )
    made.panes(16, missing=0.08).panes(16)
    alerts = [alert for alert in judge(made.entries).alerts if alert.feature == "smooth"]
    assert [(alert.rule, alert.state) for alert in alerts if alert.notify] == [
        ("integrity", "firing"),
        ("integrity", "resolved"),
    ]
    assert alerts[0].severity == "critical"
    window = [alert for alert in alerts if alert.rule == "missing"]
    assert [alert.state for alert in window] == ["pending", "firing", "resolved"]
    assert window[1].inhibited_by == alerts[0].fingerprint


def test_a_pane_without_rows_that_count_is_no_evidence() -> None:
    """Panes of predictions that do not count for drift neither move an alert on nor stay in the
    window.
    """
    empty = {
        "1.0.0": msgspec.structs.replace(
            block("1.0.0", np.random.default_rng(0), 1),
            rows=0,
            cells=pack_counts(np.zeros(SIZES["1.0.0"], dtype=np.int64)),
        )
    }
    drifted = stream().panes(10).panes(1, rows=2000, shift=3.0)
    bare = judge(drifted.entries)
    for _ in range(20):
        drifted.pane(empty)
    found = judge(drifted.entries)
    assert found.states == bare.states
    assert {state for _, _, state in found.states} == {"pending"}
    assert sum(name.startswith(b"pane") for name in found.fields) == sum(
        name.startswith(b"pane") for name in bare.fields
    )
