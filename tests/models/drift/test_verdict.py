"""Alerts held against the truth."""

from driftgauge.models.drift.injection import Expectation
from driftgauge.models.drift.verdict import fired, verdict
from tests.models.drift.builders import alert

X = Expectation("x drifts", "x")


def test_an_alert_counts_once_from_where_the_simulation_began() -> None:
    """Reminders and what was open before are no findings; events of an earlier life of the model
    are taken off.
    """
    alerts = [
        alert("x", "psi", 1500),
        alert("x", "psi", 1200),
        alert("x", "psi", 1100, state="pending"),
        alert("y", "psi", 1300),
        alert("z", "psi", 1250, state="resolved"),
    ]
    found = fired(alerts, 1000, known=["y-psi"])
    assert [(one.feature, one.event) for one in found] == [("x", 200)]


def test_an_alert_at_the_injection_saw_none_of_it() -> None:
    """It is a false alarm, and the drift is not found by it."""
    judged = verdict(fired([alert("x", "psi", 100)], 0), 100, [X])
    assert (judged.found, judged.passed, len(judged.false_alarms), judged.first) == (
        False,
        False,
        1,
        None,
    )


def test_every_expectation_has_to_be_met() -> None:
    """A combined drift of which one part was missed was not found."""
    expected = [X, Expectation("performance", kind="performance")]
    alerts = [
        alert("x", "e_detector", 150),
        alert("x", "psi", 170),
        alert("", "performance.accuracy", 190),
    ]
    assert not verdict(fired(alerts[:2], 0), 100, expected).found
    judged = verdict(fired(alerts, 0), 100, expected)
    assert judged.passed
    assert [one.after for one in judged.met] == [50, 90]


def test_a_busy_machine_neither_finds_nor_spoils() -> None:
    """Alerts of the watchdog and of the serving time stand apart, before and after the
    injection.
    """
    alerts = [alert("", "blind.worker", 50), alert("", "threshold.latency_p99_ms", 150)]
    judged = verdict(fired(alerts, 0), 100, [Expectation("any alert")])
    assert (judged.found, judged.false_alarms, len(judged.operational)) == (False, [], 2)
