"""The alerts' routes: history and commands."""

from typing import Any

import msgspec
import pytest
import redis

from driftgauge.producer.app import create_app
from driftgauge.shared.contract import commands
from driftgauge.shared.contract.alert import Alert, AlertEvidence
from driftgauge.shared.contract.alerts import cloud_event, fingerprint
from driftgauge.shared.contract.commands import Acknowledge, SilenceAlert
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.snapshot import ActiveAlert
from driftgauge.shared.durations import milliseconds
from driftgauge.shared.moments import iso
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from tests.producer.conftest import SCHEMA, publish, rows, running
from tests.producer.routes.test_predict import problem
from tests.producer.routes.test_reading import snapshot

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("linear")]

X, Y = (fingerprint("linear", "1.0.0", name, "psi") for name in "xy")


def alert(feature: str, state: Any, updated: int, number: int = 1) -> Alert:
    evidence = AlertEvidence("psi", 0.3, 0.2, 0.01, 5000, 2000, updated, 0, updated)
    name = fingerprint("linear", "1.0.0", feature, "psi")
    return Alert(
        name,
        "linear",
        "1.0.0",
        feature,
        "psi",
        "warning",
        state,
        "",
        evidence,
        0,
        updated,
        None,
        "",
        number=number,
    )


def write(client: redis.Redis, keys: Keys, *alerts: Alert) -> None:
    client.sadd(keys.models, "linear")
    for one in alerts:
        client.xadd(keys.alerts("linear"), {"e": cloud_event(one)})


def hold_open(client: redis.Redis, keys: Keys, *names: str) -> None:
    """Make alerts stand in the current snapshot."""
    open_ = [ActiveAlert(name, "x", "psi", "warning", "firing", 0, "") for name in names]
    document = msgspec.json.decode(snapshot(1))
    document["alerts"] = msgspec.to_builtins(open_)
    client.sadd(keys.models, "linear")
    client.hset(keys.current("linear"), "1.0.0", msgspec.json.encode(document))


async def test_history_is_filtered_and_paged(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """Any filter and page size gives every transition once, newest first; `next` ends with the last
    page.
    """
    states = ["pending", "firing", "resolved"] * 5
    write(client, keys, *(alert("x", state, 1000 * number) for number, state in enumerate(states)))
    client.xadd(keys.alerts("linear"), {"e": "{"})
    client.xadd(keys.alerts("linear"), {"e": '{"data": 5}'})

    async with running(create_app(settings)) as http:

        async def pages(query: str, size: int) -> list[list[int]]:
            found, cursor = [], ""
            while True:
                answer = (await http.get(f"/alerts?limit={size}{query}{cursor}")).json()
                found.append([milliseconds(one["data"]["updated"]) for one in answer["alerts"]])
                if answer["next"] is None:
                    return found
                cursor = f"&cursor={answer['next']}"

        firing = [13_000, 10_000, 7000, 4000, 1000]
        assert await pages("&state=firing", 1000) == [firing]
        assert await pages("&state=firing", 2) == [firing[:2], firing[2:4], firing[4:]]
        assert await pages("&state=firing&model=linear", 5) == [firing]
        assert await pages("&since=1970-01-01T00:00:10Z&state=firing", 10) == [[13_000, 10_000]]
        assert await pages("&since=10000&state=firing", 10) == [[13_000, 10_000]]
        assert await pages("&since=1970-01-02T00:00:00Z", 10) == [[]]
        problem(await http.get("/alerts?since=1970-01-01T00:00:10"), 422)
        problem(await http.get("/alerts?state=loud"), 422)
        assert "next" in problem(await http.get("/alerts?cursor=junk"), 400)["detail"]


async def test_the_latest_alerts(
    linear: ModelRegistry, settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """/alerts gives transitions newest first, of one model or of all that exist in Redis."""
    publish(linear, "other", SCHEMA, rows())
    async with running(create_app(settings)) as http:
        client.sadd(keys.models, "linear", "other", "elsewhere")
        for number, model in ((1, "linear"), (2, "other"), (3, "linear"), (10, "elsewhere")):
            event = msgspec.json.decode(cloud_event(alert("x", "firing", number)))
            fields: Any = {"e": msgspec.json.encode(event | {"id": str(number)})}
            client.xadd(keys.alerts(model), fields, id=f"{number}-0")
        client.xadd(keys.alerts("linear"), {"junk": "1", "e": "{"}, id="11-0")

        async def ids(query: str) -> list[str]:
            return [alert["id"] for alert in (await http.get(f"/alerts{query}")).json()["alerts"]]

        assert await ids("") == ["10", "3", "2", "1"]
        assert await ids("?limit=2") == ["10", "3"]
        assert await ids("?model=linear") == ["3", "1"]
        assert await ids("?model=elsewhere") == ["10"]
        problem(await http.get("/alerts?model=nobody"), 404)


async def test_the_life_of_one_alert(settings: Settings, client: redis.Redis, keys: Keys) -> None:
    """One alert's transitions come oldest first, without those of others; an unknown one is 404, a
    malformed one 422.
    """
    write(
        client, keys, alert("x", "pending", 1), alert("y", "firing", 2), alert("x", "firing", 3, 2)
    )
    async with running(create_app(settings)) as http:
        found = (await http.get(f"/alerts/{X}")).json()["alerts"]
        assert [event["data"]["state"] for event in found] == ["pending", "firing"]
        problem(await http.get(f"/alerts/{'0' * 16}"), 404)
        problem(await http.get("/alerts/none"), 422)


async def test_commands_are_written_to_the_models_stream(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """A command is accepted (202) and stands in the stream exactly as judging reads it."""
    hold_open(client, keys, X)
    async with running(create_app(settings)) as http:
        answer = await http.post(f"/alerts/{X}/acknowledge", json={"note": "on it"})
        said = {"note": "mine", "who": "ann"}
        assert answer.status_code == 202
        assert answer.json()["model"] == "linear"
        assert (await http.post(f"/alerts/{X}/silence", json={"minutes": 120})).status_code == 202
        until = "1970-01-01T00:00:10+00:00"
        assert (await http.post(f"/alerts/{X}/silence", json={"until": until})).status_code == 202
        assert (await http.post(f"/alerts/{X}/acknowledge", json=said)).status_code == 202
    entries: Any = client.xrange(keys.commands("linear"))
    assert answer.json()["command"] == entries[0][0].decode()
    assert [commands.decode(fields[commands.FIELD]) for _, fields in entries] == [
        Acknowledge(X, "anonymous", "on it"),
        SilenceAlert(X, "anonymous", minutes=120),
        SilenceAlert(X, "anonymous", until=10_000),
        Acknowledge(X, "ann", "mine"),
    ]


async def test_commands_that_cannot_be_meant(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """An alert that is not open is 404, a body that says too much or too little 422, and nothing is
    written.
    """
    hold_open(client, keys, X)
    async with running(create_app(settings)) as http:
        assert (
            "resolved"
            in problem(await http.post(f"/alerts/{Y}/acknowledge", json={}), 404)["detail"]
        )
        for body in (
            {},
            {"minutes": 5, "until": "2030-01-01T00:00:00Z"},
            {"minutes": -1},
            {"until": "1960-01-01T00:00:00Z"},
            {"until": "", "minutes": 5},
            {"until": "2030-01-01T00:00:00"},
            {"minutes": 5, "hours": 1},
            {"until": "2030-01-01T00:00:00"},
        ):
            problem(await http.post(f"/alerts/{X}/silence", json=body), 422)
        problem(await http.post(f"/alerts/{X}/acknowledge", json={"note": "x" * 501}), 422)
    assert not client.exists(keys.commands("linear"))


async def test_what_judging_could_not_apply_is_a_metric(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """Commands that were refused and labels of days that are not kept are counted where operators
    look.
    """
    client.sadd(keys.models, "linear")
    client.hset(
        keys.judge("linear"), "state", '{"offsets":{},"commands_refused":3,"labels_too_late":1234}'
    )
    async with running(create_app(settings)) as http:
        await http.get("/health")
        text = (await http.get("/metrics")).text
        assert 'driftgauge_commands_refused_total{model="linear"} 3' in text
        assert 'driftgauge_labels_too_late_total{model="linear"} 1234' in text
        assert (await http.get("/labels?model=linear")).json()["too_late"] == 1234
        health = (await http.get("/health?verbose=true")).json()["pipeline"]["linear"]
        assert health["judging"]["labels_too_late"] == 1234


async def test_an_alerts_link_leads_to_its_report(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """The report that an alert names is found among the kept ones, as JSON or as a page; one that
    is gone is 404.
    """
    client.sadd(keys.models, "linear")
    for number in range(45):
        document = msgspec.json.decode(snapshot(number)) | {"id": f"linear-1.0.0-{number}"}
        event = {
            "specversion": "1.0",
            "id": document["id"],
            "source": "s",
            "type": "t",
            "data": document,
        }
        client.xadd(keys.snapshots("linear"), {"e": msgspec.json.encode(event)})
    async with running(create_app(settings)) as http:
        assert (await http.get("/reports/linear-1.0.0-3")).json()["created"] == iso(3)
        assert (await http.get("/reports/linear-1.0.0-3?format=html")).text.startswith(
            "<!doctype html>"
        )
        problem(await http.get("/reports/linear-1.0.0-99"), 404)
        problem(await http.get("/reports/other-1"), 404)
