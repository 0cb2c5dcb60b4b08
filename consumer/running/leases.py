"""The leases of a worker: those of all idle stages are renewed in one round trip, and one finds the
stages that are free.

A stage that runs renews its lease itself, with its commits. `GETEX` renews a lease and tells whose
it is. If it is another worker's by now, that one's is prolonged once, which does no harm: safety
rests on the WATCH of each commit, and the stage is loaded again.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Final

import redis

from driftgauge.consumer.running.duty import Duty
from driftgauge.consumer.running.roster import Roster
from driftgauge.consumer.stages.stage import Stage
from driftgauge.shared.connections.bulk import Command, ask_all
from driftgauge.shared.connections.cluster import MOVED
from driftgauge.shared.connections.redis_client import UNAVAILABLE

POLLS_PER_LEASE: Final = 10
"""How often within a lease one looks for free stages."""
RENEWALS_PER_LEASE: Final = 3
AT_ONCE: Final = 200
"""Leases of one round trip: its stages wait for it."""


class Leases:
    """Keeps the leases of a roster's stages.

    Parameters
    ----------
    roster
        The stages.
    lease_ms
        Length of a lease (ms).
    """

    def __init__(self, roster: Roster, lease_ms: int) -> None:
        self.look_s = lease_ms / 1000 / POLLS_PER_LEASE
        self._roster = roster
        self._renew_s = lease_ms / 1000 / RENEWALS_PER_LEASE
        self._looked_at = 0.0

    def keep(self) -> bool:
        """Renew the leases that are due, and wake the stages that are free or to be given up.

        Returns
        -------
        bool
            Whether a server was asked at all.

        Raises
        ------
        redis.RedisError
            If a server does not answer, or refuses to write.
        """
        now = time.monotonic()
        duties = self._roster.duties
        due = [duty for duty in duties if duty.owned and now - duty.renewed_at >= self._renew_s]
        asked = self._for_all(due, self._renew)
        for duty in duties:
            if duty.owned and duty.sharing.leaves(duty.name):
                self._roster.wake(duty)
        now = time.monotonic()
        if now - self._looked_at >= self.look_s:
            self._looked_at = now
            others = (duty for duty in duties if not duty.owned and duty.retry_at <= now)
            asked |= self._for_all(others, self._look)
        return asked

    def _for_all(
        self, duties: Iterable[Duty], ask: Callable[[redis.Redis, list[tuple[Duty, Stage]]], bool]
    ) -> bool:
        """Ask for stages that do not run, server by server and some at a time; return whether there
        are any.
        """
        servers: dict[redis.Redis, list[Duty]] = {}
        for duty in duties:
            if not duty.lock.acquire(blocking=False):
                continue
            try:
                servers.setdefault(duty.build().client, []).append(duty)
            finally:
                duty.lock.release()
        asked, failed = False, None
        for client, found in servers.items():
            for part in _parts(found, AT_ONCE):
                held = [duty for duty in part if duty.lock.acquire(blocking=False)]
                try:
                    asked |= ask(client, [(duty, duty.stage) for duty in held if duty.stage])
                except redis.RedisError as error:  # the other servers are asked all the same
                    failed = error
                    if isinstance(error, (*UNAVAILABLE, *MOVED)):
                        self._look_elsewhere(held)
                finally:
                    for duty in held:
                        duty.lock.release()
        if failed is not None:
            raise failed
        return asked

    def _look_elsewhere(self, held: Iterable[Duty]) -> None:
        for duty in held:
            if duty.look_elsewhere():
                self._roster.wake(duty)

    def _renew(self, client: redis.Redis, held: list[tuple[Duty, Stage]]) -> bool:
        ours = [(duty, stage.checkpoint) for duty, stage in held if duty.owned]
        asked_at = time.monotonic()
        commands: list[Command] = [
            ("GETEX", checkpoint.owner_key, "PX", checkpoint.lease_ms) for _, checkpoint in ours
        ]
        replies = ask_all(client, commands)
        for (duty, checkpoint), reply in zip(ours, replies, strict=True):
            if isinstance(reply, Exception):
                continue
            if reply == checkpoint.token:
                duty.renewed(asked_at)
            else:
                duty.doubt = f"Another worker owns {checkpoint.key} now."
                if reply is None:
                    duty.doubt = f"The lease of {checkpoint.key} was lost."
                self._roster.wake(duty)
        _raise(replies)
        return bool(replies)

    def _look(self, client: redis.Redis, held: list[tuple[Duty, Stage]]) -> bool:
        others = [(duty, stage.checkpoint) for duty, stage in held if not duty.owned]
        replies = ask_all(client, [("EXISTS", found.owner_key) for _, found in others])
        now = time.monotonic()
        for (duty, _), reply in zip(others, replies, strict=True):
            if isinstance(reply, Exception):
                continue
            duty.free_since = None if reply else duty.free_since or now
            if duty.free_since is not None and duty.sharing.may_take(
                duty.name, now - duty.free_since
            ):
                self._roster.wake(duty)
        _raise(replies)
        return bool(replies)


def _parts(duties: Iterable[Duty], most: int) -> Iterator[list[Duty]]:
    rest = iter(duties)
    while part := list(islice(rest, most)):
        yield part


def _raise(replies: list[Any]) -> None:
    """Raise the first error among some replies."""
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
