"""What a partition's keys in Redis hold of predictions and what belongs to them, erased for good.

- Entries of the log: deleted when all readers have passed them, in one transaction with the look at
  that. So nobody misses them: counts, losses and the archive are known from checkpoints, not by
  the entries that are left.
- Why events were refused, where the reason names what is to go; and the dead letters.
- What waits: predictions for their labels, and labels for their predictions.

Nothing of this is read by counting again, so no count changes. All of it can be repeated: whoever
is killed in the middle does it again.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
import redis

from driftgauge.consumer.counting.entries.client_ids import digest_of
from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.consumer.erasing.passed import Passed, passed
from driftgauge.consumer.stages.archiving.uncounted import Uncounted, reasons_of
from driftgauge.consumer.stages.stage import read_streams
from driftgauge.consumer.stages.stores.pending import PendingStore
from driftgauge.shared.archive.erasing import Wanted
from driftgauge.shared.connections.redis_client import server_ms
from driftgauge.shared.connections.streams import last_generated
from driftgauge.shared.contract.entry_id import BEGINNING, EntryId
from driftgauge.shared.contract.events import NEW_REFERENCE, TICK, VOID
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import BadData
from driftgauge.shared.unpacking import UNREADABLE

NO_EVENTS: Final = {TICK, VOID, NEW_REFERENCE}
"""Types of the entries that are of no prediction."""
PLACES: Final = {b"t", b"p", b"s", b"entry_id"}
"""Fields that say where an entry is from, and nothing of its event."""
PAGE: Final = 1000
"""Entries that are read at a time."""
ATTEMPTS: Final = 100
"""Attempts of a transaction, which a commit of a worker in the same instant undoes."""
ROUNDS: Final = 3
"""Rounds of erasing until one finds nothing."""


class Copies(msgspec.Struct, frozen=True):
    """How much Redis held: entries of the log, notes why something was refused, dead letters, and
    what waited for its label or its prediction.
    """

    log: int = 0
    reasons: int = 0
    dead_letters: int = 0
    waiting: int = 0

    def __add__(self, other: "Copies") -> "Copies":
        both = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
        return Copies(*map(sum, both))


class _Named(msgspec.Struct):
    id: str


_named = msgspec.json.Decoder(_Named).decode


class PartitionCopies:
    """The copies in the keys of one partition, up to the last entry that its log has now.

    Parameters
    ----------
    client
        Redis client of the partition's slot, with raw replies to XREAD.
    keys
        Key names with the model's salts.
    wait_days
        Days for which predictions wait for labels.
    """

    def __init__(
        self, client: redis.Redis, keys: Keys, model: str, partition: int, wait_days: int
    ) -> None:
        self._client, self._keys = client, keys
        self._place = (model, partition)
        self._log, self._dead = keys.log(*self._place), keys.dead(*self._place)
        self._uncounted = keys.uncounted(*self._place)
        self._pending = PendingStore(client, keys, model, partition, wait_days)
        self._end = EntryId.parse(last_generated(client, self._log))

    def behind(self) -> Passed | None:
        """Return how far the slowest reader of the log is, unless all are at its end."""
        found = passed(self._client, self._keys, *self._place)
        return found if found.entry < self._end else None

    def erase(self, wanted: Wanted) -> Copies:
        """Erase what all readers have passed, and read again that nothing of it is left; return how
        much it was.

        Raises
        ------
        BadData
            If something is left at the end.
        """
        total, digests = Copies(), [digest_of(one) for one in wanted.ids]
        behind = self.behind()
        last = self._end if behind is None else behind.entry
        for _ in range(ROUNDS):
            found = Copies(
                sum(self._delete(self._log, ids) for ids in self._in_log(wanted, last)),
                sum(self._delete(self._uncounted, ids) for ids in self._in_reasons(wanted, last)),
                sum(self._delete_dead(ids) for ids in self._in_dead(wanted)),
                self._pending.erase(digests, server_ms(self._client)),
            )
            if found == Copies():
                return total
            total += found
        raise BadData(
            f"Some of the rows are still in Redis, beside {self._log}: they come again and again. "
            f"Find out who sends them, and run this again."
        )

    # -- what holds it -----------------------------------------------------------------------------

    def _in_log(self, wanted: Wanted, last: EntryId) -> Iterator[list[bytes]]:
        """Yield the ids of entries of the log, page by page: what was refused goes by all that is
        known of it, another one by its id.
        """
        uncounted = Uncounted(self._client, self._uncounted, BEGINNING)
        for page in self._pages(self._log, last):
            reasons = uncounted.among([entry_id for entry_id, _ in page]).reasons
            yield [
                entry_id
                for entry_id, fields in page
                if holds(wanted, fields, reasons.get(entry_id))
            ]

    def _in_reasons(self, wanted: Wanted, last: EntryId) -> Iterator[list[bytes]]:
        for page in self._pages(self._uncounted, last):
            yield [
                entry_id
                for entry_id, fields in page
                if any(wanted.goes(None, one) for one in reasons_of(_values(fields)))
            ]

    def _in_dead(self, wanted: Wanted) -> Iterator[list[bytes]]:
        for page in self._pages(self._dead):
            yield [entry_id for entry_id, fields in page if holds(wanted, fields, "")]

    def _pages(self, stream: str, last: EntryId | None = None) -> Iterator[list[Entry]]:
        behind = BEGINNING
        while found := read_streams(self._client, {stream: behind}, PAGE):
            page = [one for one in found[0][1] if last is None or EntryId.parse(one[0]) <= last]
            if not page:
                return
            yield page
            behind = page[-1][0].decode()

    # -- taking it out -----------------------------------------------------------------------------

    def _delete(self, stream: str, entries: Sequence[bytes]) -> int:
        """Delete entries that all readers of the log have passed, and still have in that instant: a
        Redis that came back with an older state may have readers that have not.
        """
        for _ in range(ATTEMPTS if entries else 0):
            with self._client.pipeline(transaction=True) as pipe:
                try:
                    pipe.watch(self._keys.count(*self._place), self._keys.archive(*self._place))
                    slowest = passed(pipe, self._keys, *self._place)
                    if slowest.entry < EntryId.parse(entries[-1]):
                        raise BadData(
                            f"{slowest.reader} has gone back to {slowest.entry} of {self._log}, as "
                            f"if Redis were restored just now. Run this again."
                        )
                    pipe.multi()
                    pipe.xdel(stream, *entries)
                    return int(pipe.execute()[0])
                except redis.WatchError:  # a worker has committed, or the connection was lost
                    continue
        if entries:
            raise BadData(f"{self._log} is changed by others all the time; run this again.")
        return 0

    def _delete_dead(self, letters: Sequence[bytes]) -> int:
        gone: Any = self._client.xdel(self._dead, *letters) if letters else 0
        return int(gone)


def holds(wanted: Wanted, fields: Sequence[bytes], reason: str | None) -> bool:
    """Tell whether an entry of a log, or a dead letter, is to go.

    Parameters
    ----------
    reason
        Why it was refused, as far as it does not stand in the entry; None if that is not known.
    """
    values = _values(fields)
    if values.get(b"t") in NO_EVENTS and reason is None:
        return False
    event_id = _id_of(values.get(b"e", b""))
    if reason is None and event_id is not None:
        return event_id in wanted.ids
    texts = [text for name, text in values.items() if name not in PLACES]
    said = b"\n".join([(reason or "").encode(), *texts])
    return wanted.goes(event_id, said.decode(errors="replace"))


def _id_of(content: bytes) -> str | None:
    try:
        return _named(content).id
    except UNREADABLE:
        return None


def _values(fields: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(fields[::2], fields[1::2], strict=True))
