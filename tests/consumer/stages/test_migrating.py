"""Migrating what stands in Redis: by the command, and by whoever loads it."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
import redis
from click.testing import CliRunner, Result
from redis.connection import AbstractConnection

from driftgauge.consumer import migrations
from driftgauge.consumer.commands.upkeep.migrate import migrate
from driftgauge.consumer.stages import checkpoint as checkpoint_module
from driftgauge.consumer.stages import migrating
from driftgauge.consumer.stages.checkpoint import Checkpoint
from driftgauge.consumer.stages.checksum import Checksum
from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.contract import keys as names
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import BadData

MODEL = "plant"
OLD = {b"format": b"2", b"commit": b"7", b"a": b"1", b"b": b"2"}


def run(keys: Keys, url: str, monkeypatch: pytest.MonkeyPatch, *options: str) -> Result:
    with monkeypatch.context() as patch:
        patch.setenv("DRIFTGAUGE_REDIS_URL", url)
        patch.setenv("DRIFTGAUGE_KEY_PREFIX", keys.prefix)
        patch.setenv("DRIFTGAUGE_LEASE_MS", "1000")
        return CliRunner().invoke(migrate, options)


def stored(client: redis.Redis, key: str) -> dict[bytes, bytes]:
    return client.hgetall(key)  # type: ignore[return-value]  # bytes, not str


def sound(fields: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Return fields with their checksum."""
    return {**fields, b"checksum": Checksum(fields).packed}


def test_what_an_earlier_release_wrote_is_migrated_once(
    client: redis.Redis, redis_url: str, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counting, judging, followers and routes are migrated in a commit each, and a second time
    nothing is written. Before, `--dry-run` says the same and writes nothing.
    """
    all_keys = (
        keys.count(MODEL, 0),
        keys.judge(MODEL),
        keys.follower(MODEL, "reports"),
        keys.route("on-call"),
        keys.bridge(MODEL, 0, "kafka:orders:3", ""),
    )
    for key in all_keys:
        client.hset(key, mapping=OLD)  # type: ignore[arg-type]  # bytes, which it takes
    client.hset(keys.watchdog(MODEL), "memory", "{}")
    tried = run(keys, redis_url, monkeypatch, "--dry-run")
    assert tried.exit_code == 0, tried.output
    assert tried.output.count("would be migrated from format 2 to 3") == len(all_keys)
    assert [stored(client, key) for key in all_keys] == [OLD] * len(all_keys)
    done = run(keys, redis_url, monkeypatch)
    assert done.output.count("was migrated from format 2 to 3") == len(all_keys)
    wanted = sound({**OLD, b"format": b"3", b"commit": b"8"})
    assert [stored(client, key) for key in all_keys] == [wanted] * len(all_keys)
    again = run(keys, redis_url, monkeypatch, "--json")
    assert {one["outcome"] for one in msgspec.json.decode(again.stdout)} == {"current"}
    assert [stored(client, key) for key in all_keys] == [wanted] * len(all_keys)
    assert not [key for key in client.keys(f"{keys.prefix}:*") if key.endswith(b"owner")]


def test_what_cannot_be_migrated_is_named_and_left(
    client: redis.Redis, redis_url: str, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newer format, one that is too old, and damage are named, each in its words, with an exit
    code; nothing of them is changed, and the others are migrated.
    """
    faults = {
        "newer": ({**OLD, b"format": b"4"}, "has format 4, which a newer release"),
        "older": ({**OLD, b"format": b"1"}, "has format 1, which is too old"),
        "damaged": ({**OLD, b"format": b"3", b"checksum": b"0"}, "is damaged"),
    }
    for model, (fields, _) in faults.items():
        client.hset(keys.judge(model), mapping=fields)  # type: ignore[arg-type]  # as above
    client.hset(keys.judge(MODEL), mapping=OLD)  # type: ignore[arg-type]  # as above
    found = run(keys, redis_url, monkeypatch)
    assert found.exit_code == BadData.exit_code
    for model, (fields, words) in faults.items():
        assert f"{keys.judge(model)}: The checkpoint {keys.judge(model)} {words}" in found.output
        assert stored(client, keys.judge(model)) == fields
    assert f"{keys.judge(MODEL)}: was migrated" in found.output


def test_a_worker_that_has_it_is_left_alone(
    client: redis.Redis, redis_url: str, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint whose lease somebody has is not touched, and the exit code says so."""
    client.hset(keys.judge(MODEL), mapping=OLD)  # type: ignore[arg-type]  # bytes, which it takes
    client.set(keys.judge_owner(MODEL), "a worker")
    found = run(keys, redis_url, monkeypatch)
    assert (found.exit_code, stored(client, keys.judge(MODEL))) == (75, OLD)
    assert f"{keys.judge(MODEL)}: a worker has it" in found.output
    assert client.get(keys.judge_owner(MODEL)) == b"a worker"


def _renamed(kind: str, fields: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """A step of this test: `a` becomes `first` and says its kind, `b` is dropped."""
    return {b"first": b"%b of %b" % (fields[b"a"], kind.encode())}


@pytest.fixture
def next_format(monkeypatch: pytest.MonkeyPatch) -> None:
    """The release after this one, with a format 4."""
    monkeypatch.setitem(migrations.STEPS, b"3", _renamed)  # type: ignore[arg-type]  # a dict
    for module in (migrations, checkpoint_module, migrating, names):
        monkeypatch.setattr(module, "FORMAT", b"4")


NEW = sound({b"format": b"4", b"commit": b"8", b"first": b"1 of count"})


@pytest.mark.usefixtures("next_format")
def test_a_step_may_change_drop_and_add_fields(client: redis.Redis, keys: Keys) -> None:
    """From two formats ago, whoever loads a checkpoint gets all steps in one commit, with a
    checksum over what is left; what stands beside the state stays.
    """
    key = keys.count(MODEL, 0)
    client.hset(key, mapping={**OLD, b"setback": b"told"})  # type: ignore[arg-type]  # as above
    made = Checkpoint(client, key, keys.owner(MODEL, 0), keys.epoch(MODEL, 0), 60_000)
    assert made.acquire()
    fields = made.load()
    assert {**fields, b"commit": b"8", b"checksum": NEW[b"checksum"]} == NEW
    assert stored(client, key) == {**NEW, b"setback": b"told"}
    made.commit({b"first": b"2"}, lambda _: None)
    assert made.load()[b"first"] == b"2"


class Killed(BaseException):
    """The process is gone."""


def _dying(monkeypatch: pytest.MonkeyPatch, commands: int) -> None:
    """Let nothing reach Redis any more behind so many commands, as if the process was killed."""
    left = commands
    send = AbstractConnection.send_packed_command

    def sending(connection: Any, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002  redis-py's signature
        nonlocal left
        left -= 1
        if left < -1:
            raise redis.ConnectionError("what Python does at its end reaches nobody")
        if left < 0:
            raise Killed
        send(connection, command, check_health)

    monkeypatch.setattr(AbstractConnection, "send_packed_command", sending)


@pytest.mark.usefixtures("next_format")
def test_killed_at_any_command_it_is_done_or_not(
    client: redis.Redis, redis_url: str, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed behind any of its commands, a migration has left each checkpoint as it was or whole in
    the new format, and the next one finishes it.
    """
    all_keys = keys.count(MODEL, 0), keys.count("oil", 0)
    outcomes, commands, whole = set(), 0, False
    while not whole:
        for key in all_keys:
            client.delete(key)
            client.hset(key, mapping=OLD)  # type: ignore[arg-type]  # bytes, which it takes
        client.delete(keys.owner(MODEL, 0), keys.owner("oil", 0))
        commands += 1
        with monkeypatch.context() as patch:
            nodes = Nodes(redis_url)
            _dying(patch, commands)
            try:
                list(migrating.migrate_all(nodes, keys, 60_000))
                whole = True
            except Killed:
                pass
            finally:
                nodes.close()
        found = tuple(stored(client, key) for key in all_keys)
        assert all(one in (OLD, NEW) for one in found), commands
        outcomes.add(tuple(one == NEW for one in found))
        client.delete(keys.owner(MODEL, 0), keys.owner("oil", 0))  # as if their time was over
        nodes = Nodes(redis_url)
        list(migrating.migrate_all(nodes, keys, 60_000))
        nodes.close()
        assert [stored(client, key) for key in all_keys] == [NEW, NEW]
    assert len(outcomes) == 3
    assert commands > 20
