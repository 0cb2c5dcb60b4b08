"""A message on its way, and what a message leaves behind that is not told. Pure."""

from dataclasses import dataclass
from hashlib import sha256

import msgspec

from driftgauge.consumer.notifying.message import key_of
from driftgauge.shared.contract.alert import CloudEvent
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.unpacking import UNREADABLE


class Part(msgspec.Struct, frozen=True):
    """An incident of a message: its id and model, and the transition that is told."""

    id: str
    model: str
    number: int
    event: bytes


class Delivery(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message that is being sent.

    Parameters
    ----------
    parts
        What it tells, the most urgent first.
    receipt
        What it changes in place.
    repeat
        Number of the repetition; 0 for news.
    silent
        Whether nobody is notified.
    is_first
        Whether nothing of the incident was told before.
    is_beat
        Whether it only keeps alive what was told. Then it is neither written down nor counted.
    """

    parts: tuple[Part, ...]
    receipt: str = ""
    repeat: int = 0
    silent: bool = False
    is_first: bool = False
    is_beat: bool = False

    @property
    def key(self) -> str:
        """Its idempotency key: that of its first incident, with a digest of those of others."""
        lead, *others = (key_of(part.id, part.number, self.repeat) for part in self.parts)
        if not others:
            return lead
        return f"{lead}-g{sha256(' '.join(others).encode()).hexdigest()[:8]}"

    @property
    def incidents(self) -> frozenset[str]:
        """Ids of the incidents that are part of it."""
        return frozenset(part.id for part in self.parts)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A transition that is not told, with its key, its model and the reason."""

    key: str
    model: str
    reason: str
    event: bytes


def incident_in(event: bytes) -> Incident | None:
    """Return the incident in CloudEvents JSON; None if there is none that judging or the watchdog
    wrote.
    """
    try:
        return msgspec.json.decode(msgspec.json.decode(event, type=CloudEvent).data, type=Incident)
    except UNREADABLE:  # written by hand, or by another release
        return None
