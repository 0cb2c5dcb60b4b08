"""What must not be restored is refused before anything was changed."""

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from driftgauge.shared.backup import restoring
from driftgauge.shared.backup.records import Text, packed
from driftgauge.shared.connections.redis_client import server_ms
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import BadData
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from tests.integration.plant import MODEL, publish
from tests.shared.backup.conftest import put_back, save

Member = tuple[tarfile.TarInfo, bytes]


@pytest.fixture
def whole(client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path) -> Path:
    """A backup of some keys and a registry."""
    publish(client, keys)
    client.hset(keys.judge(MODEL), mapping={"format": "3", "commit": "1"})
    registry = tmp_path / "registry" / "steel" / "1.0.0"
    registry.mkdir(parents=True)
    (registry / "manifest.json").write_bytes(b"{}")
    save(redis_url, keys, tmp_path / "whole", tmp_path / "registry")
    return tmp_path / "whole"


def members_of(path: Path) -> list[Member]:
    with tarfile.open(path) as tar:
        return [(one, tar.extractfile(one).read()) for one in tar]  # type: ignore[union-attr]


def written(path: Path, members: list[Member]) -> Path:
    """Write a backup of other members beside one."""
    with tarfile.open(path.with_name("changed"), "w:gz") as tar:
        for told, content in members:
            told.size = 0 if told.issym() else len(content)
            tar.addfile(told, io.BytesIO(content))
    return path.with_name("changed")


def _header(**changed: Any) -> Callable[[Path], Path]:
    def change(path: Path) -> Path:
        (told, content), *rest = members_of(path)
        header = msgspec.json.decode(content) | changed
        return written(path, [(told, msgspec.json.encode(header)), *rest])

    return change


def _named(
    name: str, content: bytes = b"x", kind: bytes = tarfile.REGTYPE
) -> Callable[[Path], Path]:
    def change(path: Path) -> Path:
        told = tarfile.TarInfo(name)
        told.type, told.linkname = kind, "/etc/passwd" if kind == tarfile.SYMTYPE else ""
        first, *rest = members_of(path)
        return written(path, [first, (told, content), *rest])

    return change


def _flipped(path: Path) -> Path:
    """Change one byte of a value, in a sound tar."""
    found = members_of(path)
    told, content = found[1]
    return written(path, [found[0], (told, content[:-1] + bytes([content[-1] ^ 1])), *found[2:]])


def _cut_off(path: Path) -> Path:
    return written(path, members_of(path)[:-1])


def _torn(path: Path) -> Path:
    path.with_name("changed").write_bytes(path.read_bytes()[:-60])
    return path.with_name("changed")


def _no_backup(path: Path) -> Path:
    path.with_name("changed").write_bytes(gzip.compress(b"something else"))
    return path.with_name("changed")


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "a newer format": (_header(format=2, new=1), "was made by a newer release"),
    "newer checkpoints": (_header(checkpoints=99), "was made by a newer release"),
    "a forged header": (_header(prefix="other"), "checksums"),
    "a changed byte": (_flipped, "checksums|cannot be read"),
    "a missing manifest": (_cut_off, "it was cut off"),
    "a file that ends too early": (_torn, "is damaged"),
    "another file": (_no_backup, "is damaged, or no backup"),
    "a path out of the registry": (_named("registry/a/../../../x"), "that no backup has"),
    "an absolute path": (_named("/etc/cron.d/x"), "that no backup has"),
    "a hidden file": (_named("registry/a/.ssh"), "that no backup has"),
    "a link": (_named("registry/a/link", b"", tarfile.SYMTYPE), "that no backup has"),
    "a member that is not in the manifest": (_named("registry/a/more"), "checksums"),
    "a key of another prefix": (
        _named("keys/00000009", packed([Text("other:{m}:epoch", b"1")])),
        "none of the prefix",
    ),
    "a lease": (_named("keys/00000009", packed([Text("PREFIX:{m}:owner", b"1")])), "prefix"),
    "records of another kind": (_named("keys/00000009", b"\x91\x92\xa4junk\x01"), "cannot be read"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_a_file_that_is_not_sound_changes_nothing(
    fault: str, whole: Path, keys: Keys, other: redis.Redis, other_server: EmbeddedRedis
) -> None:
    """A damaged, cut, forged or newer file, or one with paths or keys that lead elsewhere, is
    refused in words, and neither Redis nor the registry has anything of it.
    """
    change, words = REFUSED[fault]
    registry = whole.parent / "new" / "registry"
    with pytest.raises(BadData, match=words):
        put_back(other_server.url, keys, change(whole), registry)
    assert not list(other.scan_iter(match=f"{keys.prefix}*"))
    assert not registry.exists()


def test_another_prefix_is_named(whole: Path, other_server: EmbeddedRedis) -> None:
    """A sound backup of another prefix is refused with the line that would fit."""
    with pytest.raises(BadData, match="none of the prefix another that"):
        put_back(other_server.url, Keys("another"), whole)


def test_a_place_that_is_taken(
    whole: Path, keys: Keys, other: redis.Redis, other_server: EmbeddedRedis
) -> None:
    """Keys that are there are kept, unless they are to be replaced: then all of them go."""
    other.set(keys.epoch("old", 0), "1")
    with pytest.raises(BadData, match=r"has 1 keys with the prefix .* give --replace"):
        put_back(other_server.url, keys, whole)
    assert other.get(keys.epoch("old", 0)) == b"1"
    put_back(other_server.url, keys, whole, replace=True)
    assert not other.exists(keys.epoch("old", 0))
    assert other.smembers(keys.models) == {MODEL.encode()}


def test_nobody_may_work_there(
    whole: Path, keys: Keys, other: redis.Redis, other_server: EmbeddedRedis
) -> None:
    """While a worker has a lease, or an API watches, nothing is replaced; a lease that is over
    stops nobody.
    """
    other.set(keys.owner(MODEL, 0), "a worker")
    with pytest.raises(BadData, match="A worker runs"):
        put_back(other_server.url, keys, whole, replace=True)
    other.delete(keys.owner(MODEL, 0))
    for until, refused in ((server_ms(other) + 60_000, True), (server_ms(other) - 1, False)):
        lease = msgspec.json.encode({"token": "api", "until": until})
        other.hset(keys.watchdog(MODEL), "lease", lease)
        if refused:
            with pytest.raises(BadData, match="An API runs"):
                put_back(other_server.url, keys, whole, replace=True)
        else:
            put_back(other_server.url, keys, whole, replace=True)


def test_who_writes_meanwhile_is_noticed(
    whole: Path,
    keys: Keys,
    other: redis.Redis,
    other_server: EmbeddedRedis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An API that publishes while a backup is restored ends it with words, before the models are
    there to be found; restored again with `--replace`, all is there.
    """
    room = restoring._make_room

    def made(*arguments: Any, **options: Any) -> None:
        room(*arguments, **options)
        publish(other, keys)

    with monkeypatch.context() as patch:
        patch.setattr(restoring, "_make_room", made)
        with pytest.raises(BadData, match="was made by somebody else"):
            put_back(other_server.url, keys, whole)
    put_back(other_server.url, keys, whole, replace=True)
    assert other.exists(keys.models, keys.judge(MODEL), keys.versions(MODEL)) == 3


def test_a_restore_that_ends_in_the_middle(
    whole: Path,
    keys: Keys,
    other: redis.Redis,
    other_server: EmbeddedRedis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Wherever a restore is ended, workers find no model until it is whole, and it can be done
    again.
    """
    write, left = restoring._Writing.write, 0

    def dying(writing: Any, record: Any) -> None:
        nonlocal left
        if not left:
            raise KeyboardInterrupt
        left -= 1
        write(writing, record)

    with monkeypatch.context() as patch:
        patch.setattr(restoring._Writing, "write", dying)
        for done in range(3):
            left = done
            with pytest.raises(KeyboardInterrupt):
                put_back(other_server.url, keys, whole, replace=True)
            assert not other.exists(keys.models)
    put_back(other_server.url, keys, whole, replace=True)
    assert other.smembers(keys.models) == {MODEL.encode()}
