"""Trims a log earlier than its retention if Redis has a memory limit and is nearly full.

A log is kept for the hours of retention if there is room. Above a share of `maxmemory` its oldest
quarter is deleted, again and again until there is room: counted entries are worth less than events
that Redis cannot take. What was not counted is never deleted: if that alone fills Redis, the API
spools.
"""

import logging
from typing import Any

import redis

from driftgauge.shared.connections.redis_client import told_by
from driftgauge.shared.contract.entry_id import EntryId

log = logging.getLogger("driftgauge.worker")

GIVEN_UP = 0.25
"""Share of the log, by its time, that is deleted at once."""


class Room:
    """Watches the memory of a log's server.

    Parameters
    ----------
    stream
        Key of the log.
    share
        Share of `maxmemory` above which the log is trimmed; without a `maxmemory` it never is.
    """

    def __init__(self, stream: str, share: float) -> None:
        self._stream = stream
        self._share = share
        self._told = False
        self._passed_over: list[str] = []

    def keep_from(self, client: redis.Redis) -> int:
        """Return the entry time (ms) from which entries are kept; 0 keeps all."""
        memory = told_by(client, "memory")
        limit = int(memory.get("maxmemory", 0))
        used = int(memory.get("used_memory", 0))
        if not limit or used <= self._share * limit:
            self._told = False
            return 0
        found: Any = client.xinfo_stream(self._stream)
        if not found["length"]:
            return 0
        first, last = (
            EntryId.parse(name).ms for name in (found["first-entry"][0], found["last-generated-id"])
        )
        if not self._told:
            log.warning(
                "%s is shortened before its time: Redis uses %.0f %% of its maxmemory. Raise it, "
                "or lower DRIFTGAUGE_LOG_RETENTION_HOURS",
                self._stream,
                100 * used / limit,
            )
            self._told = True
        return first + max(1, int(GIVEN_UP * (last - first)))

    def pass_over(self, readers: list[str]) -> None:
        """Log once which readers of the log miss entries."""
        if readers and readers != self._passed_over:
            log.warning(
                "%s is shortened before %s could read it. Where nobody reads, say: redis-cli "
                "XGROUP DESTROY %s NAME",
                self._stream,
                ", ".join(readers),
                self._stream,
            )
        self._passed_over = readers
