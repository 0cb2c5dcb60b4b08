"""Reading streams backwards on a real Redis: everything once, newest first, never much at once."""

from pathlib import Path
from typing import Any

import pytest
import redis

from driftgauge.shared.connections.redis_client import connect, connect_async
from driftgauge.shared.connections.streams import (
    PAGE_BYTES,
    Backwards,
    Fields,
    backwards,
    backwards_async,
    last_generated,
    newest,
    set_back,
    whole,
)
from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.contract.keys import Keys
from tests.shared.local.servers import ServerOf, every_server

pytestmark = pytest.mark.anyio


@pytest.fixture
def stream(keys: Keys) -> str:
    return keys.snapshots("m")


def number(fields: Fields) -> int:
    return int(fields[b"e"])


def fill(client: redis.Redis, stream: str, count: int, **more: Any) -> None:
    pipe = client.pipeline(transaction=False)
    for place in range(1, count + 1):
        pipe.xadd(stream, {"e": place, **more}, id=f"{place}-0")
    pipe.execute()


async def test_every_entry_comes_once_newest_first(
    client: redis.Redis, redis_url: str, stream: str
) -> None:
    """Over several pages of growing size, and the same by both kinds of client."""
    fill(client, stream, 1300)
    walk = Backwards(number)
    found = list(backwards(client, stream, walk))
    assert [value for _, value in found] == list(range(1300, 0, -1))
    assert all(entry_id == EntryId(value, 0) for entry_id, value in found)
    assert walk.read == 1300
    async with connect_async(redis_url) as other:
        assert [one async for one in backwards_async(other, stream, Backwards(number))] == found


def test_a_walk_goes_on_from_any_id(client: redis.Redis, stream: str) -> None:
    """Its begin is the entry before the given one, or that one too, there or not."""
    fill(client, stream, 40)
    client.xdel(stream, "20-0")

    def read(before: str, *, inclusive: bool) -> list[int]:
        walk = Backwards(number, before, inclusive=inclusive)
        return [value for _, value in backwards(client, stream, walk)]

    assert read("30-0", inclusive=False)[0] == 29
    assert read("30-0", inclusive=True)[0] == 30
    assert read("20-0", inclusive=True)[0] == 19
    assert read("1-0", inclusive=False) == []


def test_what_cannot_be_decoded_is_passed_over_and_counted(
    client: redis.Redis, stream: str
) -> None:
    """An entry of another hand hides no other; one that is not wanted is no fault."""
    fill(client, stream, 20)
    for entry_id in ("21-0", "22-0"):
        client.xadd(stream, {"e": "junk"}, id=entry_id)
    walk = Backwards(lambda fields: found if (found := number(fields)) % 2 else None)
    assert [value for _, value in backwards(client, stream, walk)] == list(range(19, 0, -2))
    assert (walk.read, walk.unreadable) == (22, 2)


def test_a_walk_is_bounded_in_entries_and_bytes(client: redis.Redis, stream: str) -> None:
    """At the bound it ends; a request asks for fewer entries where they are large."""
    fill(client, stream, 60, large="x" * (PAGE_BYTES // 10))
    walk = Backwards(number, most_entries=37)
    assert len(list(backwards(client, stream, walk))) == 37
    asked = []
    walk = Backwards(number)
    while (request := walk.request()) is not None:
        asked.append(request[1])
        reply: Any = client.xrevrange(stream, max=request[0], count=request[1])
        list(walk.take(reply))
    assert max(asked[1:]) <= 10
    walk = Backwards(number, most_bytes=3 * PAGE_BYTES)
    assert 28 <= len(list(backwards(client, stream, walk))) <= 31


def test_the_newest_entry(client: redis.Redis, stream: str) -> None:
    """None of a stream that is not there; else id and fields as they are."""
    assert newest(client, stream) is None
    fill(client, stream, 3)
    assert newest(client, stream) == (EntryId(3, 0), {b"e": b"3"})
    assert list(backwards(client, stream, Backwards(whole)))[-1] == (EntryId(1, 0), {b"e": b"1"})


def test_the_last_id_of_a_stream(client: redis.Redis, stream: str) -> None:
    """The id outlives its entry; without a stream it is the beginning; another type is an error."""
    assert last_generated(client, stream) == "0-0"
    client.xadd(stream, {"e": "x"}, id="7-1")
    client.xdel(stream, "7-1")
    assert last_generated(client, stream) == "7-1"
    client.delete(stream)
    client.set(stream, "mine")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        last_generated(client, stream)


def test_a_stream_that_is_deleted_while_its_last_id_is_asked(
    client: redis.Redis, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is there and what it says are asked at one instant: a key that is deleted between
    two questions, as by FLUSHALL, is no error.
    """
    client.xadd(stream, {"e": "x"}, id="7-1")
    asked = client.exists

    def then_deleted(*keys: str) -> Any:
        found = asked(*keys)
        client.delete(*keys)
        return found

    monkeypatch.setattr(client, "exists", then_deleted)
    assert last_generated(client, stream) in {"7-1", "0-0"}


@every_server
def test_a_stream_goes_on_behind_its_newest_entry(binary: str, tmp_path: Path) -> None:
    """On servers of each kind, and whether its last entries were deleted now or by hand before; a
    stream that has none left begins anew.
    """
    with ServerOf(tmp_path / "redis", binary) as server, connect(server.url) as client:
        for last in (EntryId(0, 0), EntryId(0, 1), EntryId(7, 2)):
            stream = f"to:{last}"
            if last > EntryId(0, 0):
                client.xadd(stream, {"x": "ours"}, id=str(last))
            for number in (8, 10**17):
                client.xadd(stream, {"x": "a stranger's"}, id=f"{number}-0")
            client.xdel(stream, f"{10**17}-0")  # by hand
            told: Any = client.xinfo_stream(stream)
            with client.pipeline(transaction=True) as pipe:
                pipe.xdel(stream, "8-0")
                set_back(pipe, stream, last, told)
                pipe.execute()
            assert last_generated(client, stream) == str(last)
            assert client.xadd(stream, {"x": "ours"}, id="8-0")
