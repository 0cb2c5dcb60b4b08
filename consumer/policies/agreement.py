"""Agrees with the other workers on the policy that is in force: the newest one that any has
accepted (shared/policies/agreed.py says by which rule).

`look` compares the own file with what stands in Redis, and writes it there if it is newer, in one
transaction under WATCH. Judging takes up what is in force when a model has its next turn; so what
stands in Redis is a proposal, and what judges is recorded in each model's checkpoint.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import redis

from driftgauge.consumer.judging.rules.policy_file import PolicyFile, faults
from driftgauge.consumer.judging.stated import Proposal
from driftgauge.consumer.notifying.routes import Route
from driftgauge.consumer.policies.file import Accepted, WatchedFile
from driftgauge.shared.connections.redis_client import server_ms
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.policies.agreed import (
    LIVING_MS,
    NOTHING,
    ORDER,
    POLICY,
    Agreed,
    FileState,
    Origin,
    files_of,
    order_of,
)
from driftgauge.shared.unpacking import UNREADABLE

log = logging.getLogger("driftgauge.worker")

TELL_S: Final = LIVING_MS / 4000


class Policies:
    """The policy in force, as far as this worker knows.

    Parameters
    ----------
    path
        The worker's own policy file; None if it has none.
    keys
        Key names.
    worker
        Name of this worker among all.

    Raises
    ------
    PolicyRefused
        If the file cannot be used.
    """

    def __init__(self, path: Path | None, keys: Keys, worker: str) -> None:
        self._own = None if path is None else WatchedFile(path)
        self._keys = keys
        self._field = worker.encode()
        self._order = NOTHING
        self._in_force: tuple[PolicyFile, Origin] | None = None
        self._told_s = -TELL_S
        self._outvoted = ""
        self._is_held = False

    @property
    def own(self) -> PolicyFile:
        """The worker's own file as it was accepted last; an empty one if it has none."""
        return PolicyFile() if self._own is None else self._own.accepted.file

    @property
    def routes(self) -> dict[str, Route]:
        """The routes of notifications that this worker serves, by name: those of its own file.

        While another worker lives whose file is in force, one with an older file serves none; so a
        route that was changed or removed is not served by its old words.
        """
        if self._own is None or (not self._is_in_force and self._is_held):
            return {}
        return {route.name: route for route in self._own.accepted.file.routes}

    @property
    def _is_in_force(self) -> bool:
        mine = None if self._own is None else self._own.accepted.origin.digest
        return self._in_force is not None and self._in_force[1].digest == mine

    def forget_routes(self, client: redis.Redis) -> None:
        """Take routes that the file in force does not have out of the set of names; only a worker
        that has this file does.
        """
        if not self._is_in_force:
            return
        names: set[bytes] = client.smembers(self._keys.routes)  # type: ignore[assignment]  # bytes, not str
        gone = names - {name.encode() for name in self.routes}
        if gone:
            client.srem(self._keys.routes, *gone)

    def of(self, model: str) -> Proposal | None:
        """Return what is in force for a model; None if no worker has a file."""
        if self._in_force is None:
            return None
        file, origin = self._in_force
        return Proposal(file.of(model), origin)

    @property
    def refused(self) -> str:
        """Why what stands in the own file is not in force, in a sentence; empty if it can be."""
        if self._own is None:
            return ""
        return FileState(self._own.accepted.origin, 0, self._own.refused).words

    @property
    def order(self) -> tuple[int, str]:
        """Which policy is in force: another number for each."""
        return self._order

    def look(self, client_of: Callable[[str], redis.Redis]) -> None:
        """Look at the file and at Redis.

        Parameters
        ----------
        client_of
            Returns the client of a key's server.
        """
        changed = self._own is not None and self._own.look()
        client = client_of(self._keys.policy)
        stands: Any = client.hget(self._keys.policy, ORDER.decode())
        order = order_of(stands)
        if self._own is not None and self._own.accepted.origin.order > order:
            order = self._propose(client, self._own.accepted)
        if order not in {self._order, NOTHING}:
            self._learn(client, order)
            changed = True  # who has the file in force is asked at once
        if self._own is not None:
            self._note_outvoted(self._own)
            if changed or time.monotonic() - self._told_s >= TELL_S:
                self._tell(client_of(self._keys.policy_files), self._own)

    def leave(self, client: redis.Redis) -> None:
        """Take away what this worker told of its file, at its end."""
        if self._own is not None:
            client.hdel(self._keys.policy_files, self._field.decode())

    def _propose(self, client: redis.Redis, accepted: Accepted) -> tuple[int, str]:
        """Write the own file to Redis if it is newer than what stands there; return the order of
        what stands there then.
        """
        key, models = self._keys.policy, PolicyFile(accepted.file.default, accepted.file.models)
        agreed = Agreed(accepted.origin, msgspec.Raw(msgspec.json.encode(models)))
        written: dict[Any, Any] = {
            ORDER: accepted.origin.packed_order,
            POLICY: msgspec.json.encode(agreed),
        }
        with client.pipeline(transaction=True) as pipe:
            try:
                pipe.watch(key)
                stands: Any = pipe.hget(key, ORDER.decode())
                if accepted.origin.order <= order_of(stands):
                    return order_of(stands)
                pipe.multi()
                pipe.hset(key, mapping=written)
                pipe.execute()
            except redis.WatchError:  # another worker was faster: compared again at the next look
                return self._order
        return accepted.origin.order

    def _learn(self, client: redis.Redis, order: tuple[int, str]) -> None:
        """Read what stands in Redis."""
        packed: Any = client.hget(self._keys.policy, POLICY.decode())
        self._order = order
        try:
            agreed = msgspec.json.decode(packed or b"", type=Agreed)
            file = msgspec.json.decode(agreed.policy, type=PolicyFile)
            wrong = next((words for _, words in faults(file)), "")
        except UNREADABLE as error:
            wrong = str(error)
        if not wrong:
            self._in_force = file, agreed.origin
            return
        log.error(
            "The policy in %s cannot be used by this release, so the one before goes on here: %s.",
            self._keys.policy,
            wrong,
        )
        if self._in_force is None and self._own is not None:
            self._in_force = self._own.accepted.file, self._own.accepted.origin

    def _note_outvoted(self, own: WatchedFile) -> None:
        """Say once that the own file is older than the one in force."""
        if self._in_force is None:
            return
        mine, origin = own.accepted.origin, self._in_force[1]
        outvoted = origin.digest if mine.digest != origin.digest else ""
        if outvoted and outvoted != self._outvoted:
            log.warning(
                "The policy file %s is older than %s, which is in force. Save it again to have it "
                "in force.",
                own.path,
                origin.who,
            )
        self._outvoted = outvoted

    def _tell(self, client: redis.Redis, own: WatchedFile) -> None:
        """Write what is to be known of the own file; forget what dead workers told."""
        now = server_ms(client)
        state = FileState(own.accepted.origin, now, own.refused)
        key = self._keys.policy_files
        told: dict[bytes, bytes] = client.hgetall(key)  # type: ignore[assignment]  # bytes, not str
        living = files_of(told, now, LIVING_MS * 10)
        newest = None if self._in_force is None else self._in_force[1].digest
        others = files_of(told, now).items()
        self._is_held = any(
            one.origin.digest == newest for name, one in others if name != self._field
        )
        gone: list[Any] = [name for name in told if name not in living and name != self._field]
        pipe = client.pipeline(transaction=False)
        if gone:
            pipe.hdel(key, *gone)
        said: dict[Any, Any] = {self._field: msgspec.json.encode(state)}
        pipe.hset(key, mapping=said)
        pipe.execute()
        self._told_s = time.monotonic()
