"""How long a log is kept: for its hours of retention, and until its readers have read it, if there
is room.

Above a share of `maxmemory` its oldest quarter is deleted, again and again until there is room:
counted entries are worth less than events that Redis cannot take. What was not counted is never
deleted: if that alone fills Redis, the API spools.
"""

import logging
import time
from typing import Any, Final

import redis

from driftgauge.shared.archive.archived import ARCHIVE_GROUP
from driftgauge.shared.connections.redis_client import told_by
from driftgauge.shared.connections.streams import create_group
from driftgauge.shared.contract.entry_id import BEGINNING, EntryId
from driftgauge.shared.contract.events import MONITOR_GROUP

log = logging.getLogger("driftgauge.worker")

GIVEN_UP = 0.25
"""Share of the log, by its time, that is deleted at once."""
READERS_CHECK_S: Final = 5.0
"""Time (s) for which the offsets of a log's readers are cached; they only grow."""


class Readers:
    """The other consumer groups of a log: what they have not read is kept while there is room.

    Parameters
    ----------
    stream
        Key of the log.
    archive_lag_ms
        How long entries are kept for the archive, also where no worker can begin with it; None if
        there is none.
    """

    def __init__(self, client: redis.Redis, stream: str, archive_lag_ms: int | None) -> None:
        self._client, self._stream = client, stream
        self._archive_lag_ms = archive_lag_ms
        self._offsets: list[int] = []
        self._read_at: float | None = None

    def begin(self) -> None:
        """Let the log wait for the archive from its first entry on, though archiving may begin
        later, and in another worker.
        """
        self._read_at = None
        if self._archive_lag_ms is not None:
            create_group(self._client, self._stream, ARCHIVE_GROUP, BEGINNING)

    def offsets(self, entry_ms: int) -> list[int]:
        """Return how far each has read (ms); `entry_ms` is the time of the last counted entry."""
        now = time.monotonic()
        if self._read_at is None or now - self._read_at >= READERS_CHECK_S:
            groups = self.by_name()
            if self._archive_lag_ms is not None and ARCHIVE_GROUP in groups:
                oldest = entry_ms - self._archive_lag_ms
                groups[ARCHIVE_GROUP] = max(groups[ARCHIVE_GROUP], oldest)
            self._offsets, self._read_at = list(groups.values()), now
        return self._offsets

    def behind(self, ms: int) -> list[str]:
        """Return the names of those that have not read all before a time (ms)."""
        return [name for name, offset in self.by_name().items() if offset < ms]

    def by_name(self) -> dict[str, int]:
        """Return how far each has read (ms), by name."""
        found: Any = self._client.xinfo_groups(self._stream)
        groups = {
            group["name"].decode(errors="replace"): EntryId.parse(group["last-delivered-id"]).ms
            for group in found
        }
        groups.pop(MONITOR_GROUP, None)
        if self._archive_lag_ms is None:  # nobody moves it on
            groups.pop(ARCHIVE_GROUP, None)
        return groups


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
