"""The AsyncAPI document and the JSON Schemas are what their specifications say, and are served."""

import json
from pathlib import Path
from typing import Any, get_args

import httpx
import jsonschema_rs
import pytest
from click.testing import CliRunner

from driftgauge.producer.app import create_app
from driftgauge.producer.commands.schemas import schemas
from driftgauge.producer.messages.asyncapi import document
from driftgauge.producer.messages.kinds import KINDS
from driftgauge.producer.messages.schemas import schema_of
from driftgauge.producer.messages.streams import STREAMS
from driftgauge.shared.access.key_file import create_key
from driftgauge.shared.contract.events import Event
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.settings import Settings
from tests.producer.conftest import running

OFFICIAL = Path(__file__).parent / "asyncapi" / "3.0.0.json"
"""The schema of AsyncAPI 3.0.0 documents as its initiative publishes it (Apache-2.0, see LICENSE
and NOTICE beside it), unchanged.
"""


def references(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return own + [one for value in part.values() for one in references(value)]
    return [one for value in part for one in references(value)] if isinstance(part, list) else []


def test_the_document_is_asyncapi() -> None:
    """It passes AsyncAPI's own schema, and each reference leads somewhere."""
    official = jsonschema_rs.Draft7Validator(json.loads(OFFICIAL.read_text()))
    found = json.loads(json.dumps(document()))
    assert [str(one)[:300] for one in official.iter_errors(found)] == []
    for place in references(found):
        part = found
        for name in place.removeprefix("#/").split("/"):
            part = part[name]
        assert part
    assert not official.is_valid({**found, "channels": {"a": {"adress": "b"}}})


def test_every_stream_and_every_event_is_in_it() -> None:
    """Whoever adds a stream to Redis, an event to the log or an SSE route names it here."""
    addresses = {stream.address for stream in STREAMS}
    keys = Keys("{prefix}")
    for key in (keys.alerts("{m}"), keys.incidents("{m}"), keys.snapshots("{m}")):
        assert key.replace("{{m}}", "{model}") in addresses
    assert keys.log("{m}", 0).replace("{{m}.0}", "{partition}") in addresses
    told = {one for stream in STREAMS for one in stream.messages}
    assert {kind.__name__.lower() for kind in get_args(Event)} <= told
    used = {kind.name for kind in KINDS} - told
    assert used == {"alert", "incident", "snapshot", "api-alert", "api-incident"}  # parts of others


@pytest.mark.parametrize("name", [kind.name for kind in KINDS])
def test_a_schema_is_one(name: str) -> None:
    """It is JSON Schema 2020-12, has a name of its own, and its references stay within it."""
    found = schema_of(name)
    jsonschema_rs.meta.validate(found)
    assert found["$id"] == f"urn:driftgauge:schema:{name}:1"
    places = {place.removeprefix("#/$defs/") for place in references(found)}
    assert places <= found.get("$defs", {}).keys()


def test_times_are_as_they_are_written() -> None:
    """Milliseconds in Redis, ISO 8601 in what the API tells."""
    assert schema_of("alert")["$defs"]["Alert"]["properties"]["started"]["type"] == "integer"
    told = schema_of("api-alert")["$defs"]["Alert"]["properties"]["started"]
    assert told["format"] == "date-time"


def test_the_command_writes_them(tmp_path: Path) -> None:
    """It lists the kinds, and writes the document and a file for each kind."""
    shown = CliRunner().invoke(schemas, ["--json", "--out", str(tmp_path)])
    names = [one.name for one in KINDS]
    assert [one["name"] for one in json.loads(shown.stdout)["schemas"]] == names
    assert json.loads((tmp_path / "asyncapi.json").read_text()) == json.loads(
        json.dumps(document())
    )
    assert {path.stem for path in (tmp_path / "schemas").iterdir()} == {*names}
    assert CliRunner().invoke(schemas, []).stdout.startswith("prediction ")


@pytest.mark.anyio
async def test_they_are_served(settings: Settings) -> None:
    """With the scopes of the OpenAPI document; a name that is none is a problem that lists them."""
    key = create_key(settings.keys_path, "ann", ("predict",), None)
    async with running(create_app(settings)) as http:

        async def get(path: str) -> httpx.Response:
            return await http.get(path, headers={"Authorization": f"Bearer {key}"})

        assert (await http.get("/asyncapi.json")).status_code == 401
        assert (await get("/asyncapi.json")).json()["asyncapi"] == "3.0.0"
        listed = (await get("/schemas")).json()["schemas"]
        assert [one["name"] for one in listed] == [kind.name for kind in KINDS]
        answer = await get("/schemas/alert-event.json")
        assert answer.headers["content-type"] == "application/schema+json"
        assert answer.json()["$id"] == "urn:driftgauge:schema:alert-event:1"
        for name in ("nothing", "..%2f..%2fkeys", "alert.json"):
            assert (await get(f"/schemas/{name}.json")).status_code == 404
