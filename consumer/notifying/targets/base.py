"""The verbs of a target, and the two ways in which it fails.

A target is used by one thread at a time. It knows neither Redis nor the lease: what it returns is
committed by the stage after it returned, and a crash between both sends the same message again,
with the same key.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

from driftgauge.consumer.notifying.message import Message
from driftgauge.shared.errors import DriftgaugeError


class Refused(DriftgaugeError):
    """The target will never take this message: it becomes a dead letter of the route.

    Parameters
    ----------
    reason
        What was wrong, in words that hold neither address nor secret.
    status
        Status of the HTTP answer that says so; None if none does.
    """

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


class Later(DriftgaugeError):
    """The target did not take the message now, and may take it later.

    Parameters
    ----------
    reason
        What was wrong, in words that hold neither address nor secret.
    after_s
        Time (s) for which it asks to be left alone; None if it did not say. It is bounded by who
        obeys it.
    maybe_taken
        Whether it may have taken the message all the same: the answer was lost. Then the end of the
        incident is told, although nobody knows whether its beginning was.
    """

    def __init__(
        self, reason: str, after_s: float | None = None, *, maybe_taken: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after_s = after_s
        self.maybe_taken = maybe_taken


class Target(ABC):
    """A place to which messages are sent.

    Attributes
    ----------
    pictures
        Whether it takes a picture.
    in_place
        Whether a message that was sent is changed by a later one, so that changes of which people
        are not notified are sent too (`Message.silent`), and an end that nobody is notified of.
    beat_s
        Time (s) after which an open incident is sent again although nothing changed, for a target
        that forgets what is not repeated; None for none. Such a message has the key of the last
        one, and is not counted.
    """

    pictures: ClassVar[bool] = False
    in_place: ClassVar[bool] = False
    beat_s: ClassVar[float | None] = None

    @abstractmethod
    def send(self, message: Message, receipt: str) -> str:
        """Send a message, or change in place what a receipt names.

        Parameters
        ----------
        receipt
            What the last `send` for this incident returned; empty at first.

        Returns
        -------
        str
            The new receipt, at most 2,000 characters; empty if there is nothing to change later.

        Raises
        ------
        Refused
            If it will never be taken.
        Later
            If it may be taken later. Any other exception counts as this.
        """

    def close(self) -> None:  # noqa: B027  most targets hold nothing
        """Release its resources."""
