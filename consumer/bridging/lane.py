"""A lane: what one partition of another log writes to one partition of ours, exactly once.

How far the other log was read stands beside ours, and moves in the transaction that appends the
events, under a lease. So a process that dies, or a Redis that loses its last second, takes both
back together. The events are numbered without holes; places of the other log that are gone take
numbers too, so that they are missed (shared/losses.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import redis
from redis.client import Pipeline

from driftgauge.consumer.stages.checkpoint import Checkpoint
from driftgauge.shared.contract.events import UNUSABLE
from driftgauge.shared.contract.keys import Keys

LONGEST_TOPIC = 80
DEAD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Write:
    """An entry to append.

    Parameters
    ----------
    kind
        Its type; `UNUSABLE` for a message that is to be a dead letter.
    content
        The event, or the message's beginning.
    reason
        Why a message cannot be used.
    """

    kind: bytes
    content: bytes
    reason: str = ""


class Lane:
    """Writes to one log.

    Parameters
    ----------
    client
        Redis client of the log's slot, without retries.
    source
        Name of the other log and its partition, such as `kafka:orders:3`.

    Attributes
    ----------
    offset
        Place of the other log behind which is read on; None if nothing was read yet.
    """

    def __init__(
        self,
        client: redis.Redis,
        keys: Keys,
        model: str,
        partition: int,
        source: str,
        lease_ms: int,
    ) -> None:
        self._log = keys.log(model, partition)
        self._publisher = _short(source).encode()
        key, owner, epoch = (keys.bridge(model, partition, _short(source), part) for part in PARTS)
        self.checkpoint = Checkpoint(client, key, owner, epoch, lease_ms)
        self.offset: int | None = None
        self._number = 0

    def load(self) -> None:
        """Read how far the other log was read; the lease must be ours."""
        fields = self.checkpoint.load()
        with self.checkpoint.reading():
            self.offset = int(fields[b"offset"]) if b"offset" in fields else None
            self._number = int(fields.get(b"number", 0))

    def commit(self, writes: Sequence[Write], offset: int, lost: int = 0) -> None:
        """Append entries, and note the place behind which is read on.

        Parameters
        ----------
        lost
            Messages before these that are gone: they are missed.

        Raises
        ------
        OwnershipLost
            If the lease is not ours any more, or the outcome is unknown. It must be loaded again.
        """
        first = self._number + lost + 1

        def append(pipe: Pipeline) -> None:
            for number, write in enumerate(writes, start=first):
                fields: dict[Any, Any] = {
                    b"t": write.kind,
                    b"p": self._publisher,
                    b"s": number,
                    b"e": write.content[:DEAD_BYTES] if write.kind == UNUSABLE else write.content,
                }
                if write.reason:
                    fields[b"reason"] = write.reason[:DEAD_BYTES].encode()
                pipe.xadd(self._log, fields)

        last = first + len(writes) - 1
        self.checkpoint.commit(
            {b"offset": str(offset).encode(), b"number": str(last).encode()}, append
        )
        self.offset, self._number = offset, last


PARTS = ("", "owner", "epoch")


def _short(source: str) -> str:
    """Return a name of bounded length: names of publishers stay in the checkpoint for days."""
    if len(source.encode()) <= LONGEST_TOPIC:
        return source
    return f"{source[:40]}~{blake2b(source.encode(), digest_size=8).hexdigest()}"
