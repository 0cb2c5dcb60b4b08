"""What holds of a route whatever comes in, whatever its target does, whenever its worker dies."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from driftgauge.consumer.notifying.routes import Quiet
from driftgauge.consumer.notifying.routing import tracked_incidents
from driftgauge.consumer.notifying.routing.choosing import Traits
from driftgauge.consumer.notifying.routing.delivery import Delivery
from driftgauge.consumer.notifying.routing.tracked_incident import TrackedIncident
from driftgauge.shared.contract.alert import Silence
from tests.consumer.notifying.routing.world import HOUR, SECOND, World

NAMES = ("a", "b")
CHANGES = ("opened", "severity", "evidence", "resolved", "reopened")
KINDS: dict[str, Callable[[], World]] = {
    "plain": World,
    "grouped": lambda: World(group_seconds=30),
    "in place": lambda: World(Traits(in_place=True)),
    "reminded": lambda: World(Traits(in_place=True, beat_s=60.0)),
    "repeated": lambda: World(repeat_minutes=10),
    "quiet": lambda: World(quiet=(Quiet(start="13:00", end="15:00"),)),
}
SILENCE = Silence("ann", "", 1000, 1000 + HOUR)

read = st.tuples(st.just("read"), st.sampled_from(NAMES), st.sampled_from(CHANGES))
step = st.tuples(
    st.sampled_from(["start", "take", "later", "refuse", "restart"]), st.just(""), st.just("")
)
wait = st.tuples(st.just("wait"), st.integers(1, 4).map(str), st.just(""))
silence = st.tuples(st.just("silence"), st.sampled_from(NAMES), st.just(""))
steps = st.lists(st.one_of(read, step, step, wait, silence), min_size=15, max_size=60)


class History:
    """A world that is played, and what is known of it from outside."""

    def __init__(self, kind: str) -> None:
        self.world = KINDS[kind]()
        self.numbers: defaultdict[str, int] = defaultdict(int)
        self.open: set[str] = set()
        self.news: dict[str, int] = {}
        self.told: defaultdict[str, list[int]] = defaultdict(list)
        self.contents: defaultdict[str, set[bytes]] = defaultdict(set)
        self.silent: dict[str, int] = {}
        """Until when an incident is silenced."""
        self.owed: set[str] = set()
        self.known: set[str] = set()
        """Of which incidents people were notified since they opened."""

    def play(self, what: str, name: str, change: str) -> None:
        world = self.world
        self.release()
        if what == "read":
            self.read(name, change)
        elif what == "silence":
            self.silence(name)
        elif what == "wait":
            world.wait(10 ** int(name) * SECOND)
        elif what == "restart":
            world.restart()
        elif (delivery := self.start()) is not None:
            self.contents[delivery.key].add(msgspec.msgpack.encode(delivery.parts))
            if what == "take":
                world.dispatcher.taken("r", world.now)
                for part in delivery.parts:
                    self.told[part.id].append(part.number)
            elif what == "later":
                world.dispatcher.postponed("status 503", None, world.now)
            elif what == "refuse":
                world.dispatcher.refused("status 400", world.now)
            world.commit()

    def start(self) -> Delivery | None:
        """Begin to send what is due, which may not be loud in a silence."""
        delivery = self.world.start()
        if delivery is not None and not delivery.silent:
            assert not delivery.incidents & set(self.silent), "it is told in a silence"
        return delivery

    def read(self, name: str, change: str) -> None:
        """Let a transition come in that judging could write now."""
        if (name in self.open) == (change in {"opened", "reopened"}):
            return
        muted = name in self.silent
        if change == "resolved":
            self.open.discard(name)
            self.tell(name, change, notify=not muted and name in self.known)
            if not muted:
                self.known.discard(name)
            return
        self.open.add(name)
        news = change != "evidence"
        if muted and news:
            self.owed.add(name)
        self.tell(name, change, notify=news and not muted, muted=muted)

    def tell(self, name: str, change: str, *, notify: bool, **more: Any) -> None:
        """Let a transition come in."""
        self.numbers[name] += 1
        if notify:
            self.news[name] = self.numbers[name]
            self.known.add(name)
            self.owed.discard(name)
        self.world.read(name, self.numbers[name], change, notify=notify, **more)

    def silence(self, name: str) -> None:
        """Silence an incident for an hour."""
        if name in self.open and name not in self.silent:
            self.silent[name] = self.world.now + HOUR
            self.tell(name, "silenced", notify=False, muted=True, silenced=SILENCE)

    def release(self) -> None:
        """Let judging say which silences are over."""
        for name in [name for name, end in self.silent.items() if end <= self.world.now]:
            del self.silent[name]
            if name in self.open:
                self.tell(name, "released", notify=name in self.owed)
            elif name in self.known:
                self.tell(name, "resolved", notify=True)
                self.known.discard(name)

    def drain(self) -> None:
        """Let the target take all that waits."""
        world = self.world
        for _ in range(200):
            before = sum(map(len, self.told.values()))
            self.play("take", "", "")
            if world.dispatcher.delivery is None and sum(map(len, self.told.values())) == before:
                if not world.dispatcher.status.waiting and not self.silent:
                    return
                world.wait(HOUR // 4)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25)
@given(done=steps)
def test_nothing_is_lost_and_each_incident_is_in_order(
    kind: str, done: list[tuple[str, str, str]]
) -> None:
    """In the end the newest news of each incident is told, a dead letter, or was over untold; of an
    incident nothing comes after what is newer, and nothing loud while it is silenced; a key always
    has the same content.
    """
    history = History(kind)
    for one in done:
        history.play(*one)
    history.drain()
    buried = {letter.key for letter in history.world.letters}
    for name, number in history.news.items():
        told = history.told[name]
        assert told == sorted(told)
        if f"{name}-{number}" in buried or (told and max(told) >= number):
            continue
        assert name not in history.open, "its news is lost"
        assert not told or any(key.startswith(f"{name}-") for key in buried), "its end is lost"
    if kind != "reminded":  # a reminder tells the newest transition, and is never written down
        assert all(len(contents) == 1 for contents in history.contents.values())


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=8)
@given(done=steps)
def test_the_state_is_bounded_and_a_restart_changes_nothing(
    kind: str, done: list[tuple[str, str, str]]
) -> None:
    """However many incidents there are, no more than a number are known, none vanishes without a
    dead letter while it waits, and the committed state is the whole one.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tracked_incidents, "MOST", 2)
        history = History(kind)
        for one in done:
            history.play(*one)
            world = history.world
            assert sum(name.startswith(tracked_incidents.FIELD) for name in world.fields) <= 3
            other = World.__new__(World)
            other.__dict__.update(world.__dict__)
            other.restart()
            assert known(other) == known(world)
            assert other.dispatcher.status == world.dispatcher.status


def known(world: World) -> list[TrackedIncident]:
    """Return what a world knows of its incidents; after a restart one in flight is in doubt."""
    return [replace(tracked, is_maybe=False) for tracked in world.dispatcher._incidents]
