"""A route with a target that is played: what it was sent, and what is committed of it."""

from typing import Any

from driftgauge.consumer.notifying.routes import Route
from driftgauge.consumer.notifying.routing.choosing import Traits
from driftgauge.consumer.notifying.routing.flight import DeadLetter, Flight
from driftgauge.consumer.notifying.routing.ledger import Ledger
from tests.consumer.notifying.builders import route, transition

SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000
START = 1_763_640_000_000
"""2025-11-20 12:00 UTC, in ms."""


class World:
    """The ledger of a route, its clock, and the commits; as the stage does, it commits after each
    step, so that it can be loaded again at any time.
    """

    def __init__(self, traits: Traits | None = None, **more: Any) -> None:
        self.route: Route = route(**more)
        self.traits = traits or Traits()
        self.now = START
        self.fields: dict[bytes, bytes] = {}
        self.sent: list[Flight] = []
        self.letters: list[DeadLetter] = []
        self._entries = 0
        self.restart()

    def restart(self) -> None:
        """Load the ledger from what is committed."""
        self.ledger = Ledger(self.route, self.traits, self.fields)

    def commit(self) -> None:
        self.letters += self.ledger.take_letters()
        for name, value in self.ledger.changes(self.now).items():
            if value:
                self.fields[name] = value
            else:
                self.fields.pop(name, None)

    def read(self, name: str, number: int, change: str = "opened", **more: Any) -> None:
        """Let a transition of an incident come in."""
        self._entries += 1
        event = transition(name, number, change, **more)
        self.ledger.read("plant", f"{self._entries}-0".encode(), event, self.now)
        self.commit()

    def start(self) -> Flight | None:
        """Begin to send what is due."""
        flight = self.ledger.next(self.now)
        self.commit()
        return flight

    def take(self, receipt: str = "") -> list[str]:
        """Let the target take all that is due; return the keys."""
        keys = []
        while (flight := self.start()) is not None:
            keys.append(flight.key)
            self.sent.append(flight)
            self.ledger.taken(receipt, self.now)
            self.commit()
        return keys

    def fail(self, after_s: float | None = None) -> None:
        """Let the target not take what is due."""
        assert self.start() is not None
        self.ledger.postponed("status 503", after_s, self.now)
        self.commit()

    def refuse(self) -> None:
        """Let the target refuse what is due."""
        assert self.start() is not None
        self.ledger.refused("status 400", self.now)
        self.commit()

    def wait(self, ms: int) -> None:
        self.now += ms

    def take_in_time(self, ms: int) -> list[str]:
        """Let the target take all that becomes due within a time."""
        end, keys = self.now + ms, self.take()
        while (due := self.ledger.due_at()) is not None and due <= end:
            self.now = max(self.now + 1, due)
            keys += self.take()
        self.now = end
        return keys
