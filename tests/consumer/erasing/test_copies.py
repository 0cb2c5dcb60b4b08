"""What Redis holds of a prediction goes when nobody will read it again, and no count changes."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from driftgauge.consumer.erasing import copies as copies_module
from driftgauge.consumer.erasing.copies import Copies, PartitionCopies, holds
from driftgauge.consumer.erasing.passed import Passed, passed
from driftgauge.consumer.stages.stage import raw_reads
from driftgauge.shared.archive.erasing import Wanted
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.events import LABEL, Label, encode
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import BadData
from tests.consumer.builders import Entry, event, raw
from tests.consumer.stages.archiving.world import World
from tests.integration.plant import MODEL, PUBLISHED, append, counters, events

ROW = [0.5, 1.0, 7.0, 0.0, None, "city1"]
WAIT_DAYS = 30
Look = Callable[[], PartitionCopies]


@pytest.fixture
def world(client: redis.Redis, redis_url: str, keys: Keys, tmp_path: Path) -> Iterator[World]:
    """Make a partition whose predictions wait for labels."""
    made = World(client, redis_url, keys, tmp_path)
    manifest = msgspec.structs.replace(PUBLISHED.manifest, labels=True)
    labelled = msgspec.structs.replace(PUBLISHED, manifest=manifest)
    client.hset(keys.versions(MODEL), "1.0.0", labelled.pack())
    yield made
    made.close()


def add(world: World, entries: list[Entry]) -> None:
    append(world.client, world.log, entries, with_ids=False)


def some(number: int, first: int = 1) -> list[Entry]:
    return events(first, number, int(time.time() * 1000) - 20 * number, first=first)


def label(number: int, of: str, value: float) -> Entry:
    made = raw("0-0", number, encode(Label(of, value, int(time.time() * 1000))), b"labels")
    made[1][1] = LABEL
    return made


@pytest.fixture
def copies(world: World, redis_url: str) -> Iterator[Look]:
    """Return a function that looks at the partition as the command does."""
    with raw_reads(connect(redis_url)) as client:
        yield lambda: PartitionCopies(client, world.keys, MODEL, 0, WAIT_DAYS)


def held(world: World) -> bytes:
    """Return all that can be read below the keys of the partition but the archive's state."""
    found: list[Any] = []
    for key in world.client.scan_iter(f"{world.keys.prefix}:*"):
        kind = world.client.type(key)
        if kind == b"stream":
            found.append(world.client.xrange(key))
        elif kind == b"hash":
            found.append(world.client.hgetall(key))
    return repr(found).encode()


def test_only_what_all_have_passed_is_deleted(world: World, copies: Look) -> None:
    """An entry that waits to be archived stays, and it is told who is behind; then it goes too."""
    wanted = Wanted(["3", "4", "103"])
    add(world, some(10))
    world.count()
    world.archive()
    add(world, some(5, first=101))
    world.count()
    found = copies()
    behind = found.behind()
    assert behind is not None
    assert behind.reader == "the archive"
    assert found.erase(wanted) == Copies(log=2, waiting=3)
    assert b'"id":"103"' in held(world)
    world.archive()
    assert found.behind() is None
    assert found.erase(wanted) == Copies(log=1)
    assert found.erase(wanted) == Copies()
    assert world.client.xlen(world.log) == 12
    assert world.rows().num_rows == 15, "files are another thing"


def test_another_reader_of_the_log_is_waited_for(world: World, copies: Look) -> None:
    """What a consumer group has not read is not taken away from it; its name is told."""
    add(world, some(10))
    world.count()
    world.archive()
    world.client.xgroup_create(world.log, "loader", id="0")
    behind = copies().behind()
    assert behind is not None
    assert behind.reader == "the consumer group 'loader'"
    assert copies().erase(Wanted(["3"])).log == 0
    last, _ = world.client.xrevrange(world.log, count=1)[0]
    world.client.xgroup_setid(world.log, "loader", last)
    assert copies().behind() is None
    assert copies().erase(Wanted(["3"])).log == 1


def test_nothing_can_be_read_of_it_any_more(world: World, copies: Look) -> None:
    """Repeated entries, labels, dead letters of every kind, the reasons of refusals, what waits for
    a label and a label that waits: all hold the name, and none does afterwards.
    """
    name = "Zaphod"
    now = int(time.time() * 1000)
    cut = raw("0-0", 904, f'{{"id":"{name}","features":[1'.encode())
    refused = [event(now, 902, ROW, "9.9.9", id=name), cut, event(now, 903, ROW, name, id="11")]
    add(world, [*some(20), event(now, 901, ROW, id=name), event(now, 901, ROW, id=name), *refused])
    add(world, [label(1, name, 2.0), label(2, f"{name}2", 3.0), label(3, "5", 1.0)])
    world.count()
    world.archive()
    assert counters(world.client, world.keys).labels.joined == 2
    assert world.client.xlen(world.keys.dead(MODEL, 0)) == 3
    uncounted = repr(world.client.xrange(world.keys.uncounted(MODEL, 0)))
    assert name in uncounted, "a reason names the version"
    found = copies().erase(Wanted([name, f"{name}2"], [name]))
    assert found == Copies(log=7, reasons=1, dead_letters=3, waiting=2)
    assert name.encode() not in held(world)
    assert b'"id":"5"' in held(world)
    assert copies().erase(Wanted([name, f"{name}2"], [name])) == Copies()


def test_no_count_changes(world: World, copies: Look) -> None:
    """Nothing is missed of what is gone: neither by the worker that counted it, nor by one that
    comes later; what comes then is counted and archived as ever.
    """
    add(world, some(300))
    world.count()
    world.archive()
    before = counters(world.client, world.keys)
    panes = world.client.xrange(world.keys.panes(MODEL, 0))
    names = [str(place) for place in range(1, 301)]
    assert copies().erase(Wanted(names)).log == 300, "the whole log"
    add(world, some(300, first=301))
    world.count()
    world.archive()
    world.counting.load()
    world.archiver()
    add(world, some(10, first=601))
    world.count()
    world.archive()
    after = counters(world.client, world.keys)
    assert (after.events, after.missing, after.lost) == (610, 0, 0)
    assert (after.duplicates, after.dead) == (before.duplicates, before.dead)
    assert world.client.xrange(world.keys.panes(MODEL, 0))[: len(panes)] == panes
    assert world.archiving.archived.missing == 0
    assert world.ids() == {str(place): 1 for place in range(1, 611)}


@pytest.mark.parametrize(("offset", "left"), [("", 9), ("0-0", 10)])
def test_readers_are_looked_at_in_the_instant_of_deleting(
    world: World, copies: Look, monkeypatch: pytest.MonkeyPatch, offset: str, left: int
) -> None:
    """A commit between the look and the deletion has both done again; where the archive went back
    with it, nothing is deleted, and it is told.
    """
    add(world, some(10))
    world.count()
    world.archive()
    found = copies()
    looks: list[Passed] = []

    def look(client: redis.Redis, *place: Any) -> Passed:
        looks.append(passed(client, *place))
        if len(looks) == 2:  # the first was before the entries were read
            committed = {"commit": 99} | ({"offset": offset} if offset else {})
            world.client.hset(world.keys.archive(MODEL, 0), mapping=committed)
        return looks[-1]

    monkeypatch.setattr(copies_module, "passed", look)
    with pytest.raises(BadData, match="the archive has gone back") if offset else nullcontext():
        found.erase(Wanted(["3"]))
    assert len(looks) == 3
    assert world.client.xlen(world.log) == left


@pytest.mark.parametrize(
    ("fields", "reason", "there"),
    [
        ({b"t": b"p", b"e": b'{"id":"a\\"b","version":"1"}'}, None, True),
        ({b"t": b"p", b"e": b'{"version":"a\\"b","id":"c"}'}, None, False),
        ({b"t": b"p", b"e": b'{"id":"c","features":["Ann"]}'}, None, False),
        ({b"t": b"p", b"e": b'{"id":"c","features":["Ann"]}'}, "unknown version", True),
        ({b"t": b"p", b"e": b'{"id":"c"}'}, "'Ann' is no number", True),
        ({b"t": b"p", b"e": b'{"id":"cart-7","fea'}, None, True),
        ({b"t": b"p", b"e": b'{"id":"cart-77","fea'}, None, False),
        ({b"t": b"d", b"e": b"no JSON", b"reason": b"cart-7"}, None, True),
        ({b"t": b"p", b"p": b"cart-7", b"s": b"7", b"e": b"x"}, None, False),
        ({b"t": b"r", b"e": b'{"id":"cart-7"}'}, None, False),
        ({b"odd": b"cart-7"}, None, True),
        ({b"t": b"k"}, None, False),
        ({}, "", False),
    ],
)
def test_an_entry_is_recognised(
    fields: Mapping[bytes, bytes], reason: str | None, *, there: bool
) -> None:
    """One that was counted by its id alone; one that was refused, or cannot be read, by what it
    holds too.
    """
    flat = [part for pair in fields.items() for part in pair]
    assert holds(Wanted(['a"b', "cart-7"], ["Ann"]), flat, reason) is there
