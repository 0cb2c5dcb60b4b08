"""Malformed entries of the log."""

import numpy as np
import pytest

from driftgauge.consumer.counting.entries import columns
from driftgauge.consumer.counting.entries.columns import CheckedDecoder, Entry
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.shared.contract.events import Prediction, encode
from tests.consumer.builders import (
    NOON,
    NUMERIC_SCHEMA,
    cell_map,
    count,
    event,
    numeric_reference,
    published,
    raw,
    reference_of,
    tick,
    traffic,
)

GOOD = b'{"id":"a","version":"1.0.0","time":0,"features":[0.1,2,7,0.5,null,"city1"],"prediction":1}'


def _with(old: bytes, new: bytes) -> bytes:
    assert old in GOOD
    return GOOD.replace(old, new)


def _entry(*fields: bytes) -> Entry:
    return f"{NOON}-5".encode(), list(fields)


BROKEN: dict[str, tuple[Entry, str]] = {
    "no fields": (_entry(), "no entry type"),
    "no type": (_entry(b"p", b"api", b"s", b"2", b"e", GOOD), "no entry type"),
    "unknown type": (
        _entry(b"t", b"x", b"p", b"api", b"s", b"2", b"e", GOOD),
        "unknown entry type",
    ),
    "type that is no text": (_entry(b"t", b"\xff\x00"), "unknown entry type"),
    "no publisher": (_entry(b"t", b"p", b"s", b"2", b"e", GOOD), "no publisher"),
    "no sequence": (_entry(b"t", b"p", b"p", b"api", b"e", GOOD), "no sequence number"),
    "no content": (_entry(b"t", b"p", b"p", b"api", b"s", b"2"), "no content"),
    "sequence 0": (raw(f"{NOON}-5", 0, GOOD), "sequence number"),
    "negative sequence": (raw(f"{NOON}-5", -3, GOOD), "sequence number"),
    "sequence of words": (raw(f"{NOON}-5", "two", GOOD), "sequence number"),
    "sequence beyond 64 bits": (raw(f"{NOON}-5", 2**64 + 7, GOOD), "sequence number"),
    "sequence of 5000 digits": (raw(f"{NOON}-5", "9" * 5000, GOOD), "sequence number"),
    "empty content": (raw(f"{NOON}-5", 2, b""), "cannot be read"),
    "broken JSON": (raw(f"{NOON}-5", 2, GOOD[:-1]), "cannot be read"),
    "second half of a JSON": (raw(f"{NOON}-5", 2, GOOD[10:]), "cannot be read"),
    "two objects": (raw(f"{NOON}-5", 2, GOOD + GOOD), "cannot be read"),
    "two objects on two lines": (raw(f"{NOON}-5", 2, GOOD + b"\n" + GOOD), "cannot be read"),
    "no UTF-8": (raw(f"{NOON}-5", 2, _with(b"city1", b"\xff\xfe")), "cannot be read"),
    "no UTF-8 in the version": (raw(f"{NOON}-5", 2, _with(b"1.0.0", b"\xff")), "cannot be read"),
    "half a surrogate pair": (raw(f"{NOON}-5", 2, _with(b"city1", b"\\ud800")), "cannot be read"),
    "nested too deeply": (
        raw(f"{NOON}-5", 2, _with(b'"id"', b'"zz":' + b"[" * 9999 + b"]" * 9999 + b',"id"')),
        "cannot be",
    ),
    "time beyond 64 bits": (
        raw(f"{NOON}-5", 2, _with(b'"time":0', b'"time":' + b"9" * 25)),
        "cannot be read",
    ),
    "time beyond the year 9999": (
        raw(f"{NOON}-5", 2, _with(b'"time":0', b'"time":' + b"9" * 17)),
        "cannot be read",
    ),
    "negative time": (raw(f"{NOON}-5", 2, _with(b'"time":0', b'"time":-1')), "cannot be read"),
    "no features": (
        raw(f"{NOON}-5", 2, b'{"id":"a","version":"1.0.0","time":0,"prediction":1}'),
        "cannot be read",
    ),
    "a list": (raw(f"{NOON}-5", 2, b"[1]"), "cannot be read"),
    "1e999": (raw(f"{NOON}-5", 2, _with(b"0.1", b"1e999")), "cannot be read"),
    "NaN": (raw(f"{NOON}-5", 2, _with(b"0.1", b"NaN")), "cannot be read"),
    "Infinity": (
        raw(f"{NOON}-5", 2, _with(b'"prediction":1', b'"prediction":-Infinity')),
        "cannot be read",
    ),
    "a boolean feature": (raw(f"{NOON}-5", 2, _with(b"0.1", b"true")), "cannot be read"),
    "too few features": (
        raw(f"{NOON}-5", 2, _with(b"0.1,", b"")),
        "5 features, but version 1.0.0 has 6",
    ),
    "too many features": (raw(f"{NOON}-5", 2, _with(b"0.1,", b"0.1,0.1,")), "7 features"),
    "string in a numeric feature": (
        raw(f"{NOON}-5", 2, _with(b"0.1", b'"0.1"')),
        "'smooth' is numeric",
    ),
    "number in a categorical feature": (
        raw(f"{NOON}-5", 2, _with(b'"city1"', b"3")),
        "'city' is categorical",
    ),
    "string as a numeric prediction": (
        raw(f"{NOON}-5", 2, _with(b'"prediction":1', b'"prediction":"a"')),
        "prediction is",
    ),
    "unknown version": (
        raw(f"{NOON}-5", 2, _with(b"1.0.0", b"9.9.9")),
        "'9.9.9' was never published",
    ),
    "unknown source": (
        raw(f"{NOON}-5", 2, _with(b'"id":"a"', b'"id":"a","source":"moon"')),
        "cannot be read",
    ),
}


@pytest.fixture(scope="module")
def versions() -> dict[str, CellMap]:
    return {"1.0.0": cell_map(published())}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("checked", [True, False])
def test_a_malformed_entry_is_one_dead_letter(
    name: str, place: int, versions: dict[str, CellMap], *, checked: bool
) -> None:
    """Whatever stands in the log, it becomes exactly one dead letter that says why, and its
    neighbours are counted.
    """
    entry, reason = BROKEN[name]
    rows = traffic(np.random.default_rng(0), 2)
    log = [event(NOON, 11, rows[0]), event(NOON, 12, rows[1])]
    log.insert(place, entry)
    counted = count(
        log, versions, CountingPolicy(), expected=versions["1.0.0"].decoder if checked else None
    )
    assert [letter.entry for letter in counted.dead] == [entry]
    assert reason in counted.dead[0].reason
    counters = counted.state(versions).counters
    assert (counters.events, counters.dead, counters.duplicates) == (2, 1, 0)


def test_two_halves_do_not_mend_each_other(versions: dict[str, CellMap]) -> None:
    """A payload that is cut in two entries is two dead letters, never one prediction."""
    for cut in range(1, len(GOOD)):
        halves = [raw(f"{NOON}-1", 1, GOOD[:cut]), raw(f"{NOON}-2", 2, GOOD[cut:])]
        counted = count([*halves, raw(f"{NOON}-3", 3, GOOD)], versions, CountingPolicy())
        assert len(counted.dead) == 2, cut
        assert counted.state(versions).counters.events == 1


def test_an_empty_payload_does_not_hide_behind_a_double_one(versions: dict[str, CellMap]) -> None:
    """Two objects in one entry and none in the next are two dead letters, though the lines add
    up.
    """
    log = [
        raw(f"{NOON}-1", 1, GOOD + b"\n" + GOOD),
        raw(f"{NOON}-2", 2, b""),
        raw(f"{NOON}-3", 3, GOOD),
    ]
    counted = count(log, versions, CountingPolicy())
    assert [letter.entry for letter in counted.dead] == log[:2]
    assert counted.state(versions).counters.events == 1


def test_a_newline_inside_valid_json_is_only_white_space(versions: dict[str, CellMap]) -> None:
    """A pretty-printed payload is a prediction like any other."""
    pretty = GOOD.replace(b",", b",\n").replace(b"{", b"{\n")
    counted = count(
        [raw(f"{NOON}-1", 1, pretty), raw(f"{NOON}-2", 2, GOOD)], versions, CountingPolicy()
    )
    assert not counted.dead
    assert counted.state(versions).counters.events == 2


def test_every_malformed_entry_in_one_batch(versions: dict[str, CellMap]) -> None:
    """Many faults in one batch do not hide each other, and the log's order is the dead letters'
    order.
    """
    good = [
        event(NOON, 1000 + number, row)
        for number, row in enumerate(traffic(np.random.default_rng(0), len(BROKEN)))
    ]
    broken = [
        (entry_id, [str(100 + place).encode() if value == b"2" else value for value in fields])
        for place, (entry_id, fields) in enumerate(entry for entry, _ in BROKEN.values())
    ]
    log = [entry for pair in zip(good, broken, strict=True) for entry in pair]
    counted = count(log, versions, CountingPolicy())
    assert [letter.entry for letter in counted.dead] == broken
    assert counted.state(versions).counters.events == len(good)


def test_a_dead_letter_that_is_sent_twice_is_written_once(versions: dict[str, CellMap]) -> None:
    """A publisher that repeats itself after a lost reply makes no second dead letter, and its
    number is no loss.
    """
    broken = raw(f"{NOON}-1", 1, b"{")
    again = raw(f"{NOON}-2", 1, b"{")
    for cuts in ((), (1,)):
        counted = count(
            [broken, again, raw(f"{NOON}-3", 2, GOOD)], versions, CountingPolicy(), cuts
        )
        counters = counted.state(versions).counters
        assert len(counted.dead) == 1
        assert (counters.events, counters.dead, counters.duplicates, counters.missing) == (
            1,
            1,
            1,
            0,
        )


def test_a_number_belongs_to_the_first_entry_that_brought_it(versions: dict[str, CellMap]) -> None:
    """When a broken and a good entry share a number the first counts, however the log was cut into
    batches.
    """
    broken, good = raw(f"{NOON}-1", 1, b"{"), raw(f"{NOON}-2", 1, GOOD)
    for log, events in (([broken, good], 0), ([good, broken], 1)):
        found = [count(log, versions, CountingPolicy(), cuts) for cuts in ((), (1,))]
        assert found[0].fields == found[1].fields
        assert found[0].dead == found[1].dead
        assert found[0].state(versions).counters.events == events
        assert found[0].state(versions).counters.duplicates == 1


def test_a_tick_among_events_is_no_dead_letter(versions: dict[str, CellMap]) -> None:
    """A tick is read in its place, and the events around it as if it were not there."""
    rows = traffic(np.random.default_rng(0), 2)
    log = [event(NOON, 1, rows[0]), tick(NOON + 10), event(NOON + 20, 2, rows[1])]
    batch = columns.read(log)
    assert (batch.ticks, batch.positions.tolist(), batch.dead) == ([1], [0, 2], {})
    assert batch.all_ms.tolist() == [NOON, NOON + 10, NOON + 20]
    assert count(log, versions, CountingPolicy()).state(versions).counters.events == 2


@pytest.mark.parametrize("bad", ["two", b"2".decode(), None])
def test_the_fast_way_finds_what_the_slow_way_finds(bad: str | None) -> None:
    """Type checking in the decoder and one by one give the same verdicts."""
    versions = {"1.0.0": CellMap(NUMERIC_SCHEMA, numeric_reference())}
    log = [event(NOON, number, [0.5, 1.0]) for number in range(1, 4)]
    log.append(event(NOON, 4, [0.5, bad]))
    found = [
        count(log, versions, CountingPolicy(), expected=decoder)
        for decoder in (CheckedDecoder(NUMERIC_SCHEMA), None)
    ]
    assert found[0].fields == found[1].fields
    assert found[0].dead == found[1].dead
    assert len(found[0].dead) == (bad is not None)


def test_a_verdict_does_not_hang_on_the_neighbours() -> None:
    """A prediction of the wrong kind is a dead letter alone as well as beside another fault."""
    rows = np.random.default_rng(0).normal(size=(50, 2)).tolist()
    without = reference_of(rows, NUMERIC_SCHEMA, [0.0] * 50)
    profile = type(without)(without.rows, without.columns[:2])
    versions = {"1.0.0": CellMap(NUMERIC_SCHEMA, profile)}
    wrong = raw(f"{NOON}-1", 1, encode(Prediction("a", "1.0.0", NOON, [1.0, 2.0], "yes")))
    short = event(NOON, 2, [1.0])
    decoder = versions["1.0.0"].decoder
    alone, together = (
        count(log, versions, CountingPolicy(), expected=decoder)
        for log in ([wrong], [wrong, short])
    )
    assert [letter.entry for letter in alone.dead] == [wrong]
    assert [letter.entry for letter in together.dead] == [wrong, short]


def test_probabilities_stay_on_the_fast_way() -> None:
    """Events with probabilities and without are decoded at once and checked; such as are no numbers
    are dead letters.
    """
    decoder = CheckedDecoder(NUMERIC_SCHEMA)
    log = [
        event(NOON, 1, [0.5, 1.0], probabilities=[0.25, 0.75]),
        event(NOON, 2, [0.5, 1.0]),
        event(NOON, 3, [None, 1.0], probabilities=[1, 0]),
    ]
    batch = columns.read(log, decoder)
    assert batch.checked == NUMERIC_SCHEMA.kinds
    assert [prediction.probabilities for prediction in batch.predictions] == [
        [0.25, 0.75],
        None,
        [1.0, 0.0],
    ]
    versions = {"1.0.0": CellMap(NUMERIC_SCHEMA, numeric_reference())}
    log.append(event(NOON, 4, [0.5, 1.0], probabilities=["x"]))
    for expected in (decoder, None):
        assert len(count(log, versions, CountingPolicy(), expected=expected).dead) == 1
