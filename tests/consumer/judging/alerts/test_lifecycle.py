"""The life of an alert."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from driftgauge.consumer.judging.alerts.lifecycle import (
    AlertState,
    Transition,
    acknowledge,
    end,
    next_life,
    renotify_after,
    silence,
    step,
)
from driftgauge.consumer.judging.evaluating.reading import Reading
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.shared.contract.alert import Acknowledgement, Silence

MINUTE = 60_000
BAD, CRITICAL = (
    Reading("warning", quiet=False, summary="bad"),
    Reading("critical", quiet=False, summary="worse"),
)
MIDDLE, QUIET = Reading(None, quiet=False), Reading(None, quiet=True)
DAY = 1440
"""Minutes."""
ALARM, OVER = Reading("warning", quiet=False, at_once=True), Reading(None, quiet=True, over=True)
POLICY = JudgingPolicy(renotify_ms=240 * MINUTE)
"""With reminders, which are off unless a policy asks for them."""
QUICK = replace(POLICY, quiet_to_resolve=1, cooldown_ms=30 * MINUTE, renotify_ms=30 * MINUTE)


@dataclass
class Life:
    """One fingerprint over time, kept as judging keeps it."""

    policy: JudgingPolicy = POLICY
    now: int = 0
    alert: AlertState | None = None
    told: list[tuple[int, AlertState, Transition]] = field(default_factory=list)

    @property
    def open(self) -> AlertState | None:
        return self.alert if self.alert is not None and self.alert.is_open else None

    @property
    def changes(self) -> list[str]:
        return [
            f"{one.state}{'' if one.change == 'state' else ' ' + one.change}"
            for _, _, one in self.told
        ]

    @property
    def notified(self) -> list[str]:
        return [
            f"{one.state}{'' if one.change == 'state' else ' ' + one.change}"
            for _, _, one in self.told
            if one.notify
        ]

    def read(
        self, reading: Reading, minutes: float = 10, inhibited_by: str | None = None
    ) -> "Life":
        self.now += int(minutes * MINUTE)
        if self.open is None and reading.severity is None:
            return self
        alert = self.open or (
            next_life(self.alert, self.now)
            if self.alert
            else AlertState("f", "1.0.0", "x", "psi", "warning", "pending", self.now, self.now, "")
        )
        if inhibited_by is not None:
            alert = replace_(alert, inhibited_by=inhibited_by)
        return self._keep(*step(alert, reading, self.now, self.policy))

    def reads(self, readings: Sequence[Reading], minutes: float = 10) -> "Life":
        for reading in readings:
            self.read(reading, minutes)
        return self

    def acknowledge(self) -> "Life":
        assert self.open
        return self._keep(*acknowledge(self.open, Acknowledgement("ann", "on it", self.now)))

    def silence(self, minutes: int) -> "Life":
        assert self.open
        return self._keep(
            *silence(self.open, Silence("ann", "", self.now, self.now + minutes * MINUTE))
        )

    def end(self) -> "Life":
        assert self.open
        return self._keep(*end(self.open, self.now, self.policy, "superseded"))

    def _keep(self, alert: AlertState, transition: Transition | None) -> "Life":
        if transition is not None:
            self.told.append((self.now, alert, transition))
        self.alert = alert if alert.is_open or alert.is_remembered(self.now) else None
        return self


def replace_(alert: AlertState, **changes: str) -> AlertState:
    import msgspec

    return msgspec.structs.replace(alert, **changes)


def check(life: Life) -> None:
    """What holds of every history, whatever happened."""
    lives: dict[int, list[tuple[int, AlertState, Transition]]] = {}
    for moment, alert, transition in life.told:
        lives.setdefault(alert.started, []).append((moment, alert, transition))
    for written in lives.values():
        assert [alert.number for _, alert, _ in written] == list(range(1, len(written) + 1))
        states = [one.state for _, _, one in written if one.change == "state"]
        assert tuple(states) in LEGAL, states
        if written[-1][2].state not in {"resolved", "inactive"}:
            assert written is list(lives.values())[-1], "a life was left open while another began"
    fired = [
        (moment, alert)
        for moment, alert, one in life.told
        if (one.state, one.change) == ("firing", "state")
    ]
    ended = [(moment, alert) for moment, alert, one in life.told if one.state == "resolved"]
    for (over, before), (moment, after) in zip(ended, fired[1:], strict=False):
        worse = (before.severity, after.severity) == ("warning", "critical")
        assert moment - over >= life.policy.cooldown_ms or worse, "fired within the cooldown"
    told = [(moment, alert, one) for moment, alert, one in life.told if one.notify]
    for (before, first, _), (moment, alert, one) in itertools.pairwise(told):
        if one.change == "reminder":
            assert alert.started == first.started
            assert alert.reminders == first.reminders + 1
            assert (
                moment - before
                >= renotify_after(first.reminders, life.policy)
                >= life.policy.renotify_ms
            )
        elif one.state == "firing":
            assert alert.reminders == 0
    for moment, alert, one in told:
        assert not alert.inhibited_by or one.state == "resolved"
        assert not alert.is_silenced(moment)
        assert one.change != "reminder" or not alert.acknowledged
        if one.state == "resolved":
            assert any(
                other.notify and known.started == alert.started
                for at, known, other in life.told
                if at <= moment
            )


LEGAL = {
    ("pending",),
    ("pending", "inactive"),
    ("pending", "firing"),
    ("pending", "firing", "resolved"),
    ("firing",),
    ("firing", "resolved"),
}


def histories(length: int) -> Iterator[tuple[Reading, ...]]:
    return itertools.product((BAD, CRITICAL, MIDDLE, QUIET), repeat=length)


@pytest.mark.parametrize("policy", [POLICY, QUICK])
def test_every_short_history(policy: JudgingPolicy) -> None:
    """All 16,384 sequences of seven readings, at two policies: states are legal, lives do not
    overlap, the cooldown and the reminders keep their distance, and a firing alert's severity never
    falls.
    """
    for readings in histories(7):
        life = Life(policy)
        before = None
        for reading in readings:
            life.read(reading)
            now = life.open
            if before and now and before.state == now.state == "firing":
                assert (before.severity, now.severity) != ("critical", "warning")
            before = now
        check(life)


def test_a_critical_never_carries_the_text_of_a_warning() -> None:
    """An alert that stays critical, whether pending or firing, keeps what was said of it when it
    was: a later and milder reading is not its reason.
    """
    life = Life()
    for reading in (CRITICAL, BAD, BAD):
        life.reads([reading])
        assert life.open is not None
        assert (life.open.severity, life.open.summary) == ("critical", "worse")
    rising = Life()
    rising.reads([BAD])
    assert rising.open is not None
    assert (rising.open.severity, rising.open.summary) == ("warning", "bad")
    rising.reads([CRITICAL])
    assert rising.open is not None
    assert (rising.open.severity, rising.open.summary) == ("critical", "worse")


def test_every_short_history_of_an_online_alert() -> None:
    """The same for alarms, which fire at once and end at once."""
    for readings in itertools.product((ALARM, MIDDLE, OVER), repeat=7):
        check(Life(QUICK).reads(readings))


def test_firing_needs_two_bad_and_resolving_three_quiet() -> None:
    """An alert begins to fire exactly at the second bad reading running, and resolves exactly at
    the third quiet one.
    """
    for readings in histories(6):
        life, firing, bad, quiet = Life(replace(POLICY, cooldown_ms=0)), False, 0, 0
        for reading in readings:
            bad = bad + 1 if reading.severity else 0
            quiet = quiet + 1 if reading.quiet else 0
            firing = (firing and quiet < 3) or (not firing and bad >= 2)
            if not firing and quiet >= 3:
                bad = 0
            life.read(reading)
            assert (life.open is not None and life.open.state == "firing") == firing, readings
            if not firing and life.changes[-1:] == ["resolved"] and reading.quiet:
                bad = quiet = 0


class Machine(RuleBasedStateMachine):
    """Any order of readings, marks, causes and ends, at any distance in time."""

    def __init__(self) -> None:
        super().__init__()
        self.life = Life(QUICK)
        self.done: list[tuple[str, tuple[object, ...]]] = []

    def do(self, name: str, *given: object) -> None:
        self.done.append((name, given))
        getattr(self.life, name)(*given)

    @rule(
        reading=st.sampled_from([BAD, CRITICAL, MIDDLE, QUIET, ALARM, OVER]),
        minutes=st.sampled_from([1, 10, 40]),
        cause=st.sampled_from([None, "", "cause"]),
    )
    def read(self, reading: Reading, minutes: int, cause: str | None) -> None:
        self.do("read", reading, minutes, cause)

    @rule()
    def acknowledge(self) -> None:
        if self.life.open:
            self.do("acknowledge")

    @rule(minutes=st.sampled_from([5, 60]))
    def silence(self, minutes: int) -> None:
        if self.life.open:
            self.do("silence", minutes)

    @rule()
    def end(self) -> None:
        if self.life.open:
            self.do("end")

    @invariant()
    def holds(self) -> None:
        """Whatever happened so far, the history is sound."""
        check(self.life)

    def teardown(self) -> None:
        """The same again gives the same history."""
        again = Life(QUICK)
        for name, arguments in self.done:
            getattr(again, name)(*arguments)
        assert again.told == self.life.told


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_one_bad_evaluation_never_fires() -> None:
    """A single outlier is pending at most."""
    assert (
        Life().reads([BAD, MIDDLE, BAD, QUIET, CRITICAL, MIDDLE]).changes
        == ["pending", "inactive"] * 3
    )


def test_no_flapping_around_the_threshold() -> None:
    """Values alternating just above and just below the threshold neither fire nor, once firing,
    resolve.
    """
    assert "firing" not in Life().reads([BAD, MIDDLE] * 20).changes
    assert Life().reads([BAD, BAD, *[MIDDLE, BAD] * 20], minutes=1).changes == ["pending", "firing"]


def test_interrupted_quiet_does_not_resolve() -> None:
    """Two quiet evaluations and one that is not begin anew."""
    life = Life().reads([BAD, BAD, QUIET, QUIET, MIDDLE, QUIET, QUIET])
    assert life.open
    assert life.open.state == "firing"
    assert life.read(QUIET).changes[-1] == "resolved"


def test_what_an_alert_keeps() -> None:
    """`started` stays at the first bad reading, `updated` and the words follow the latest one."""
    alert = Life().reads([BAD, BAD, QUIET, CRITICAL, MIDDLE], minutes=1).open
    assert alert
    assert (alert.started, alert.updated, alert.summary, alert.severity) == (
        MINUTE,
        4 * MINUTE,
        "worse",
        "critical",
    )


def test_a_rise_of_severity_is_told_once_even_if_acknowledged() -> None:
    """Who has seen a warning has not seen that it became critical."""
    life = Life().reads([BAD, BAD]).acknowledge().reads([CRITICAL, CRITICAL, BAD])
    assert life.notified == ["firing", "firing severity"]


def test_the_cooldown_holds_back_and_hides_nothing() -> None:
    """What comes back within the cooldown stays pending, and fires at the first bad reading after
    it.
    """
    life = Life().reads([BAD, BAD, QUIET, QUIET, QUIET])
    life.reads([BAD] * 5)
    assert life.changes == ["pending", "firing", "resolved", "pending"]
    life.read(BAD)
    assert life.changes[-1] == "firing"
    assert life.now - 50 * MINUTE == 60 * MINUTE


def test_what_comes_and_goes_within_the_cooldown_is_told_once() -> None:
    """A second short episode within the hour is recorded as pending and inactive, and nobody is
    told.
    """
    life = Life().reads([BAD, BAD, QUIET, QUIET, QUIET, BAD, BAD, QUIET])
    assert life.changes == ["pending", "firing", "resolved", "pending", "inactive"]
    assert life.notified == ["firing", "resolved"]


def test_a_worse_alert_ignores_the_cooldown() -> None:
    """An hour of cooldown after a warning does not hold back a critical alert."""
    assert Life().reads([BAD, BAD, QUIET, QUIET, QUIET, CRITICAL, CRITICAL]).changes[-1] == "firing"


def test_the_cooldown_of_an_online_alert() -> None:
    """An alarm within the cooldown waits; while its alert lives on, it fires when the cooldown is
    over.
    """
    life = Life().reads([ALARM, OVER, ALARM, *[ALARM] * 6])
    assert life.changes == ["firing", "resolved", "pending", "firing"]


def test_what_was_told_is_not_told_again_while_it_stands() -> None:
    """For a year of bad readings people hear of it once, of its rise, and of its end."""
    life = Life(JudgingPolicy())
    for day in range(365):
        life.now = day * DAY * MINUTE
        life.read(BAD if day < 200 else CRITICAL)
    for _ in range(3):
        life.read(QUIET)
    assert life.notified == ["firing", "firing severity", "resolved"]


def test_reminders_back_off_until_acknowledged() -> None:
    """While an alert goes on people are told again after 4 hours and after 8 more; who acknowledged
    it is left alone.
    """
    life = Life().reads([BAD, BAD, *[MIDDLE] * 73])
    assert [moment // MINUTE - 20 for moment, _, one in life.told if one.change == "reminder"] == [
        240,
        720,
    ]
    assert life.notified == ["firing", "firing reminder", "firing reminder"]
    assert life.acknowledge().reads([MIDDLE] * 500).notified == [
        "firing",
        "firing reminder",
        "firing reminder",
    ]
    assert life.reads([QUIET] * 3).notified[-1] == "resolved"


@given(
    minutes=st.sampled_from([1, 15, 60, 240, 1440]),
    first=st.integers(1, 600),
    longest=st.integers(1, 20_000),
    readings=st.integers(2, 600),
)
@settings(deadline=None, max_examples=60)
def test_the_spacing_of_reminders(minutes: int, first: int, longest: int, readings: int) -> None:
    """At any pace of readings each distance is twice the one before, up to the longest, and no
    reading late.
    """
    policy = replace(POLICY, renotify_ms=first * MINUTE, renotify_max_ms=longest * MINUTE)
    life = Life(policy).reads([BAD] * readings, minutes)
    moments = [moment for moment, _, one in life.told if one.notify]
    for place, (before, after) in enumerate(itertools.pairwise(moments)):
        wanted = min(first * 2**place, max(longest, first)) * MINUTE
        assert wanted <= after - before < wanted + minutes * MINUTE
    due = renotify_after(len(moments) - 1, policy)
    assert life.now - moments[-1] < due


def test_a_year_of_one_alert_is_some_sixty_notifications() -> None:
    """What goes on for a year at hourly readings is told about weekly, and does not fill a stream
    of 10,000 alerts.
    """
    assert len(Life().reads([BAD] * (365 * 24), minutes=60).notified) < 65


def test_a_rise_of_severity_reminds_sooner_again() -> None:
    """A rise of severity is news: the next reminder comes 4 hours after it, not days."""
    life = Life().reads([BAD] * 100, minutes=60).read(CRITICAL).reads([CRITICAL] * 4, minutes=60)
    assert life.notified[-2:] == ["firing severity", "firing reminder"]


def test_quiet_days() -> None:
    """A reading that asks for days of quiet resolves on the day that is so many after the first
    quiet one, and one that is not quiet begins that anew.
    """
    quiet = Reading(None, quiet=True, quiet_days=6)
    life = (
        Life()
        .reads([BAD, BAD], minutes=60)
        .reads([quiet] * 5, minutes=24 * 60)
        .read(MIDDLE, minutes=24 * 60)
    )
    life.reads([quiet] * 6, minutes=24 * 60)
    assert life.changes[-1] != "resolved"
    assert life.read(quiet, minutes=24 * 60).changes[-1] == "resolved"


def test_no_reminder_of_what_is_about_to_resolve() -> None:
    """A quiet reading reminds nobody; if it was not the end of it, the next one does."""
    life = Life().reads([BAD, BAD]).read(QUIET, minutes=300)
    assert life.notified == ["firing"]
    assert life.read(MIDDLE).notified == ["firing", "firing reminder"]


def test_an_inhibited_alert_is_recorded_and_not_notified() -> None:
    """While a cause explains it an alert fires in silence, and when both are over nobody need be
    told of either.
    """
    life = Life()
    for reading in (BAD, BAD, BAD, QUIET, QUIET, QUIET):
        life.read(reading, inhibited_by="cause")
    assert (life.changes, life.notified) == (["pending", "firing", "resolved"], [])


def test_an_inhibited_alert_comes_back_when_its_cause_is_over() -> None:
    """If the cause resolves and the alert does not, it is told then, once."""
    life = Life()
    for cause in ("cause", "cause", "cause", "", ""):
        life.read(BAD, inhibited_by=cause)
    assert life.changes == ["pending", "firing", "firing released"]
    assert life.notified == ["firing released"]


def test_a_silence_ends_by_itself_and_outlasts_a_life() -> None:
    """A silenced alert resolves and fires again without a word until its time; what still fires
    then is told.
    """
    life = Life(QUICK).reads([BAD, BAD]).silence(200)
    life.reads([QUIET, *[MIDDLE] * 3, BAD, BAD, BAD])
    assert life.changes == ["pending", "firing", "firing silenced", "resolved", "pending", "firing"]
    assert life.notified == ["firing"]
    life.reads([BAD] * 14)
    assert life.notified == ["firing", "firing released"]


def test_an_acknowledgement_ends_with_the_life() -> None:
    """The next time is news again."""
    life = Life(QUICK).reads([BAD, BAD]).acknowledge().reads([QUIET, *[MIDDLE] * 4, BAD, BAD])
    assert life.notified == ["firing", "resolved", "firing"]
    assert life.open
    assert life.open.acknowledged is None


def test_an_end_from_outside() -> None:
    """The end of a version resolves what fires and drops what is pending; nothing that never fired
    resolves.
    """
    assert Life().reads([BAD, BAD]).end().changes == ["pending", "firing", "resolved"]
    assert Life().reads([BAD]).end().changes == ["pending", "inactive"]


def test_a_reading_of_many_days_rests_as_long() -> None:
    """Where a reading is of 7 days, people are told again after 7 days at the earliest, and only
    while it is bad; it is over when it has been quiet for as long as a window holds a row of
    before.
    """
    bad = Reading("warning", quiet=False, at_once=True, rest_days=7, quiet_days=6)
    middle = Reading(None, quiet=False, rest_days=7, quiet_days=6)
    quiet = Reading(None, quiet=True, rest_days=7, quiet_days=6)
    life = Life()
    for reading in (bad, *[bad] * 6, *[middle] * 3, bad):
        life.read(reading, minutes=DAY)
    assert life.notified == ["firing", "firing reminder"]
    assert [now // (DAY * MINUTE) for now, _, one in life.told if one.notify] == [1, 11]
    for _ in range(6):
        life.read(quiet, minutes=DAY)
    assert life.notified[2:] == []
    life.read(quiet, minutes=DAY)
    assert life.notified[2:] == ["resolved"]
