"""How far the state in Redis was seen to be, kept outside of it: so that an older copy is told from
a new one even after everything has restarted.

Each process of API and worker remembers for each key the furthest position that it saw: a commit's
number, or an entry's id. Positions only grow, so one that is smaller than what was seen is an older
copy, or a key that was deleted. What is younger than `SETTLE_S` does not count: a server with
`appendfsync everysec` may lose its last second, and the publishers send that again (ring.py).

The file is shared by the processes of one role on one host: each merges what it knows into it,
under a lock. A position that went back starts a new generation, which outweighs every position of
the one before; so nobody tells it again.

What went back is told in Redis, and a Redis that fails over to a lagging replica loses that word
too. So whoever found it keeps it here for `KEPT_S`, and writes it again where it is missing: it is
the same setback, by what it is and when it was found. What is lost later than that is older than
what settles, and is a setback by itself.
"""

import fcntl
import logging
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import msgspec

from driftgauge.shared.losses import Setback
from driftgauge.shared.storage.atomic import replace
from driftgauge.shared.unpacking import UNREADABLE

SETTLE_S: Final = 10.0
"""Age (s) from which a position counts as seen for good; it may be noticed after twice this."""
SAVE_S: Final = 5.0
"""Pause (s) between two writes of the file."""
KEPT_S: Final = 60.0
"""Time (s) for which a setback that was found is kept."""
MOST_STAMPS: Final = 50_000
"""Most keys that are remembered, those that moved last."""
MOST_BYTES: Final = 16 << 20
"""Largest file that is read."""

Place = tuple[int, int]
"""A position: the number of a commit and 0, or the two numbers of an entry's id."""

logger = logging.getLogger("driftgauge.stamps")


class Stamp(msgspec.Struct, frozen=True, array_like=True):
    """The furthest position of a key.

    Parameters
    ----------
    generation
        How often it was told that the key went back.
    place, at
        Latest position, and the Unix time (s) at which it was first seen.
    settled
        The latest position that is old enough to count.
    waiting, since
        Position that settles next, and the Unix time (s) from which on it waits.
    events
        Counted events at `place`; 0 if unknown.
    """

    generation: int
    place: Place
    at: float
    settled: Place
    waiting: Place
    since: float
    events: int = 0


class Found(msgspec.Struct, frozen=True, array_like=True):
    """A setback that was found, where it is told, and the Unix time (s) of that."""

    key: str
    setback: Setback
    at: float


class _File(msgspec.Struct):
    stamps: dict[str, Stamp]
    found: list[Found] = []


class Stamps:
    """The stamps of one process, merged with those of its neighbours on the same host.

    It can be used by several threads. Nothing is raised if the file cannot be read or written: that
    is logged once, and the process knows what it has seen itself.

    Parameters
    ----------
    path
        File of the role: `data_dir`/stamps/api.json or worker.json.
    clock
        Unix time in seconds.

    Attributes
    ----------
    settle_s
        Age (s) from which a position counts.

    Examples
    --------
    >>> stamps = Stamps(Path("/nonexistent/api.json"))
    >>> stamps.settle_s = 0
    >>> stamps.note("dg:{steel.0}:count", (500, 0), events=6000)
    >>> stamps.behind("dg:{steel.0}:count", (320, 0)).events
    6000
    >>> stamps.note("dg:{steel.0}:count", (320, 0))
    >>> stamps.behind("dg:{steel.0}:count", (320, 0))
    """

    settle_s: float = SETTLE_S

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._stamps: dict[str, Stamp] = {}
        self._found: list[Found] = []
        self._changed = False
        self._saved_at = 0.0
        self._told = False
        self._merge()

    def note(self, key: str, place: Place, events: int = 0) -> None:
        """Remember that a key is at a position. One that is earlier than before, whether that was
        worth telling or not, is the present one from now on.
        """
        now = self._clock()
        with self._lock:
            known = self._stamps.pop(key, None)  # so that those that moved last come last
            if known is not None and place == known.place:
                self._stamps[key] = known
                return
            if known is not None and place > known.place:
                known = self._settle(known, now)
                self._stamps[key] = msgspec.structs.replace(
                    known, place=place, at=now, events=events
                )
            else:
                generation = 0 if known is None else known.generation + 1
                self._stamps[key] = Stamp(generation, place, now, (0, 0), place, now, events)
            if len(self._stamps) > MOST_STAMPS:
                del self._stamps[next(iter(self._stamps))]
            self._changed = True

    def behind(self, key: str, place: Place) -> Stamp | None:
        """Return the stamp of a key that is now at an earlier position than one that was seen for
        good; None if it is not.
        """
        if self._behind(key, place) is not None:
            self._merge()  # a neighbour may have told it
        return self._behind(key, place)

    def keep(self, key: str, setbacks: Iterable[Setback]) -> None:
        """Keep setbacks that were found and told in a key of Redis, which may lose them again."""
        added = [Found(key, one, self._clock()) for one in setbacks]
        if added:
            with self._lock:
                self._found, self._changed = [*self._found, *added], True
            self.save(now=True)

    def kept(self, key: str) -> list[Setback]:
        """Return the setbacks that were told in a key a short while ago, as they were found."""
        now = self._clock()
        with self._lock:
            self._found = [one for one in self._found if 0 <= now - one.at < KEPT_S]
            return [one.setback for one in self._found if one.key == key]

    def save(self, *, now: bool = False) -> None:
        """Write the file if something changed and the last write is long enough ago, or `now`."""
        moment = self._clock()
        if not self._changed or (not now and 0 <= moment - self._saved_at < SAVE_S):
            return
        self._saved_at = moment
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._path.with_suffix(".lock").open("ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._merge()
                with self._lock:
                    file = _File(self._stamps, self._found)
                    packed, self._changed = msgspec.json.encode(file), False
                replace(self._path, packed)
        except BlockingIOError:  # a neighbour is writing; the next time is soon enough
            self._changed = True
        except OSError as error:
            self._changed = True
            self._complain("written", error)

    def _behind(self, key: str, place: Place) -> Stamp | None:
        now = self._clock()
        with self._lock:
            known = self._stamps.get(key)
        if known is None or place >= known.place:
            return None
        known = self._settle(known, now)
        return known if place < known.settled else None

    def _settle(self, known: Stamp, now: float) -> Stamp:
        """Let what is old enough count; if the clock went back, start to wait again."""
        if now < max(known.at, known.since):
            return msgspec.structs.replace(known, at=now, since=now, waiting=known.place)
        if now - known.at >= self.settle_s:
            return msgspec.structs.replace(known, settled=known.place)
        if now - known.since >= self.settle_s:
            settled = known.waiting
            return msgspec.structs.replace(known, settled=settled, since=now, waiting=known.place)
        return known

    def _merge(self) -> None:
        """Take over what the file knows better."""
        try:
            if not self._path.is_file() or self._path.stat().st_size > MOST_BYTES:
                return
            file = msgspec.json.decode(self._path.read_bytes(), type=_File)
        except (OSError, *UNREADABLE) as error:  # it is written anew
            self._complain("read", error)
            return
        with self._lock:
            self._found += [one for one in file.found if one not in self._found]
            for key, stamp in file.stamps.items():
                mine = self._stamps.get(key)
                if mine is None or (stamp.generation, stamp.place) > (mine.generation, mine.place):
                    self._stamps[key] = stamp

    def _complain(self, what: str, error: Exception) -> None:
        if not self._told:
            logger.warning(
                "%s cannot be %s (%s): after a restart nobody knows whether Redis went back to an "
                "older state.",
                self._path,
                what,
                error,
            )
        self._told = True
