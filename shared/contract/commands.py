"""Commands of people to judging. The API or the command line writes them to a model's commands
stream, judging applies each exactly once and records it as an alert transition.

A new command is one more tagged struct in `Command`, and its application in
consumer/judging/commanding.py. Times are logical Unix times in ms.
"""

from typing import Annotated, Final

import msgspec

from driftgauge.shared.errors import BadData
from driftgauge.shared.unpacking import UNREADABLE

COMMANDS_KEPT: Final = 1000
FIELD: Final = b"c"
"""The field of a commands entry that holds the command."""

Fingerprint = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}$")]
Words = Annotated[str, msgspec.Meta(max_length=500)]


class Acknowledge(msgspec.Struct, frozen=True, tag="acknowledge", forbid_unknown_fields=True):
    """A person has seen an open alert or incident, so there are no more reminders of it.

    `fingerprint` is that of the alert, or the id of the incident.
    """

    fingerprint: Fingerprint
    who: Words
    note: Words = ""


class SilenceAlert(msgspec.Struct, frozen=True, tag="silence", forbid_unknown_fields=True):
    """Send no notifications of an alert or incident for some minutes of logical time, or until a
    logical time (ms): exactly one of the two is given.
    """

    fingerprint: Fingerprint
    who: Words
    note: Words = ""
    minutes: Annotated[float, msgspec.Meta(gt=0, le=527_040)] | None = None
    until: Annotated[int, msgspec.Meta(gt=0, lt=2**53)] | None = None

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.until is None):
            raise ValueError("give either `minutes` or `until`")


Command = Acknowledge | SilenceAlert

_decoder = msgspec.json.Decoder(Command)
encode = msgspec.json.Encoder().encode


def decode(packed: bytes | None) -> Command:
    """Read a command.

    Raises
    ------
    BadData
        If it cannot be decoded; the message says why.

    Examples
    --------
    >>> decode(b'{"type":"acknowledge","fingerprint":"71256aeb82dfcc53","who":"ann"}').who
    'ann'
    """
    try:
        command: Command = _decoder.decode(packed or b"")
    except UNREADABLE as error:  # what anybody may have written by hand
        raise BadData(f"not a command: {error}") from error
    return command
