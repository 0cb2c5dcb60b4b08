"""Reading many streams at once."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import redis

from driftgauge.consumer.stages.routes import streams
from driftgauge.consumer.stages.routes.streams import AT_ONCE, ManyStreams
from driftgauge.consumer.stages.stage import raw_reads
from driftgauge.shared.connections.bulk import ask_all
from driftgauge.shared.contract.keys import Keys

Asked = list[Sequence[Any]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """The commands that were sent, of each round trip."""
    found: Asked = []

    def counted(client: redis.Redis, commands: Sequence[Any]) -> list[Any]:
        found.append(commands)
        return ask_all(client, commands)

    monkeypatch.setattr(streams, "ask_all", counted)
    return found


@pytest.fixture
def many(client: redis.Redis) -> Callable[[bool], ManyStreams]:
    raw_reads(client)
    return lambda is_cluster: ManyStreams(lambda _: client, is_cluster=is_cluster)


def test_a_thousand_streams_are_one_command(
    client: redis.Redis, keys: Keys, many: Callable[[bool], ManyStreams], asked: Asked
) -> None:
    """Whatever came in any of them is found by one command in one round trip, and a reply holds a
    bounded number of entries.
    """
    names = [keys.incidents(f"m{number}") for number in range(1000)]
    for name in names[:3]:
        for place in range(1, 4):
            client.xadd(name, {"e": str(place)}, id=f"{place}-0")
    found, more = many(False).read(dict.fromkeys(names, "1-0"))
    assert [len(commands) for commands in asked] == [1]
    assert {name: [entry[0] for entry in entries] for name, entries in found} == {
        name: [b"2-0"] for name in names[:3]
    }
    assert more
    found, more = many(False).read({names[0]: "1-0"})
    assert ([entry[0] for entry in found[0][1]], more) == ([b"2-0", b"3-0"], False)
    assert many(False).read(dict.fromkeys(names, "3-0")) == ([], False)


@pytest.mark.parametrize("is_cluster", [False, True])
def test_a_key_that_is_no_stream_spoils_no_other(
    is_cluster: bool,  # noqa: FBT001
    client: redis.Redis,
    keys: Keys,
    many: Callable[[bool], ManyStreams],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is passed over, and named once."""
    good, bad = keys.incidents("good"), keys.incidents("bad")
    client.set(bad, "junk")
    client.xadd(good, {"e": "1"}, id="1-0")
    one = many(is_cluster)
    for _ in range(2):
        found, more = one.read({bad: "0-0", good: "0-0"})
        assert [name for name, _ in found] == [good]
        assert not more
    assert caplog.text.count(bad) == 1
    assert one.lasts([good, bad, keys.incidents("absent")]) == {
        good: "1-0",
        bad: "0-0",
        keys.incidents("absent"): "0-0",
    }


def test_a_full_read_says_that_there_may_be_more(
    client: redis.Redis, keys: Keys, many: Callable[[bool], ManyStreams]
) -> None:
    """So a backlog is read to its end before anything is told of it."""
    name = keys.incidents("m")
    pipe = client.pipeline()
    for place in range(AT_ONCE):
        pipe.xadd(name, {"e": "x"}, id=f"{place + 1}-0")
    pipe.execute()
    found, more = many(False).read({name: "0-0"})
    assert (len(found[0][1]), more) == (AT_ONCE, True)
