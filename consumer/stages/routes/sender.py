"""Sends the messages of a route, one after the other, in a thread beside the stage: so a slow
target holds up neither the lease nor anybody else.
"""

import logging
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from msgspec.structs import replace

from driftgauge.consumer.notifying.message import Message
from driftgauge.consumer.notifying.routing.delivery import Delivery, incident_in
from driftgauge.consumer.notifying.targets.base import Later, Refused, Target
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.wording.visible import visible

log = logging.getLogger("driftgauge.notifying")

PAGE: Final = "/dashboard/incidents/"
LONGEST_REASON: Final = 300
Draw = Callable[[Incident], bytes | None]
"""A function that draws the picture of an incident as PNG; None if there is none. It is called in
the thread of the sender, and must be bounded in time.
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a message.

    Parameters
    ----------
    receipt
        What the target gave; None if it did not take the message.
    reason
        Why it did not.
    is_final
        Whether it never will.
    after_s
        For how long it asks to be left alone; None if it did not say.
    maybe_taken
        Whether it may have taken the message all the same.
    """

    receipt: str | None = None
    reason: str = ""
    is_final: bool = False
    after_s: float | None = None
    maybe_taken: bool = False


def no_picture(incident: Incident) -> None:
    """Draw nothing."""


class Sender:
    """Sends the messages of a route to its target.

    Parameters
    ----------
    name
        Name of the stage, for the log.
    target
        The target, which no one else uses.
    public_url
        Address of the API for the links; empty for none.
    draw
        What draws the pictures.
    """

    def __init__(self, name: str, target: Target, public_url: str, draw: Draw = no_picture) -> None:
        self._name, self._target = name, target
        self._public_url, self._draw = public_url.rstrip("/"), draw
        self._thread: threading.Thread | None = None
        self._delivery: Delivery | None = None
        self._outcome = Outcome()

    @property
    def delivery(self) -> Delivery | None:
        """The message that is not done yet; None without one."""
        return self._delivery

    def start(self, delivery: Delivery, now: int) -> None:
        """Start to send a message; the one before must have come to its end."""
        self._delivery = delivery
        self._thread = threading.Thread(
            target=self._send, args=(delivery, now), name=f"{self._name} sending", daemon=True
        )
        self._thread.start()

    def outcome(self, wait_s: float) -> Outcome | None:
        """Return the outcome of the message; None if there is no message, or it is still being sent
        after a time.
        """
        if self._thread is None:
            return None
        self._thread.join(wait_s)
        return None if self._thread.is_alive() else self._outcome

    def done(self) -> None:
        """Forget the message: its outcome is committed, or is nobody's business."""
        self._thread = self._delivery = None

    def close(self) -> None:
        """Release the target, unless it is still in use: then the thread ends with its message."""
        if self._thread is None or not self._thread.is_alive():
            self._target.close()

    def _send(self, delivery: Delivery, now: int) -> None:
        self._outcome = self._tried(delivery, now)

    def _tried(self, delivery: Delivery, now: int) -> Outcome:
        """Send a message; whatever is raised becomes an outcome."""
        try:
            message = message_of(delivery, self._public_url, now)
            if self._target.pictures and not delivery.is_beat:
                message = replace(message, picture=self._picture(message.incident))
            return Outcome(self._target.send(message, delivery.receipt))
        except Refused as error:
            return Outcome(reason=_bounded(error.reason), is_final=True)
        except Later as error:
            reason = _bounded(error.reason)
            return Outcome(reason=reason, after_s=error.after_s, maybe_taken=error.maybe_taken)
        except Exception as error:  # noqa: BLE001  a fault of the target's code is tried again
            self._complain("a message could not be sent", error)
            reason = f"a fault of Driftgauge ({type(error).__name__}); see the log"
            return Outcome(reason=reason, maybe_taken=True)

    def _picture(self, incident: Incident) -> bytes | None:
        """Return the picture; without one the message goes all the same."""
        try:
            return self._draw(incident)
        except Exception as error:  # noqa: BLE001  as the docstring says
            self._complain("a picture could not be drawn", error)
            return None

    def _complain(self, what: str, error: Exception) -> None:
        """Log a fault with its place, without its message, which may quote a secret."""
        place = "".join(traceback.format_tb(error.__traceback__)[-3:])
        log.error("%s: %s (%s)\n%s", self._name, what, type(error).__name__, place)


def _bounded(reason: str) -> str:
    """Return a reason, of which a server may have said a part, in a length that can be kept."""
    return visible(reason[:LONGEST_REASON])


def message_of(delivery: Delivery, public_url: str, now: int) -> Message:
    """Return the message that a delivery carries.

    Raises
    ------
    Refused
        If it carries no incident, because another release wrote it down.
    """
    found = [(part, incident_in(part.event)) for part in delivery.parts]
    incidents = [incident for _, incident in found if incident is not None]
    if not incidents or found[0][1] is None:
        raise Refused("it holds no incident that this release can read")
    lead = incidents[0]
    return Message(
        key=delivery.key,
        incident=lead,
        event=delivery.parts[0].event,
        link=link_of(public_url, lead),
        others=tuple(incidents[1:]),
        repeat=delivery.repeat,
        silent=delivery.silent,
        is_first=delivery.is_first,
        sent=now,
    )


def link_of(public_url: str, incident: Incident) -> str:
    """Return the address of the page of an incident; empty if nobody said where the API is."""
    return f"{public_url}{PAGE}{quote(incident.id, safe='')}" if public_url else ""
