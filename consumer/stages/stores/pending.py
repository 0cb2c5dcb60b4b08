"""The waiting predictions and labels in Redis: read for the labels of a batch in one round trip,
written in the commit of the counts.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec
import redis
from redis.client import Pipeline

from driftgauge.consumer.counting.clock import DAY_MS
from driftgauge.consumer.counting.labels.pending import Early, Pending, Waiting
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.unpacking import UNREADABLE

log = logging.getLogger("driftgauge.worker")

ERASED_AT_ONCE = 1000
EXPIRE_BEHIND_S = 7 * 86_400
"""Expiry (s) of a day after the wait, to clean up after models that are no longer used; usually a
day is deleted when it has passed in the log. It is long, since a worker that was down for days
still needs the events that waited when it stopped.
"""

_encode = msgspec.msgpack.Encoder().encode
_waiting = msgspec.msgpack.Decoder(Waiting).decode
_early = msgspec.msgpack.Decoder(Early).decode
_Kept = TypeVar("_Kept", Waiting, Early)


class PendingStore:
    """The hashes of one partition.

    Parameters
    ----------
    client
        Redis client of the counting stage.
    keys
        Key names with the model's salts.
    wait_days
        Number of days for which a day is kept after it has passed.
    """

    def __init__(
        self, client: redis.Redis, keys: Keys, model: str, partition: int, wait_days: int
    ) -> None:
        self._client = client
        self._pending = partial(keys.pending, model, partition)
        self._early = partial(keys.early, model, partition)
        self._wait_days = wait_days
        self._told: set[str] = set()
        self._expire_s = (wait_days + 1) * 86_400 + EXPIRE_BEHIND_S

    def keys_at(self, now_ms: int) -> list[str]:
        """Return the hashes that there may be at a time."""
        today = now_ms // DAY_MS
        oldest = today - (self._expire_s // 86_400 + 1)
        days = range(max(0, oldest), today + 2)
        return [key(day) for day in days for key in (self._pending, self._early)]

    def load(self, pending: Pending, entry_ms: int) -> None:
        """Load the early labels; `entry_ms` is the time of the last counted entry."""
        today = entry_ms // DAY_MS
        for day in range(max(0, today - self._wait_days), today + 1) if entry_ms else ():
            found: Any = self._client.hgetall(self._early(day))
            pending.early |= self._read(_early, found.items(), self._early(day))

    def fetch(self, pending: Pending, digests: Sequence[bytes]) -> set[str]:
        """Load the committed predictions that labels name; return their versions."""
        pending.found = {}
        if not digests or not pending.days:
            return set()
        wanted = list(dict.fromkeys(digests))
        pipe = self._client.pipeline(transaction=False)
        for day in pending.days:
            pipe.hmget(self._pending(day), wanted)
        replies = pipe.execute()
        pending.found = {
            day: self._read(_waiting, zip(wanted, reply, strict=True), self._pending(day))
            for day, reply in zip(pending.days, replies, strict=True)
        }
        return {waiting.version for found in pending.found.values() for waiting in found.values()}

    def queue(self, pending: Pending, pipe: Pipeline) -> None:
        """Queue the changes since the last commit."""
        for day, waiting in pending.changes.items():
            if waiting:
                pipe.hset(
                    self._pending(day),
                    mapping={digest: _encode(one) for digest, one in waiting.items()},
                )
                pipe.expire(self._pending(day), self._expire_s)
        for day, early in pending.early_changes.items():
            kept: dict[Any, Any] = {
                digest: _encode(one) for digest, one in early.items() if one is not None
            }
            freed: list[Any] = [digest for digest, one in early.items() if one is None]
            if kept:
                pipe.hset(self._early(day), mapping=kept)
                pipe.expire(self._early(day), self._expire_s)
            if freed:
                pipe.hdel(self._early(day), *freed)
        for day in pending.gone:
            pipe.unlink(self._pending(day), self._early(day))
        pending.written()

    def erase(self, digests: Sequence[bytes], now_ms: int) -> int:
        """Erase what waits of some ids, at once; return how much it was. A label that comes later
        finds no prediction.
        """
        pipe, keys = self._client.pipeline(transaction=False), self.keys_at(now_ms)
        for key in keys:
            pipe.exists(key)
        there = [key for key, found in zip(keys, pipe.execute(), strict=True) if found]
        gone = 0
        for start in range(0, len(digests), ERASED_AT_ONCE):
            for key in there:
                pipe.hdel(key, *digests[start : start + ERASED_AT_ONCE])
            gone += sum(pipe.execute())
        return gone

    def _read(
        self,
        decode: Callable[[bytes], _Kept],
        found: Iterable[tuple[bytes, bytes | None]],
        key: str,
    ) -> dict[bytes, _Kept]:
        """Read values of a hash by digest; absent ones are left out, and so are those that cannot
        be read: their labels are not joined, and the rest is.
        """
        kept: dict[bytes, _Kept] = {}
        for digest, packed in found:
            if packed is None:
                continue
            try:
                kept[digest] = decode(packed)
            except UNREADABLE as error:
                if key not in self._told:
                    log.error(  # noqa: TRY400  it says all
                        "%s, field %s, holds what Driftgauge did not write (%s): it is passed "
                        "over, and its label is not joined.",
                        key,
                        digest.hex(),
                        error,
                    )
                self._told.add(key)
        return kept
