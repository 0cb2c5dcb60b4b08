"""What became of what was logged: counted, shown, and told to the application's log once a
minute.
"""

import sys
import time
from typing import Final

TOLD_S: Final = 60.0
"""Pause between two lines of the log."""


class Stats:
    """Counts of one process.

    Attributes
    ----------
    logged
        Events and labels that were queued, or written to the spool.
    sent
        Those that the API has taken.
    refused
        Those that the API refused, or would not let in: they are not sent again.
    dropped
        Those that were given up here, by reason: `queue_full`, `unserialisable`, `too_large`,
        `closed`, `not_sent` in time at the end, `failed` for another fault.
    unspooled
        Those that only the memory holds, or held, though there is a spool: its disk failed, or it
        is full.
    retries
        Requests that were sent again.
    last_error
        What went wrong last; empty if nothing did.
    """

    def __init__(self) -> None:
        self.logged = self.sent = self.refused = self.unspooled = self.retries = 0
        self.dropped: dict[str, int] = {}
        self.last_error = ""
        self._told: tuple[int, ...] = (0, 0, 0)
        self._told_at = time.monotonic() - TOLD_S

    def drop(self, reason: str, events: int = 1) -> None:
        """Count events that are given up."""
        self.dropped[reason] = self.dropped.get(reason, 0) + events

    def shown(self, waiting: int, spool_bytes: int) -> dict[str, object]:
        """Return the counts; `waiting` are in memory, and `spool_bytes` on disk, unsent."""
        return {
            "logged": self.logged,
            "sent": self.sent,
            "waiting": waiting,
            "spool_bytes": spool_bytes,
            "refused": self.refused,
            "dropped": dict(self.dropped),
            "unspooled": self.unspooled,
            "retries": self.retries,
            "last_error": self.last_error,
        }

    def tell(self, model: str, *, now: bool = False) -> None:
        """Log what was refused or given up since the last line, if a minute has passed."""
        counts = (self.refused, sum(self.dropped.values()), self.unspooled)
        due = now or time.monotonic() - self._told_at >= TOLD_S
        if counts == self._told or not due or sys.is_finalizing():
            return
        import logging

        refused, dropped, unspooled = (
            count - told for count, told in zip(counts, self._told, strict=True)
        )
        self._told, self._told_at = counts, time.monotonic()
        logging.getLogger("driftgauge.client").warning(
            "Of what was logged for %s lately, %d were refused by the API, %d were dropped (%s in "
            "all), %d were not spooled. Last error: %s",
            model,
            refused,
            dropped,
            self.dropped,
            unspooled,
            self.last_error or "none",
        )
