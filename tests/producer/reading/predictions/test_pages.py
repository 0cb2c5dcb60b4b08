"""Pages of predictions that begin in the log and go on in the archive."""

import asyncio
import threading
from collections.abc import AsyncIterator
from itertools import chain
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from driftgauge.producer.app import create_app
from driftgauge.producer.http.problems import Problem
from driftgauge.producer.parts import Parts
from driftgauge.producer.reading.predictions import archived
from driftgauge.producer.reading.predictions.log import PredictionFilter
from driftgauge.producer.reading.predictions.pages import Predictions
from driftgauge.shared.archive.store import FolderStore
from driftgauge.shared.contract.events import Label
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.settings import Settings
from tests.producer.conftest import running, until
from tests.producer.reading.predictions.world import MODEL, NOON, World
from tests.producer.routes.test_predict import problem

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("linear")]


@pytest.fixture
def world(client: redis.Redis, keys: Keys, settings: Settings, tmp_path: Path) -> World:
    client.sadd(keys.models, MODEL)
    return World(client, keys, settings, tmp_path / "archive")


@pytest.fixture
async def parts(world: World) -> AsyncIterator[Parts]:
    app = create_app(world.settings)
    async with running(app):
        await until(lambda: world.client.exists(world.keys.versions(MODEL)))
        yield app.state.parts


async def names(parts: Parts, wanted: PredictionFilter, limit: int) -> list[list[str]]:
    """Read all pages."""
    found, cursor = [], ""
    while True:
        page = await parts.predictions.page(MODEL, wanted, limit, cursor)
        found.append([row.event.id for row in page.rows])
        if not page.following:
            return found
        cursor = page.following


@pytest.mark.parametrize("limit", [1, 7, 1000])
async def test_the_archive_goes_on_where_the_log_ends(
    world: World, parts: Parts, limit: int
) -> None:
    """Every prediction comes once, whether it is in the log, in the archive or in both."""
    for place in range(40):
        world.predict(f"a{place}")
    world.archive(30)
    world.trim(12)
    expected = [f"a{place}" for place in range(39, -1, -1)]
    assert list(chain(*await names(parts, PredictionFilter(), limit))) == expected
    world.archive()
    world.trim(39)
    assert list(chain(*await names(parts, PredictionFilter(), limit))) == expected
    world.client.delete(world.log)
    assert list(chain(*await names(parts, PredictionFilter(), limit))) == expected


async def test_what_moves_to_the_archive_between_two_pages_comes_once(
    world: World, parts: Parts
) -> None:
    """The log was trimmed, and more was archived, of rows that were shown and that were not; a late
    row of an earlier day is not shown again.
    """
    for place in range(30):
        world.predict(f"a{place}", late_ms=86_400_000 if place == 21 else 0)
    world.archive(10)
    for wanted in (PredictionFilter(), PredictionFilter(most=5)):
        first = await parts.predictions.page(MODEL, wanted, 12)
        world.archive(25)
        world.trim(24)
        found, cursor = [row.event.id for row in first.rows], first.following
        while cursor:
            page = await parts.predictions.page(MODEL, wanted, 5, cursor)
            found += [row.event.id for row in page.rows]
            cursor = page.following
        assert sorted(found) == sorted(f"a{place}" for place in range(30))


async def test_a_search_finds_rows_of_both(world: World, parts: Parts) -> None:
    """By each filter; of the log it reads what is not archived."""
    for place in range(20):
        world.predict(f"a{place}", float(place), late_ms=7_200_000 if place > 17 else 0)
    world.archive(15)
    world.trim(5)
    for wanted, expected in (
        (PredictionFilter(least=3, most=16), list(range(16, 2, -1))),
        (PredictionFilter(until_ms=NOON + 8000), [19, 18, 6, 5, 4, 3, 2, 1, 0]),
        (PredictionFilter(since_ms=NOON + 16000), [17, 16, 15]),
        (PredictionFilter(since_ms=NOON + 4000, until_ms=NOON + 8000), [6, 5, 4, 3]),
        (PredictionFilter(id="a3"), [3]),
        (PredictionFilter(id="a17"), [17]),
        (PredictionFilter(id="no"), []),
        (PredictionFilter(version="2.0.0"), []),
        (PredictionFilter(prediction="yes"), []),
    ):
        found = list(chain(*await names(parts, wanted, 4)))
        assert found == [f"a{place}" for place in expected], wanted
    page = await parts.predictions.page(MODEL, PredictionFilter(least=17), 10)
    assert page.read == 5  # the file's statistics tell that it has none


async def test_an_id_that_tells_its_time_is_found_without_the_log(
    world: World, parts: Parts
) -> None:
    """However many entries wait to be archived: its day is looked into first."""
    name = "019aa122-be00-7000-8000-000000000001"
    world.predict(name)
    world.archive()
    for place in range(5):
        world.predict(f"a{place}")
    page = await parts.predictions.page(MODEL, PredictionFilter(id=name), 10)
    assert [(row.event.id, page.following, page.read) for row in page.rows] == [(name, "", 1)]


async def test_a_row_is_the_same_from_log_and_archive(world: World) -> None:
    """The document of the API has the same values, and the label that came last."""
    async with running(create_app(world.settings)) as http:
        await until(lambda: world.client.exists(world.keys.versions(MODEL)))
        world.predict("a", 3.5)
        world.predict("future", late_ms=-86_400_000)
        for value in (4.0, 5.0):
            world.add(Label("a", value, NOON + 5000))
        log = (await http.get("/predictions")).json()
        world.archive()
        world.client.delete(world.log)
        found = (await http.get("/predictions")).json()
        assert found["predictions"] == log["predictions"]
        assert [one["label"] for one in found["predictions"] if one["id"] == "a"] == [5.0]
        problem(await http.get("/predictions?cursor=2025-11-20.1-x.0.5-0"), 400)
        page = await http.get("/dashboard/log?model=linear", headers={"Accept": "text/html"})
        assert "<dt><bdi>y</bdi></dt>" in page.text


async def test_an_archive_that_cannot_be_read_hides_no_log(world: World) -> None:
    """The rows of the log are there, with a sentence; the page after them is an error that says
    what is wrong.
    """
    world.predict("a")
    async with running(create_app(world.settings)) as http:
        await until(lambda: world.client.exists(world.keys.versions(MODEL)))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(FolderStore, "find", refuse)
            found = (await http.get("/predictions")).json()
            assert [one["id"] for one in found["predictions"]] == ["a"]
            assert "cannot be read: planted" in found["skipped"][0]
            named = (await http.get("/predictions?id=a")).json()
            assert [one["id"] for one in named["predictions"]] == ["a"]
            said = problem(await http.get(f"/predictions?cursor={found['next']}"), 503)
            assert "cannot be read: planted" in said["detail"]
        found = (await http.get(f"/predictions?cursor={found['next']}")).json()
        assert (found["predictions"], found["next"]) == ([], None)


def refuse(*_: object) -> Any:
    raise OSError("planted")


async def test_a_damaged_file_is_named_on_the_page(world: World) -> None:
    """All other rows are shown."""
    for place in range(2):
        world.predict(f"a{place}")
        world.archive()
    world.client.delete(world.log)
    damaged = world.damage()
    async with running(create_app(world.settings)) as http:
        await until(lambda: world.client.exists(world.keys.versions(MODEL)))
        found = (await http.get("/predictions")).json()
        assert [one["id"] for one in found["predictions"]] == ["a1"]
        assert str(damaged) in found["skipped"][0]
        page = await http.get("/dashboard/log?model=linear", headers={"Accept": "text/html"})
        assert "is damaged or gone, and skipped" in page.text


async def test_other_requests_are_answered_while_the_archive_is_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that does not answer holds its page alone, and no more threads than are allowed."""
    reading, go_on = threading.Semaphore(0), threading.Event()
    find = FolderStore.find

    def slow(store: FolderStore, prefix: str) -> Any:
        reading.release()
        go_on.wait(60)
        return find(store, prefix)

    monkeypatch.setattr(FolderStore, "find", slow)
    world.predict("a")
    async with running(create_app(world.settings)) as http:
        await until(lambda: world.client.exists(world.keys.versions(MODEL)))
        asked = [asyncio.create_task(http.get("/predictions?most=0")) for _ in range(4)]
        for _ in range(archived.THREADS):
            await asyncio.to_thread(reading.acquire)
        assert (await http.get("/health")).status_code in {200, 503}
        assert not reading.acquire(blocking=False)
        go_on.set()
        answers: list[httpx.Response] = list(await asyncio.gather(*asked))
    assert [one.json()["predictions"] for one in answers] == [[]] * 4


async def test_without_the_packages_the_answer_says_what_to_install(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 with the line of pip."""
    from driftgauge.shared.archive import store
    from driftgauge.shared.errors import NotInstalled

    def lacking(_: str) -> Any:
        raise NotInstalled("This needs pyarrow: pip install 'driftgauge[parquet]'")

    monkeypatch.setattr(store, "open_store", lacking)
    predictions = Predictions(parts.reader, parts.pipeline, archived.ArchivePages("archive", 0))
    with pytest.raises(Problem, match="pip install"):
        await predictions.page(MODEL, PredictionFilter(most=0), 10)


async def test_the_archive_is_opened_once(
    world: World, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All pages read by the same store, whose connections to object storage are kept."""
    from driftgauge.shared.archive import store

    world.predict("a")
    world.archive()
    opened: list[str] = []
    given = store.open_store
    monkeypatch.setattr(store, "open_store", lambda url: opened.append(url) or given(url))
    url = world.settings.archive_url or ""
    predictions = Predictions(parts.reader, parts.pipeline, archived.ArchivePages(url, 0))
    for _ in range(2):
        page = await predictions.page(MODEL, PredictionFilter(most=1), 10)
        assert [row.event.id for row in page.rows] == ["a"]
    assert opened == [url]


async def test_a_search_in_the_archive_is_seldom_read_again(world: World) -> None:
    """The log's newest page is, every 2 s; without an archive a search is too."""
    without = world.settings.model_copy(update={"archive_url": None})
    for settings, query, seconds in (
        (world.settings, "", 2),
        (world.settings, "&least=2", 30),
        (without, "&least=2", 2),
    ):
        async with running(create_app(settings)) as http:
            address = f"/dashboard/log?model=linear{query}"
            page = await http.get(address, headers={"Accept": "text/html"})
            assert f'hx-trigger="dg:state from:body throttle:{seconds}s"' in page.text
