"""The checkpoint: fenced, on a real Redis and on fakeredis."""

import threading
from collections.abc import Iterator
from pathlib import Path

import fakeredis
import pytest
import redis
from redis.client import Pipeline

from driftgauge.consumer.stages.checkpoint import Checkpoint
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.keys import FORMAT, OLDEST_FORMAT, Keys
from driftgauge.shared.errors import BadData, DriftgaugeError, OwnershipLost
from driftgauge.shared.local.embedded_redis import EmbeddedRedis


@pytest.fixture(params=["redis", "fakeredis"])
def server(request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    if request.param == "fakeredis":
        found: redis.Redis = fakeredis.FakeRedis(server=fakeredis.FakeServer(), protocol=2)
    else:
        found = connect(request.getfixturevalue("redis_url"))
    yield found
    found.close()


def nothing(pipe: Pipeline) -> None:
    """No outputs."""


def make(client: redis.Redis, keys: Keys, lease_ms: int = 60_000) -> Checkpoint:
    return Checkpoint(
        client, keys.count("plant", 0), keys.owner("plant", 0), keys.epoch("plant", 0), lease_ms
    )


def owned(client: redis.Redis, keys: Keys, lease_ms: int = 60_000) -> Checkpoint:
    checkpoint = make(client, keys, lease_ms)
    assert checkpoint.acquire()
    checkpoint.load()
    return checkpoint


def test_only_one_owns(server: redis.Redis, keys: Keys) -> None:
    """A lease has one owner at a time, and every acquisition counts the epoch up."""
    first, second = make(server, keys), make(server, keys)
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    assert server.get(keys.epoch("plant", 0)) == b"2"


def test_what_was_committed_is_loaded(server: redis.Redis, keys: Keys) -> None:
    """A commit writes fields and outputs together; an empty value deletes its field."""
    first = owned(server, keys)
    first.commit(
        {b"a": b"1", b"b": b"2"},
        lambda pipe: pipe.xadd(keys.panes("plant", 0), {"x": "y"}, id="1-0"),
    )
    first.commit({b"a": b"", b"b": b"3"}, nothing)
    first.release()
    fields = make(server, keys).load()
    assert fields == {b"b": b"3", b"format": FORMAT, b"commit": b"2"}
    assert server.xlen(keys.panes("plant", 0)) == 1


def test_a_fault_stands_beside_the_state(server: redis.Redis, keys: Keys) -> None:
    """A fault is written at once, by the owner alone, and is no part of the state; what is to
    replace it is written with the next commit or renewal.
    """
    first, key = owned(server, keys), keys.count("plant", 0)
    first.note(b"fault", b"one")
    assert server.hgetall(key) == {b"fault": b"one"}
    assert first.load() == {}
    assert first.fault == b"one"
    first.later[b"fault"] = b"two"
    first.commit({b"a": b"1"}, nothing)
    assert server.hget(key, "fault") == b"two"
    first.later[b"fault"] = b"three"
    first.renew()
    assert server.hget(key, "fault") == b"three"
    assert not first.later
    server.hset(key, "format", "0")
    first.note(b"fault", b"four")
    assert server.hget(key, "format") == b"0"
    server.delete(keys.owner("plant", 0))
    with pytest.raises(OwnershipLost):
        first.note(b"fault", b"of nobody")
    assert server.hget(key, "fault") == b"four"


def test_a_stolen_lease_cannot_commit(server: redis.Redis, keys: Keys) -> None:
    """A worker that slept through its lease writes nothing when it wakes up: neither state nor
    outputs.
    """
    first = owned(server, keys)
    first.commit({b"a": b"1"}, nothing)
    server.delete(keys.owner("plant", 0))
    second = owned(server, keys)
    with pytest.raises(OwnershipLost, match="Another worker owns"):
        first.commit({b"a": b"zombie"}, lambda pipe: pipe.set(keys.dead("plant", 0), "zombie"))
    with pytest.raises(OwnershipLost, match="Another worker owns"):
        first.renew()
    assert server.get(keys.dead("plant", 0)) is None
    second.commit({b"a": b"2"}, nothing)
    assert make(server, keys).load()[b"a"] == b"2"


def test_an_expired_lease_cannot_commit(server: redis.Redis, keys: Keys) -> None:
    """A lease that has run out is lost even if nobody took it."""
    first = owned(server, keys)
    server.pexpire(keys.owner("plant", 0), 0)
    with pytest.raises(OwnershipLost):
        first.commit({b"a": b"1"}, nothing)
    assert server.hgetall(keys.count("plant", 0)) == {}


def test_a_foreign_commit_number_cannot_be_built_on(server: redis.Redis, keys: Keys) -> None:
    """Commits form one chain: who did not load the latest one cannot write the next, even with the
    lease in hand.
    """
    first = owned(server, keys)
    server.hset(keys.count("plant", 0), mapping={"format": OLDEST_FORMAT, "commit": 7})
    with pytest.raises(OwnershipLost, match="another commit"):
        first.commit({b"a": b"1"}, nothing)
    first.load()
    first.commit({b"a": b"1"}, nothing)
    assert server.hget(keys.count("plant", 0), "commit") == b"9"  # one of them migrated it


def test_a_change_between_watch_and_exec_aborts(server: redis.Redis, keys: Keys) -> None:
    """The lease is watched until the very end: stolen while outputs are queued, nothing is
    written.
    """
    first = owned(server, keys)

    def steal(pipe: Pipeline) -> None:
        server.set(keys.owner("plant", 0), "thief")
        pipe.set(keys.dead("plant", 0), "zombie")

    with pytest.raises(OwnershipLost, match=r"refused.*Watched variable changed"):
        first.commit({b"a": b"1"}, steal)
    assert server.get(keys.dead("plant", 0)) is None
    assert server.hgetall(keys.count("plant", 0)) == {}


def test_a_commit_renews_the_lease(server: redis.Redis, keys: Keys) -> None:
    """Who commits or renews keeps the lease for its whole length again."""
    first = owned(server, keys)
    for renew in (lambda: first.commit({b"a": b"1"}, nothing), first.renew):
        server.pexpire(keys.owner("plant", 0), 5000)
        renew()
        assert server.pttl(keys.owner("plant", 0)) > 50_000


def test_a_release_leaves_the_lease_of_another(server: redis.Redis, keys: Keys) -> None:
    """Giving back a lease that was lost does not take it from its new owner."""
    first = owned(server, keys)
    server.set(keys.owner("plant", 0), "other")
    first.release()
    assert server.get(keys.owner("plant", 0)) == b"other"


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ("1", r"has format 1, which is too old \(this release reads 2 to 3\)"),
        ("4", r"has format 4, which a newer release of Driftgauge wrote"),
        ("\xff", "has no format that is known"),
        (None, "has no format that is known"),
    ],
)
def test_another_format_is_refused(
    other: str | None, words: str, server: redis.Redis, keys: Keys
) -> None:
    """A checkpoint of a release that is newer, or too old, is never guessed at; the message says
    which it is, and what to do.
    """
    fields = {"commit": 3} | ({} if other is None else {"format": other})
    server.hset(keys.count("plant", 0), mapping=fields)
    with pytest.raises(BadData, match=rf"{words}.* Run the release that wrote it, or a later one"):
        make(server, keys).load()
    assert server.hlen(keys.count("plant", 0)) == len(fields)


def test_a_key_of_another_type_is_refused(server: redis.Redis, keys: Keys) -> None:
    """A key that is no hash is somebody else's: refused by name, and left alone."""
    server.set(keys.count("plant", 0), "mine")
    with pytest.raises(BadData, match=f"{keys.count('plant', 0)} is not a hash"):
        make(server, keys).load()
    assert server.get(keys.count("plant", 0)) == b"mine"


def test_a_failed_output_is_not_silent(server: redis.Redis, keys: Keys) -> None:
    """One command's error inside EXEC does not undo the others, so it is told, never taken for a
    success.
    """
    first = owned(server, keys)
    server.set(keys.dead("plant", 0), "no stream")
    with pytest.raises(DriftgaugeError, match="applied in part"):
        first.commit({b"a": b"1"}, lambda pipe: pipe.xadd(keys.dead("plant", 0), {"x": "y"}))


@pytest.mark.parametrize("when", ["before EXEC", "after EXEC"])
def test_a_connection_lost_at_exec_leaves_the_outcome_open(
    when: str, client: redis.Redis, redis_url: str, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection killed around EXEC is OwnershipLost, whether it was applied or not; loading
    tells which it was.
    """
    mine = connect(redis_url, client_name=f"victim-{keys.prefix}")
    first = owned(mine, keys)

    def kill() -> None:
        for found in client.client_list():
            if found["name"] == f"victim-{keys.prefix}":
                client.client_kill_filter(_id=found["id"])

    def outputs(pipe: Pipeline) -> None:
        if when == "before EXEC":
            kill()
            return
        connection = pipe.connection
        original = connection.read_response

        def read_response(*_: object, **__: object) -> object:
            raise redis.ConnectionError("killed before the reply")

        assert original is not None
        monkeypatch.setattr(connection, "read_response", read_response)

    with pytest.raises(OwnershipLost, match=r"outcome .* unknown"):
        first.commit({b"a": b"1"}, outputs)
    monkeypatch.undo()
    assert _eventually(
        lambda: (client.hget(keys.count("plant", 0), "commit") == b"1") == (when == "after EXEC")
    )
    fields = first.load()
    first.commit({b"a": b"2"}, nothing)
    assert int(make(client, keys).load()[b"commit"]) == int(fields.get(b"commit", 0)) + 1
    mine.close()


def _eventually(true: object, patience_s: float = 30.0) -> bool:
    tick = threading.Event()
    for _ in range(int(patience_s / 0.01)):
        if true():  # type: ignore[operator]
            return True
        tick.wait(0.01)
    return False


def test_another_server_may_have_forgotten(tmp_path: Path, keys: Keys) -> None:
    """A commit to a server that was started anew is refused: what was read since the last commit
    may not be there any more, and redis-py connects again without a word.
    """
    with EmbeddedRedis(tmp_path / "redis") as server, connect(server.url) as client:
        client.config_set("appendfsync", "always")  # what is killed may else forget the commit
        checkpoint = owned(client, keys)
        checkpoint.commit({b"a": b"1"}, nothing)
        server.kill()
        server.start()
        with pytest.raises(OwnershipLost, match="another server"):
            checkpoint.commit({b"a": b"2"}, nothing)
        assert checkpoint.load()[b"a"] == b"1"
        checkpoint.commit({b"a": b"3"}, nothing)
        assert checkpoint.load()[b"a"] == b"3"


def test_a_connection_lost_while_acquiring(
    server: redis.Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that goes, or still loads, between WATCH and GET is no failure: the lease is not
    ours, and is tried again.
    """

    def lost(*_: object, **__: object) -> None:
        raise redis.WatchError("A BusyLoadingError occurred while watching one or more keys")

    checkpoint = make(server, keys)
    with monkeypatch.context() as patched:
        patched.setattr(Pipeline, "get", lost)
        assert not checkpoint.acquire()
    assert checkpoint.acquire()
