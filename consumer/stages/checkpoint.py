"""The checkpoint: a hash that changes only in one transaction, by the one process that owns it
(docs/exactly-once.md).

Own      SET owner token NX PX lease, a new token for each acquisition, inside WATCH/MULTI with the epoch.
Load     the whole hash; its commit number is remembered.
Commit   WATCH owner and hash, check token and commit number, then MULTI: state, offset, outputs, lease; EXEC.

Safety rests on WATCH; the lease is only for liveness. Every WATCH is followed by a GET, because on
Redis 7.0 a WATCH on a key that has just expired lets EXEC through. After any error at EXEC the
outcome is unknown: the state in memory is discarded and loaded again. It is also loaded again after
a restart of the server, which may have lost what was read from it since the last commit.

A checksum over all fields of the state is written with each commit and compared at each load, so
that a damaged checkpoint is never taken. One of an earlier format is migrated by the owner who
loads it, in a commit of its own; one of a later format is refused. A commit number that is lower than one that was seen
before, by this process or, in its file of stamps, by an earlier one, is noted as a setback.
"""  # noqa: E501  a table, or what an example prints

import logging
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import redis
from redis.client import Pipeline

from driftgauge.consumer.migrations import migrated
from driftgauge.consumer.stages.checksum import FIELD as CHECKSUM
from driftgauge.consumer.stages.checksum import Checksum
from driftgauge.shared.connections.redis_client import UNAVAILABLE, server_ms, told_by
from driftgauge.shared.contract.fault import FIELD as FAULT
from driftgauge.shared.contract.keys import FORMAT, FORMAT_FIELD, unreadable
from driftgauge.shared.errors import BadData, DriftgaugeError, OwnershipLost
from driftgauge.shared.losses import SETBACK_FIELD, Setback, noted, noting
from driftgauge.shared.stamps import Stamps
from driftgauge.shared.unpacking import UNREADABLE

log = logging.getLogger("driftgauge.worker")

SAFE_ADVICE = (
    "Restore Redis from a sound copy, or count anew under another DRIFTGAUGE_KEY_PREFIX. Do not "
    "delete the key: what was counted would be lost, and the panes that were written could not be "
    "continued."
)
"""What a person can do about a checkpoint that cannot be read, without losing more."""

COMMIT = b"commit"
BESIDE = {FORMAT_FIELD, COMMIT}
"""Fields that no step of a migration sees."""
WITHOUT_CHECKSUM = b"2"
"""The format whose checkpoints have no checksum."""

Outputs = Callable[[Pipeline], None]
"""A function that adds commands to the transaction."""


class Checkpoint:
    """A stage's checkpoint under a lease.

    Parameters
    ----------
    client
        Redis client for this stage only, without retries.
    key, owner_key, epoch_key
        Names of the checkpoint, the lease and its epoch, all in one slot.
    lease_ms
        Time (ms) that the lease lasts without a commit or renewal.
    """

    def __init__(
        self, client: redis.Redis, key: str, owner_key: str, epoch_key: str, lease_ms: int
    ) -> None:
        self._client = client
        self.key = key
        self.owner_key = owner_key
        self._epoch_key = epoch_key
        self.lease_ms = lease_ms
        self.token = b""
        """Value of the lease while it is ours, and of the last one afterwards."""
        self._number = 0
        self.server = ""
        """Identity of the server that the state was loaded from; it changes at each start."""
        self._checksum = Checksum({})
        self.stamps: Stamps | None = None
        """How far the worker has seen its checkpoints; None compares none."""
        self.is_set_back = False
        """Whether it was found to have gone back when it was loaded."""
        self.on_commit: Callable[[], None] = lambda: None
        """Function that is called after each commit."""
        self.fault: bytes | None = None
        """The fault that stood beside the state when it was loaded, packed."""
        self._noted: bytes | None = None
        self.later: dict[bytes, bytes] = {}
        """Fields that are written with the next commit or renewal."""

    def acquire(self) -> bool:
        """Take the lease if it is free; return whether it is ours now."""
        token = secrets.token_hex(16).encode()
        with self._client.pipeline(transaction=True) as pipe:
            try:
                pipe.watch(self.owner_key)
                if pipe.get(self.owner_key) is not None:
                    return False
                pipe.multi()
                pipe.set(self.owner_key, token, nx=True, px=self.lease_ms)
                pipe.incr(self._epoch_key)
                taken = bool(pipe.execute()[0])
            except (
                redis.WatchError
            ):  # somebody was quicker, or the connection was lost: redis-py says the same of both
                return False
        self.token = token if taken else b""
        return taken

    def load(self) -> dict[bytes, bytes]:
        """Read all fields, and remember the commit number. What has an earlier format is migrated,
        and committed.

        Raises
        ------
        BadData
            If another release of Driftgauge wrote it in a format that this one does not read, it is
            damaged, or the key is not a checkpoint.
        OwnershipLost
            If it was to be migrated, and the lease is not ours any more.
        """
        self.server = server_id(self._client)
        fields = self._read()
        self._compare(bool(fields))
        return self._migrate(fields)

    def look(self) -> bytes:
        """Return the format of what is stored, once it was tried to migrate it in memory; empty if
        nothing is stored. Nothing is written, and no lease is needed.

        Raises
        ------
        BadData
            As `load` does.
        """
        fields = self._read()
        self._migrated(fields)
        return fields.get(FORMAT_FIELD, b"")

    def _read(self) -> dict[bytes, bytes]:
        """Read all fields of the state, and check that they are sound."""
        try:
            fields: dict[bytes, bytes] = self._client.hgetall(self.key)  # type: ignore[assignment]  # bytes, not str
        except redis.ResponseError as error:
            if not str(error).startswith("WRONGTYPE"):
                raise
            raise BadData(
                f"{self.key} is not a hash in Redis. Move it away, or use another key prefix."
            ) from error
        self.fault = fields.pop(FAULT, None)
        self._noted = fields.pop(SETBACK_FIELD, None)
        self._check_sound(fields)
        with self.reading():
            self._number = int(fields.get(COMMIT, 0))
        return fields

    def _migrate(self, fields: dict[bytes, bytes]) -> dict[bytes, bytes]:
        """Commit fields of an earlier format in the present one, and return them."""
        found = self._migrated(fields)
        if found != fields:
            form = fields[FORMAT_FIELD].decode()
            changed = {name: value for name, value in found.items() if fields.get(name) != value}
            gone = dict.fromkeys(fields.keys() - found.keys(), b"")
            self.commit({**changed, **gone}, lambda _: None)
            log.info("%s: migrated from format %s to %s", self.key, form, FORMAT.decode())
        return found

    def _migrated(self, fields: dict[bytes, bytes]) -> dict[bytes, bytes]:
        """Return fields in the present format."""
        if not fields:
            return fields
        state = {name: value for name, value in fields.items() if name not in BESIDE}
        kind = self.key.rpartition("}:")[2].partition(":")[0]
        beside = {name: fields[name] for name in BESIDE & fields.keys()}
        with self.reading():
            state = migrated(kind, beside[FORMAT_FIELD], state)
        return {**state, **beside, FORMAT_FIELD: FORMAT}

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Translate whatever the content of the checkpoint raises, while it is unpacked, to
        BadData.
        """
        try:
            yield
        except BadData:
            raise
        except UNREADABLE as error:
            raise BadData(
                f"The checkpoint {self.key} cannot be read ({type(error).__name__}: {error}). "
                f"{SAFE_ADVICE}"
            ) from error

    def _check_sound(self, fields: dict[bytes, bytes]) -> None:
        """Check format and checksum, and take the checksum out of the fields."""
        stored, form = fields.pop(CHECKSUM, None), fields.get(FORMAT_FIELD, b"?")
        self._checksum = Checksum(fields)
        if fields and unreadable(form):
            raise BadData(
                f"The checkpoint {self.key} {unreadable(form)}. Run the release that wrote it, or "
                f"a later one. {SAFE_ADVICE}"
            )
        without = form == WITHOUT_CHECKSUM and stored is None
        expected = None if without else self._checksum.packed
        if (fields or stored) and stored != expected:
            raise BadData(
                f"The checkpoint {self.key} is damaged: its content does not have its checksum, so "
                f"it is not used. {SAFE_ADVICE}"
            )

    def _compare(self, exists: bool) -> None:  # noqa: FBT001  whether there is a state
        """Write down, once, that the checkpoint went back to an earlier commit, or is gone; and
        what was noted a moment ago, if that is gone.
        """
        self.is_set_back = False
        if self.stamps is None:
            return
        for one in self.stamps.kept(self.key):
            if all(one.what != there.what or one.at > there.at for there in noted(self._noted)):
                self._note_setback(one)
        place = self._number, 0
        seen = self.stamps.behind(self.key, place)
        if seen is not None:
            self.is_set_back = True
            now = f"commit {self._number}" if exists else ""
            before = f"commit {seen.place[0]}"
            self.note_setback(Setback(self.key, before, now, server_ms(self._client)))
        self.stamps.note(self.key, place)

    def note_setback(self, setback: Setback) -> None:
        """Log a setback, and write it beside the state, for the watchdog."""
        log.error("%s. Redis came back with an older state, or keys were deleted.", setback.words)
        self._note_setback(setback)
        self._keep([setback])

    def _note_setback(self, setback: Setback) -> None:
        packed = noting(self._noted, setback)
        self.note(SETBACK_FIELD, packed)
        self._noted = packed

    def _keep(self, setbacks: Sequence[Setback]) -> None:
        if self.stamps is not None:
            self.stamps.keep(self.key, setbacks)

    def commit_setbacks(self, fields: Mapping[bytes, bytes], setbacks: Sequence[Setback]) -> None:
        """Commit fields that tell of setbacks, and these beside them; OwnershipLost as `commit`."""
        for one in setbacks:
            self._noted = noting(self._noted, one)
        self.later[SETBACK_FIELD] = self._noted or b""
        self.commit(fields, lambda _: None)
        self._keep(setbacks)

    def note(self, name: bytes, value: bytes) -> None:
        """Write a field that is no part of the state, at once; OwnershipLost if the lease is no
        longer ours.
        """
        with self._client.pipeline(transaction=True) as pipe:
            try:
                pipe.watch(self.owner_key, self.key)
                if pipe.get(self.owner_key) != self.token:
                    raise OwnershipLost(f"Another worker owns {self.key} now.")
                pipe.multi()
                noted: dict[Any, Any] = {name: value}
                pipe.hset(self.key, mapping=noted)
                pipe.execute()
            except redis.WatchError as error:
                raise OwnershipLost(f"The lease of {self.key} was lost.") from error

    def commit(self, fields: Mapping[bytes, bytes], outputs: Outputs) -> None:
        """Write changed fields and outputs in one transaction; an empty value deletes its field.

        Raises
        ------
        OwnershipLost
            If the lease or the commit number is no longer ours, the server restarted since the
            load, or the outcome is unknown. The stage must load again.
        """
        with self._client.pipeline(transaction=True) as pipe:
            try:
                self._watch(pipe)
                self._queue(pipe, fields)
                outputs(pipe)
                replies = pipe.execute(raise_on_error=False)
            except (
                redis.WatchError,
                *UNAVAILABLE,
            ) as error:  # redis-py makes a WatchError of a lost connection too
                raise OwnershipLost(
                    f"A commit of {self.key} was refused, or its outcome is unknown: {error}."
                ) from error
        self._check(replies)
        self._number += 1
        self.later = {}
        if self.stamps is not None:
            self.stamps.note(self.key, (self._number, 0))
        self.on_commit()

    def renew(self) -> None:
        """Prolong the lease without a commit; OwnershipLost if it is no longer ours."""
        with self._client.pipeline(transaction=True) as pipe:
            try:
                self._watch(pipe)
                pipe.multi()
                if self.later:
                    noted: dict[Any, Any] = dict(self.later)
                    pipe.hset(self.key, mapping=noted)
                pipe.pexpire(self.owner_key, self.lease_ms)
                pipe.execute()
            except redis.WatchError as error:
                raise OwnershipLost(f"The lease of {self.key} was lost.") from error
        self.later = {}

    def release(self) -> None:
        """Give the lease back if it is still ours, so that another worker need not wait."""
        with self._client.pipeline(transaction=True) as pipe:
            try:
                pipe.watch(self.owner_key)
                if pipe.get(self.owner_key) == self.token:
                    pipe.multi()
                    pipe.delete(self.owner_key)
                    pipe.execute()
            except redis.RedisError:
                # it expires by itself; what was read since the last commit is read again by the
                # next owner
                pass

    def require_unchanged(self) -> None:
        """Check that nobody has committed since the load; OwnershipLost if somebody has, or may."""
        with self._client.pipeline(transaction=True) as pipe:
            try:
                self._watch(pipe)
            except redis.WatchError as error:  # so redis-py says that the connection was lost
                raise OwnershipLost(f"The lease of {self.key} may be lost.") from error

    def _watch(self, pipe: Pipeline) -> None:
        pipe.watch(self.owner_key, self.key)
        if pipe.get(self.owner_key) != self.token:
            raise OwnershipLost(f"Another worker owns {self.key} now.")
        number: Any = pipe.hget(self.key, "commit")
        if int(number or 0) != self._number:
            raise OwnershipLost(f"{self.key} is at another commit than this worker.")
        if server_id(pipe) != self.server:  # a pooled connection is made anew without a word
            raise OwnershipLost(
                f"{self.key} is on another server than before: what was read there may be gone."
            )

    def _queue(self, pipe: Pipeline, fields: Mapping[bytes, bytes]) -> None:
        pipe.multi()
        kept = {name: value for name, value in fields.items() if value}
        kept |= {FORMAT_FIELD: FORMAT, COMMIT: str(self._number + 1).encode()}
        gone: list[Any] = [name for name, value in fields.items() if not value]
        self._checksum = self._checksum.with_changes(kept, gone)
        written: dict[Any, Any] = {**kept, **self.later, CHECKSUM: self._checksum.packed}
        pipe.hset(self.key, mapping=written)
        if gone:
            pipe.hdel(self.key, *gone)
        pipe.pexpire(self.owner_key, self.lease_ms)

    def _check(self, replies: list[Any]) -> None:
        """Check each reply, because an error of one command does not undo the others."""
        errors = [reply for reply in replies if isinstance(reply, Exception)]
        if errors:
            raise DriftgaugeError(
                f"A commit of {self.key} was applied in part: {errors[0]}. This needs an operator."
            )


def server_id(client: redis.Redis) -> str:
    """Return the server's `run_id`, which changes at each start; empty if unknown."""
    return str(told_by(client, "server").get("run_id", ""))
