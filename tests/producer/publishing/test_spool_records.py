from hypothesis import given
from hypothesis import strategies as st

from driftgauge.producer.publishing.spool_records import Record, frame, frame_bytes, read
from driftgauge.shared.framing import MARKER

PAYLOADS = st.lists(
    st.binary(max_size=12) | st.just(MARKER) | st.just(frame(b"p", "m", b"k", 1, b"within")),
    max_size=4,
)


def framed(payloads: list[bytes]) -> tuple[bytes, list[Record]]:
    """A small file and its records."""
    content, records = b"", []
    for number, payload in enumerate(payloads, start=1):
        kind = b"pl"[number % 2 :][:1]
        records.append(
            Record(len(content), b"publisher", "steel", b"dg:{steel.0}:log", number, payload, kind)
        )
        content += frame(b"publisher", "steel", b"dg:{steel.0}:log", number, payload, kind)
    return content, records


def end(record: Record) -> int:
    return record.offset + frame_bytes(record.publisher, record.model, record.log, record.payload)


@given(PAYLOADS)
def test_what_is_written_is_read(payloads: list[bytes]) -> None:
    """A whole file gives its records back, whatever the events hold, markers and whole records
    included.
    """
    content, records = framed(payloads)
    assert read(content) == (records, [])


@given(PAYLOADS)
def test_a_torn_tail_is_dropped_silently(payloads: list[bytes]) -> None:
    """Cut at any byte, a file gives exactly the records that end before, and reports nothing."""
    content, records = framed(payloads)
    for cut in range(len(content)):
        assert read(content[:cut]) == ([record for record in records if end(record) <= cut], [])


@given(PAYLOADS.filter(bool), st.integers(1, 255))
def test_a_flipped_byte_is_reported_and_costs_its_own_record_only(
    payloads: list[bytes], flip: int
) -> None:
    """With any byte changed, every other record is read, and the damage is reported within the hit
    record.
    """
    content, records = framed([payload.replace(MARKER, b"----") for payload in payloads])
    for at in range(len(content)):
        found = read(content[:at] + bytes([content[at] ^ flip]) + content[at + 1 :])
        (hit,) = [record for record in records if record.offset <= at < end(record)]
        assert found.records == [record for record in records if record is not hit]
        assert found.damage == [(hit.offset, end(hit) - hit.offset)]


@given(
    PAYLOADS,
    st.binary(min_size=20, max_size=60).filter(lambda junk: junk[:1] != MARKER[:1]),
    PAYLOADS,
)
def test_reading_resumes_after_junk(before: list[bytes], junk: bytes, after: list[bytes]) -> None:
    """Whatever stands between records, those before and after it are read."""
    first, records = framed(before)
    second, others = framed(after)
    found = read(first + junk + second)
    assert found.records == records + [
        record._replace(offset=record.offset + len(first + junk)) for record in others
    ]
    assert len(found.damage) == 1
