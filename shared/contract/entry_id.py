"""The id of an entry in a Redis stream: two numbers, written `time-sequence`.

Redis makes the ids of logs, alerts, snapshots and commands: the time is its clock in milliseconds,
the sequence tells apart the entries of one millisecond. Counting makes the ids of the panes: the
first number is the pane's number, the second counts what follows that pane (see pane.py). Either
way ids only grow within a stream. Pure.
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple, Self

import numpy as np

from driftgauge.shared.arrays import Ints

BEGINNING: Final = "0-0"
"""Comes before every entry: where a stream is read from that was never read before."""
_FORM: Final = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")
_BITS: Final = 64
"""Size of each of the two numbers."""


class EntryId(NamedTuple):
    """The two numbers of an entry's id; they compare as Redis orders the entries.

    Parameters
    ----------
    ms
        Milliseconds since 1970 by Redis's clock; in a stream of panes the number of the pane.
    sequence
        Counts from 0 among entries with the same first number.

    Examples
    --------
    >>> EntryId.parse(b"1763650000123-4")
    EntryId(ms=1763650000123, sequence=4)
    >>> EntryId.parse("9-12") < EntryId.parse("10-0"), str(EntryId(5, 0))
    (True, '5-0')
    >>> EntryId(5, 0).next
    EntryId(ms=5, sequence=1)
    """

    ms: int
    sequence: int

    @classmethod
    def parse(cls, entry_id: str | bytes) -> Self:
        """Read an id as Redis writes it; a missing sequence is 0, as in Redis's own commands.

        Raises
        ------
        ValueError
            If it is not an id.
        """
        text = entry_id.decode() if isinstance(entry_id, bytes) else entry_id
        ms, _, sequence = text.partition("-")
        return cls(int(ms), int(sequence or 0))

    def __str__(self) -> str:
        return f"{self.ms}-{self.sequence}"

    @property
    def next(self) -> Self:
        """The least id behind it."""
        return self._replace(sequence=self.sequence + 1)


FIRST: Final = EntryId(0, 1)
"""The least id that an entry of a stream may have."""


class Place(NamedTuple):
    """Position of an entry among all partitions of a log: its id, then its partition."""

    entry: EntryId
    partition: int

    def __str__(self) -> str:
        return f"{self.entry}.{self.partition}"

    def bound(self, partition: int) -> EntryId:
        """Return the entry of a partition from which on none is before this place.

        >>> [str(Place(EntryId(5, 0), 1).bound(partition)) for partition in range(3)]
        ['5-1', '5-0', '5-0']
        """
        return self.entry.next if partition < self.partition else self.entry


def exclusive(entry_id: str | bytes | EntryId) -> str:
    """Return an id as the bound of a range that ends or begins right beside it, without it.

    Examples
    --------
    >>> exclusive(b"5-0"), exclusive(EntryId(5, 1))
    ('(5-0', '(5-1')
    """
    return f"({entry_id.decode() if isinstance(entry_id, bytes) else entry_id}"


def is_entry_id(text: str) -> bool:
    """Tell whether a text from outside is an id: two numbers of 64 bits.

    Examples
    --------
    >>> is_entry_id("1-0"), is_entry_id("$"), is_entry_id("18446744073709551616-0")
    (True, False, False)
    """
    return _FORM.fullmatch(text) is not None and max(EntryId.parse(text)) < 2**_BITS


def times_of(ids: Sequence[bytes]) -> Ints:
    """Return the milliseconds of many ids at once, faster than one by one.

    Examples
    --------
    >>> times_of([b"5-0", b"7-3"]).tolist()
    [5, 7]
    """
    text = b" ".join(ids).replace(b"-", b" ").decode()
    return np.fromstring(text, dtype=np.int64, sep=" ")[::2]
