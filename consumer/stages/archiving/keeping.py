"""Looks after the days of a model's archive from time to time, beside archiving: one at a turn."""

import logging
import math
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import redis

from driftgauge.shared.archive.archived import OFFSET
from driftgauge.shared.archive.store import Store
from driftgauge.shared.archive.upkeep.tending import tend
from driftgauge.shared.connections.redis_client import server_ms
from driftgauge.shared.contract.entry_id import BEGINNING, EntryId
from driftgauge.shared.contract.keys import Keys

log = logging.getLogger("driftgauge.worker")

FIRST_S: Final = 60.0
"""Time (s) after which a new owner looks after the days."""
PAUSE_S: Final = 3600.0
"""Pause (s) between two rounds over all days."""


class Keeping:
    """Keeps a model's days: those that are too old go, small files of the others are joined.

    Parameters
    ----------
    client_of
        Returns the client of a key's server.
    logs
        Number of the model's partitions.
    keep_days
        Days that are kept; 0 keeps all.
    removed
        Function that is told how many days were removed.
    """

    def __init__(
        self,
        client_of: Callable[[str], redis.Redis],
        keys: Keys,
        model: str,
        logs: int,
        store: Store,
        keep_days: int,
        removed: Callable[[int], None],
    ) -> None:
        self._client_of, self._keys, self._model, self._logs = client_of, keys, model, logs
        self._store, self._keep_days, self._removed = store, keep_days, removed
        self._round: Iterator[int] | None = None
        self.due_at = time.monotonic() + FIRST_S
        """When the next round is due, by the monotonic clock (s)."""

    def turn(self, hold: Callable[[], None]) -> bool:
        """Look after the next day, if a round is due; return whether there may be another."""
        if self._round is None:
            if time.monotonic() < self.due_at:
                return False
            self._round = self._begin(hold)
        try:
            removed = next(self._round, None)
        except OSError as error:  # the next round does what is left
            log.warning("archive of %s: its days are not looked after now: %s", self._model, error)
            removed = None
        except Exception:  # the lease or Redis is gone: who has it next begins anew
            self._end()
            raise
        if removed is None:
            self._end()
            return False
        self._removed(removed)
        return True

    def _end(self) -> None:
        self._round, self.due_at = None, time.monotonic() + PAUSE_S

    def _begin(self, hold: Callable[[], None]) -> Iterator[int]:
        now_ms = server_ms(self._client_of(self._keys.archive(self._model, 0)))
        waiting = min(self._waiting_ms(place) for place in range(self._logs))
        return tend(self._store, self._model, now_ms, waiting, self._keep_days, hold)

    def _waiting_ms(self, partition: int) -> float:
        """Return the time of a log's first entry that is not archived; infinity without one."""
        name = self._keys.archive(self._model, partition)
        client = self._client_of(name)
        offset: Any = client.hget(name, OFFSET.decode())
        behind = offset.decode() if offset else BEGINNING
        found: Any = client.xrange(self._keys.log(self._model, partition), f"({behind}", count=1)
        return EntryId.parse(found[0][0]).ms if found else math.inf
