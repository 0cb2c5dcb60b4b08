"""A route with a target that is played: what it was sent, and what is committed of it."""

from typing import Any

from msgspec.structs import replace

from driftgauge.consumer.notifying.routes import Route
from driftgauge.consumer.notifying.routing.choosing import Traits
from driftgauge.consumer.notifying.routing.delivery import DeadLetter, Delivery
from driftgauge.consumer.notifying.routing.dispatcher import Dispatcher
from driftgauge.shared.contract.entry_id import EntryId
from tests.consumer.notifying.builders import route, transition

SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000
START = 1_763_640_000_000
"""2025-11-20 12:00 UTC, in ms."""


class World:
    """The dispatcher of a route, its clock, and the commits; as the stage does, it commits after
    each step, so that it can be loaded again at any time.
    """

    def __init__(self, traits: Traits | None = None, **more: Any) -> None:
        self.route: Route = route(**more)
        self.traits = traits or Traits()
        self.now = START
        self.fields: dict[bytes, bytes] = {}
        self.sent: list[Delivery] = []
        self.letters: list[DeadLetter] = []
        self._stream: list[tuple[bytes, bytes]] = []
        self.restart()

    def restart(self, **words: Any) -> None:
        """Load the dispatcher from what is committed, by other words of the route if there are."""
        self.route = replace(self.route, **words)
        self.dispatcher = Dispatcher(self.route, self.traits, self.fields)

    def commit(self) -> None:
        self.letters += self.dispatcher.take_letters()
        for name, value in self.dispatcher.changes(self.now).items():
            if value:
                self.fields[name] = value
            else:
                self.fields.pop(name, None)

    def read(
        self, name: str, number: int, change: str = "opened", behind: int = 0, **more: Any
    ) -> None:
        """Let a transition of an incident come in, which was written some time (ms) ago."""
        entry_id = f"{self.now - behind}-{len(self._stream)}".encode()
        self._stream.append((entry_id, transition(name, number, change, **more)))
        self.dispatcher.read("plant", *self._stream[-1], self.now)
        self.commit()

    def read_again(self) -> None:
        """Read on from where the dispatcher is, as the stage does after a restart."""
        offset = self.dispatcher.offsets.get("plant", b"0-0")
        self.dispatcher.begin("plant", offset)
        for entry_id, event in self._stream:
            if EntryId.parse(entry_id) > EntryId.parse(offset):
                self.dispatcher.read("plant", entry_id, event, self.now)
        self.commit()

    def start(self) -> Delivery | None:
        """Begin to send what is due."""
        delivery = self.dispatcher.next(self.now)
        self.commit()
        return delivery

    def take(self, receipt: str = "") -> list[str]:
        """Let the target take all that is due; return the keys."""
        keys = []
        while (delivery := self.start()) is not None:
            keys.append(delivery.key)
            self.sent.append(delivery)
            self.dispatcher.taken(receipt, self.now)
            self.commit()
        return keys

    def fail(self, after_s: float | None = None) -> None:
        """Let the target not take what is due."""
        assert self.start() is not None
        self.dispatcher.postponed("status 503", after_s, self.now)
        self.commit()

    def refuse(self) -> None:
        """Let the target refuse what is due."""
        assert self.start() is not None
        self.dispatcher.refused("status 400", self.now)
        self.commit()

    def wait(self, ms: int) -> None:
        self.now += ms

    def take_in_time(self, ms: int) -> list[str]:
        """Let the target take all that becomes due within a time."""
        end, keys = self.now + ms, self.take()
        while (due := self.dispatcher.due_at(self.now)) is not None and due <= end:
            self.now = max(self.now + 1, due)
            keys += self.take()
        self.now = end
        return keys
