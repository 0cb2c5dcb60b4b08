"""What stood in the logs: Redis forgets some of it, as it should when it is full, or as it must not
when its keys are deleted or an older copy comes back.

A log loses entries in three ways. It is trimmed at its head, behind what is counted: such entries
still belong to it. Its tail is forgotten by a crash, and sent again by the publishers under other
entry ids: such entries never were. Or it goes back, or is deleted: what was in it then is *gone*,
and somebody has to be told.
"""

from collections.abc import Callable, Mapping
from typing import Any

import redis
from redis.client import Pipeline

from benchmarks.chaos.oracle import LogEntry
from benchmarks.chaos.plant.model import keys_of
from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.registry.registry import PublishedVersion

Place = tuple[str, int]
"""Model and partition."""
MOST_FORGOTTEN_MS = 20_000
"""What a crash may take is younger than this."""


class Record:
    """The entries of all logs.

    Parameters
    ----------
    versions
        Version of each model.

    Attributes
    ----------
    gone
        Entries that were in a log and are in it no more, although nobody trimmed it.
    judged_before
        Models of which panes were judged that cannot be counted any more: a run over the log that
        is left judges others.
    """

    def __init__(self, versions: Mapping[str, PublishedVersion]) -> None:
        self._logs = {
            (model, partition): keys_of(version).log(model, partition)
            for model, version in versions.items()
            for partition in range(version.manifest.partitions)
        }
        self._entries: dict[Place, dict[bytes, dict[bytes, bytes]]] = {
            place: {} for place in self._logs
        }
        self.gone: dict[Place, list[LogEntry]] = {place: [] for place in self._logs}
        self.judged_before: set[str] = set()

    def take(self, client: redis.Redis) -> None:
        """Read what is new in the logs."""
        for place, log in self._logs.items():
            found: Any = client.xrange(log, min=self._after(place))
            self._entries[place].update(found)

    def take_and(self, client: redis.Redis, then: Callable[[Pipeline], Any]) -> None:
        """Read what is new in the logs, and in the same transaction do something that makes Redis
        forget.
        """
        with client.pipeline(transaction=True) as pipe:
            for place, log in self._logs.items():
                pipe.xrange(log, min=self._after(place))
            then(pipe)
            replies = pipe.execute()
        for place, found in zip(self._logs, replies, strict=False):
            self._entries[place].update(found)

    def crashed(self, client: redis.Redis) -> None:
        """Drop the entries that a crash took: the publishers send them again."""
        self._taken(client, within_ms=MOST_FORGOTTEN_MS)

    def deleted(self) -> None:
        """Note that the logs were deleted just after they were taken."""
        for place, entries in self._entries.items():
            self.gone[place] += entries.items()
            entries.clear()
        self.judged_before.clear()

    def counted_anew(self, client: redis.Redis, place: Place) -> None:
        """Note that a log is counted from its first entry on: what was trimmed before is gone."""
        oldest: Any = client.xrange(self._logs[place], count=1)
        first = EntryId.parse(oldest[0][0]) if oldest else EntryId(0, 0)
        known = self._entries[place]
        trimmed = [one for one in known if EntryId.parse(one) < first]
        if trimmed:
            self.judged_before.add(place[0])
        self.gone[place] += [(one, known.pop(one)) for one in trimmed]

    def restored(self, client: redis.Redis) -> None:
        """Note that an older copy came back after the logs were taken."""
        for place, entries in self._taken(client):
            self.gone[place] += entries

    def entries(self, place: Place) -> list[LogEntry]:
        """Return the entries of a log, trimmed ones too, in its order."""
        return sorted(self._entries[place].items(), key=lambda entry: EntryId.parse(entry[0]))

    def _after(self, place: Place) -> str:
        last = next(reversed(self._entries[place]), None)
        return "-" if last is None else f"({last.decode()}"

    def _taken(
        self, client: redis.Redis, within_ms: int | None = None
    ) -> list[tuple[Place, list[LogEntry]]]:
        """Remove the entries that are in their logs no more, and were not trimmed; `within_ms`
        looks only at the latest ones.
        """
        found = []
        for place, log in self._logs.items():
            known = self._entries[place]
            if not known:
                continue
            last = EntryId.parse(next(reversed(known)))
            low = EntryId(0 if within_ms is None else max(0, last.ms - within_ms), 0)
            oldest: Any = client.xrange(log, count=1)
            first = EntryId.parse(oldest[0][0]) if oldest else low
            left: Any = client.xrange(log, min=str(low), max=str(last))
            there = {entry_id for entry_id, _ in left}
            lost = [
                one for one in known if one not in there and EntryId.parse(one) >= max(first, low)
            ]
            found.append((place, [(one, known.pop(one)) for one in lost]))
        return found
