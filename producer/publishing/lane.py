"""Lanes: each is the events on their way to one partition's log. This process numbers them from 1
without holes; clients that are publishers of their own number theirs, and those of an ended process
keep its numbers.
"""

import asyncio
import math
import secrets
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

import msgspec

from driftgauge.producer.publishing.receipts import Receipt
from driftgauge.producer.publishing.spool_file import SpoolFile
from driftgauge.producer.publishing.spool_records import Record
from driftgauge.shared.contract.events import PREDICTION
from driftgauge.shared.contract.keys import Keys

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 2.0


class Entry(msgspec.Struct, gc=False, eq=False):
    """An event in memory.

    The garbage collector does not look at it, since there are hundreds of thousands: an entry lets
    go of its receipt, the only thing through which it could hold itself, when it is settled.

    Parameters
    ----------
    publisher, sequence
        Who numbered it, and its number.
    kind
        Type of the log entry (shared/contract/events.py).
    file, offset
        Spool file that holds the event and its byte offset there; None if it is not on disk.
    again
        Whether Redis has acknowledged it before.
    """

    publisher: bytes
    sequence: int
    payload: bytes
    receipt: Receipt | None
    file: SpoolFile | None = None
    offset: int = 0
    kind: bytes = PREDICTION
    again: bool = False


def longer(delay_s: float) -> float:
    """Return the next delay of a backoff.

    Examples
    --------
    >>> longer(0.0), longer(0.1), longer(1.5)
    (0.1, 0.2, 2.0)
    """
    return min(max(2 * delay_s, FIRST_DELAY_S), LONGEST_DELAY_S)


class Home:
    """Where lanes lead to: the only server, or a master of a cluster.

    Parameters
    ----------
    url
        Its address; None is a server on this machine.

    Attributes
    ----------
    away
        Whether it cannot be reached, or is too slow to be waited for.
    sending
        Whether a group is on its way there.
    lanes
        Its lanes, in turn.
    wake
        Event that is set when there is something to send.
    safe_until
        Time up to which what it acknowledged is safe (kept.py), by the event loop's clock (s);
        minus infinity before its first answer.
    """

    def __init__(self, url: str | None = None) -> None:
        self.url = url
        self.away = False
        self.sending = False
        self.lanes: deque[Lane] = deque()
        self.wake = asyncio.Event()
        self.safe_until = -math.inf

    @property
    def owes(self) -> bool:
        """Whether events wait for its answer."""
        return self.sending or any(lane.fresh for lane in self.lanes)


@dataclass(slots=True, eq=False)
class Lane:
    """The events of one partition that Redis has not acknowledged.

    Parameters
    ----------
    model
        The model that the partition belongs to.
    log
        Key of the partition's log.
    home
        Where it leads to.
    publisher
        Name under which this process numbers events.
    asking
        Whether its slot is on the way to `home`, which takes nothing of it without ASKING.
    """

    model: str
    log: bytes
    home: Home = field(default_factory=Home)
    publisher: bytes = field(default_factory=lambda: secrets.token_hex(8).encode())
    sequence: int = 0
    asking: bool = False
    fresh: deque[Entry] = field(default_factory=deque)
    """Events that are in memory only."""
    spooled: deque[Entry] = field(default_factory=deque)
    """Events that are on disk too; the lane may have more of them there."""
    delay_s: float = 0.0
    """Pause after the last refusal; 0 if Redis takes the events."""
    retry_at: float = 0.0
    """Time before which nothing is sent; 0 if nothing says so."""

    def append(
        self,
        payload: bytes,
        receipt: Receipt | None,
        kind: bytes = PREDICTION,
        numbered: tuple[bytes, int] | None = None,
    ) -> None:
        """Queue an event, which is numbered here unless its publisher did so."""
        if numbered is None:
            self.sequence += 1
            numbered = self.publisher, self.sequence
        self.fresh.append(Entry(*numbered, payload, receipt, kind=kind))
        self.home.wake.set()

    def take(self, most: int, *, fresh: bool) -> list[Entry]:
        """Take out the first events to send. Events that are not spooled go first, if they may be
        sent, since a request waits for them; a quarter is left to spooled ones, so that a spool
        empties under any load.
        """
        live = _pop(self.fresh, most - most // 4 if self.spooled else most) if fresh else []
        return live + _pop(self.spooled, most - len(live))

    def take_fresh(self, most: int) -> list[Entry]:
        """Take out the first events that are in memory only, to write them to disk."""
        return _pop(self.fresh, most)

    def put_back(self, entries: list[Entry]) -> None:
        """Put events back at the front of the queue; they keep their numbers."""
        for entry in reversed(entries):
            (self.fresh if entry.file is None else self.spooled).appendleft(entry)

    def refuse(self, now: float) -> None:
        """Pause, for longer each time."""
        self.delay_s = longer(self.delay_s)
        self.retry_at = now + self.delay_s

    def accept(self) -> None:
        """End the pause."""
        self.delay_s = self.retry_at = 0.0

    def command(self, entry: Entry) -> tuple[bytes | int, ...]:
        """Return the XADD of an event: type, publisher, sequence, event
        (shared/contract/events.py).
        """
        return (
            b"XADD",
            self.log,
            b"*",
            b"t",
            entry.kind,
            b"p",
            entry.publisher,
            b"s",
            entry.sequence,
            b"e",
            entry.payload,
        )


Batch = list[tuple[Lane, Entry]]


def _pop(entries: deque[Entry], most: int) -> list[Entry]:
    return [entries.popleft() for _ in range(min(most, len(entries)))]


def put_back(batch: Batch) -> None:
    """Put events back at the front of their lanes."""
    by_lane: dict[Lane, list[Entry]] = {}
    for lane, entry in batch:
        by_lane.setdefault(lane, []).append(entry)
    for lane, entries in by_lane.items():
        lane.put_back(entries)


class Lanes:
    """All lanes of a process, served in turn, and what keeps them from Redis.

    Attributes
    ----------
    queued
        Events that are in memory only and not acknowledged.
    again
        How many of them were acknowledged before, and come from the ring: they take no room of new
        ones.
    homes
        Where lanes lead to.
    home_of
        Returns where the lane of a log is to lead.
    held
        Models whose versions Redis refuses: their events could not be read.
    drained
        `asyncio` event that is set when nothing is queued any more.
    """

    def __init__(self, keys: Keys) -> None:
        self.queued = 0
        self.again = 0
        only = Home()
        self.homes = [only]
        self.home_of: Callable[[bytes], Home] = lambda _: only
        self.held: set[str] = set()
        self.drained = asyncio.Event()
        self._keys = keys
        self._keys_of: dict[str, Keys] = {}
        self._ours: dict[tuple[str, int], Lane] = {}
        self._lanes: dict[bytes, Lane] = {}

    @property
    def away(self) -> bool:
        """Whether nothing can be sent anywhere."""
        return all(home.away for home in self.homes)

    @property
    def safe_until(self) -> float:
        """Time up to which what was acknowledged is safe, wherever it is."""
        return min((home.safe_until for home in self.homes if home.lanes), default=-math.inf)

    def leave_all(self) -> None:
        """Take all servers for away."""
        for home in self.homes:
            home.away = True

    def wake(self) -> None:
        """Say that there may be something to send, wherever to."""
        for home in self.homes:
            home.wake.set()

    def salt(self, model: str, salts: Sequence[str]) -> None:
        """Note the salts of a model's partitions: they are part of the names of its logs."""
        self._keys_of[model] = self._keys.salted(salts)

    def ours(self, model: str, partition: int) -> Lane:
        """Return our lane to a partition."""
        lane = self._ours.get((model, partition))
        if lane is None:
            log = self._keys_of.get(model, self._keys).log(model, partition)
            lane = self._lanes.get(log.encode()) or self._add(model, log.encode())
            self._ours[model, partition] = lane
        return lane

    def of(self, record: Record) -> Lane:
        """Return the lane of a spooled event, whoever numbered it."""
        return self._lanes.get(record.log) or self._add(record.model, record.log)

    def __iter__(self) -> Iterator[Lane]:
        return chain.from_iterable(home.lanes for home in self.homes)

    def move(self, lane: Lane, home: Home) -> None:
        """Let a lane lead elsewhere."""
        lane.home.lanes.remove(lane)
        lane.home = home
        home.lanes.append(lane)
        home.wake.set()

    def blocked(self, lane: Lane) -> bool:
        """Tell whether Redis does not take the events of a lane now."""
        return lane.home.away or lane.delay_s > 0 or lane.model in self.held

    def take_out(self, batch: Batch) -> None:
        """Count a group, which is in Redis or on disk now, no more."""
        if self.again:
            self.again -= sum(entry.again for _, entry in batch)
        self.leave(len(batch))

    @property
    def refused(self) -> bool:
        """Whether Redis answers, but does not take what is written."""
        return bool(self.held) or any(lane.delay_s for lane in self)

    def leave(self, events: int) -> None:
        """Count events that are in memory only no more."""
        self.queued -= events
        if self.queued == 0:
            self.drained.set()

    def forget_ended(self) -> None:
        """Forget the lanes of spooled events whose models are not served, when none is left."""
        if len(self._lanes) > len(self._ours):
            self._lanes = {lane.log: lane for lane in self._ours.values()}
            for home in self.homes:
                home.lanes = deque(lane for lane in home.lanes if lane.log in self._lanes)

    def _add(self, model: str, log: bytes) -> Lane:
        lane = self._lanes[log] = Lane(model, log, self.home_of(log))
        lane.home.lanes.append(lane)
        return lane
