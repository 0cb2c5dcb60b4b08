"""What was saved comes back as it was, on a server of another kind and release."""

import os
import resource
import stat
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis
from click.testing import CliRunner

from driftgauge.consumer.commands.upkeep.backup import backup
from driftgauge.consumer.commands.upkeep.restore import restore as restore_command
from driftgauge.shared.backup.backing_up import back_up
from driftgauge.shared.connections.keyspace import found_keys
from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import BadData
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from tests.integration.plant import (
    MODEL,
    append,
    arrived,
    counters,
    events,
    judged_all,
    publish,
    settings_of,
    wait_for,
    worker_thread,
)
from tests.shared.backup.conftest import put_back, save

START = int(time.time() * 1000) - 200_000
HOUR_MS = 3_600_000


def content(client: redis.Redis, key: str) -> Any:
    """Return all that a client can see of a key, as the server tells it."""
    kind: Any = client.type(key)
    client.set_response_callback("XRANGE", lambda reply, **_: reply)
    match kind:
        case b"string":
            return kind, client.get(key)
        case b"hash":
            fields: Any = client.hgetall(key)
            fields.pop(b"setback", None)  # a restored checkpoint says that it was restored
            return kind, fields
        case b"set":
            return kind, client.smembers(key)
    told: Any = client.xinfo_stream(key)
    groups: Any = client.xinfo_groups(key)
    names = ("length", "last-generated-id", "entries-added")
    return (
        kind,
        [told[name] for name in names],
        [(group["name"], group["last-delivered-id"]) for group in groups],
        client.xrange(key),
    )


def fill(client: redis.Redis, keys: Keys) -> list[str]:
    """Write a key of every kind, with what is hard to keep; return the keys."""
    some: Any = {f"field {place}".encode() + b"\xff": os.urandom(3000) for place in range(1500)}
    client.hset(keys.judge(MODEL), mapping={"format": "3", "commit": "7", **some})
    client.hset(keys.pending(MODEL, 0, 3), mapping={b"\x00": b"", b"id": b"\x93"})
    client.pexpire(keys.pending(MODEL, 0, 3), HOUR_MS)
    client.set(keys.ids(MODEL, 0, 5), os.urandom(3 << 20))
    client.set(keys.epoch(MODEL, 0), "41")
    client.sadd(keys.models, MODEL, "oil")
    client.sadd(keys.routes, *(f"route-{place}" for place in range(2000)))
    panes = keys.panes(MODEL, 0)
    for number in range(1, 400):
        client.execute_command("XADD", panes, f"{number}-0", "b", os.urandom(4000))
    client.execute_command("XADD", panes, "400-1", "twice", "1", "twice", "2", "", b"\xff")
    client.xtrim(panes, minid="200-0", approximate=False)
    client.xdel(panes, "400-1")
    client.xgroup_create(panes, "others", "250-0")
    empty = keys.log(MODEL, 0)
    client.xadd(empty, {"t": "k"}, id="9-9")
    client.xgroup_create(empty, "monitor", "9-9")
    client.xdel(empty, "9-9")
    return [
        keys.judge(MODEL),
        keys.pending(MODEL, 0, 3),
        keys.ids(MODEL, 0, 5),
        keys.epoch(MODEL, 0),
        keys.models,
        keys.routes,
        panes,
        empty,
    ]


@pytest.mark.parametrize("backwards", [False, True])
def test_every_kind_comes_back_on_another_release(
    redis_server: EmbeddedRedis,
    other_server: EmbeddedRedis,
    client: redis.Redis,
    other: redis.Redis,
    keys: Keys,
    tmp_path: Path,
    *,
    backwards: bool,
) -> None:
    """Hashes, sets, strings and streams, with expiry, last id, counters and groups, are the same on
    Valkey 9 as on Redis 7, and the other way round; also an empty stream, and bytes of any kind.
    """
    servers, clients = [redis_server, other_server], [client, other]
    if backwards:
        servers.reverse()
        clients.reverse()
    here, there = clients
    written = fill(here, keys)
    saved = save(servers[0].url, keys, tmp_path / "backup")
    restored = put_back(servers[1].url, keys, tmp_path / "backup")
    assert (restored.keys, restored.entries) == (saved.keys, saved.entries) == (8, 200)
    for key in written:
        assert content(there, key) == content(here, key), key
    left: Any = there.pttl(keys.pending(MODEL, 0, 3))
    assert HOUR_MS - 60_000 < left <= HOUR_MS
    assert stat.S_IMODE((tmp_path / "backup").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["backup"]
    there.delete(*written)


def test_counting_goes_on_from_a_backup(
    client: redis.Redis,
    redis_url: str,
    other: redis.Redis,
    other_server: EmbeddedRedis,
    keys: Keys,
    tmp_path: Path,
) -> None:
    """A worker goes on from a backup: what waited in the log is counted, events that were counted
    before the backup are known when a publisher sends them again, and later ones are counted once.
    """
    publish(client, keys)
    log = events(1, 3000, START)
    append(client, keys.log(MODEL, 0), log[:1500])
    with worker_thread(settings_of(redis_url, keys)):
        wait_for(lambda: arrived(client, keys) == 1500 and judged_all(client, keys), "the first")
    append(client, keys.log(MODEL, 0), log[1500:2000])
    saved = save(redis_url, keys, tmp_path / "backup")
    put_back(other_server.url, keys, tmp_path / "backup")
    assert counters(other, keys) == counters(client, keys)
    assert other.xlen(keys.log(MODEL, 0)) == 500
    assert saved.left_out == []
    with worker_thread(settings_of(other_server.url, keys)):
        append(other, keys.log(MODEL, 0), log[1000:], with_ids=False)
        wait_for(lambda: arrived(other, keys) == 4000 and judged_all(other, keys), "the rest")
    assert (counters(other, keys).events, counters(other, keys).duplicates) == (3000, 1000)
    assert counters(other, keys).missing == 0


def test_whole_logs_are_kept_if_that_is_wanted(
    client: redis.Redis,
    redis_url: str,
    other: redis.Redis,
    other_server: EmbeddedRedis,
    keys: Keys,
    tmp_path: Path,
) -> None:
    """Without the option only those events of a log are kept that a reader has not had yet: the
    worker, or whoever has a consumer group there and did not acknowledge them.
    """
    log = keys.log(MODEL, 0)
    append(client, log, events(1, 100, START))
    ids = [entry_id for entry_id, _ in client.xrange(log)]
    client.hset(keys.count(MODEL, 0), mapping={"format": "3", "commit": "1", "offset": ids[79]})
    for name in ("plain", "whole"):
        save(redis_url, keys, tmp_path / name, whole_logs=name == "whole")
    put_back(other_server.url, keys, tmp_path / "whole")
    assert other.xrange(log) == client.xrange(log)
    put_back(other_server.url, keys, tmp_path / "plain", replace=True)
    assert [entry_id for entry_id, _ in other.xrange(log)] == ids[80:]
    client.xgroup_create(log, "archive", "0")
    client.xreadgroup("archive", "one", {log: ">"}, count=70)
    client.xack(log, "archive", *ids[:50])
    save(redis_url, keys, tmp_path / "group")
    put_back(other_server.url, keys, tmp_path / "group", replace=True)
    again: Any = other.xreadgroup("archive", "two", {log: ">"}, count=1000)
    assert [entry_id for entry_id, _ in again[0][1]] == ids[50:]


def test_what_only_the_living_say_is_left_out(
    client: redis.Redis,
    redis_url: str,
    keys: Keys,
    other: redis.Redis,
    other_server: EmbeddedRedis,
    tmp_path: Path,
) -> None:
    """Leases, heartbeats, what processes hold or wait for at the moment are no part of a backup,
    nor are keys of other prefixes; keys of a foreign kind are named.
    """
    publish(client, keys)
    client.set(keys.owner(MODEL, 0), "a worker")
    client.hset(keys.workers, "me", "1")
    client.hset(keys.held(MODEL), "me", "1")
    client.rpush(keys.proposals(MODEL), "asked")
    client.set(keys.proposed(MODEL, "1"), "answered")
    client.sadd(f"{keys.prefix}:deeper:models", "other")
    client.sadd(f"{keys.prefix}x:models", "other")
    client.rpush(f"{keys.prefix}:{{{MODEL}}}:list", "1")
    saved = save(redis_url, keys, tmp_path / "backup")
    put_back(other_server.url, keys, tmp_path / "backup")
    nodes = Nodes(other_server.url)
    assert {key.decode() for key in found_keys(nodes, keys)} == {keys.models, keys.versions(MODEL)}
    nodes.close()
    assert saved.left_out == [f"{keys.prefix}:{{{MODEL}}}:list"]
    assert not other.exists(f"{keys.prefix}:deeper:models", f"{keys.prefix}x:models")


def test_the_registry_comes_back(
    client: redis.Redis, redis_url: str, keys: Keys, other_server: EmbeddedRedis, tmp_path: Path
) -> None:
    """The files of the registry folder are restored byte for byte; locks, links and what is being
    written are left out. Models that are there already are kept, unless they are to be replaced.
    """
    publish(client, keys)
    here, there = tmp_path / "here", tmp_path / "there"
    files = {
        "steel/1.0.0/manifest.json": b"{}",
        "steel/1.0.0/model.joblib": os.urandom(3 << 20),
        "steel/stages.json": b"[1]",
        "steel/references/1.0.0/history.json": b"[2]",
    }
    others = {"steel/.lock": b"", "steel/.new-7/manifest.json": b"x", ".tried/x": b"", "loose": b""}
    for path, written in {**files, **others}.items():
        (here / path).parent.mkdir(parents=True, exist_ok=True)
        (here / path).write_bytes(written)
    (here / "steel" / "link.json").symlink_to(here / "steel" / "stages.json")
    saved = save(redis_url, keys, tmp_path / "backup", here)
    (there / "oil" / "1.0.0").mkdir(parents=True)
    (there / "oil" / "1.0.0" / "manifest.json").write_bytes(b"oil")
    with pytest.raises(Exception, match="has models already"):
        put_back(other_server.url, keys, tmp_path / "backup", there)
    assert (there / "oil" / "1.0.0" / "manifest.json").read_bytes() == b"oil"
    restored = put_back(other_server.url, keys, tmp_path / "backup", there, replace=True)
    assert restored.files == saved.files == len(files)
    found = {
        path.relative_to(there).as_posix(): path for path in there.rglob("*") if path.is_file()
    }
    assert {path: file.read_bytes() for path, file in found.items()} == files


def test_the_commands(
    client: redis.Redis,
    redis_url: str,
    keys: Keys,
    other_server: EmbeddedRedis,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The commands say what they did, as JSON too; a file that is there is not written over."""
    publish(client, keys)
    monkeypatch.setenv("DRIFTGAUGE_KEY_PREFIX", keys.prefix)
    monkeypatch.setenv("DRIFTGAUGE_REDIS_URL", redis_url)
    monkeypatch.setenv("DRIFTGAUGE_REGISTRY_DIR", str(tmp_path / "registry"))
    file = str(tmp_path / "backup")
    made = CliRunner().invoke(backup, [file, "--json"], catch_exceptions=False)
    assert msgspec.json.decode(made.stdout)["keys"] == 2
    with pytest.raises(Exception, match="is there already"):
        CliRunner().invoke(backup, [file], catch_exceptions=False)
    monkeypatch.setenv("DRIFTGAUGE_REDIS_URL", other_server.url)
    done = CliRunner().invoke(restore_command, [file, "--no-registry"], catch_exceptions=False)
    assert done.stdout.startswith("2 keys with 0 entries of streams")


def test_nothing_is_saved_of_nothing(redis_url: str, keys: Keys, tmp_path: Path) -> None:
    """A prefix without keys, as by a mistyped setting, is an error, and leaves no file."""
    nodes = Nodes(redis_url)
    with pytest.raises(Exception, match="There are no keys with the prefix"):
        back_up(nodes, keys, tmp_path / "backup", registry=None)
    nodes.close()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk(
    client: redis.Redis, redis_url: str, keys: Keys, other_server: EmbeddedRedis, tmp_path: Path
) -> None:
    """A disk that has no room for a backup, or for the registry of one, is an error in words; no
    part of a file is left, and Redis has nothing of what could not be restored whole.
    """
    publish(client, keys)
    registry = tmp_path / "registry" / "steel" / "1.0.0"
    registry.mkdir(parents=True)
    (registry / "model.joblib").write_bytes(os.urandom(1 << 20))
    save(redis_url, keys, tmp_path / "whole", tmp_path / "registry")
    (tmp_path / "new").mkdir()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limits[1]))
    try:
        with pytest.raises(BadData, match=r"part cannot be written: .*File too large"):
            save(redis_url, keys, tmp_path / "part", tmp_path / "registry")
        with pytest.raises(BadData, match=r"registry .* cannot be written: .*File too large"):
            put_back(other_server.url, keys, tmp_path / "whole", tmp_path / "new")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "registry", "whole"]
    assert list((tmp_path / "new").iterdir()) == []
    nodes = Nodes(other_server.url)
    assert list(found_keys(nodes, keys)) == []
    nodes.close()
