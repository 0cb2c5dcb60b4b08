"""What a log must hold after any fault, and the faults of a server's disk."""

import json
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import redis

from driftgauge.shared.local.embedded_redis import EmbeddedRedis


def numbers(client: redis.Redis, key: str) -> dict[bytes, list[int]]:
    found = defaultdict(list)
    for publisher, sequence, _ in _entries(client, key):
        found[publisher].append(sequence)
    return found


def check(client: redis.Redis, key: str, safe: Iterable[str]) -> dict[bytes, set[int]]:
    """Each safe event has exactly one number, each number one event, and no publisher's numbers
    have a hole.
    """
    ids: dict[tuple[bytes, int], str] = {}
    found: dict[bytes, set[int]] = defaultdict(set)
    for publisher, sequence, event in _entries(client, key):
        assert ids.setdefault((publisher, sequence), event) == event
        found[publisher].add(sequence)
    assert len(set(ids.values())) == len(ids)
    assert set(safe) - set(ids.values()) == set()
    assert {publisher: set(range(1, 1 + len(seen))) for publisher, seen in found.items()} == found
    return found


def _entries(client: redis.Redis, key: str) -> list[tuple[bytes, int, str]]:
    """What publishers wrote: a worker's ticks and changes of the reference have no publisher."""
    entries: Any = client.xrange(key)
    return [
        (fields[b"p"], int(fields[b"s"]), json.loads(fields[b"e"])["id"])
        for _, fields in entries
        if b"p" in fields
    ]


def log_file(server: EmbeddedRedis) -> Path:
    """The append-only file that is written to: Redis 7 has a folder of them, Redis 6 one."""
    (path,) = [
        *server.folder.glob("appendonlydir/*.incr.aof"),
        *server.folder.glob("appendonly.aof"),
    ]
    return path


class PowerLoss:
    """Kills a server so that its file ends where it ended a second before.

    `note` is to be called again and again before.
    """

    def __init__(self, server: EmbeddedRedis) -> None:
        self._server = server
        self._sizes: list[tuple[float, int]] = []

    def note(self) -> None:
        self._sizes.append((time.monotonic(), log_file(self._server).stat().st_size))

    def strike(self) -> int:
        """Return the bytes that were lost."""
        self._server.kill()
        path = log_file(self._server)
        before = [size for moment, size in self._sizes if moment <= time.monotonic() - 1]
        lost = path.stat().st_size - before[-1]
        with path.open("r+b") as file:
            file.truncate(before[-1])
        return lost
