"""The life of an alert."""

from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from consumer.judging.lifecycle import AlertState, Reading, Transition, step

BAD, CRITICAL = Reading("warning", quiet=False, summary="bad"), Reading("critical", quiet=False, summary="worse")
MIDDLE, QUIET = Reading(None, quiet=False), Reading(None, quiet=True)

Life = Literal["inactive", "pending", "firing"]


def live(readings: list[Reading]) -> list[tuple[Life, Transition | None, str]]:
    """Step an alert through readings as judging does; give its state, the transition, the severity after each."""
    alert: AlertState | None = None
    found: list[tuple[Life, Transition | None, str]] = []
    for now, reading in enumerate(readings, start=1):
        if alert is None and reading.severity is None:
            found.append(("inactive", None, ""))
            continue
        before = alert or AlertState("f", "1.0.0", "x", "psi", "warning", "pending", now, now, "")
        after, transition = step(before, reading, now, bad_to_fire=2, quiet_to_resolve=3)
        alert = None if transition in {"resolved", "inactive"} else after
        found.append((alert.state if alert else "inactive", transition, after.severity))
    return found


readings = st.lists(st.sampled_from([BAD, CRITICAL, MIDDLE, QUIET]), max_size=40)


@given(readings)
def test_only_legal_transitions(sequence: list[Reading]) -> None:
    """An alert goes inactive, pending, firing, resolved; it never skips a state and never goes back."""
    before: Life = "inactive"
    for state, transition, _ in live(sequence):
        legal = {
            "inactive": {(None, "inactive"), ("pending", "pending")},
            "pending": {("firing", "firing"), ("inactive", "inactive")},
            "firing": {(None, "firing"), ("firing", "firing"), ("resolved", "inactive")},
        }[before]
        assert (transition, state) in legal
        before = state


@given(readings)
def test_firing_needs_two_bad_and_resolving_three_quiet(sequence: list[Reading]) -> None:
    """An alert begins to fire exactly at the second bad reading running, and resolves exactly at the third quiet one."""
    firing, bad, quiet = False, 0, 0
    for reading, (state, transition, _) in zip(sequence, live(sequence), strict=True):
        bad = bad + 1 if reading.severity else 0
        quiet = quiet + 1 if reading.quiet else 0
        fires, resolves = not firing and bad == 2, firing and quiet == 3
        firing = fires or (firing and not resolves)
        assert (state == "firing") == firing
        assert (transition == "resolved") == resolves
        if resolves:
            bad = quiet = 0


@given(readings)
def test_severity_never_falls_while_firing(sequence: list[Reading]) -> None:
    """A critical alert stays critical until it resolves, and a rise is told once."""
    severity, before = "", "inactive"
    for state, transition, now in live(sequence):
        if state == before == "firing":
            assert not (severity == "critical" and now == "warning")
            assert (transition == "firing") == (severity != now)
        severity, before = now, state


def test_one_bad_evaluation_never_fires() -> None:
    """A single outlier is pending at most."""
    assert [transition for _, transition, _ in live([BAD, MIDDLE, BAD, QUIET, CRITICAL, MIDDLE])] == [
        "pending", "inactive", "pending", "inactive", "pending", "inactive",
    ]  # fmt: skip


def test_no_flapping_around_the_threshold() -> None:
    """Values alternating just above and just below the threshold neither fire nor, once firing, resolve."""
    assert "firing" not in [state for state, _, _ in live([BAD, MIDDLE] * 20)]
    after = live([BAD, BAD, *[MIDDLE, BAD] * 20])
    assert [transition for _, transition, _ in after] == ["pending", "firing", *[None] * 40]


def test_interrupted_quiet_does_not_resolve() -> None:
    """Two quiet evaluations and one that is not begin anew."""
    assert live([BAD, BAD, QUIET, QUIET, MIDDLE, QUIET, QUIET])[-1][0] == "firing"
    assert live([BAD, BAD, QUIET, QUIET, BAD, QUIET, QUIET, QUIET])[-1][1] == "resolved"


def test_what_an_alert_keeps() -> None:
    """`started` stays at the first bad reading, `updated` and the words follow the latest one."""
    alert = AlertState("f", "1.0.0", "x", "psi", "warning", "pending", 1, 1, "")
    for now, reading in ((1, BAD), (2, BAD), (3, QUIET), (4, CRITICAL), (5, MIDDLE)):
        alert, _ = step(alert, reading, now, 2, 3)
    assert (alert.started, alert.updated, alert.summary, alert.severity) == (1, 4, "worse", "critical")
