"""The incidents that a route knows: a bounded number, and which of them changed since the last
commit. Pure.
"""

from collections.abc import Container, Iterator, Mapping
from typing import Final

import msgspec

from driftgauge.consumer.notifying.routing.tracked_incident import TrackedIncident

MOST: Final = 1000
"""Most incidents that a route knows."""
FIELD: Final = b"case:"
"""Beginning of the name of an incident's field; its id follows."""


class TrackedIncidents:
    """Tracked incidents by the id of their incident."""

    def __init__(self) -> None:
        self._incidents: dict[str, TrackedIncident] = {}
        self._changed: set[str] = set()

    def __iter__(self) -> Iterator[TrackedIncident]:
        """Iterate over the incidents as they are now; they may be changed meanwhile."""
        return iter(list(self._incidents.values()))

    def __len__(self) -> int:
        return len(self._incidents)

    def load(self, fields: Mapping[bytes, bytes]) -> None:
        """Take up what is committed."""
        for name, packed in fields.items():
            if name.startswith(FIELD):
                tracked = msgspec.msgpack.decode(packed, type=TrackedIncident)
                self._incidents[tracked.id] = tracked

    def get(self, incident: str) -> TrackedIncident | None:
        """Return an incident; None if it is not known."""
        return self._incidents.get(incident)

    def put(self, tracked: TrackedIncident) -> None:
        """Keep an incident as it is now."""
        self._incidents[tracked.id] = tracked
        self._changed.add(tracked.id)

    def drop(self, incident: str) -> None:
        """Forget an incident, if it is known."""
        if self._incidents.pop(incident, None) is not None:
            self._changed.add(incident)

    def settle(self, tracked: TrackedIncident) -> None:
        """Keep an incident, unless it is over and nothing of it was told."""
        if tracked.is_open or tracked.is_known:
            self.put(tracked)
        else:
            self.drop(tracked.id)

    def surplus(self, in_delivery: Container[str]) -> TrackedIncident | None:
        """Return the incident to forget if there are too many, but none that is being told: of
        those that are over the oldest, then of those that were not told, then of those that were,
        then of those that wait.
        """
        if len(self._incidents) <= MOST:
            return None
        return min(
            (tracked for tracked in self._incidents.values() if tracked.id not in in_delivery),
            key=lambda tracked: (
                tracked.news is not None,
                tracked.is_open,
                tracked.told > 0,
                tracked.updated,
                tracked.id,
            ),
        )

    def changes(self) -> dict[bytes, bytes]:
        """Return the fields that changed since the last call; empty ones are to be deleted."""
        found = {}
        for name in sorted(self._changed):
            tracked = self._incidents.get(name)
            found[FIELD + name.encode()] = (
                b"" if tracked is None else msgspec.msgpack.encode(tracked)
            )
        self._changed.clear()
        return found
