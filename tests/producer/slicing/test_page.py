"""The page of slices: what the command says, in a process of its own."""

import asyncio
import os
from pathlib import Path

import httpx
import pytest
import redis

from driftgauge.producer.app import create_app
from driftgauge.producer.confined import Ended
from driftgauge.producer.slicing import child, page
from driftgauge.producer.slicing.child import Asked, Told
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.settings import Settings
from tests.consumer.slicing.making import archive, frame
from tests.hostile import FORMULA
from tests.producer.conftest import running
from tests.shared.archive.making import MODEL

if not os.environ.get("CI"):
    pytest.importorskip("duckdb", reason="no duckdb: pip install -e '.[query]'")
pytestmark = pytest.mark.anyio
BAD = "region = 'north' and age < 35"


@pytest.fixture
def archived(settings: Settings, client: redis.Redis, keys: Keys, tmp_path: Path) -> Settings:
    """Archive rows with a planted slice."""
    client.sadd(keys.models, MODEL)
    archive(tmp_path / "archive", frame(8000))
    return settings.model_copy(update={"archive_url": str(tmp_path / "archive")})


async def shown(http: httpx.AsyncClient, **query: str) -> str:
    answer = await http.get("/dashboard/slice", params=query, headers={"Accept": "text/html"})
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_without_an_archive_the_page_says_what_to_set(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting, or the packages of the extra."""
    async with running(create_app(settings)) as http:
        assert "DRIFTGAUGE_ARCHIVE_URL" in await shown(http)
    monkeypatch.setattr(page, "find_spec", lambda _: None)
    there = settings.model_copy(update={"archive_url": "/nowhere"})
    async with running(create_app(there)) as http:
        assert "driftgauge[query]" in await shown(http)


async def test_a_slice_is_compared(archived: Settings) -> None:
    """The planted shift and fall are shown, with what a slice does not promise; a fault of the
    condition is told with its place, as text.
    """
    async with running(create_app(archived)) as http:
        text = await shown(http, condition=BAD, since="2025-01-01")
        assert "1 of 3 columns drifted (load)" in text
        assert "accuracy" in text
        assert "carries no promise" in text
        text = await shown(http, condition="x; <script>")
        assert "at character 2" in text
        assert "<script>'" not in text
        assert "cannot be" in await shown(http, condition=FORMULA)


async def test_one_slice_is_compared_at_a_time(
    archived: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second is told to ask again, and the first is answered."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(asked: Asked, settings: Settings) -> Told:
        begun.set()
        await go_on.wait()
        return Told(None, f"{asked.condition} of {settings.archive_url}")

    monkeypatch.setattr(page, "sliced", slow)
    async with running(create_app(archived)) as http:
        first = asyncio.create_task(shown(http, condition="paid"))
        await begun.wait()
        assert "Another slice is being compared" in await shown(http, condition="paid")
        go_on.set()
        assert "paid of " in await first


async def test_a_fault_of_ours_is_no_comparison(
    archived: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Python ends by 1 after it, as the command does that has found something: the page says that
    it failed, and the API's log has the reason.
    """

    async def failed(*_: object) -> Ended:
        return Ended(1, b"", "Traceback\nValueError: planted")

    monkeypatch.setattr(child, "run", failed)
    async with running(create_app(archived)) as http:
        assert "a fault that is not yours" in await shown(http, condition="paid")
    assert "planted" in caplog.text
