"""What counting could not use is in the archive with its reason, each event once."""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.consumer.stages.archiving import cut
from driftgauge.consumer.stages.archiving import stream as stream_module
from driftgauge.consumer.stages.archiving.refused import TEXT_BYTES, refused_of
from driftgauge.shared.contract.events import LABEL, REFUSED, UNUSABLE
from driftgauge.shared.contract.keys import Keys
from tests.consumer.builders import event, raw
from tests.consumer.stages.archiving.world import World
from tests.integration.plant import MODEL, append

ROW = [0.5, 1.0, 7.0, 0.0, None, "city1"]


@pytest.fixture
def world(client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path) -> Iterator[World]:
    made = World(client, redis_url, keys, tmp_path)
    yield made
    made.close()


def bad(number: int, first: int = 1) -> list[Entry]:
    """Make events of a version that nobody published."""
    now = int(time.time() * 1000)
    return [event(now, first + place, ROW, version="9.9.9") for place in range(number)]


def add(world: World, entries: list[Entry]) -> None:
    append(world.client, world.log, entries, with_ids=False)
    world.count()


def test_a_refused_event_is_a_row_with_its_reason_and_text(world: World) -> None:
    """Its id and version are there where they can be read; the reason and the place are those of
    the dead letter; one that was sent twice is there once.
    """
    now = int(time.time() * 1000)
    (unknown,) = bad(1)
    fits_not = event(now, 2, ["text", *ROW[1:]])
    label = raw("0-0", 3, b'{"id":"7","label":[]}')
    label[1][1] = LABEL
    broken = raw("0-0", 4, b'{"id": \xff')
    add(world, [event(now, 10, ROW), unknown, unknown, fits_not, label, broken])
    world.archive()
    rows = world.rows("refused").to_pylist()
    dead = world.client.xrange(world.keys.dead(MODEL, 0))
    assert [(row["id"], row["version"], row["kind"], row["publisher"]) for row in rows] == [
        ("1", "9.9.9", "prediction", "api"),
        ("2", "1.0.0", "prediction", "api"),
        ("7", None, "label", "api"),
        (None, None, "prediction", "api"),
    ]
    for row, (_, letter) in zip(rows, dead, strict=True):
        place = f"{int(row['entry_time'].timestamp() * 1000)}-{row['entry_number']}"
        assert (place, row["reason"]) == (letter[b"entry_id"].decode(), letter[b"reason"].decode())
        assert row["text"] == letter[b"e"].decode(errors="replace")
        assert (row["bytes"], row["time"]) == (len(letter[b"e"]), row["entry_time"])
    assert world.archiving.archived.refused == 4
    assert world.rows().num_rows == 1


def test_what_no_rule_has_cleaned_is_not_kept() -> None:
    """A message of another log, and what nobody knows the kind of, may hold personal values: its
    content stays out of the archive, and a long one is cut.
    """
    personal = b'{"id":"a","version":"1.0.0","email":"ann@example.org"}'
    for kind, name in ((UNUSABLE, "message"), (b"?", "unknown")):
        row = refused_of([b"t", kind, b"p", b"kafka:t:0", b"e", personal], "why")
        assert (row.kind, row.text, row.id, row.version) == (name, None, "a", "1.0.0")
        assert (row.bytes, row.publisher) == (len(personal), "kafka:t:0")
    long = refused_of([b"t", b"p", b"e", b"x" * (TEXT_BYTES + 1)], "why")
    assert (long.text, long.bytes) == ("x" * TEXT_BYTES, TEXT_BYTES + 1)
    for odd in (b"[1]", b'{"id":7,"version":""}', b'{"id":"' + b"x" * 129 + b'"}', b"[" * 10**5):
        row = refused_of([b"t", b"p", b"e", odd], "why")
        assert (row.id, row.version, row.publisher) == (None, None, None)
    assert refused_of([], "no entry type").kind == "unknown"


@pytest.mark.parametrize("where", ["write_groups", "write_head"])
def test_refused_events_are_written_once(
    world: World, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """A process that dies between two steps leaves none twice, and none out."""
    add(world, bad(30))
    with monkeypatch.context() as patch:
        patch.setattr(stream_module, where, die)
        with pytest.raises(SystemError):
            world.archive()
    add(world, bad(20, first=100))
    world.archiver()
    world.archive()
    assert world.ids("refused") == Counter(event.decode() for event in named(world))
    assert world.rows("refused").num_rows == 50


def die(*_: object) -> None:
    raise SystemError


def named(world: World) -> Iterator[bytes]:
    """Yield the ids of all events of the log."""
    for _, fields in world.client.xrange(world.log):
        yield fields[b"s"]


def test_a_flood_of_refused_events_is_cut_by_its_text(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many rows a cut may have, memory holds no more text of them than its bound and a
    page; a cut that is written again is the same.
    """
    monkeypatch.setattr(cut, "PAGE", 10)
    monkeypatch.setattr(cut, "MOST_TEXT", 1000)
    add(world, bad(100))
    with monkeypatch.context() as patch:
        patch.setattr(stream_module, "write_head", die)
        with pytest.raises(SystemError):
            world.archive()
    monkeypatch.setattr(cut, "MOST_TEXT", 10)
    world.archiver()
    world.archive()
    files = list(world.folder.glob("refused/*/*/*.parquet"))
    assert len(files) > 5
    assert world.rows("refused").num_rows == 100
    assert max(world.ids("refused").values()) == 1


def test_counts_of_an_earlier_release_give_no_reasons(world: World) -> None:
    """What it did not count is repeated or refused, nobody knows which: neither is a row."""
    add(world, bad(5))
    _, (entry_id, fields), *others = world.client.xrange(world.keys.uncounted(MODEL, 0))
    assert not others
    del fields[REFUSED]
    world.client.delete(world.keys.uncounted(MODEL, 0))
    world.client.xadd(world.keys.uncounted(MODEL, 0), fields, id=entry_id)
    world.archive()
    assert not world.rows("refused").num_rows
    assert not world.rows().num_rows
