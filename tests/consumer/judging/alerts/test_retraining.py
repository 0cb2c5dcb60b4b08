"""When to retrain."""

import msgspec
import pytest

from driftgauge.consumer.judging.alerts.retraining import (
    MAX_ATTEMPTS,
    RetrainingState,
    RunResult,
    asks_for_it,
)
from driftgauge.shared.contract.alert import CloudEvent, Silence
from tests.consumer.retraining.builders import alert_event

HOUR_MS = 3_600_000


@pytest.mark.parametrize(
    "changes",
    [
        {"severity": "warning"},
        {"state": "pending"},
        {"state": "resolved"},
        {"rule": "psi"},
        {"rule": "blind.worker"},
        {"rule": "segment.psi", "segment": "region=north"},
        {"rule": "improvement.ddm"},
        {"change": "acknowledged"},
        {"notify": False, "silenced": Silence("me", "", 0, 1)},
        {"notify": False},
    ],
)
def test_only_a_critical_performance_alert_that_people_are_told_asks_for_it(
    changes: dict[str, object],
) -> None:
    """Drift, a warning, a resolved, silenced or explained alert and a mark start nothing."""
    assert asks_for_it(alert_event(**changes)) is None


def test_each_way_of_being_critical_asks_for_it() -> None:
    """A new alert does, one that rose to critical, one that was released, and the reminder of one
    that goes on; a fall within a segment does too.
    """
    segment = {"rule": "segment.performance", "segment": "region=north"}
    for changes in (
        {"change": "state"},
        {"change": "severity"},
        {"change": "released"},
        {"change": "reminder"},
        segment,
    ):
        event = alert_event(**changes)
        assert asks_for_it(event) == msgspec.json.decode(event, type=CloudEvent).id


@pytest.mark.parametrize("event", [b"", b"{}", b"\xff", b'{"data": 3}', b"[1"])
def test_what_is_no_alert_is_passed_over(event: bytes) -> None:
    """An entry that somebody wrote by hand neither stops the stage nor starts a run."""
    assert RetrainingState().read(event, 0, HOUR_MS) == RetrainingState()


def test_of_several_alerts_the_first_starts_the_run_and_the_others_are_passed_over() -> None:
    """Accuracy and F1 fall together: that is one retraining."""
    state = RetrainingState().read(alert_event(1), 10, HOUR_MS)
    assert state.running is not None
    assert (state.running.started, state.running.attempt) == (10, 1)
    state = state.end(RunResult(ok=True, detail=""), 20)
    for place in (2, 3):
        state = state.read(alert_event(place), 20, HOUR_MS)
    assert (state.running, state.passed_over, state.runs) == (None, 2, 1)


def test_the_cooldown_is_measured_from_start_to_start() -> None:
    """An alert at its end starts the next run, one a millisecond before does not, whether the run
    failed or not.
    """
    state = RetrainingState().read(alert_event(), 0, HOUR_MS).end(RunResult(ok=False, detail=""), 5)
    assert state.failures == 1
    assert state.read(alert_event(2), HOUR_MS - 1, HOUR_MS).running is None
    assert state.read(alert_event(2), HOUR_MS, HOUR_MS).running is not None


def test_a_run_without_an_end_has_a_bounded_number_of_attempts_under_one_id() -> None:
    """A hook that takes its worker down with it is given up, and each attempt can be told to be a
    repetition.
    """
    state = RetrainingState().read(alert_event(), 0, HOUR_MS)
    ids = set()
    while not state.exhausted:
        assert state.running is not None
        ids.add(state.running.id)
        state = msgspec.json.decode(msgspec.json.encode(state.again()), type=RetrainingState)
    assert state.running is not None
    assert (state.running.attempt, len(ids)) == (MAX_ATTEMPTS, 1)


def test_an_alert_within_the_cooldown_waits_for_its_end() -> None:
    """It starts a run of its own when the cooldown is over, once; not if it resolved meanwhile."""
    state = RetrainingState().read(alert_event(1), 0, HOUR_MS).end(RunResult(ok=True, detail=""), 5)
    waits = state.read(alert_event(2), 10, HOUR_MS)
    assert waits.due(HOUR_MS - 1, HOUR_MS) == waits
    started = waits.due(HOUR_MS, HOUR_MS)
    assert started.running is not None
    assert started.running.started == HOUR_MS
    done = started.end(RunResult(ok=True, detail=""), HOUR_MS + 5)
    assert done.due(3 * HOUR_MS, HOUR_MS) == done
    over = waits.read(alert_event(2, state="resolved"), 20, HOUR_MS)
    assert over.due(HOUR_MS, HOUR_MS).running is None


def test_a_run_that_failed_is_tried_again_after_the_cooldown() -> None:
    """While its alert stands; under another id, so that the receiver does not take it for the one
    that it has seen.
    """
    first = RetrainingState().read(alert_event(1), 0, HOUR_MS)
    failed = first.end(RunResult(ok=False, detail=""), 5)
    again = failed.due(HOUR_MS, HOUR_MS)
    assert first.running is not None
    assert again.running is not None
    assert again.running.event == first.running.event
    assert again.running.id != first.running.id
