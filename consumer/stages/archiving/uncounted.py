"""What of a log was not counted, as counting noted it: read beside the log, in its order."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
import redis

from driftgauge.consumer.stages.stage import read_streams
from driftgauge.shared.contract.entry_id import BEGINNING, EntryId
from driftgauge.shared.contract.events import REFUSED, UNCOUNTED

PAGE: Final = 1
"""Entries that are read at a time: each may name thousands of ids, with their reasons."""

_decode = msgspec.json.Decoder(dict[str, str]).decode


class NotCounted(NamedTuple):
    """Some entries of a log that were not counted, and why those that could not be used were
    refused.
    """

    left_out: set[bytes]
    reasons: dict[bytes, str]


def beginning(client: redis.Redis, uncounted: str) -> str:
    """Return the id behind which a log is archived that was not archived before: what was counted
    before it was noted what is not counted cannot be told from repeated entries.
    """
    found: Any = client.xrange(uncounted, count=1)
    if found and found[0][1] == {UNCOUNTED: b""}:
        return str(found[0][0].decode())
    return BEGINNING


class Uncounted:
    """Reads what was not counted of a log, behind an entry.

    Parameters
    ----------
    client
        Redis client of the partition's slot, with raw replies to XREAD.
    stream
        Key of what was not counted.
    """

    def __init__(self, client: redis.Redis, stream: str, start: str) -> None:
        self._client, self._stream = client, stream
        self._told = start
        self._left_out: set[bytes] = set()
        self._reasons: dict[bytes, str] = {}

    def among(self, ids: Sequence[bytes]) -> NotCounted:
        """Return what was not counted of the next entries of the log, by their ids."""
        self._learn(ids[-1])
        left_out = self._left_out.intersection(ids)
        self._left_out -= left_out
        reasons = {one: self._reasons.pop(one) for one in ids if one in self._reasons}
        return NotCounted(left_out, reasons)

    def _learn(self, last: bytes) -> None:
        while EntryId.parse(self._told) < EntryId.parse(last):
            found = read_streams(self._client, {self._stream: self._told}, PAGE)
            if not found:
                return
            for entry_id, fields in found[0][1]:
                told = dict(zip(fields[::2], fields[1::2], strict=True))
                self._left_out.update(told.get(UNCOUNTED, b"").split())
                for reason, named in reasons_of(told).items():
                    self._reasons.update(dict.fromkeys(named.encode().split(), reason))
                self._told = entry_id.decode()


def reasons_of(told: dict[bytes, bytes]) -> dict[str, str]:
    """Return the reasons that an entry tells, with the ids of what was refused for each."""
    return _decode(told.get(REFUSED, b"{}"))
