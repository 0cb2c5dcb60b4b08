"""The contract of an event."""

import time
import uuid
from binascii import crc32

import msgspec
import pytest

from driftgauge.shared.contract.events import Prediction, encode, partition_of
from driftgauge.shared.identifiers import new_id


def test_ids_are_version_7_and_ordered_by_time() -> None:
    """An id is an RFC 9562 UUID of version 7 that carries its millisecond, so that ids sort by
    time.
    """
    before = time.time_ns() // 1_000_000
    found = []
    for _ in range(5):
        found.append(new_id())
        moment = time.time_ns() // 1_000_000
        while time.time_ns() // 1_000_000 == moment:  # the next millisecond
            pass
    parsed = [uuid.UUID(text) for text in found]
    assert {(one.version, one.variant) for one in parsed} == {(7, uuid.RFC_4122)}
    assert found == sorted(found)
    assert all(before <= one.int >> 80 <= time.time_ns() // 1_000_000 for one in parsed)


def test_ids_are_unique() -> None:
    """Many ids of one millisecond do not meet."""
    assert len({new_id() for _ in range(20_000)}) == 20_000


def test_partitions_are_crc_32() -> None:
    """A prediction and its label meet, because both are placed by the same checksum; partitions are
    about even.
    """
    ids = [new_id() for _ in range(6000)]
    assert all(partition_of(one, 6) == crc32(one.encode()) % 6 for one in ids)
    sizes = [sum(partition_of(one, 6) == place for one in ids) for place in range(6)]
    assert min(sizes) > 800  # 7 standard deviations below the mean


@pytest.mark.parametrize("time_ms", [-1, 253_402_300_800_000])
def test_times_beyond_the_calendar_are_refused(time_ms: int) -> None:
    """An event's time lies between 1970 and 9999, so that a report can always write it."""
    payload = encode(Prediction("a", "1.0.0", 5, [], None)).replace(
        b'"time":5', f'"time":{time_ms}'.encode()
    )
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(payload, type=Prediction)


def test_an_event_survives_the_log() -> None:
    """What is encoded is decoded, defaults left out."""
    event = Prediction("a", "1.0.0", 5, [1.5, None, "ü\n"], "yes", 2.0, "shadow", client_id=True)
    assert msgspec.json.decode(encode(event), type=Prediction) == event
    assert b"source" not in encode(Prediction("a", "1.0.0", 5, [], None))
