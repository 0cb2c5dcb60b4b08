"""When a hook runs."""

import itertools
from typing import Any

import msgspec
import numpy as np
import pytest

from driftgauge.consumer.judging.incidents.hooks import (
    HOOKS,
    MAX_ATTEMPTS,
    REMEMBERED,
    RETRAINING,
    ROLLBACK,
    Hook,
    HookState,
    RunResult,
)
from driftgauge.shared.contract.alert import CloudEvent, Silence
from driftgauge.shared.contract.alerts import cloud_event
from driftgauge.shared.contract.incident import IncidentAlert
from tests.consumer.hooks.builders import FALL, incident_event
from tests.consumer.judging.labels import ACCURACY, LabelledStream, judge_labels

HOUR_MS = 3_600_000
OK, FAILED = RunResult(ok=True, detail=""), RunResult(ok=False, detail="")


def started(event: bytes) -> bool:
    """Return whether a transition starts a run."""
    return HookState().read(RETRAINING, event, 0, HOUR_MS).running is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"severity": "warning"},
        {"state": "resolved", "ended": 1000},
        {"action": "wait"},
        {"action": "recalibrate"},
        {"action": "roll_back"},
        {"action": "check_service", "kind": "operation"},
        {"change": "silenced", "silenced": Silence("me", "", 0, 1), "muted": True},
        {"muted": True},
    ],
)
def test_only_what_a_retraining_mends_asks_for_it(changes: dict[str, Any]) -> None:
    """A warning, another action, and what is silenced or over start nothing."""
    assert not started(incident_event(**changes))


def test_broken_values_start_nothing_although_an_alert_would_have() -> None:
    """The errors of a broken feed are critical alerts of the performance, too; its incident asks
    for a repair, and no retraining is proposed.
    """
    broken = IncidentAlert("m", "1.0.0", "x", "missing", "critical", "missing", 1000, 1000)
    assert not started(incident_event(action="fix_feed", alerts=[FALL, broken], of_alerts=2))


@pytest.mark.parametrize(
    "change", ["opened", "reopened", "severity", "cause", "evidence", "released", "reminder"]
)
def test_whatever_tells_of_it_asks_for_it(change: str) -> None:
    """Its action may become `retrain` at any transition, told or not."""
    event = incident_event(change=change, notify=False)
    state = HookState().read(RETRAINING, event, 0, HOUR_MS)
    assert state.running is not None
    assert state.running.id == msgspec.json.decode(event, type=CloudEvent).id


@pytest.mark.parametrize("event", [b"", b"{}", b"\xff", b'{"data": 3}', b"[1"])
def test_what_is_no_incident_is_passed_over(event: bytes) -> None:
    """An entry that somebody wrote by hand neither stops the stage nor starts a run."""
    assert HookState().read(RETRAINING, event, 0, HOUR_MS) == HookState()


def test_one_incident_is_one_run() -> None:
    """Whatever is written of it afterwards, in the cooldown or after it, starts no other."""
    state = HookState().read(RETRAINING, incident_event(1), 10, HOUR_MS)
    assert state.running is not None
    assert (state.running.started, state.running.attempt) == (10, 1)
    state = state.end(OK, 20)
    for place, now in ((2, 30), (3, 2 * HOUR_MS), (4, 9 * HOUR_MS)):
        state = state.read(RETRAINING, incident_event(place, change="reminder"), now, HOUR_MS)
        state = state.due(RETRAINING, now, HOUR_MS)
    assert (state.running, state.passed_over, state.runs) == (None, 0, 1)


def test_the_cooldown_is_measured_from_start_to_start() -> None:
    """Another incident at its end starts the next run, one a millisecond before does not."""
    state = HookState().read(RETRAINING, incident_event(), 0, HOUR_MS).end(OK, 5)
    assert state.read(RETRAINING, incident_event(name="b"), HOUR_MS - 1, HOUR_MS).running is None
    assert state.read(RETRAINING, incident_event(name="b"), HOUR_MS, HOUR_MS).running is not None


def test_a_run_without_an_end_has_a_bounded_number_of_attempts_under_one_id() -> None:
    """A hook that takes its worker down with it is given up, and each attempt can be told to be a
    repetition.
    """
    state = HookState().read(RETRAINING, incident_event(), 0, HOUR_MS)
    ids = set()
    while not state.exhausted:
        assert state.running is not None
        ids.add(state.running.id)
        state = msgspec.json.decode(msgspec.json.encode(state.again()), type=HookState)
    assert state.running is not None
    assert (state.running.attempt, len(ids)) == (MAX_ATTEMPTS, 1)


def test_incidents_within_the_cooldown_wait_for_its_end() -> None:
    """One run serves all of them when the cooldown is over; not those that are over by then, nor
    those that ask for something else.
    """
    state = HookState().read(RETRAINING, incident_event(), 0, HOUR_MS).end(OK, 5)
    waits = state.read(RETRAINING, incident_event(name="b"), 10, HOUR_MS)
    waits = waits.read(RETRAINING, incident_event(name="c"), 11, HOUR_MS)
    waits = waits.read(RETRAINING, incident_event(2, name="b"), 12, HOUR_MS)
    assert waits.passed_over == 2
    assert waits.due(RETRAINING, HOUR_MS - 1, HOUR_MS) == waits
    run = waits.due(RETRAINING, HOUR_MS, HOUR_MS)
    assert run.running is not None
    assert run.running.started == HOUR_MS
    done = run.end(OK, HOUR_MS + 5)
    assert done.due(RETRAINING, 3 * HOUR_MS, HOUR_MS) == done
    assert done.read(RETRAINING, incident_event(3, name="c"), 3 * HOUR_MS, HOUR_MS) == done
    over = waits.read(
        RETRAINING, incident_event(3, name="b", state="resolved", ended=20), 20, HOUR_MS
    )
    over = over.read(RETRAINING, incident_event(3, name="c", action="fix_feed"), 21, HOUR_MS)
    assert over.due(RETRAINING, HOUR_MS, HOUR_MS).running is None


def test_an_acknowledgement_does_not_end_the_wait() -> None:
    """That somebody has seen it changes nothing; a silence does, until it is over."""
    state = HookState().read(RETRAINING, incident_event(), 0, HOUR_MS).end(OK, 5)
    waits = state.read(RETRAINING, incident_event(name="b"), 10, HOUR_MS)
    seen = waits.read(RETRAINING, incident_event(2, name="b", change="acknowledged"), 11, HOUR_MS)
    assert seen.due(RETRAINING, HOUR_MS, HOUR_MS).running is not None
    silent = waits.read(
        RETRAINING, incident_event(2, name="b", change="silenced", muted=True), 11, HOUR_MS
    )
    assert silent.due(RETRAINING, HOUR_MS, HOUR_MS).running is None
    over = silent.read(RETRAINING, incident_event(3, name="b", change="released"), 12, HOUR_MS)
    assert over.due(RETRAINING, HOUR_MS, HOUR_MS).running is not None


def test_a_run_that_failed_is_tried_again_after_the_cooldown() -> None:
    """While its incident stands; under another id, so that the receiver does not take it for the
    one that it has seen.
    """
    first = HookState().read(RETRAINING, incident_event(1), 0, HOUR_MS)
    failed = first.end(FAILED, 5)
    assert failed.failures == 1
    assert failed.due(RETRAINING, HOUR_MS - 1, HOUR_MS).running is None
    again = failed.due(RETRAINING, HOUR_MS, HOUR_MS)
    assert first.running is not None
    assert again.running is not None
    assert again.running.event == first.running.event
    assert again.running.id != first.running.id


def test_what_is_remembered_is_bounded() -> None:
    """A model that is ill for years does not fill its checkpoint."""
    state = HookState().read(RETRAINING, incident_event(), 0, HOUR_MS).end(OK, 5)
    for place in range(2 * REMEMBERED):
        state = state.read(RETRAINING, incident_event(name=str(place)), 10, HOUR_MS)
    assert len(state.asking) == REMEMBERED
    state = state.due(RETRAINING, HOUR_MS, HOUR_MS).end(OK, HOUR_MS)
    assert len(state.served) == REMEMBERED


def runs_of(stream: LabelledStream, hook: Hook = RETRAINING) -> tuple[list[str], list[str]]:
    """Judge a stream; return the ids of the runs that its incidents start, a day apart, and the
    actions that it ended with.
    """
    outputs, _ = judge_labels(stream.entries)
    assert any(
        alert.rule.startswith("performance.") and alert.severity == "critical" and alert.notify
        for alert in outputs.alerts
    )
    state, started = HookState(), []
    for day, incident in enumerate(outputs.incidents):
        now = day * 24 * HOUR_MS
        state = state.read(hook, cloud_event(incident), now, HOUR_MS).due(RETRAINING, now, HOUR_MS)
        if state.running is not None:
            started.append(state.running.id)
            state = state.end(OK, now)
    return started, list({one.id: one.action for one in outputs.incidents}.values())


def test_a_fall_of_the_performance_is_retrained_once() -> None:
    """Through judging: of a concept that changed several metrics are critical alerts, over many
    panes; that is one incident, and one run.
    """
    traffic = LabelledStream(np.random.default_rng(0)).panes(8).label(range(1, 9))
    for place in range(9, 19):
        traffic.panes(1, wrong=0.45).label([place])
    started, actions = runs_of(traffic)
    assert len(started) == 1
    assert actions == ["retrain"]


def test_a_feed_that_broke_is_not_retrained() -> None:
    """Through judging: the same fall beside values that are missing is put down to these."""
    traffic = LabelledStream(np.random.default_rng(0)).panes(8).label(range(1, 9))
    for place in range(9, 19):
        traffic.panes(1, wrong=0.45, missing=0.3).label([place])
    started, actions = runs_of(traffic)
    assert started == []
    assert actions == ["fix_feed"]


def promoted(wrong: float, before: float = 1 - ACCURACY) -> LabelledStream:
    """Make the traffic of a version that is promoted after another one, each wrong for a share of
    its rows, with labels.
    """
    traffic = LabelledStream(np.random.default_rng(0)).panes(8).label(range(1, 9))
    for place in range(9, 29):
        old = place < 19
        version = "1.0.0" if old else "2.0.0"
        traffic.panes(1, wrong=before if old else wrong, version=version).label([place])
    return traffic


def test_a_new_version_that_does_worse_is_rolled_back_once() -> None:
    """Through judging: its errors are one incident, which names the version to leave and asks for a
    rollback, and that is one run; nothing is retrained.
    """
    traffic = promoted(wrong=0.45)
    started, actions = runs_of(traffic, ROLLBACK)
    assert (len(started), actions) == (1, ["roll_back"])
    assert runs_of(traffic)[0] == []
    (last,) = {one.id: one for one in judge_labels(traffic.entries)[0].incidents}.values()
    assert (last.severity, last.cause.version) == ("critical", "2.0.0")
    assert last.advice.startswith("Roll back")


def test_a_new_version_that_does_well_is_not_rolled_back() -> None:
    """A promotion alone is no incident."""
    assert judge_labels(promoted(wrong=1 - ACCURACY).entries)[0].incidents == []


def test_of_two_versions_that_do_badly_none_is_rolled_back() -> None:
    """Through judging: what changed the world for the version before is there still, and going back
    would not help.
    """
    started, actions = runs_of(promoted(wrong=0.45, before=0.45), ROLLBACK)
    assert (started, set(actions)) == ([], {"retrain"})


def test_a_rollback_does_not_wait() -> None:
    """What comes within the cooldown, or failed, is not rolled back a day later by itself, when
    another version may be in production; news that come after the cooldown, and still ask for it,
    are.
    """

    def asking(number: int, name: str) -> bytes:
        return incident_event(number, name, action="roll_back")

    state = HookState().read(ROLLBACK, asking(1, "a"), 0, HOUR_MS).end(FAILED, 5)
    state = state.read(ROLLBACK, asking(2, "a"), 10, HOUR_MS)
    state = state.read(ROLLBACK, asking(1, "b"), 11, HOUR_MS)
    assert (state.running, state.passed_over) == (None, 1)
    assert not state.waits_for(ROLLBACK)
    assert state.due(ROLLBACK, 5 * HOUR_MS, HOUR_MS) == state
    later = state.read(ROLLBACK, asking(2, "b"), 5 * HOUR_MS, HOUR_MS)
    assert later.running is not None
    done = later.end(OK, 5 * HOUR_MS)
    assert done.read(ROLLBACK, asking(3, "b"), 9 * HOUR_MS, HOUR_MS) == done


def test_each_hook_is_asked_by_its_own_action() -> None:
    """No incident retrains and rolls back at once."""
    actions = [hook.action for hook in HOOKS]
    assert len(set(actions)) == len(actions)
    for hook, action in itertools.product(HOOKS, actions):
        state = HookState().read(hook, incident_event(action=action), 0, HOUR_MS)
        assert (state.running is not None) == (hook.action == action)


def test_a_state_of_the_former_shape_is_read() -> None:
    """Retraining once followed alerts, one of which waited: its incident asks by itself."""
    former = b'{"last_started": 5, "runs": 1, "waiting": "{}"}'
    state = msgspec.json.decode(former, type=HookState)
    assert (state.runs, state.waits_for(RETRAINING)) == (1, False)
