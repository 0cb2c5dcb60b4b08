"""The incidents' routes: what is open, the history, one's life, and commands."""

from typing import Any

import msgspec
import pytest
import redis
from msgspec.structs import replace

from driftgauge.producer.app import create_app
from driftgauge.shared.contract import commands
from driftgauge.shared.contract.alerts import cloud_event, incident_id
from driftgauge.shared.contract.commands import Acknowledge, SilenceAlert
from driftgauge.shared.contract.incident import Incident, IncidentAlert, IncidentCause
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.durations import milliseconds
from driftgauge.shared.settings import Settings
from tests.producer.conftest import running
from tests.producer.routes.test_predict import problem

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("linear")]


def incident(
    opened: int, number: int = 1, *, ended: int | None = None, severity: Any = "warning"
) -> Incident:
    """Make a transition of the incident that opened at a time."""
    alert = IncidentAlert("f" * 16, "1.0.0", "x", "psi", severity, "", opened, opened)
    return Incident(
        id=incident_id("linear", "f" * 16, opened),
        model="linear",
        version="1.0.0",
        kind="model",
        state="open" if ended is None else "resolved",
        severity=severity,
        number=number,
        change="opened" if ended is None else "resolved",
        notify=True,
        headline=f"Since then x reads too high ({opened}).",
        action="wait",
        advice="Check x at its source.",
        cause=IncidentCause("feature", "f" * 16, "x", "psi"),
        since=opened,
        earliest=opened,
        latest=opened,
        opened=opened,
        updated=ended or opened,
        ended=ended,
        features=["x"],
        of_features=1,
        effect="",
        alerts=[alert],
        of_alerts=1,
    )


def write(client: redis.Redis, keys: Keys, *incidents: Incident) -> None:
    """Write transitions as judging does."""
    client.sadd(keys.models, "linear")
    for one in incidents:
        client.xadd(keys.incidents("linear"), {"e": cloud_event(one)})
        if one.state == "open":
            client.hset(keys.open_incidents("linear"), one.id, cloud_event(one))
        else:
            client.hdel(keys.open_incidents("linear"), one.id)


async def test_open_ones_come_first_then_what_resolved(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """Each incident is there once, as it was last; filters and pages of any size give all."""
    for number in range(1, 8):
        write(client, keys, incident(number))
        if number <= 5:
            write(client, keys, incident(number, 2, ended=100 + number))
    write(client, keys, incident(6, 2, severity="critical"))
    client.xadd(keys.incidents("linear"), {"e": "{"})
    client.hset(keys.open_incidents("linear"), "junk", '{"data": 5}')

    async with running(create_app(settings)) as http:

        async def listed(query: str) -> list[int]:
            found, cursor = [], ""
            while True:
                answer = (await http.get(f"/incidents?{query}{cursor}")).json()
                found += [milliseconds(event["data"]["opened"]) for event in answer["incidents"]]
                if answer["next"] is None:
                    return found
                cursor = f"&cursor={answer['next']}"

        for limit in (1, 2, 3):
            assert await listed(f"limit={limit}") == [7, 6, 5, 4, 3, 2, 1]
        assert await listed("limit=100&model=linear") == [7, 6, 5, 4, 3, 2, 1]
        assert await listed("state=open") == [7, 6]
        assert await listed("state=resolved&limit=3") == [5, 4, 3, 2, 1]
        assert await listed("severity=critical") == [6]
        assert await listed("since=1970-01-01T00:00:00.104Z") == [5, 4]


async def test_the_watchdogs_end_by_themselves(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """An incident of the monitor cannot be acknowledged by judging: it says so."""
    cause = IncidentCause("monitor", "f" * 16, rule="blind.no_worker")
    write(client, keys, replace(incident(1), cause=cause))
    async with running(create_app(settings)) as http:
        answer = await http.post(f"/incidents/{incident(1).id}/acknowledge", json={})
        assert "it ends when its cause is gone" in problem(answer, 409)["detail"]
    assert client.xlen(keys.commands("linear")) == 0


async def test_the_life_of_one(settings: Settings, client: redis.Redis, keys: Keys) -> None:
    """All transitions of an incident, oldest first; an unknown one is 404."""
    write(client, keys, incident(1), incident(2), incident(1, 2, ended=9))
    async with running(create_app(settings)) as http:
        answer = await http.get(f"/incidents/{incident(1).id}")
        found = [event["data"] for event in answer.json()["incidents"]]
        assert [one["number"] for one in found] == [1, 2]
        assert [one["state"] for one in found] == ["open", "resolved"]
        said = problem(await http.get(f"/incidents/{'0' * 16}"), 404)
        assert "No incident with the id" in said["detail"]


async def test_commands_reach_judging(settings: Settings, client: redis.Redis, keys: Keys) -> None:
    """An open incident is acknowledged and silenced by a command of its model; one that resolved is
    404, and nothing is written.
    """
    write(client, keys, incident(1), incident(2), incident(2, 2, ended=9))
    name = incident(1).id
    async with running(create_app(settings)) as http:
        said = {"note": "looking", "who": "ann"}
        answer = await http.post(f"/incidents/{name}/acknowledge", json=said)
        assert answer.status_code == 202
        assert answer.json()["model"] == "linear"
        answer = await http.post(f"/incidents/{name}/silence", json={"minutes": 5, "who": "bob"})
        assert answer.status_code == 202
        over = await http.post(f"/incidents/{incident(2).id}/acknowledge", json={})
        assert "No open incident has the id" in problem(over, 404)["detail"]
        unsaid = await http.post(f"/incidents/{name}/silence", json={})
        assert "Give either" in problem(unsaid, 422)["detail"]
    entries: Any = client.xrange(keys.commands("linear"))
    found = [commands.decode(fields[commands.FIELD]) for _, fields in entries]
    assert found == [Acknowledge(name, "ann", "looking"), SilenceAlert(name, "bob", minutes=5)]
    assert msgspec.json.decode(answer.content)["fingerprint"] == name
