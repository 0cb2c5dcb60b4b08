"""How much of a log a Redis with a limit of memory has room for.

The hours of retention are what a log keeps where there is room. Above a share of `maxmemory` the
oldest quarter goes, again and again until there is room: entries that were counted are worth less
than events that Redis cannot take.
"""

import logging
import time
from typing import Any

import redis

from driftgauge.shared.contract.entry_id import EntryId

log = logging.getLogger("driftgauge.worker")

CHECK_S = 1.0
"""Seconds between two looks at the memory."""
GIVEN_UP = 0.25
"""Part of the log, by its time, that goes at once."""


class Room:
    """Watches the memory of a log's server.

    Parameters
    ----------
    stream
        Key of the log.
    share
        Share of `maxmemory` above which the log gives way; without a `maxmemory` it never does.
    """

    def __init__(self, stream: str, share: float) -> None:
        self._stream = stream
        self._share = share
        self._looked_at = -CHECK_S
        self._told = False

    def is_due(self) -> bool:
        """Return whether the last look was long enough ago."""
        return time.monotonic() - self._looked_at >= CHECK_S

    def keep_from(self, client: redis.Redis) -> int:
        """Return the entry time (ms) from which on there is room for entries; 0 if for all."""
        self._looked_at = time.monotonic()
        memory: Any = client.info("memory")
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
