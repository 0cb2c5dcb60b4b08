"""Every message that the code writes is as its published schema says, and has no field that the
schema does not name.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import msgspec
import pytest
import redis

from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.producer.app import create_app
from driftgauge.producer.messages.schemas import schema_of
from driftgauge.producer.messages.streams import STREAMS
from driftgauge.producer.parts import Parts
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from driftgauge.shared.reference.history import ReferenceHistory, encode_change
from driftgauge.shared.registry.registry import ModelRegistry
from tests.integration import plant
from tests.producer.conftest import SCHEMA, publish, rows, running, settings_in, until
from tests.producer.linear import Linear

LOGGED = {
    b"p": "prediction",
    b"l": "label",
    b"f": "failure",
    b"q": "request",
    b"a": "response",
    b"v": "void",
    b"r": "reference-change",
}
LINEAR = "linear"
TRACE = f"00-{'a' * 32}-{'b' * 16}-01"
KSERVE = {
    "ce-traceparent": TRACE,
    "ce-source": "s",
    "ce-specversion": "1.0",
    "content-type": "application/json",
}


class World:
    """What was written in a run of the API and of a worker."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self.client = client
        self.keys = keys
        self.frames: dict[str, list[bytes]] = {}

    def fields(self, stream: str, name: bytes) -> list[bytes]:
        entries: Any = self.client.xrange(stream)
        return [fields[name] for _, fields in entries]


@pytest.fixture(scope="module")
def world(redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A model whose smooth feature drifts, judged by a worker; another one whose API gets events of
    every kind.
    """
    folder, keys = tmp_path_factory.mktemp("messages"), Keys("test-messages")
    client = connect(redis_server.url)
    made = World(client, keys)
    plant.publish(client, keys)
    start_ms = int(time.time() * 1000) - 200_000
    log = keys.log(plant.MODEL, 0)
    entries = plant.events(1, 5000, start_ms, shift_from=3000)
    plant.append(client, log, [_traced(place, *entry) for place, entry in enumerate(entries, 1)])
    client.xadd(log, {"t": "x", "junk": "1"})
    with plant.worker_thread(plant.settings_of(redis_server.url, keys)):
        asyncio.run(_use(made, folder, redis_server.url))
        plant.wait_for(lambda: client.xlen(keys.snapshots(plant.MODEL)), "a snapshot")
        plant.wait_for(lambda: client.xlen(keys.dead(plant.MODEL, 0)), "a dead letter")
    yield made
    client.close()


def _traced(place: int, entry_id: bytes, fields: list[bytes]) -> Entry:
    """Return an entry, each tenth with a trace."""
    if place % 10:
        return entry_id, fields
    carried = b',"trace":"%032x-%016x"}' % (place, place)
    return entry_id, [*fields[:-1], fields[-1][:-1] + carried]


async def _use(made: World, folder: Path, url: str) -> None:
    """Send what the API takes, and follow what it sends."""
    registry = ModelRegistry(folder / "registry")
    publish(registry, LINEAR, SCHEMA, rows(), Linear(2, 1), labels=True)
    app = create_app(settings_in(folder, url, made.keys.prefix))
    parts: Parts = app.state.parts
    async with running(app) as http:
        await until(lambda: parts.publisher.connected)
        await _log(http)
        alerts = made.keys.alerts(plant.MODEL)

        def judged() -> list[str]:
            """Return the alerts of judging; a watchdog on a busy machine may be earlier."""
            found = [msgspec.json.decode(one)["data"] for one in made.fields(alerts, b"e")]
            return [one["fingerprint"] for one in found if not one["rule"].startswith("blind.")]

        await until(lambda: judged() and made.client.xlen(made.keys.incidents(plant.MODEL)))
        first = judged()[0]
        for what, body in (("acknowledge", {"note": "seen"}), ("silence", {"minutes": 5})):
            answer = await http.post(f"/alerts/{first}/{what}", json=body)
            assert answer.status_code == 202, answer.text

        for kind, streams in (("alert", parts.subscriptions), ("incident", parts.incidents)):
            subscription = await streams.open(plant.MODEL, "0-0")
            made.frames[kind] = await _frames(subscription.blocks(), {kind})
        listener = await parts.feed.open(None, None)
        wanted = {"beat", "state", "serving", "current", "snapshot"}
        made.frames["pages"] = await _frames(parts.feed.follow(listener), wanted)


async def _log(http: httpx.AsyncClient) -> None:
    """Write an entry of each kind to the log."""
    row = {"x": 1.5, "y": 2}
    sent = [
        ("/predict", {"features": row, "id": "a"}),
        ("/events", {"features": row, "prediction": 4.5, "traceparent": TRACE, "source": "batch"}),
        ("/events", {"features": row, "error": "ValueError", "latency_ms": 2}),
        ("/labels", {"prediction_id": "a", "label": 5}),
    ]
    for path, body in sent:
        answer = await http.post(path, json=body)
        assert answer.status_code in {200, 202}, answer.text
    for part, body in (("request", {"instances": [[1, 2]]}), ("response", {"predictions": [4]})):
        kind = {"ce-id": "k", "ce-type": f"org.kubeflow.serving.inference.{part}"}
        answer = await http.post(
            "/cloudevents", json=body, headers=KSERVE | kind, params={"model": LINEAR}
        )
        assert answer.status_code == 200, answer.text
    gaps = {"gaps": [[0, 3, 4]]}
    answer = await http.post(
        "/publishers/somebody/gaps", json=gaps, params={"model": LINEAR, "partitions": 1}
    )
    assert answer.status_code in {200, 202}, answer.text


async def _frames(blocks: AsyncIterator[bytes], wanted: set[str]) -> list[bytes]:
    """Read server-sent events until there is one of each name."""
    found: list[bytes] = []
    async with asyncio.timeout(60):
        async for block in blocks:
            if block.startswith(b"event: "):
                found.append(block)
            if wanted <= {_named(one) for one in found}:
                break
    await blocks.aclose()  # type: ignore[attr-defined]  # it is a generator
    return found


def _named(frame: bytes) -> str:
    return frame.splitlines()[0].removeprefix(b"event: ").decode()


def _data(frame: bytes) -> bytes:
    lines = [line for line in frame.splitlines() if line.startswith(b"data: ")]
    return b"\n".join(line.removeprefix(b"data: ") for line in lines)


def check(name: str, packed: bytes) -> None:
    """Fail if a message is not as its schema says, or has a field that this does not name."""
    found = msgspec.json.decode(packed)
    faults = [str(one)[:500] for one in _strict(name).iter_errors(found)]
    assert faults == [], (name, packed[:300])


@cache
def _strict(name: str) -> Any:
    def closed(part: Any) -> Any:
        if isinstance(part, list):
            return [closed(one) for one in part]
        if not isinstance(part, dict):
            return part
        found = {key: closed(value) for key, value in part.items()}
        if isinstance(part.get("properties"), dict) and "additionalProperties" not in part:
            found["additionalProperties"] = False
        return found

    schema = dict(schema_of(name))
    open_ones = name.startswith("page-") or name in {"dead-letter", "exchange"}
    return jsonschema_rs.Draft202012Validator(
        schema if open_ones else closed(schema), validate_formats=True
    )


def test_entries_of_the_log(world: World) -> None:
    """Of each type that there is."""
    entries: Any = world.client.xrange(world.keys.log(LINEAR, 0))
    seen = set()
    for _, fields in entries:
        if fields[b"t"] in LOGGED:
            check(LOGGED[fields[b"t"]], fields[b"e"])
            seen.add(fields[b"t"])
    assert seen >= LOGGED.keys() - {b"r"}
    (asked,) = [fields[b"e"] for _, fields in entries if fields[b"t"] == b"q"]
    assert msgspec.json.decode(asked)["trace"] == f"{'a' * 32}-{'b' * 16}"
    history = ReferenceHistory().accepted("1.0.0", "ann", "new supplier", created="")
    check("reference-change", encode_change(history.changes[-1]))


@pytest.mark.parametrize("name", ["alert", "incident", "snapshot"])
def test_cloudevents_in_redis(world: World, name: str) -> None:
    """Alerts, incidents and snapshots, and their data by the schema that the event names."""
    stream = {
        "alert": world.keys.alerts,
        "incident": world.keys.incidents,
        "snapshot": world.keys.snapshots,
    }[name](plant.MODEL)
    found = world.fields(stream, b"e")
    assert found
    for packed in found:
        check(f"{name}-event", packed)
        event = msgspec.json.decode(packed, type=dict[str, msgspec.Raw])
        assert msgspec.json.decode(event["dataschema"]) == schema_of(name)["$id"]
        check(name, bytes(event["data"]))


def test_alerts_and_incidents_lead_to_traces(world: World) -> None:
    """The evidence of each alert that fires names traces of events in its window, and the incident
    has them too.
    """
    alerts = [msgspec.json.decode(one)["data"] for one in _of(world, world.keys.alerts)]
    firing = [one for one in alerts if one["state"] == "firing"]
    assert firing
    for one in firing:
        places = [int(trace, 16) for trace in one["evidence"]["traces"]]
        assert 0 < len(places) <= 3
        assert all(place % 10 == 0 and place <= 5000 for place in places)
    incidents = [msgspec.json.decode(one)["data"] for one in _of(world, world.keys.incidents)]
    assert all(alert["traces"] for one in incidents for alert in one["alerts"])


def _of(world: World, stream: Callable[[str], str]) -> list[bytes]:
    return world.fields(stream(plant.MODEL), b"e")


def test_every_stream_in_redis_is_published(world: World) -> None:
    """Whoever writes a further stream names it in producer/messages/streams.py."""
    forms = [
        re.compile(re.sub(r"\\{\w+\\}", "[^:]+", re.escape(stream.address))) for stream in STREAMS
    ]
    prefix = world.keys.prefix
    found: list[bytes] = list(world.client.scan_iter(f"{prefix}:*", _type="stream"))
    assert len(found) >= 8
    assert [key for key in found if not any(form.fullmatch(key.decode()) for form in forms)] == []


def test_commands_and_dead_letters(world: World) -> None:
    """What people asked for, and what could not be counted."""
    asked = world.fields(world.keys.commands(plant.MODEL), b"c")
    assert len(asked) == 2
    for packed in asked:
        check("command", packed)
    letters: Any = world.client.xrange(world.keys.dead(plant.MODEL, 0))
    for _, fields in letters:
        named = {key.decode(): value.decode() for key, value in fields.items()}
        check("dead-letter", msgspec.json.encode(named))


@pytest.mark.parametrize("name", ["alert", "incident"])
def test_frames_that_are_followed(world: World, name: str) -> None:
    """Server-sent events of alerts and incidents, with times in ISO 8601."""
    for frame in world.frames[name]:
        check(f"api-{name}-event", _data(frame))
        event = msgspec.json.decode(_data(frame), type=dict[str, msgspec.Raw])
        assert msgspec.json.decode(event["dataschema"]) == schema_of(f"api-{name}")["$id"]
        check(f"api-{name}", bytes(event["data"]))


def test_frames_of_the_pages(world: World) -> None:
    """What the dashboard listens to."""
    for frame in world.frames["pages"]:
        name = _named(frame)
        check("alert-event" if name == "alert" else f"page-{name}", _data(frame))


def test_a_message_that_is_wrong_is_seen(world: World) -> None:
    """The check can fail: for a field of another type, and for one that the schema lacks."""
    packed = world.fields(world.keys.alerts(plant.MODEL), b"e")[0]
    event = msgspec.json.decode(packed)
    for wrong in ({**event, "id": 7}, {**event, "more": 1}):
        with pytest.raises(AssertionError):
            check("alert-event", msgspec.json.encode(wrong))
