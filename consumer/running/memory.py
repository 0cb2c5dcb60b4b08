"""The memory of the servers: it must not be given up for counts, nor fill up with logs."""

import logging
from collections.abc import Iterable

import redis

from driftgauge.consumer.running.roster import Roster
from driftgauge.consumer.stages.checkpoint import server_id
from driftgauge.shared.connections.redis_client import told_by
from driftgauge.shared.connections.refusals import EVICTION_ADVICE, eviction
from driftgauge.shared.errors import ConfigurationError

log = logging.getLogger("driftgauge.worker")


class Memory:
    """Looks after the memory of the servers.

    Parameters
    ----------
    most_share
        Share of `maxmemory` above which the stages make room.
    """

    def __init__(self, roster: Roster, most_share: float) -> None:
        self._roster = roster
        self._most_share = most_share
        self._evicts: str | None = None

    def check(self, servers: Iterable[redis.Redis]) -> None:
        """Check that no server evicts keys, and make room in one that is nearly full.

        Raises
        ------
        ConfigurationError
            If one may evict, at the first check; later it is logged once.
        """
        for client in servers:
            memory = told_by(client, "memory")
            limit, used = int(memory.get("maxmemory", 0)), int(memory.get("used_memory", 0))
            policy = str(memory.get("maxmemory_policy", ""))
            if self._evicts is None:
                _say_untold(policy, server_id(client))
            self._check_eviction(eviction(limit, policy))
            if limit and used > self._most_share * limit:
                self._roster.make_room(client)

    def _check_eviction(self, found: str) -> None:
        if found and self._evicts is None:
            raise ConfigurationError(f"Redis {EVICTION_ADVICE.format(found)}.")
        if found and found != self._evicts:
            log.error("Redis %s", EVICTION_ADVICE.format(found))
        self._evicts = found


def _say_untold(policy: str, run_id: str) -> None:
    """Log what a server does not tell, as some services do not, and what that means."""
    if not policy:
        log.warning("Redis does not tell its maxmemory-policy. See to it that it is noeviction")
    if not run_id:
        log.warning(
            "Redis does not tell its run_id (INFO). That another server has taken over at its "
            "address is only noticed when a connection ends, or is refused to write"
        )
