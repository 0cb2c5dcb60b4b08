"""A follower hands a stream to its sink in order, once if nothing fails, and again if something
does.
"""

import time
from collections.abc import Callable, Generator, Iterator, Sequence

import msgspec
import pytest
import redis

from driftgauge.consumer.stages.acting import ACTING, Acting
from driftgauge.consumer.stages.archiving.following import FollowedArchive
from driftgauge.consumer.stages.archiving.incidents import Incidents
from driftgauge.consumer.stages.archiving.panes import Panes
from driftgauge.consumer.stages.follower import Done, Event, Follower, Hold, Sink
from driftgauge.consumer.stages.reporting import Reports
from driftgauge.consumer.stages.stage import raw_reads
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.fault import ARCHIVED_PANES, FIELD, FOLLOWERS, StageFault
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import BadData, OwnershipLost
from driftgauge.shared.settings import Settings
from tests.integration.plant import settings_of, stage_thread, wait_for

MODEL = "m"


class Counting(Sink):
    """Keeps what it took, with the state that it had then: how many were committed before."""

    name = key = "counting"
    entries = 3

    def __init__(self, taken: list[tuple[bytes, int]], fault: Callable[[bytes], None]) -> None:
        self._taken, self._fault = taken, fault
        self._count = 0

    def load(self, state: bytes) -> None:
        self._count = int(state or b"0")

    def take(self, events: Sequence[Event], hold: Hold) -> Generator[Done, None, None]:
        for entry_id, event in events:
            hold()
            self._fault(event)
            self._taken.append((event, self._count))
            self._count += 1
            yield Done(entry_id, str(self._count).encode())


class Latest(Counting):
    from_beginning = False


@pytest.fixture
def made(redis_url: str, keys: Keys) -> Iterator[Callable[..., Follower]]:
    """Make followers, closed at the end."""
    found: list[Follower] = []

    def make(
        taken: list[tuple[bytes, int]],
        fault: Callable[[bytes], None] = lambda _: None,
        kind: type[Counting] = Counting,
    ) -> Follower:
        settings = Settings(**settings_of(redis_url, keys))
        client = raw_reads(connect(redis_url))
        stream = keys.alerts(MODEL)
        found.append(Follower(client, settings, keys, MODEL, stream, kind(taken, fault)))
        return found[-1]

    yield make
    for one in found:
        one.close()
        one.client.close()


def add(client: redis.Redis, keys: Keys, *events: str) -> None:
    for event in events:
        client.xadd(keys.alerts(MODEL), {"e": event})


def take(one: Follower, turns: int = 4) -> None:
    assert one.checkpoint.acquire()
    one.load()
    for _ in range(turns):
        one.turn()
    one.checkpoint.release()


def test_entries_come_once_in_order_whoever_follows(
    client: redis.Redis, keys: Keys, made: Callable[..., Follower]
) -> None:
    """The next owner goes on with offset and state of the one before."""
    add(client, keys, *map(str, range(7)))
    taken: list[tuple[bytes, int]] = []
    take(made(taken))
    add(client, keys, "7", "8")
    take(made(taken))
    assert taken == [(str(number).encode(), number) for number in range(9)]


def test_an_entry_that_the_sink_always_fails_on_is_set_aside(
    client: redis.Redis,
    redis_url: str,
    keys: Keys,
    made: Callable[..., Follower],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After some attempts it is a dead letter with the reason, and the next ones follow, each
    once.
    """
    monkeypatch.setattr(Follower, "retry_s", (0.02, 0.1))

    def fail(event: bytes) -> None:
        if event == b"bad":
            raise ValueError("it cannot be drawn")

    add(client, keys, "a", "bad", "b", "c")
    taken: list[tuple[bytes, int]] = []
    with stage_thread(made(taken, fail), redis_url):
        wait_for(lambda: len(taken) == 3, "the others")
        wait_for(lambda: client.xlen(keys.judge_dead(MODEL)), "the dead letter")
    assert taken == [(b"a", 0), (b"b", 1), (b"c", 2)]
    ((_, letter),) = client.xrange(keys.judge_dead(MODEL))  # type: ignore[misc]  # a list
    assert letter[b"reason"] == b"counting fails on it: ValueError: it cannot be drawn"
    assert (letter[b"stream"], letter[b"e"]) == (keys.alerts(MODEL).encode(), b"bad")


def test_a_fault_is_tried_again_and_nothing_overtakes(
    client: redis.Redis,
    redis_url: str,
    keys: Keys,
    made: Callable[..., Follower],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The entry at which the sink failed comes again, after growing pauses; what is wrong is told
    once, and what came before it is not done twice. For the watchdog the fault stands beside the
    checkpoint, and is over when the follower goes on, also if nothing comes then.
    """
    monkeypatch.setattr(Follower, "retry_s", (0.02, 0.1))
    attempts: list[float] = []

    def noted() -> StageFault:
        packed = client.hget(keys.follower(MODEL, "counting"), FIELD)
        return msgspec.json.decode(packed or b"", type=StageFault)  # type: ignore[arg-type]  # bytes, not str

    def fail(event: bytes) -> None:
        if event == b"bad" and len(attempts) < 5:
            attempts.append(time.monotonic())
            raise BadData("the disk is full")

    add(client, keys, "a", "bad", "b", "c")
    taken: list[tuple[bytes, int]] = []
    with stage_thread(made(taken, fail), redis_url):
        wait_for(lambda: len(taken) == 4, "all entries")
        wait_for(lambda: noted().over, "the end of the fault")
    assert (noted().tries, noted().stage) == (5, "counting m")
    assert noted().reason.endswith("the disk is full")
    assert taken == [(b"a", 0), (b"bad", 1), (b"b", 2), (b"c", 3)]
    assert caplog.text.count("the disk is full") == 1
    assert attempts[-1] - attempts[-2] >= 0.1


def test_every_follower_is_watched() -> None:
    """The API looks for a fault of each sink that the worker has."""
    sinks = [
        found
        for found in (Reports, *Acting.__subclasses__(), *FollowedArchive.__subclasses__())
        if found.__module__.startswith("driftgauge.")
    ]
    bases = {one for one in Sink.__subclasses__() if one.__module__.startswith("driftgauge.")}
    assert bases == {Reports, Acting, FollowedArchive}
    of_models = {Reports.key, Incidents.key, *(one.key for one in ACTING)}
    assert {one.key for one in sinks} == {*of_models, Panes.key}
    assert (of_models, Panes.key) == (set(FOLLOWERS), ARCHIVED_PANES)


def test_who_has_lost_the_lease_commits_nothing(
    client: redis.Redis, keys: Keys, made: Callable[..., Follower]
) -> None:
    """Work of a follower that was overtaken while it worked is done again by the owner, and by
    nobody else.
    """
    add(client, keys, "a", "b")
    lost: list[tuple[bytes, int]] = []
    one = made(lost, lambda _: client.set(keys.follower_owner(MODEL, "counting"), "another"))
    assert one.checkpoint.acquire()
    one.load()
    with pytest.raises(OwnershipLost):
        one.turn()
    assert lost == [(b"a", 0)]
    client.delete(keys.follower_owner(MODEL, "counting"))
    taken: list[tuple[bytes, int]] = []
    take(made(taken))
    assert [event for event, _ in taken] == [b"a", b"b"]


def test_a_follower_may_begin_with_what_comes_next(
    client: redis.Redis, keys: Keys, made: Callable[..., Follower]
) -> None:
    """What stood there before is not its business; what comes while nobody follows is."""
    add(client, keys, "before")
    taken: list[tuple[bytes, int]] = []
    take(made(taken, kind=Latest))
    add(client, keys, "between")
    take(made(taken, kind=Latest))
    assert taken == [(b"between", 0)]


def test_a_stream_that_went_back_is_followed_from_there(
    client: redis.Redis, keys: Keys, made: Callable[..., Follower]
) -> None:
    """A failover to an older replica gives ids again that lie before the offset; their entries are
    not missed.
    """
    client.xadd(keys.alerts(MODEL), {"e": "a"}, id="100-0")
    taken: list[tuple[bytes, int]] = []
    take(made(taken))
    client.delete(keys.alerts(MODEL))
    client.xadd(keys.alerts(MODEL), {"e": "kept"}, id="50-0")
    one = made(taken)
    assert one.checkpoint.acquire()
    one.load()
    client.xadd(keys.alerts(MODEL), {"e": "new"}, id="60-0")
    one.turn()
    assert taken == [(b"a", 0), (b"new", 1)]
