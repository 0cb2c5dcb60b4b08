"""What a route tells next, and what becomes of it."""

from itertools import pairwise
from typing import Any

import pytest

from driftgauge.consumer.notifying.routes import Match, Quiet
from driftgauge.consumer.notifying.routing import tracked_incidents
from driftgauge.consumer.notifying.routing.choosing import Traits
from driftgauge.shared.contract.alert import Acknowledgement, Silence
from driftgauge.shared.contract.incident import IncidentAlert, IncidentCause
from driftgauge.shared.contract.notifications.status import STATUS
from tests.consumer.notifying.builders import transition
from tests.consumer.notifying.routing.world import HOUR, MINUTE, SECOND, START, World

IN_PLACE = Traits(in_place=True)
SILENCE = Silence("ann", "", 1000, 1000 + HOUR)


def test_news_is_told_once_and_the_rest_is_not() -> None:
    """What people are notified of is told at once; evidence and marks are not."""
    world = World()
    world.read("a", 1)
    assert world.take() == ["a-1"]
    world.read("a", 2, "evidence")
    world.read("a", 3, "severity")
    world.read("a", 3, "severity")  # the same entry, read again
    assert world.take() == ["a-3"]
    world.read("a", 4, "acknowledged", acknowledged=Acknowledgement("ann", "", 1000))
    world.read("a", 5, "resolved")
    assert world.take_in_time(HOUR) == ["a-5"]
    assert [delivery.is_first for delivery in world.sent] == [True, False, False]


def test_later_news_takes_the_place_of_what_waits() -> None:
    """While the target is away only the newest news waits, and nothing that is over untold."""
    world = World()
    world.read("a", 1)
    world.read("b", 1)
    world.fail()
    world.read("a", 2, "severity")
    world.read("b", 2, "resolved")
    assert world.take_in_time(HOUR) == ["a-2"]
    assert world.sent[0].is_first


def test_other_incidents_do_not_wait() -> None:
    """An incident that the target cannot take now holds up none that it can."""
    world = World()
    world.read("a", 1)
    world.fail()
    world.read("b", 1)
    world.wait(SECOND)
    assert world.take() == ["b-1"]
    assert world.take_in_time(HOUR) == ["a-1"]


def test_pauses_grow_and_what_the_target_asks_for_is_obeyed() -> None:
    """Each pause is about twice the one before; Retry-After holds for the whole route, up to an
    hour.
    """
    world = World()
    world.read("a", 1)
    pauses = []
    for _ in range(12):
        world.fail()
        due = world.dispatcher.due_at(world.now)
        assert due is not None
        pauses.append(due - world.now)
        world.now = due
    assert pauses[0] < 3 * SECOND
    assert all(1.2 <= later / one <= 3.4 for one, later in pairwise(pauses[:9]))
    assert max(pauses) <= 20 * MINUTE
    world.fail(after_s=600.0)
    world.read("b", 1)
    assert world.take() == []
    world.wait(601 * SECOND)
    assert sorted(world.take()) == ["a-1", "b-1"]
    world.read("c", 1)
    world.fail(after_s=1e12)
    assert world.take_in_time(HOUR + MINUTE) == ["c-1"]


def test_after_a_day_a_message_is_given_up() -> None:
    """It becomes a dead letter with the last reason, and the next news of the incident is tried."""
    world = World()
    world.read("a", 1)
    while world.dispatcher.due_at(world.now) is not None:
        world.now = max(world.now, world.dispatcher.due_at(world.now) or 0)
        world.fail()
    (letter,) = world.letters
    assert (letter.key, letter.reason) == ("a-1", "given up after a day: status 503")
    assert 24 * HOUR <= world.now - START <= 25 * HOUR
    world.read("a", 2, "severity")
    assert world.take_in_time(HOUR) == ["a-2"]


def test_a_refused_message_is_a_dead_letter_and_the_failure_is_told() -> None:
    """It is not tried again; the route fails until the target takes another message."""
    world = World()
    world.read("a", 1)
    world.refuse()
    (letter,) = world.letters
    assert (letter.key, letter.model, letter.event) == ("a-1", "plant", transition("a", 1))
    failure = world.dispatcher.status.failure
    assert failure is not None
    assert (failure.reason, failure.refused, failure.models) == ("status 400", 1, ("plant",))
    world.read("a", 2, "resolved")
    assert world.take_in_time(HOUR) == []  # it was not told
    world.read("b", 1)
    assert world.take() == ["b-1"]
    assert world.dispatcher.status.failure is None
    assert (world.dispatcher.status.sent, world.dispatcher.status.refused) == (1, 1)


@pytest.mark.parametrize("later", [None, (2, "severity"), (2, "resolved")])
def test_what_was_on_its_way_at_a_crash_is_sent_again(later: Any) -> None:
    """Under the same key and with the same content, whatever was read meanwhile; then the rest."""
    world = World()
    world.read("a", 1)
    world.read("b", 1)
    before = world.start()
    if later:
        world.read("a", *later)
    world.restart()
    assert world.start() == before
    assert world.take() == ["a-1", *(["a-2"] if later else []), "b-1"] or later


def test_an_end_that_comes_while_the_beginning_is_on_its_way_is_told_if_that_was() -> None:
    """If the target took the beginning it gets the end; if it did not, nothing is left to tell."""
    world = World()
    for name in ("a", "b"):
        world.read(name, 1)
        world.start()
        world.read(name, 2, "resolved")
        if name == "a":
            assert world.take() == ["a-1", "a-2"]
        else:
            world.fail()
            assert world.take_in_time(HOUR) == []
    assert world.dispatcher.status.waiting == 0


@pytest.mark.parametrize("crash", [False, True])
def test_an_end_is_told_if_the_beginning_may_have_been(crash: bool) -> None:  # noqa: FBT001
    """The answer was lost, or the worker died before it came, and then the target did not take it:
    it may have taken it the first time, so the end is told; it is not called the first news.
    """
    world = World()
    world.read("a", 1)
    world.start()
    if crash:
        world.restart()
    world.dispatcher.postponed("no answer within 30 s", None, world.now, maybe_taken=not crash)
    world.commit()
    world.read("a", 2, "resolved")
    world.restart()
    assert world.take_in_time(HOUR) == ["a-2"]
    assert not world.sent[0].is_first


def test_an_incident_that_gets_worse_comes_to_the_route_of_the_critical() -> None:
    """Before it is told it must meet the conditions; afterwards its end is told in any case."""
    world = World(match=Match(severity="critical"))
    world.read("a", 1, severity="warning")
    assert world.take() == []
    world.read("a", 2, "severity")
    assert world.take() == ["a-2"]
    world.read("a", 3, "resolved", severity="warning")
    assert world.take() == ["a-3"]


def test_what_no_longer_meets_the_conditions_is_not_told() -> None:
    """If another cause is found before a message was sent, the route of the first one is silent."""
    world = World(match=Match(actions=("retrain",)))
    world.read("a", 1)
    world.fail()
    world.read("a", 2, "cause", action="fix_feed")
    assert world.take_in_time(HOUR) == []


DRIFT = IncidentAlert("f", "1.0.0", "x", "psi", "warning", "x drifts", 1000, 1000)
FALL = IncidentAlert("g", "1.0.0", "", "performance.mae", "warning", "MAE rose", 1000, 1000)


def test_what_meets_the_conditions_later_is_told_then() -> None:
    """People were notified when it opened; the route of the performance hears of it when an alert
    of the performance joins it, if only as evidence, unless it is silenced; and of its end.
    """
    world = World(match=Match(rules=("performance.*",)))
    drift: Any = {"alerts": [DRIFT], "cause": IncidentCause("feature", "f", rule="psi")}
    both = drift | {"alerts": [DRIFT, FALL]}
    world.read("a", 1, **drift)
    assert world.take() == []
    world.restart()
    world.read("a", 2, "evidence", muted=True, **both)
    assert world.take() == []
    world.read("a", 3, "evidence", **both)
    assert world.take() == ["a-3"]
    assert world.sent[0].is_first
    world.read("a", 4, "evidence", **both)
    world.read("a", 5, "resolved", **both)
    assert world.take() == ["a-5"]
    world.read("b", 1, notify=False, **drift)  # nobody was notified of it
    world.read("b", 2, "evidence", **both)
    assert world.take() == []


def test_what_ceases_to_meet_the_conditions_and_meets_them_again() -> None:
    """It is told when it does, since it never was."""
    world = World(match=Match(actions=("retrain",)))
    world.read("a", 1)
    world.fail()
    world.read("a", 2, "cause", action="fix_feed")
    world.read("a", 3, "evidence", action="fix_feed")
    assert world.take_in_time(HOUR) == []
    world.read("a", 4, "evidence")
    assert world.take() == ["a-4"]


def test_quiet_hours_hold_back_until_their_end() -> None:
    """What still stands is told at their end, and what came and went is not; critical incidents may
    pass.
    """
    noon = Quiet(start="11:00", end="14:00", critical=True)
    world = World(quiet=(noon,))
    world.read("a", 1, severity="warning")
    world.read("b", 1, severity="warning")
    world.read("c", 1)
    assert world.take() == ["c-1"]
    assert world.dispatcher.status.overdue is None
    world.read("b", 2, "resolved", severity="warning")
    assert world.take_in_time(HOUR) == []
    assert world.take_in_time(HOUR + SECOND) == ["a-1"]


def test_an_end_in_quiet_hours() -> None:
    """Where the message is changed in place it is changed at once, without notice; elsewhere it is
    told afterwards.
    """
    for traits, at_once in ((Traits(), []), (IN_PLACE, ["a-2"])):
        world = World(traits, quiet=(Quiet(start="12:30", end="14:00"),))
        world.read("a", 1)
        assert world.take("r") == ["a-1"]
        world.wait(HOUR)
        world.read("a", 2, "resolved")
        assert world.take() == at_once
        assert world.take_in_time(HOUR) == [key for key in ("a-2",) if not at_once]
        assert world.sent[-1].silent is bool(at_once)


def test_news_waits_while_the_incident_is_silenced() -> None:
    """It is told when the silence is over, by its time or by the next transition; an end in it is
    not.
    """
    for freed in (True, False):
        world = World()
        world.read("a", 1)
        world.fail()
        world.read("a", 2, "silenced", silenced=SILENCE, muted=True)
        assert world.take_in_time(HOUR // 2) == []
        if freed:
            world.read("a", 3, "evidence")
            assert world.take() == ["a-1"]
        else:
            assert world.take_in_time(HOUR) == ["a-1"]
    world = World()
    world.read("a", 1)
    world.fail()
    world.read("a", 2, "evidence", muted=True)  # all of its alerts are silenced
    assert world.take_in_time(24 * HOUR) == []
    world.read("a", 3, "resolved", notify=False, muted=True)
    assert world.take_in_time(24 * HOUR) == []
    assert set(world.fields) == {
        STATUS,
        b"match",
        b"offset:plant",
    }  # and nothing of the incident
    assert world.dispatcher.status.failure is None


def test_in_place_changes_follow_silently() -> None:
    """A target that changes its message gets what nobody is notified of too, with the receipt of
    the last one, some time apart; an end that nobody is notified of as well.
    """
    world = World(IN_PLACE)
    world.read("a", 1)
    world.start()
    world.read("a", 2, "evidence")
    assert world.take("r1") == ["a-1"]
    world.read("a", 3, "evidence")
    assert world.take() == []
    assert world.take_in_time(MINUTE) == ["a-3"]
    world.read("a", 4, "resolved", notify=False)
    assert world.take() == ["a-4"]
    assert [(one.silent, one.receipt) for one in world.sent] == [
        (False, ""),
        (True, "r1"),
        (True, ""),
    ]


def test_an_incident_that_opens_again_is_told_with_its_receipt() -> None:
    """It is remembered after its end."""
    world = World(IN_PLACE)
    world.read("a", 1)
    world.take("r1")
    world.read("a", 2, "resolved")
    world.take("r2")
    world.restart()
    world.read("a", 3, "reopened")
    assert world.take("r3") == ["a-3"]
    assert [one.receipt for one in world.sent] == ["", "r1", "r2"]


def test_what_stands_is_repeated_until_somebody_acknowledged_it() -> None:
    """By the route's setting, under keys of their own; news begins the time anew."""
    world = World(repeat_minutes=60)
    world.read("a", 1)
    assert world.take_in_time(3 * HOUR - 1) == ["a-1", "a-1-r1", "a-1-r2"]
    world.read("a", 2, "severity")
    assert world.take_in_time(HOUR + MINUTE) == ["a-2", "a-2-r1"]
    world.read("a", 3, "acknowledged", acknowledged=Acknowledgement("ann", "", 1000))
    assert world.take_in_time(9 * HOUR) == []
    world.read("a", 4, "resolved")
    assert world.take_in_time(9 * HOUR) == ["a-4"]


def test_a_repetition_that_fails_is_no_repetition_of_what_changed_meanwhile() -> None:
    """What comes meanwhile takes its place."""
    world = World(repeat_minutes=60)
    world.read("a", 1)
    world.take()
    world.wait(HOUR)
    world.fail()
    world.read("a", 2, "evidence")
    world.read("a", 3, "resolved")
    assert world.take_in_time(9 * HOUR) == ["a-3"]


def test_what_opens_together_is_one_message() -> None:
    """Within the time of a group; the worst speaks for it. What follows is told one by one, without
    a receipt of the common message.
    """
    world = World(group_seconds=30)
    world.read("a", 1, severity="warning")
    world.wait(20 * SECOND)
    world.read("b", 1)
    world.read("c", 1, severity="warning")
    assert world.take() == []
    world.wait(10 * SECOND)
    assert world.take("common") == [world.sent[0].key]
    assert world.sent[0].key.startswith("b-1-g")
    assert [part.id for part in world.sent[0].parts] == ["b", "a", "c"]
    assert world.dispatcher.status.sent == 1
    world.read("a", 2, "resolved", severity="warning")
    assert world.take_in_time(MINUTE) == ["a-2"]
    assert world.sent[1].receipt == ""


def test_a_common_message_that_fails_is_sent_again_as_one() -> None:
    """What it told waits together, with what came meanwhile; if it is refused each is a dead
    letter.
    """
    world = World(group_seconds=30)
    world.read("a", 1)
    world.read("b", 1)
    world.wait(30 * SECOND)
    world.fail()
    assert world.take_in_time(MINUTE) == [world.sent[0].key]
    assert [part.id for part in world.sent[0].parts] == ["a", "b"]
    world.read("c", 1)
    world.read("d", 1)
    world.wait(30 * SECOND)
    world.refuse()
    assert [letter.key for letter in world.letters] == ["c-1", "d-1"]


def test_a_target_that_forgets_is_reminded() -> None:
    """What stands is sent again after the target's time, silently, under the key of the last
    transition, uncounted, and at once by the next owner; what is over is not.
    """
    world = World(Traits(in_place=True, beat_s=60.0))
    world.read("a", 1)
    assert world.take_in_time(3 * MINUTE - 1) == ["a-1", "a-1", "a-1"]
    assert [one.is_beat for one in world.sent] == [False, True, True]
    assert world.dispatcher.status.sent == 1
    world.restart()
    assert world.take() == ["a-1"]
    world.read("a", 2, "resolved")
    assert world.take_in_time(HOUR) == ["a-2"]


def test_a_reminder_that_fails_is_a_failure_of_the_route() -> None:
    """It is tried again soon, never given up, and no dead letter."""
    world = World(Traits(in_place=True, beat_s=60.0))
    world.read("a", 1)
    world.take()
    world.wait(MINUTE)
    world.fail()
    assert world.dispatcher.status.failure is not None
    assert world.take_in_time(5 * SECOND) == ["a-1"]
    assert world.dispatcher.status.failure is None
    world.wait(MINUTE)
    world.refuse()
    assert world.letters == []


def test_not_more_than_a_number_of_incidents_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is over is forgotten first, then what was told; of what waits the oldest becomes a dead
    letter, which is told.
    """
    monkeypatch.setattr(tracked_incidents, "MOST", 3)
    world = World()
    for name in ("over", "told"):
        world.read(name, 1)
        world.wait(SECOND)
    world.take()
    world.read("over", 2, "resolved")
    world.take()
    world.fail() if world.start() else None
    for name in ("w1", "w2", "w3"):
        world.read(name, 1)
        world.wait(SECOND)
    assert world.letters == []
    world.read("w4", 1)
    assert [letter.key for letter in world.letters] == ["w1-1"]
    assert "incidents wait" in world.letters[0].reason
    assert world.take_in_time(MINUTE) == ["w2-1", "w3-1", "w4-1"]


def test_what_is_no_incident_is_passed_over() -> None:
    """Entries that a person wrote, or of another model, change nothing but the offset."""
    world = World()
    for event in (b"", b"{}", b"[" * 5000, transition("x", 1, model="other"), b"\xff"):
        world.dispatcher.read("plant", b"9-0", event, world.now)
    for name in ("", "x" * 200):
        world.read(name, 1)
    assert world.take() == []
    assert set(world.fields) == {STATUS, b"match", b"offset:plant"}


def test_a_stream_that_went_back_is_news() -> None:
    """After a failover to an older state a transition may come under a number that was used."""
    world = World()
    world.read("a", 1)
    world.read("a", 2, "severity")
    world.take()
    world.dispatcher.begin("plant", b"1-0")
    world.read("a", 2, "cause")
    assert world.take() == ["a-2"]


def test_models_that_a_changed_route_does_not_take_are_forgotten() -> None:
    """What waits of them is not told any more."""
    world = World()
    world.read("a", 1)
    world.route = world.route.__class__(
        name="on-call", target=world.route.target, match=Match(models=("steel",))
    )
    world.restart()
    assert world.take() == []
