"""The routes of references without a worker, or with one that says no: what is answered, and that
nothing changes.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
import redis.asyncio

from driftgauge.producer.app import create_app
from driftgauge.producer.reading import proposals
from driftgauge.producer.routes import references
from driftgauge.shared.access.key_file import create_key
from driftgauge.shared.connections.redis_client import connect_async
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.proposals import Answer, decode_request, encode
from driftgauge.shared.moments import iso
from driftgauge.shared.reference.accepted import AcceptedReference, recounted
from driftgauge.shared.registry.reference_store import ReferenceStore
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from tests.producer.conftest import running, until
from tests.producer.routes.test_predict import problem

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("linear")]
PATH = "/models/linear/versions/1.0.0/references"


@asynccontextmanager
async def worker(
    settings: Settings, keys: Keys, answer: Answer, model: str = "linear"
) -> AsyncIterator[list[Any]]:
    """Answer as a worker does, the same to everything; gives what was asked."""
    asked: list[Any] = []
    client, ended = connect_async(settings.redis_url), asyncio.Event()

    async def work() -> None:
        while not ended.is_set():  # not cancelled: a command that is under way may swallow that
            packed: Any = await client.lpop(keys.proposals(model))  # type: ignore[misc]
            if packed is not None:
                asked.append(decode_request(packed))
                await client.set(keys.proposed(model, asked[-1].id), encode(answer))
            await asyncio.sleep(0.01)

    task = asyncio.create_task(work())
    try:
        yield asked
    finally:
        ended.set()
        await task
        await client.aclose()


def made(registry: ModelRegistry) -> AcceptedReference:
    profile = registry.load("linear", "1.0.0").reference
    cells = np.concatenate([column.counts for column in profile.columns])
    return AcceptedReference("1.0.0", 1, recounted(profile, 3 * cells), None, 5, 9)


async def test_what_a_worker_made_is_stored_and_written_to_the_log(
    linear: ModelRegistry, settings: Settings, keys: Keys, client: redis.Redis
) -> None:
    """201 has the change, its author by the key; the registry has it, and the log of the model
    too.
    """
    secret = create_key(settings.keys_path, "ann", ("admin",), None)
    headers = {"X-API-Key": secret}
    async with (
        worker(settings, keys, Answer(made(linear).pack())) as asked,
        running(create_app(settings)) as http,
    ):
        answer = await http.post(
            PATH, json={"window": "36h", "reason": "new furnace"}, headers=headers
        )
        assert answer.status_code == 201, answer.text
        assert (asked[0].version, asked[0].window_ms) == ("1.0.0", 36 * 3_600_000)
        found = (await http.get(PATH, headers=headers)).json()
    assert found["reference"] == 1
    assert found["changes"] == [answer.json()]
    assert (answer.json()["who"], answer.json()["start"], answer.json()["end"]) == (
        "ann",
        iso(5),
        iso(9),
    )
    history = ReferenceStore(linear, "linear", "1.0.0").history()
    assert [(change.who, change.reason) for change in history.changes] == [("ann", "new furnace")]
    ((_, entry),) = [one for one in client.xrange(keys.log("linear", 0)) if one[1][b"t"] == b"r"]  # type: ignore[union-attr]
    assert b'"reason":"new furnace"' in entry[b"e"]
    assert client.hexists(keys.references("linear"), "1.0.0#1")


async def test_what_cannot_be_made_changes_nothing(
    linear: ModelRegistry, settings: Settings, keys: Keys
) -> None:
    """409 has the worker's reason; the registry has no change."""
    async with (
        worker(settings, keys, Answer(fault="The window has 3 rows.")),
        running(create_app(settings)) as http,
    ):
        assert (
            problem(await http.post(PATH, json={"reason": "x"}), 409)["detail"]
            == "The window has 3 rows."
        )
        assert (await http.get(PATH)).json()["changes"] == []
    assert not ReferenceStore(linear, "linear", "1.0.0").history().changes


async def test_without_a_worker_it_is_said_and_the_request_is_taken_back(
    settings: Settings, keys: Keys, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503, and no worker that comes later does what nobody waits for any more."""
    monkeypatch.setattr(proposals, "TAKEN_S", 0.2)
    async with running(create_app(settings)) as http:
        answer = await http.post(PATH, json={"reason": "x"})
    assert "Does `driftgauge worker` run?" in problem(answer, 503)["detail"]
    assert answer.headers["retry-after"]
    assert client.llen(keys.proposals("linear")) == 0


async def test_a_worker_that_takes_too_long_is_said(
    settings: Settings, keys: Keys, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """504 names the command that has no limit."""
    monkeypatch.setattr(proposals, "TAKEN_S", 0.1)
    monkeypatch.setattr(proposals, "MADE_S", 1.5)
    async with running(create_app(settings)) as http:
        asking = asyncio.create_task(http.post(PATH, json={"reason": "x"}))
        await until(lambda: client.lpop(keys.proposals("linear")))
        assert (
            "driftgauge reference accept linear --version 1.0.0"
            in problem(await asking, 504)["detail"]
        )


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        (PATH, {"window": "14 days", "reason": "x"}, 422, "36h or 14d"),
        (PATH, {"window": "0d", "reason": "x"}, 422, "36h or 14d"),
        (PATH, {"window": "0.000001m", "reason": "x"}, 422, "36h or 14d"),
        (PATH, {"window": "2d"}, 422, "is missing"),
        (PATH, {"reason": "  "}, 422, "1 to 500 characters"),
        (PATH, {"reason": "x", "number": 3}, 422, "not a field"),
        (f"{PATH}/undo", {}, 422, "is missing"),
        (f"{PATH}/undo", {"reason": "x"}, 409, "nothing to undo"),
        ("/models/linear/versions/9.9.9/references", {"reason": "x"}, 404, "9.9.9"),
        ("/models/none/versions/1.0.0/references/undo", {"reason": "x"}, 404, "none"),
        ("/models/linear/versions/latest/references", {"reason": "x"}, 404, "latest"),
    ],
)
async def test_requests_that_cannot_be_used(
    path: str, body: dict[str, object], status: int, words: str, settings: Settings
) -> None:
    """Each is a problem document that says what is wrong, and nobody is asked for anything."""
    async with running(create_app(settings)) as http:
        answer = await http.post(path, json=body)
        assert words in str(problem(answer, status))


async def test_a_change_that_was_not_published_is_not_to_be_repeated(
    linear: ModelRegistry, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 names the command that publishes it, and has no Retry-After: a client that tries again
    would undo once more.
    """

    def away(*_: object) -> None:
        raise redis.ConnectionError

    monkeypatch.setattr(references, "publish", away)
    store = ReferenceStore(linear, "linear", "1.0.0")
    for _ in range(2):
        store.accept(made(linear), who="ann", reason="x")
    async with running(create_app(settings)) as http:
        answer = await http.post(f"{PATH}/undo", json={"reason": "too early"})
    assert "driftgauge reference publish linear --version 1.0.0" in problem(answer, 503)["detail"]
    assert "Retry-After" not in answer.headers
    assert store.history().number == 1


async def test_it_needs_the_scope_of_a_promotion(settings: Settings) -> None:
    """A key that may read sees the references, and may not change them."""
    secret = create_key(settings.keys_path, "reader", ("read",), None)
    async with running(create_app(settings)) as http:
        http.headers["X-API-Key"] = secret
        assert (await http.get(PATH)).status_code == 200
        for path in (PATH, f"{PATH}/undo"):
            problem(await http.post(path, json={"reason": "x"}), 403)


async def test_the_page_shows_history_and_actions(
    linear: ModelRegistry, settings: Settings
) -> None:
    """Who may change sees the buttons, who may read the history alone; what others wrote is
    text.
    """
    ReferenceStore(linear, "linear", "1.0.0").accept(
        made(linear), who="ann", reason="<b>furnace</b>"
    )
    reader, admin = (
        create_key(settings.keys_path, name, (name,), None) for name in ("read", "admin")
    )  # type: ignore[arg-type]
    async with running(create_app(settings)) as http:
        shown = [
            (
                await http.get(
                    "/dashboard/models", headers={"Accept": "text/html", "X-API-Key": key}
                )
            ).text
            for key in (reader, admin)
        ]
    assert all(
        "held against reference 1" in text and "&lt;b&gt;furnace&lt;/b&gt;" in text
        for text in shown
    )
    assert ['data-dialog="accept"' in text and 'data-dialog="undo"' in text for text in shown] == [
        False,
        True,
    ]
    assert f'data-action="{PATH}/undo"' in shown[1]
