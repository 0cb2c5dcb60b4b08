"""Archiving a stream that is followed: what it tells becomes rows, each entry once.

Theory of operation: entries wait in memory until there are enough of them, or the first is old
enough. The end of the cut is committed before its files are written, and these are named by the ids
at its ends, so who does it again after a crash writes the same files. Then the head of the stream
in the archive is moved, and the offset committed, as of a log (archiving.py). The stream is not
held: what Redis trims before it is archived is missing.
"""

import logging
import math
import time
from abc import abstractmethod
from collections.abc import Generator, Sequence
from typing import ClassVar, Final

import msgspec

from driftgauge.consumer.stages.archiving.stream import ArchivedStream
from driftgauge.consumer.stages.follower import Done, Event, Hold, Sink
from driftgauge.shared.archive.archived import Followed
from driftgauge.shared.archive.manifest import Kind
from driftgauge.shared.archive.rows import Rows
from driftgauge.shared.archive.store import Store
from driftgauge.shared.contract.entry_id import BEGINNING, EntryId
from driftgauge.shared.settings import Settings

log = logging.getLogger("driftgauge.worker")

MOST_BYTES: Final = 2 << 20
"""Bytes of waiting entries with which a cut is due: unpacked they may be ten times as many."""


class FollowedArchive(Sink):
    """Writes what a stream tells to the archive.

    Parameters
    ----------
    head
        Name of the stream's head in the archive.
    """

    kind: ClassVar[Kind]
    """Kind of the rows."""
    most: ClassVar[int]
    """Entries of a cut, but for its last read."""

    def __init__(
        self, settings: Settings, model: str, store: Store, head: str, partition: int = 0
    ) -> None:
        self._model, self._partition = model, partition
        self._in_archive = ArchivedStream(store, model, partition, head, (self.kind,))
        self._seconds = settings.archive_seconds

    def load(self, state: bytes) -> None:
        """Load the state, and bring it in line with the archive.

        Raises
        ------
        DriftgaugeError
            If the archive does not answer.
        """
        self._state = msgspec.json.decode(state, type=Followed) if state else Followed()
        self._waiting: list[Event] = []
        self._bytes = 0
        self._due_at = math.inf
        head = self._in_archive.read_head()
        if head is not None and head.end != self._state.plan:
            self._align(EntryId.parse(head.end))
            if head.plan != self._state.plan and head.plan:  # Redis lost that a cut was begun
                self._remove_behind(self._state.end or BEGINNING)

    @abstractmethod
    def _align(self, head: EntryId) -> None:
        """Bring state and archive together, which goes up to an entry."""

    @abstractmethod
    def _rows(self, events: Sequence[Event]) -> Rows:
        """Return the rows of some entries."""

    def _after(self, end: str) -> Followed:
        """Return the state when a cut is written."""
        return Followed(end)

    @property
    def _end(self) -> EntryId:
        return EntryId.parse(self._state.end or BEGINNING)

    def _remove_behind(self, end: str) -> None:
        """Remove what Redis lost: it comes again."""
        self._in_archive.remove_behind(end, f"{self.name} {self._model}", lambda: None)

    @property
    def waits(self) -> bool:
        """Whether entries wait to be written."""
        return bool(self._waiting)

    def take(self, events: Sequence[Event], hold: Hold) -> Generator[Done, None, None]:
        """Collect entries, and write them when a cut is due."""
        new = [one for one in events if EntryId.parse(one[0]) > self._end]
        self._waiting += new
        self._bytes += sum(len(content) for _, content in new)
        if self._waiting:
            self._due_at = min(self._due_at, time.monotonic() + self._seconds)
        end = self._end_of_cut()
        if end is None:
            return
        self._state = msgspec.structs.replace(self._state, plan=end)
        yield Done(state=msgspec.json.encode(self._state))
        behind = [one for one in self._waiting if EntryId.parse(one[0]) > EntryId.parse(end)]
        rows = self._rows(self._waiting[: len(self._waiting) - len(behind)])
        self._in_archive.write((self._state.end or BEGINNING, end), rows.groups(), hold)
        self._state, self._waiting = self._after(end), behind
        self._bytes = sum(len(content) for _, content in behind)
        self._due_at = time.monotonic() + self._seconds if behind else math.inf
        yield Done(end.encode(), msgspec.json.encode(self._state))

    def _end_of_cut(self) -> str | None:
        """Return the id with which the cut ends that is due; None if none is."""
        if not self._waiting:
            return None
        last, plan = self._waiting[-1][0].decode(), self._state.plan
        if plan:
            return plan if EntryId.parse(last) >= EntryId.parse(plan) else None
        many = len(self._waiting) >= self.most or self._bytes >= MOST_BYTES
        return last if many or time.monotonic() >= self._due_at else None

    def _leave_out(self, entry_id: bytes, why: str) -> None:
        """Tell of an entry that is no row: another release, or a person by hand, wrote it."""
        log.warning(
            "%s %s: entry %s %s, and is left out.", self.name, self._model, entry_id.decode(), why
        )
