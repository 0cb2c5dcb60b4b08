"""The reports that the API serves from the stream, wherever they were judged."""

import sys
from typing import Any

import msgspec
import pytest
import redis

from driftgauge.producer.app import create_app
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.durations import milliseconds
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from tests.producer.conftest import SCHEMA, publish, rows, running
from tests.producer.routes.test_predict import problem
from tests.producer.routes.test_reading import snapshot

pytestmark = pytest.mark.anyio


def keep(
    client: redis.Redis, keys: Keys, number: int, model: str = "linear", version: str = "1.0.0"
) -> str:
    """Put a snapshot into the stream, as judging does; give its id."""
    document = msgspec.json.decode(snapshot(number, version)) | {
        "id": f"{model}-{version}-{number:012d}",
        "model": model,
    }
    event = {
        "specversion": "1.0",
        "id": document["id"],
        "source": "s",
        "type": "t",
        "data": document,
    }
    fields: Any = {"e": msgspec.json.encode(event)}
    client.xadd(keys.snapshots(model), fields, id=f"{number + 1}-0")
    return str(document["id"])


async def test_the_list_of_reports(
    linear: ModelRegistry, settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """Newest first, of one model or of all that exist in Redis; page by page each report comes
    once.
    """
    publish(linear, "other", SCHEMA, rows())
    client.sadd(keys.models, "linear", "other", "elsewhere")
    for number in range(60):
        keep(client, keys, number, ("linear", "other", "elsewhere")[number % 3])
    client.xadd(keys.snapshots("other"), {"junk": "1", "e": "{"}, id="1000-0")
    async with running(create_app(settings)) as http:
        found, cursor = [], ""
        for _ in range(9):
            answer = (await http.get(f"/reports?limit=7{cursor}")).json()
            found += [milliseconds(one["created"]) for one in answer["reports"]]
            if answer["next"] is None:
                break
            cursor = f"&cursor={answer['next']}"
        assert found == list(range(59, -1, -1))
        only = (await http.get("/reports?model=elsewhere&limit=200")).json()
        assert [milliseconds(one["created"]) for one in only["reports"]] == [*range(59, 0, -3)]
        assert only["next"] is None
        first = only["reports"][0]
        assert (first["severity"], first["verdict"], first["window"]["rows"]) == (
            "ok",
            "All is well.",
            2000,
        )
        assert (await http.get(first["report"])).json()["id"] == first["id"]
        problem(await http.get("/reports?cursor=x"), 400)
        problem(await http.get("/reports?model=no"), 404)
        problem(await http.get("/reports?limit=0"), 422)


@pytest.mark.usefixtures("linear")
async def test_the_forms_of_a_report(settings: Settings, client: redis.Redis, keys: Keys) -> None:
    """A suffix wins over `format`, and that over Accept; a file has the name that the worker would
    write.
    """
    client.sadd(keys.models, "linear")
    name = keep(client, keys, 1, version="1.0.0-rc.1")
    async with running(create_app(settings)) as http:
        for path in (f"/reports/{name}", "/reports/latest"):
            for form, media in (
                ("json", "application/json"),
                ("html", "text/html"),
                ("png", "image/png"),
            ):
                for sent in (
                    await http.get(f"{path}.{form}", headers={"Accept": "text/html"}),
                    await http.get(path, params={"format": form}, headers={"Accept": "text/html"}),
                    await http.get(path, headers={"Accept": media}),
                ):
                    assert sent.status_code == 200
                    assert sent.headers["content-type"].startswith(media)
            named = await http.get(f"{path}.png")
            assert (
                named.headers["content-disposition"]
                == 'inline; filename="drift_report_19700101_000000.png"'
            )
            assert named.content.startswith(b"\x89PNG")
        assert "<h2>Pipeline</h2>" in (await http.get(f"/reports/{name}.html")).text
        problem(await http.get(f"/reports/{name}.pdf"), 404)
        problem(await http.get("/reports/..%2f..%2fetc%2fpasswd"), 404)


@pytest.mark.usefixtures("linear")
async def test_a_picture_without_matplotlib(
    settings: Settings, client: redis.Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer says what to install, and the page works without it."""
    client.sadd(keys.models, "linear")
    name = keep(client, keys, 1)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    async with running(create_app(settings)) as http:
        assert "driftgauge[plot]" in problem(await http.get(f"/reports/{name}.png"), 501)["detail"]
        assert (await http.get(f"/reports/{name}.html")).status_code == 200
