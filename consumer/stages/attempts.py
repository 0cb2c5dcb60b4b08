"""What a stage does about work that fails again and again: it finds the entry, and sets it aside.

A batch that failed three times is taken entry by entry. An entry that alone failed three times is
set aside: its stage writes it to the dead letters, in the transaction that passes it, and goes on.
If entry after entry fails, it is not the entries: then nothing more is set aside, the stage tries
on, and people are told. The same holds for every fault of Redis, or of which Driftgauge knows the
reason, such as a version that was not published.

What was tried is known to the process alone; another worker that takes over begins anew.
"""

import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

import msgspec
import redis

from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.contract.fault import TRIES, StageFault
from driftgauge.shared.errors import DriftgaugeError
from driftgauge.shared.unpacking import UNREADABLE

MOST_IN_A_ROW = 10
"""Entries set aside without one between them that could be processed."""
MOST_REMEMBERED = 1000
"""Entries set aside that are remembered: until their commit they may come again."""
LONGEST_REASON = 300
DEAD_BYTES = 1 << 16
"""Most bytes of each field of an entry that are kept in the dead letters."""
NOT_THE_ENTRY = (redis.RedisError, DriftgaugeError, OSError, MemoryError)
"""Faults that no entry is to blame for."""

T = TypeVar("T")


class Attempts(Generic[T]):
    """The attempts of one stage.

    Parameters
    ----------
    stage
        Its name.
    id_of
        Returns the id of an entry, different from all others that the stage reads.

    Examples
    --------
    >>> attempts = Attempts[bytes]("counting steel.0", bytes.decode)
    >>> for _ in range(2 * TRIES):
    ...     try:
    ...         for part in attempts.parts([b"1-0", b"2-0", b"3-0"]):
    ...             _ = 1 / (b"2-0" not in part)
    ...     except ZeroDivisionError as error:
    ...         _ = attempts.failed(error, now_ms=0)
    >>> for part in attempts.parts([b"1-0", b"2-0", b"3-0"]):
    ...     print(part, attempts.aside(part))
    [b'1-0'] None
    [b'2-0'] ZeroDivisionError: division by zero
    [b'3-0'] None
    """

    def __init__(self, stage: str, id_of: Callable[[T], str]) -> None:
        self.fault: StageFault | None = None
        self._stage = stage
        self._id_of = id_of
        self._work: Sequence[T] = ()
        self._tried: tuple[str, bool] | None = None
        self._tries = 0
        self._singly: set[str] = set()
        self._reasons: dict[str, str] = {}
        self._in_a_row = set[str]()
        """Entries set aside since the last one that could be processed."""
        self._counted = set[str]()
        """Entries that `fault` counts."""
        self._passed = False

    def adopt(self, packed: bytes | None) -> None:
        """Take up the fault that stands in the checkpoint, of whatever process; one that cannot be
        read is as good as none.
        """
        try:
            found = msgspec.json.decode(packed, type=StageFault) if packed else None
        except UNREADABLE:  # it is only shown; the next one replaces it
            found = None
        self.fault = self.fault or found

    def parts(self, entries: Sequence[T]) -> Iterator[Sequence[T]]:
        """Yield the entries at once, or one by one where a batch with them failed."""
        if not self._singly or self._singly.isdisjoint(map(self._id_of, entries)):
            yield from self._tracked(entries)
            return
        for entry in entries:
            yield from self._tracked([entry])
        self._singly.difference_update(map(self._id_of, entries))

    def _tracked(self, part: Sequence[T]) -> Iterator[Sequence[T]]:
        """Yield a part, and know while it is worked on, and that it is done when the next one is
        wanted.
        """
        self._work = part
        yield part
        self._work = ()
        if self.fault is not None and self.fault.entry:
            entry = self.fault.entry
            self._passed |= any(_is_at_or_behind(self._id_of(one), entry) for one in part)
        if self.aside(part) is None:
            self._in_a_row.clear()
            return
        entry = self._id_of(part[0])
        self._in_a_row.add(entry)
        if self.fault is not None and entry not in self._counted:
            self.fault = msgspec.structs.replace(self.fault, set_aside=self.fault.set_aside + 1)
        self._counted.add(entry)

    def aside(self, part: Sequence[T]) -> str | None:
        """Return why a part is set aside; None if it is not."""
        return self._reasons.get(self._id_of(part[0])) if len(part) == 1 else None

    def failed(self, error: Exception, now_ms: int) -> StageFault:
        """Take note of a failed attempt; return what is to be told."""
        work, self._work, self._passed = self._work, (), False
        entry = self._id_of(work[0]) if work else ""
        tried = entry, len(work) == 1
        self._tries = self._tries + 1 if tried == self._tried else 1
        self._tried = tried
        said = traceback.format_exception_only(error)[-1]
        reason = " ".join(said.split())[:LONGEST_REASON]
        if work and self._tries >= TRIES and not isinstance(error, NOT_THE_ENTRY):
            self._single_out(work, reason)
        self.fault = self._told(entry, reason, now_ms)
        return self.fault

    def _single_out(self, work: Sequence[T], reason: str) -> None:
        if len(work) > 1:
            self._singly.update(map(self._id_of, work))
        elif len(self._in_a_row) < MOST_IN_A_ROW:
            self._reasons[self._id_of(work[0])] = reason
            for known in list(self._reasons)[:-MOST_REMEMBERED]:
                del self._reasons[known]

    def _told(self, entry: str, reason: str, now_ms: int) -> StageFault:
        """Return the fault; one that goes on counts its attempts, whether a batch or an entry of it
        failed.
        """
        before = self.fault
        if before is None or before.over:
            self._counted.clear()
            return StageFault(self._stage, reason, entry, 1, now_ms, now_ms)
        return msgspec.structs.replace(
            before, reason=reason, entry=entry, tries=before.tries + 1, at=now_ms
        )

    def recovered(self) -> StageFault | None:
        """Return the fault as over, if there was one and the work that failed is done; else
        None.
        """
        if self.fault is None or self.fault.over or (self.fault.entry and not self._passed):
            return None
        self.fault = msgspec.structs.replace(self.fault, over=True)
        return self.fault


def _is_at_or_behind(entry: str, other: str) -> bool:
    """Return whether an entry is another one or comes behind it in the same stream; what stands
    before the last space of an id names the stream.
    """
    (stream, _, one), (same, _, two) = entry.rpartition(" "), other.rpartition(" ")
    return stream == same and EntryId.parse(one) >= EntryId.parse(two)
