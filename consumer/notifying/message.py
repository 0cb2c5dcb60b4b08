"""What a target is to tell. Pure."""

import msgspec

from driftgauge.shared.contract.incident import Incident


class Message(msgspec.Struct, frozen=True):
    """An incident as it stands after a transition, to be told by a target.

    Parameters
    ----------
    key
        Idempotency key: `key_of` the incident, with `-rN` of its Nth repetition, and with `-gX` if
        it tells others too. The same message has the same key however often it is sent; another
        one has another.
    incident
        The transition.
    event
        The transition as CloudEvents JSON, as it stands in the stream.
    link
        Absolute address of the incident's page; empty if the setting `public_url` is not set.
    picture
        PNG of the distribution that it is about; None without one, or for a target that takes none.
    others
        Further incidents that are told by the same message, the worst first: only of a route with
        `group_seconds`, and for a target whose configuration `groups`.
    repeat
        Number of the repetition of what was told before; 0 of news.
    silent
        Whether nobody is to be alerted: only what was told is brought up to date, in place.
    is_first
        Whether nothing of the incident was told before, whatever its transition is called.
    is_test
        Whether it is a test of the route, by a person, of nothing that happened.
    sent
        When it is sent, by the clock of Redis (Unix ms).
    """

    key: str
    incident: Incident
    event: bytes
    link: str = ""
    picture: bytes | None = None
    others: tuple[Incident, ...] = ()
    repeat: int = 0
    silent: bool = False
    is_first: bool = False
    is_test: bool = False
    sent: int = 0

    @property
    def is_reminder(self) -> bool:
        """Whether it tells nothing new: the route repeats it, or judging reminds of it."""
        return self.repeat > 0 or self.incident.change == "reminder"


def key_of(name: str, number: int, repeat: int = 0) -> str:
    """Return the idempotency key of a transition of an incident, or of its Nth repetition.

    Examples
    --------
    >>> key_of("6b3108a1eb9f83ec", 2), key_of("6b3108a1eb9f83ec", 2, repeat=1)
    ('6b3108a1eb9f83ec-2', '6b3108a1eb9f83ec-2-r1')
    """
    return f"{name}-{number}" + (f"-r{repeat}" if repeat else "")
