"""What holds of a route whatever comes in, whatever its target does, whenever its worker dies."""

from collections import defaultdict
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from driftgauge.consumer.notifying.routing import cases
from driftgauge.consumer.notifying.routing.case import Case
from driftgauge.consumer.notifying.routing.choosing import Traits
from tests.consumer.notifying.routing.world import HOUR, SECOND, World

NAMES = ("a", "b")
CHANGES = ("opened", "severity", "evidence", "resolved", "reopened")
KINDS: dict[str, Callable[[], World]] = {
    "plain": World,
    "grouped": lambda: World(group_seconds=30),
    "in place": lambda: World(Traits(in_place=True)),
    "reminded": lambda: World(Traits(in_place=True, beat_s=60.0)),
    "repeated": lambda: World(repeat_minutes=10),
}

read = st.tuples(st.just("read"), st.sampled_from(NAMES), st.sampled_from(CHANGES))
step = st.tuples(
    st.sampled_from(["start", "take", "later", "refuse", "restart"]), st.just(""), st.just("")
)
wait = st.tuples(st.just("wait"), st.integers(1, 4).map(str), st.just(""))
steps = st.lists(st.one_of(read, step, step, wait), min_size=15, max_size=60)


class History:
    """A world that is played, and what is known of it from outside."""

    def __init__(self, kind: str) -> None:
        self.world = KINDS[kind]()
        self.numbers: defaultdict[str, int] = defaultdict(int)
        self.open: set[str] = set()
        self.news: dict[str, int] = {}
        self.told: defaultdict[str, list[int]] = defaultdict(list)
        self.contents: defaultdict[str, set[bytes]] = defaultdict(set)

    def play(self, what: str, name: str, change: str) -> None:
        world = self.world
        if what == "read":
            self.read(name, change)
        elif what == "wait":
            world.wait(10 ** int(name) * SECOND)
        elif what == "restart":
            world.restart()
        elif (flight := world.start()) is not None:
            self.contents[flight.key].add(msgspec.msgpack.encode(flight.parts))
            if what == "take":
                world.ledger.taken("r", world.now)
                for part in flight.parts:
                    self.told[part.id].append(part.number)
            elif what == "later":
                world.ledger.postponed("status 503", None, world.now)
            elif what == "refuse":
                world.ledger.refused("status 400", world.now)
            world.commit()

    def read(self, name: str, change: str) -> None:
        """Let a transition come in that judging could write now."""
        if (name in self.open) == (change in {"opened", "reopened"}):
            return
        self.numbers[name] += 1
        self.world.read(name, self.numbers[name], change)
        if change != "evidence":
            self.news[name] = self.numbers[name]
        if change == "resolved":
            self.open.discard(name)
        else:
            self.open.add(name)

    def drain(self) -> None:
        """Let the target take all that waits."""
        world = self.world
        for _ in range(200):
            before = sum(map(len, self.told.values()))
            self.play("take", "", "")
            if world.ledger.flight is None and sum(map(len, self.told.values())) == before:
                if not world.ledger.status.waiting:
                    return
                world.wait(HOUR // 4)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25)
@given(done=steps)
def test_nothing_is_lost_and_each_incident_is_in_order(
    kind: str, done: list[tuple[str, str, str]]
) -> None:
    """In the end the newest news of each incident is told, a dead letter, or was over untold; of an
    incident nothing comes after what is newer; a key always has the same content.
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
        patch.setattr(cases, "MOST", 2)
        history = History(kind)
        for one in done:
            history.play(*one)
            world = history.world
            assert sum(name.startswith(cases.FIELD) for name in world.fields) <= 3
            other = World.__new__(World)
            other.__dict__.update(world.__dict__)
            other.restart()
            assert known(other) == known(world)
            assert other.ledger.status == world.ledger.status


def known(world: World) -> list[Case]:
    """Return what a world knows of its incidents; after a restart one in flight is in doubt."""
    return [replace(case, is_maybe=False) for case in world.ledger._cases]
