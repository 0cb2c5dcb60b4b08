"""What a route tells around a silence and around quiet hours: nothing within, all that stands after
it.
"""

from collections.abc import Callable

import pytest

from driftgauge.consumer.notifying.routes import Match, Quiet
from driftgauge.consumer.notifying.routing.choosing import Traits
from driftgauge.shared.contract.alert import Silence
from tests.consumer.notifying.routing.world import HOUR, MINUTE, SECOND, START, World

SILENCE = Silence("ann", "", 1000, 1000 + HOUR)
NIGHT = Quiet(start="12:00", end="14:00", critical=True)
"""Two hours from the beginning of a world on, in which critical incidents pass."""


def silenced(world: World, number: int = 2) -> None:
    """Silence an incident for an hour."""
    world.read("a", number, "silenced", silenced=SILENCE, muted=True)


def fails(world: World) -> None:
    world.dispatcher.postponed("status 503", None, world.now)
    world.commit()


def test_what_fails_in_a_silence_waits_for_its_end() -> None:
    """The message was on its way when somebody silenced the incident: no attempt follows within."""
    world = World()
    world.read("a", 1)
    world.start()
    silenced(world)
    fails(world)
    assert world.take_in_time(HOUR - SECOND) == []
    assert world.take_in_time(2 * SECOND) == ["a-1"]


def test_news_behind_a_message_on_its_way_waits_for_the_end() -> None:
    """The target takes the first message in the silence; what waited behind it stays held."""
    world = World()
    world.read("a", 1)
    world.fail()
    world.wait(MINUTE)
    world.start()
    world.read("a", 2, "severity")
    fails(world)
    world.wait(MINUTE)
    world.start()
    silenced(world, 3)
    world.dispatcher.taken("", world.now)
    world.commit()
    assert world.take_in_time(HOUR) == []


@pytest.mark.parametrize("mark", [SILENCE, None])
def test_news_after_a_silence_is_told_at_once(mark: Silence | None) -> None:
    """Although an attempt had failed before the silence, and nobody knew when that would end."""
    world = World()
    world.read("a", 1)
    world.fail()
    world.read("a", 2, "silenced", silenced=mark, muted=True)
    world.wait(10 * MINUTE)
    world.read("a", 3, "released")
    assert world.take() == ["a-3"]


def test_a_critical_incident_does_not_wait_for_the_morning_of_the_warning() -> None:
    """A warning could not be sent and then fell into quiet hours, which critical ones pass."""
    world = World(quiet=(NIGHT,))
    world.now -= SECOND
    world.read("a", 1, severity="warning")
    world.fail()
    assert world.take_in_time(MINUTE) == []
    world.read("a", 2, "severity")
    assert world.take_in_time(5 * MINUTE) == ["a-2"]


def test_a_route_without_its_quiet_hours_tells_what_waits() -> None:
    """A changed route goes on by its new words, with what waited by the old ones too."""
    world = World(quiet=(NIGHT,))
    world.read("a", 1, severity="warning")
    assert world.take() == []
    world.restart(quiet=())
    assert world.take() == ["a-1"]


def test_reminders_go_on_after_a_silence() -> None:
    """They pause while it lasts, and begin anew at its end."""
    world = World(repeat_minutes=20)
    world.read("a", 1)
    assert world.take_in_time(30 * MINUTE) == ["a-1", "a-1-r1"]
    silenced(world)
    assert world.take_in_time(HOUR) == []
    world.read("a", 3, "released", notify=False)
    assert world.take_in_time(45 * MINUTE) == ["a-3-r1", "a-3-r2"]


def test_reminders_go_on_after_one_that_failed() -> None:
    """What is recorded meanwhile takes its place, and is no end of the reminders."""
    world = World(repeat_minutes=20)
    world.read("a", 1)
    world.take()
    world.wait(20 * MINUTE)
    world.fail()
    world.read("a", 2, "evidence")
    assert world.take_in_time(5 * MINUTE) == ["a-2-r1"]
    assert world.take_in_time(20 * MINUTE) == ["a-2-r2"]


def test_what_meets_the_conditions_in_a_silence_is_told_after_it() -> None:
    """The route had not taken it when people were notified; the end of the silence is the news."""
    world = World(match=Match(actions=("retrain",)))
    world.read("a", 1, action="wait")
    world.read("a", 2, "silenced", silenced=SILENCE, muted=True, action="wait")
    world.read("a", 3, "evidence", silenced=SILENCE, muted=True)
    assert world.take_in_time(HOUR) == []
    world.read("a", 4, "released", notify=False)
    assert world.take() == ["a-4"]


@pytest.mark.parametrize("traits", [Traits(), Traits(in_place=True)])
def test_an_end_that_is_told_after_a_silence(traits: Traits) -> None:
    """It is told to whom the beginning was; in place it is changed at once, without notice."""
    world = World(traits)
    world.read("a", 1)
    world.take()
    silenced(world)
    world.read("a", 3, "resolved", notify=False)
    at_once = [(one.key, one.silent) for one in (world.take_in_time(HOUR) and world.sent[1:])]
    assert all(silent for _, silent in at_once)
    world.read("a", 4, "resolved")
    assert world.take() == ["a-4"]
    assert not world.sent[-1].silent


def test_a_silence_is_counted_from_when_it_was_written() -> None:
    """A worker that comes an hour late does not make it longer."""
    world = World()
    world.read("a", 1)
    world.read("a", 2, "silenced", silenced=SILENCE, muted=True, behind=2 * HOUR)
    assert world.take() == ["a-1"]


def test_what_was_on_its_way_at_a_crash_is_not_sent_in_a_silence() -> None:
    """It is sent again when the silence is over, under its key."""
    world = World()
    world.read("a", 1)
    world.start()
    world.restart()
    silenced(world)
    assert world.take_in_time(HOUR - SECOND) == []
    assert world.take_in_time(2 * SECOND) == ["a-1"]


def widened(world: World) -> None:
    world.restart(match=Match())


def narrowed_and_widened(world: World) -> None:
    world.restart(match=Match(models=("steel",)))
    world.commit()
    world.restart(match=Match())


@pytest.mark.parametrize("change", [widened, narrowed_and_widened])
def test_a_route_with_other_conditions_tells_what_stands(change: Callable[[World], None]) -> None:
    """What it did not take before, and is over, is not told; nor twice what was told."""
    world = World(match=Match(severity="critical"))
    world.read("a", 1, severity="warning")
    world.read("b", 1)
    world.read("c", 1, severity="warning")
    world.read("c", 2, "resolved", severity="warning")
    world.read("d", 1)
    assert world.take() == ["b-1", "d-1"]
    world.read("d", 2, "resolved")
    assert world.take() == ["d-2"]
    change(world)
    world.read_again()
    told = world.take()
    assert set(told) >= {"a-1"}
    assert set(told) <= {"a-1", "b-1"}
    world.restart()
    world.read_again()
    assert world.take() == []


def test_a_clock_that_went_back_holds_nothing_for_long() -> None:
    """What waits for its next attempt waits an hour at most, whatever the clock was before."""
    world = World()
    world.now += 24 * HOUR
    world.read("a", 1)
    world.fail()
    world.now -= 24 * HOUR
    world.restart()
    assert world.take_in_time(HOUR) == ["a-1"]


def test_a_silenced_incident_is_not_in_a_group() -> None:
    """What opens together is one message, of those that nobody silenced."""
    world = World(group_seconds=30)
    for name in ("a", "b", "c"):
        world.read(name, 1)
    silenced(world)
    world.wait(30 * SECOND)
    world.fail()
    world.read("b", 2, "silenced", silenced=SILENCE, muted=True)
    world.take_in_time(HOUR - MINUTE)
    assert [[part.id for part in delivery.parts] for delivery in world.sent] == [["c"]]
    assert world.take_in_time(2 * MINUTE) != []
    assert {name for delivery in world.sent for name in delivery.incidents} == {"a", "b", "c"}


def test_a_target_that_forgets_is_not_told_what_is_newer_than_what_waits() -> None:
    """In a silence it is reminded by the news that is held back, which follows in order."""
    world = World(Traits(in_place=True, beat_s=60.0))
    world.read("a", 1)
    world.take()
    world.read("a", 2, "severity")
    silenced(world, 3)
    assert world.take_in_time(2 * MINUTE) == ["a-2", "a-2"]
    assert all(one.is_beat for one in world.sent[1:])


@pytest.mark.parametrize("held", ["quiet", "silence"])
def test_what_is_held_back_is_no_failure_of_the_target(held: str) -> None:
    """One attempt failed just before: nobody is told all night that the route does not get through,
    since nothing is tried.
    """
    world = World(quiet=(NIGHT,) if held == "quiet" else ())
    world.now -= SECOND
    world.read("a", 1, severity="warning")
    world.fail()
    assert world.dispatcher.status.failure is not None
    assert world.dispatcher.status.overdue is not None
    world.wait(2 * SECOND)
    if held == "silence":
        silenced(world)
    world.start()
    assert (world.dispatcher.status.failure, world.dispatcher.status.overdue) == (None, None)
    assert world.dispatcher.status.waiting == 1
    world.wait(2 * HOUR)
    world.fail()
    failure = world.dispatcher.status.failure
    assert failure is not None
    assert failure.since == world.now


WEEKEND = Quiet(start="13:00", end="13:00", days=("thu", "fri"))
"""From an hour after the beginning of a world, which is a Thursday, until Saturday."""


@pytest.mark.parametrize("held", ["quiet", "silence", "no worker"])
def test_a_day_without_attempts_is_no_day_of_errors(held: str) -> None:
    """What is given up has been tried for a day; hours in which nothing was tried do not count."""
    world = World(quiet=(WEEKEND,) if held == "quiet" else ())
    world.wait(HOUR - SECOND)
    world.read("a", 1)
    world.fail()
    if held == "silence":
        long = Silence("ann", "", 1000, 1000 + 48 * HOUR)
        world.read("a", 2, "silenced", silenced=long, muted=True)
    world.wait(48 * HOUR + SECOND)
    world.fail()
    assert world.letters == []
    assert world.take_in_time(MINUTE) == ["a-1"]


def test_what_is_one_of_many_is_given_up_after_a_day() -> None:
    """Each of hundreds of incidents is tried every few hours, since the whole route pauses between
    two attempts: nothing but errors for a day is the end all the same.
    """
    world = World()
    for number in range(180):
        world.read(f"i{number}", 1)
    while len(world.letters) < 180 and world.now < START + 72 * HOUR:
        due = world.dispatcher.due_at(world.now)
        assert due is not None
        world.now = max(world.now, due)
        world.fail()
    assert len(world.letters) == 180
    assert world.now <= START + 36 * HOUR
