"""The history of a version's reference: which one is used, since when, by whom and why.

Reference 0 of a version is built from its training data at registration. People can accept a later
one (accepted.py), and undo that. Each such change is numbered and written to the log of every
partition, so that it takes effect at one place in the order of events. A change that arrives twice,
or after a later one, is ignored.
"""

from typing import Annotated, Final

import msgspec

from driftgauge.shared.errors import BadData
from driftgauge.shared.unpacking import UNREADABLE

ShortText = Annotated[str, msgspec.Meta(max_length=500)]
FIELD: Final = b"e"
"""The field of a log entry that holds a change; in other entries it holds a prediction or label."""


class ReferenceChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """A change of a version's reference: from this entry of the log on, another one is used.

    Parameters
    ----------
    change
        Number of the change, from 1, counted per version.
    number
        Number of the reference that is used from here on; 0 is the one of the registration.
    who, reason
        Name of who made the change, and the reason; at most 500 characters each.
    created
        Time at which it was made, ISO 8601; empty if unknown.
    undo
        True if it goes back to the reference that was used before.
    digest
        SHA-256 (hex) of the reference's file, by which it is found; empty for the one of the
        registration, and of an undoing.
    """

    version: str
    change: Annotated[int, msgspec.Meta(ge=1, lt=2**53)]
    number: Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
    who: ShortText
    reason: ShortText
    created: str = ""
    undo: bool = False
    digest: Annotated[str, msgspec.Meta(max_length=64)] = ""


class ReferenceHistory(msgspec.Struct, frozen=True):
    """All changes of a version's reference, oldest first.

    Examples
    --------
    >>> history = ReferenceHistory().accepted("1.0.0", "ann", "new supplier", created="")
    >>> history = history.accepted("1.0.0", "ann", "another one", created="")
    >>> history.number, history.undone("1.0.0", "bob", "too early", created="").number
    (2, 1)
    """

    changes: tuple[ReferenceChange, ...] = ()

    @property
    def number(self) -> int:
        """Number of the reference in use."""
        return self.changes[-1].number if self.changes else 0

    @property
    def next_number(self) -> int:
        """Number that the next accepted reference gets; no number is used twice."""
        return max((change.number for change in self.changes), default=0) + 1

    def accepted(self, version: str, who: str, reason: str, created: str) -> "ReferenceHistory":
        """Return the history with the acceptance of the next reference."""
        return self._with(
            ReferenceChange(version, len(self.changes) + 1, self.next_number, who, reason, created)
        )

    def undone(self, version: str, who: str, reason: str, created: str) -> "ReferenceHistory":
        """Return the history with a step back to the reference used before the current one.

        Raises
        ------
        BadData
            If the reference of the registration is in use.
        """
        if not self.number:
            raise BadData(
                f"{version} is judged by the reference that it was registered with; there is "
                f"nothing to undo."
            )
        before = self._before(self.number)
        return self._with(
            ReferenceChange(version, len(self.changes) + 1, before, who, reason, created, undo=True)
        )

    def _before(self, number: int) -> int:
        """Return the number of the reference in use when this one was accepted."""
        place = next(
            at
            for at, change in enumerate(self.changes)
            if change.number == number and not change.undo
        )
        return self.changes[place - 1].number if place else 0

    def _with(self, change: ReferenceChange) -> "ReferenceHistory":
        return ReferenceHistory((*self.changes, change))


def reference_key(version: str, number: int) -> str:
    """Return the name of a version together with one of its references.

    With the reference of the registration it is the version itself.

    Examples
    --------
    >>> reference_key("1.0.0", 0), reference_key("1.0.0", 2)
    ('1.0.0', '1.0.0#2')
    """
    return f"{version}#{number}" if number else version


_decoder = msgspec.json.Decoder(ReferenceChange)
encode_change = msgspec.json.Encoder().encode


def decode_change(packed: bytes) -> ReferenceChange:
    """Read a change from a log entry.

    Raises
    ------
    ValueError
        If it cannot be read, with the reason.
    """
    try:
        return _decoder.decode(packed)
    except UNREADABLE as error:
        raise ValueError(f"content cannot be read: {error}") from error
