"""A follower: a stage that passes the entries of one stream to a sink, in order, under a lease.

Reports, hooks and whatever else acts on alerts or snapshots is a follower with a checkpoint of
its own, so that none waits for another, and with a sink that does the work. Theory of operation:

- Of any number of workers one owns a follower, by the lease of its checkpoint.
- Entries are passed to the sink in the order of the stream. The sink yields what it has finished;
  the follower commits that, as the offset and the sink's own state, in one fenced transaction.
- If the sink fails at an entry, the state in memory is discarded, the lease is given back, and the
  entry is passed on again after a growing pause, by this worker or another. Later entries wait. An
  entry that fails again and again goes to the dead letters (attempts.py), and the next ones follow.
- Work that was done and not committed is done again. So a sink makes its work repeatable: a file of
  the same name, a message with the same key.
"""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import redis
from redis.client import Pipeline

from driftgauge.consumer.stages.attempts import DEAD_BYTES
from driftgauge.consumer.stages.checkpoint import Checkpoint
from driftgauge.consumer.stages.reader import READ_COUNT
from driftgauge.consumer.stages.stage import CommitClock, Stage, read_streams
from driftgauge.shared.connections.streams import last_generated
from driftgauge.shared.contract.entry_id import BEGINNING, EntryId
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.otel.steps import COMMIT, READ, step
from driftgauge.shared.settings import Settings

DEAD_LETTERS_KEPT: Final = 1000
OFFSET: Final = b"offset"
STATE: Final = b"state"

WAIT_S: Final = 0.5
"""Time (s) after which a sink that waits for a time is called again."""

Event = tuple[bytes, bytes]
"""Id of an entry, and its field that the sink asks for, as a rule `e`, a CloudEvent; empty if it
has none.
"""
Hold = Callable[[], None]
"""A function that keeps the lease during long work; to be called at least every few 100 ms.

It raises OwnershipLost if the lease is gone: then the work must be left.
"""


@dataclass(frozen=True, slots=True)
class Done:
    """Work that a sink has finished, to be committed.

    Parameters
    ----------
    offset
        Id of the last finished entry; None if no further one is finished.
    state
        State that it gets when it is loaded again; None if unchanged.
    """

    offset: bytes | None = None
    state: bytes | None = None


class Sink(ABC):
    """Receiver of a follower's entries.

    A sink knows neither lease nor checkpoint. After any failure it is loaded again from the
    committed state.
    """

    name: ClassVar[str]
    """Name in the log and of its stage, such as `reporting`."""
    key: ClassVar[str]
    """Last part of its keys in Redis."""
    field: ClassVar[bytes] = b"e"
    """Field of an entry that it gets."""
    entries: ClassVar[int] = READ_COUNT
    """Most entries that it gets at a time."""
    from_beginning: ClassVar[bool] = True
    """Whether a new follower begins with the stream's first entry, not with the next new one."""

    def load(self, state: bytes) -> None:  # noqa: B027  a sink may have no state
        """Load the committed state, empty if there is none.

        Raises
        ------
        DriftgaugeError
            If it cannot work; it is asked again later.
        """

    @abstractmethod
    def take(self, events: Sequence[Event], hold: Hold) -> Generator[Done, None, None]:
        """Process the next entries; each yielded `Done` is committed before the next step.

        It is also called without entries: once after `load`, and while `waits`. Entries that no
        `Done` covers are not passed again before the sink is loaded again.
        """

    @property
    def waits(self) -> bool:
        """Whether there is work that waits for a time, not for an entry."""
        return False

    def close(self) -> None:  # noqa: B027  a sink may hold nothing
        """Release its resources."""


class Follower(Stage):
    """Passes the entries of a stream of a model, or of one of its partitions, to a sink.

    Parameters
    ----------
    client
        Redis client of the stream's slot, with raw replies to XREAD.
    keys
        The key names, with the model's salts.
    stream
        Key of the stream.
    partition
        The partition whose stream it is; None if it is the model's.
    """

    retry_s = (1.0, 30.0)

    def __init__(
        self,
        client: redis.Redis,
        settings: Settings,
        keys: Keys,
        model: str,
        stream: str,
        sink: Sink,
        partition: int | None = None,
    ) -> None:
        self.name = f"{sink.name} {model}" + (f".{partition}" if partition is not None else "")
        self.client = client
        self.lease_ms = settings.lease_ms
        self.checkpoint = Checkpoint(
            client,
            keys.follower(model, sink.key, partition),
            keys.follower_owner(model, sink.key, partition),
            keys.follower_epoch(model, sink.key, partition),
            self.lease_ms,
        )
        self._stream = stream
        self._dead = keys.judge_dead(model) if partition is None else keys.dead(model, partition)
        self._sink = sink
        self._turned = 0.0
        self._clock = CommitClock(settings.commit_ms, settings.lease_ms, 1)

    def load(self) -> None:
        """Load offset and state; a stream that went back to an older state is read from there.

        Ids are made by Redis's clock, so otherwise new entries could get ids before the offset.
        """
        self.check_types("stream", self._stream, self._dead)
        fields = self.checkpoint.load()
        last = last_generated(self.client, self._stream).encode()
        with self.checkpoint.reading():
            self._sink.load(fields.get(STATE, b""))
            known = fields.get(OFFSET)
            start = known or (BEGINNING.encode() if self._sink.from_beginning else last)
            self._offset = min(start, last, key=EntryId.parse)
        self._clock.reset()
        if self._offset != known:
            self._commit(Done(self._offset))

    @property
    def positions(self) -> Mapping[str, str]:
        """The stream, and the id of the last entry that was passed on."""
        return {self._stream: self._offset.decode()}

    @property
    def reached_ms(self) -> int | None:
        """Entry time (ms) of the last entry that was read."""
        return EntryId.parse(self._offset).ms

    @property
    def due_at(self) -> float:
        """When a sink that waits for a time looks at it again."""
        return self._turned + WAIT_S if self._sink.waits else math.inf

    def turn(self) -> bool:
        """Pass on new entries, and commit what the sink has finished."""
        with step(READ):
            events = self._read()
        for part in self.attempts.parts(events) if events else ([],):
            aside = self.attempts.aside(part) if part else None
            if aside is None:
                with closing(self._sink.take(part, self.hold)) as steps:
                    for done in steps:
                        self._commit(done)
            else:
                self._set_aside(part[0], aside)
            if part:
                self._offset = part[-1][0]
        self.hold()
        self._turned = time.monotonic()
        return len(events) == self._sink.entries

    def _set_aside(self, event: Event, reason: str) -> None:
        """Pass over an entry that the sink fails on, and keep it as a dead letter."""
        letter: dict[Any, Any] = {
            "stream": self._stream,
            "entry_id": event[0],
            "reason": f"{self._sink.name} fails on it: {reason}",
            b"e": event[1][:DEAD_BYTES],
        }

        def queue(pipe: Pipeline) -> None:
            pipe.xadd(self._dead, letter, maxlen=DEAD_LETTERS_KEPT, approximate=True)

        self.checkpoint.commit({OFFSET: event[0]}, queue)
        self._clock.reset()

    def finish(self) -> None:
        """Do nothing, since what the sink finishes is committed at once."""

    def close(self) -> None:
        self._sink.close()
        super().close()

    def _read(self) -> list[Event]:
        found = read_streams(self.client, self.positions, self._sink.entries)
        return [
            (entry_id, dict(zip(fields[::2], fields[1::2], strict=True)).get(self._sink.field, b""))
            for _, entries in found
            for entry_id, fields in entries
        ]

    def _commit(self, done: Done) -> None:
        fields = {OFFSET: done.offset, STATE: done.state}
        changed = {name: value for name, value in fields.items() if value is not None}
        with step(COMMIT):
            self.checkpoint.commit(changed, lambda _: None)
        self._clock.reset()
