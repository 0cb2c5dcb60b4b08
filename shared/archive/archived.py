"""What the checkpoints of archiving hold beside their offsets. Pure."""

from typing import Final

import msgspec

STATE: Final = b"state"
OFFSET: Final = b"offset"
ARCHIVE_GROUP: Final = "archive"
"""The consumer group of a log whose offset is how far it was archived: the log waits for it."""


class Followed(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was archived of a stream that is followed.

    Parameters
    ----------
    end
        Id of the last entry that is archived; empty before the first.
    plan
        Id of the entry with which the next cut ends, while it is being written; else empty.
    references
        Of panes: the numbers of the references by which versions were counted at the end, of those
        that had another one than the registered one.
    """

    end: str = ""
    plan: str = ""
    references: dict[str, int] = {}


class Archived(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was archived of a partition.

    Parameters
    ----------
    plan
        Id of the entry with which the next cut ends, while it is being written; else empty.
    predictions, labels, refused
        Rows that were written.
    missing
        Predictions that were counted and trimmed from the log before they could be archived.
    counted
        Predictions that counting had counted when the archive was level with it the last time;
        -1 if it never was.
    since
        Predictions that were archived since then.

    Examples
    --------
    >>> Archived(counted=100, since=40).level_with(150)
    Archived(plan='', predictions=0, labels=0, refused=0, missing=10, counted=150, since=0)
    """

    plan: str = ""
    predictions: int = 0
    labels: int = 0
    refused: int = 0
    missing: int = 0
    counted: int = -1
    since: int = 0

    def level_with(self, counted: int) -> "Archived":
        """Return it when all is archived of what was counted, and see whether all was found."""
        due = counted - self.counted if self.counted >= 0 else self.since
        missing = self.missing + max(0, due - self.since)
        return msgspec.structs.replace(self, missing=missing, counted=counted, since=0)
