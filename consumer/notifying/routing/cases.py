"""The incidents that a route knows: a bounded number, and which of them changed since the last
commit. Pure.
"""

from collections.abc import Container, Iterator, Mapping
from typing import Final

import msgspec

from driftgauge.consumer.notifying.routing.case import Case

MOST: Final = 1000
"""Most incidents that a route knows."""
FIELD: Final = b"case:"
"""Beginning of the name of a case's field; the incident's id follows."""


class Cases:
    """Cases by the id of their incident."""

    def __init__(self) -> None:
        self._cases: dict[str, Case] = {}
        self._changed: set[str] = set()

    def __iter__(self) -> Iterator[Case]:
        """Iterate over the cases as they are now; they may be changed meanwhile."""
        return iter(list(self._cases.values()))

    def __len__(self) -> int:
        return len(self._cases)

    def load(self, fields: Mapping[bytes, bytes]) -> None:
        """Take up the committed cases."""
        for name, packed in fields.items():
            if name.startswith(FIELD):
                case = msgspec.msgpack.decode(packed, type=Case)
                self._cases[case.id] = case

    def get(self, incident: str) -> Case | None:
        """Return a case; None if it is not known."""
        return self._cases.get(incident)

    def put(self, case: Case) -> None:
        """Keep a case as it is now."""
        self._cases[case.id] = case
        self._changed.add(case.id)

    def drop(self, incident: str) -> None:
        """Forget a case, if it is known."""
        if self._cases.pop(incident, None) is not None:
            self._changed.add(incident)

    def settle(self, case: Case) -> None:
        """Keep a case, unless its incident is over and nothing of it was told."""
        if case.is_open or case.is_known:
            self.put(case)
        else:
            self.drop(case.id)

    def surplus(self, flying: Container[str]) -> Case | None:
        """Return the case to forget if there are too many, but none that is being told: of those
        that are over the oldest, then of those that were not told, then of those that were, then of
        those that wait.
        """
        if len(self._cases) <= MOST:
            return None
        return min(
            (case for case in self._cases.values() if case.id not in flying),
            key=lambda case: (
                case.news is not None,
                case.is_open,
                case.told > 0,
                case.updated,
                case.id,
            ),
        )

    def changes(self) -> dict[bytes, bytes]:
        """Return the fields that changed since the last call; empty ones are to be deleted."""
        found = {}
        for name in sorted(self._changed):
            case = self._cases.get(name)
            found[FIELD + name.encode()] = b"" if case is None else msgspec.msgpack.encode(case)
        self._changed.clear()
        return found
