import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
import redis

from driftgauge.producer.app import create_app
from driftgauge.producer.http.problems import Problem
from driftgauge.producer.reading.positions import read_vector, write_vector
from driftgauge.producer.watching import feed as feed_module
from driftgauge.producer.watching.feed import Feed, FeedEvent, Listener
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.settings import Settings
from tests.producer.conftest import running
from tests.producer.dashboard.snapshots import MODEL, Judging, active, snapshot

pytestmark = pytest.mark.anyio


class Follower:
    """A page's side of the stream."""

    def __init__(self, blocks: AsyncIterator[bytes]) -> None:
        self.blocks = blocks

    async def event(self, name: str) -> tuple[dict[str, str], dict[str, object]]:
        """Wait for the next event of a name: its fields and its data."""
        async with asyncio.timeout(60):
            async for block in self.blocks:
                fields = dict(
                    line.split(": ", 1) for line in block.decode().splitlines() if ": " in line
                )
                if fields.get("event") == name:
                    return fields, msgspec.json.decode(fields["data"])
        raise AssertionError(name)


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "TICK_S", 0.02)
    monkeypatch.setattr(feed_module, "BEAT_S", 0.1)


@pytest.mark.usefixtures("fast")
async def test_an_odd_reply_does_not_end_the_feed(
    settings: Settings, client: redis.Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a look at Redis raises is named and counted, and the next one tells what changed."""
    judging = Judging(client, keys)
    judging.alert(1)
    app = create_app(settings)
    async with running(app):
        feed: Feed = app.state.parts.feed
        poll, failures = feed._poll, [ValueError("odd")]

        async def odd() -> None:
            if failures:
                raise failures.pop()
            await poll()

        monkeypatch.setattr(feed, "_poll", odd)
        page = Follower(feed.follow(await feed.open(None, None)))
        assert (await page.event("state"))[1]["model"] == MODEL
        task = app.state.parts.supervisor.tasks[feed_module.NAME]
        assert (task.failures, task.late) == (1, False)


@pytest.mark.usefixtures("fast")
async def test_a_page_hears_of_everything_that_changes(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """States, windows, reports and alerts come as they change, and beats while Redis answers."""
    judging = Judging(client, keys)
    judging.alert(1)
    app = create_app(settings)
    async with running(app):
        feed: Feed = app.state.parts.feed
        page = Follower(feed.follow(await feed.open(None, None)))
        assert (await page.event("state"))[1]["model"] == MODEL
        judging.current(snapshot(5, alerts=[active("x")], severity="critical"))
        window = (await page.event("current"))[1]
        assert window == {
            "model": MODEL,
            "version": "1.0.0",
            "created": 5,
            "severity": "critical",
            "firing": 1,
        }
        client.xadd(keys.alerts(MODEL), {"e": b"no JSON"})
        judging.report(snapshot(5))
        assert (await page.event("snapshot"))[1]["model"] == MODEL
        judging.alert(2)
        fields, alert = await page.event("alert")
        assert alert["data"]["started"] == 2, "what was there before is not told again"  # type: ignore[index]
        assert read_vector(fields["id"]).keys() == {MODEL}
        await page.event("beat")


@pytest.mark.usefixtures("fast")
async def test_a_page_resumes_without_loss(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """From the id that it saw last a page gets every alert since, once and in order, also from
    another process.
    """
    judging = Judging(client, keys)
    first = create_app(settings)
    async with running(first):
        page = Follower(
            first.state.parts.feed.follow(await first.state.parts.feed.open(MODEL, None))
        )
        last = (await page.event("beat"))[0]["id"]
    for number in (1, 2, 3):
        judging.alert(number)
    second = create_app(settings)
    async with running(second):
        page = Follower(
            second.state.parts.feed.follow(await second.state.parts.feed.open(MODEL, last))
        )
        assert [(await page.event("alert"))[1]["data"]["started"] for _ in range(3)] == [1, 2, 3]  # type: ignore[index]
        judging.alert(4)
        assert (await page.event("alert"))[1]["data"]["started"] == 4  # type: ignore[index]
        with pytest.raises(Problem):
            await second.state.parts.feed.open(None, "no id of ours")


@pytest.mark.usefixtures("fast")
async def test_a_page_of_one_model_hears_of_no_other(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """The stream of a model's page has that model only."""
    Judging(client, keys)
    other = Judging(client, keys, "other")
    app = create_app(settings)
    async with running(app):
        page = Follower(app.state.parts.feed.follow(await app.state.parts.feed.open(MODEL, None)))
        await page.event("state")
        other.alert(1)
        Judging(client, keys).alert(2)
        assert (await page.event("alert"))[1]["data"]["model"] == MODEL  # type: ignore[index]


@pytest.mark.usefixtures("fast")
async def test_nobody_looks_when_no_page_is_open(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """The task that reads Redis ends with the last page, and one task serves all pages."""
    Judging(client, keys)
    app = create_app(settings)
    async with running(app):
        feed: Feed = app.state.parts.feed
        streams = [feed.follow(await feed.open(None, None)) for _ in range(3)]
        for stream in streams:
            await Follower(stream).event("state")
        looking = feed._polling
        assert looking is not None
        for stream in streams:
            await stream.aclose()  # type: ignore[attr-defined]  # what follow gives is a generator
        async with asyncio.timeout(60):
            await looking
        assert feed._listeners == set()


@pytest.mark.usefixtures("fast")
async def test_the_streams_end_with_the_server(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """A stopping server does not wait for pages."""
    Judging(client, keys)
    app = create_app(settings)
    async with running(app):
        feed: Feed = app.state.parts.feed
        stream = feed.follow(await feed.open(None, None))
        await Follower(stream).event("state")
        feed.end()
        async with asyncio.timeout(60):
            async for _ in stream:
                pass


async def test_a_page_that_does_not_read_is_bounded() -> None:
    """Of states only the latest waits; alerts wait up to a bound, then the page is cut off and
    resumes.
    """
    listener = Listener(None, {})
    for number in range(100):
        listener.tell(FeedEvent("state", MODEL, str(number).encode()))
    assert [block for block in listener.take() if b"data: 99" in block] == [
        f"event: state\ndata: {99}\n\n".encode()
    ]
    for number in range(1, feed_module.MOST_ALERTS + 2):
        listener.tell(FeedEvent("alert", MODEL, b"{}", entry=f"{number}-0"))
    assert listener.over
    blocks = listener.take()
    assert len(blocks) == feed_module.MOST_ALERTS
    assert write_vector({MODEL: f"{feed_module.MOST_ALERTS}-0"}).encode() in blocks[-1]
    listener.tell(FeedEvent("alert", MODEL, b"{}", entry="1-0"))
    assert listener.take() == [], "an alert that it has seen is not told again"
