"""The page of the routes of notifications, and the route of the API that tells the same."""

from typing import Any

import msgspec
import pytest
import redis

from driftgauge.producer.app import create_app
from driftgauge.shared.access.key_file import create_key
from driftgauge.shared.connections.redis_client import server_ms
from driftgauge.shared.contract.fault import FIELD as FAULT
from driftgauge.shared.contract.fault import StageFault
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.notifications.status import (
    ABOUT,
    STATUS,
    RouteAbout,
    RouteFailure,
    RouteStatus,
)
from driftgauge.shared.settings import Settings
from tests.producer.conftest import running
from tests.producer.dashboard.test_incidents import read

pytestmark = pytest.mark.anyio
HOSTILE = "<script>alert(1)</script>"
INCIDENT = "0123456789abcdef"


class Routes:
    """The routes as a worker writes them."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client, self._keys = client, keys
        self.now = server_ms(client)

    def put(
        self,
        name: str,
        status: RouteStatus,
        about: RouteAbout | None = None,
        fault: StageFault | None = None,
    ) -> None:
        told = about or RouteAbout(name, "webhook", "hooks.example.com", "critical, all models")
        fields: dict[Any, Any] = {
            ABOUT: msgspec.json.encode(told),
            STATUS: msgspec.json.encode(status),
            **({} if fault is None else {FAULT: msgspec.json.encode(fault)}),
        }
        self._client.sadd(self._keys.routes, name)
        self._client.hset(self._keys.route(name), mapping=fields)

    def refuse(self, name: str, key: str, reason: str) -> None:
        letter: Any = {"key": key, "model": "steel", "reason": reason, "e": "{}"}
        self._client.xadd(self._keys.route_dead(name), letter)


@pytest.fixture
def routes(client: redis.Redis, keys: Keys) -> Routes:
    """A route that does well, one that was refused, one that tries on, one that is not served."""
    made = Routes(client, keys)
    made.put("good", RouteStatus(sent=1234, last_sent=made.now - 60_000))
    failure = RouteFailure(made.now - 5000, made.now, f"status 400 {HOSTILE}", 1, 2, ("steel",))
    about = RouteAbout(
        "on-call", "webhook", "", f"critical, {HOSTILE}", "22:00 to 07:00 Europe/Berlin", 30, 60
    )
    made.put("on-call", RouteStatus(refused=2, waiting=3, failure=failure), about)
    made.refuse("on-call", f"{INCIDENT}-4", f"status 400 {HOSTILE}")
    made.refuse("on-call", "../../x-1", "status 400")
    trying = RouteFailure(made.now - 5000, made.now, "status 503", 3, 0, ("steel",))
    made.put("mail", RouteStatus(retried=3, waiting=1, overdue=made.now - 5000, failure=trying))
    fault = StageFault("notifying chat", "names CHAT_URL, which is not set", "", 4, 1, made.now)
    made.put("chat", RouteStatus(waiting=1), None, fault)
    return made


@pytest.mark.usefixtures("routes")
async def test_the_routes_are_told_as_json(settings: Settings) -> None:
    """Each route says what it takes, where it leads, what it sent and what waits; times are ISO
    8601, and the dead letters come with their reasons.
    """
    async with running(create_app(settings)) as http:
        found = (await http.get("/notifications")).json()
    by_name = {one["name"]: one for one in found["routes"]}
    assert list(by_name) == ["chat", "good", "mail", "on-call"]
    good = by_name["good"]
    assert (good["kind"], good["host"], good["sent"]) == ("webhook", "hooks.example.com", 1234)
    assert good["last_sent"].endswith("Z")
    assert good["failure"] is None
    assert by_name["on-call"]["failure"]["refused"] == 2
    assert by_name["on-call"]["dead_letters"] == 2
    assert by_name["chat"]["fault"]["tries"] == 4
    letters = {one["incident"]: one for one in found["dead_letters"]}
    assert letters[INCIDENT]["route"] == "on-call"


@pytest.mark.usefixtures("routes")
async def test_the_page_shows_what_fails_first(settings: Settings) -> None:
    """The routes that do not get through come first, with the reason as text; a route whose address
    is a secret shows none; the dead letters lead to their incidents.
    """
    async with running(create_app(settings)) as http:
        text = await read(http, "/dashboard/notifications")
        block = await read(http, "/dashboard/notifications", **{"HX-Target": "notifications"})
    order = [text.index(f'data-route="{name}"') for name in ("chat", "on-call", "mail", "good")]
    assert order == sorted(order)
    assert "&lt;script&gt;" in text
    assert "address not shown" in text
    assert "hooks.example.com" in text
    assert "22:00 to 07:00 Europe/Berlin" in text
    assert f'href="/dashboard/incidents/{INCIDENT}"' in text
    assert "unreadable id" in text
    assert "<h1>" not in block
    assert 'data-route="good"' in block


async def test_without_routes_the_page_says_how_to_have_some(settings: Settings) -> None:
    """An empty page names the setting, and the incidents' page leads here."""
    async with running(create_app(settings)) as http:
        text = await read(http, "/dashboard/notifications")
        incidents = await read(http, "/dashboard/incidents")
    assert "No route yet" in text
    assert "DRIFTGAUGE_POLICY_FILE" in text
    assert 'href="/dashboard/notifications"' in incidents


async def test_what_others_wrote_hides_no_route(
    settings: Settings, client: redis.Redis, keys: Keys, routes: Routes
) -> None:
    """Names that are none, keys of another type and content that cannot be read cost at most
    themselves.
    """
    client.sadd(keys.routes, b"\xff", "Up", "text", "odd")
    client.set(keys.route("text"), "text")
    odd: Any = {ABOUT: b"[[", STATUS: b'{"sent":"many"}', FAULT: b"\xff"}
    client.hset(keys.route("odd"), mapping=odd)
    client.set(keys.route_dead("odd"), "text")
    routes.refuse("good", "\x00", "\x00" * 3)
    client.xadd(keys.route_dead("good"), {"junk": "1"})
    async with running(create_app(settings)) as http:
        await read(http, "/dashboard/notifications")
        found = (await http.get("/notifications")).json()
    assert {one["name"] for one in found["routes"]} == {"chat", "good", "mail", "odd", "on-call"}


async def test_reading_needs_the_right(settings: Settings) -> None:
    """Where keys are needed, who may only predict sees no route."""
    keyed = {
        scope: {"X-API-Key": create_key(settings.keys_path, scope, (scope,), None)}
        for scope in ("read", "predict")
    }
    async with running(create_app(settings)) as http:
        for path in ("/notifications", "/dashboard/notifications"):
            assert (await http.get(path, headers=keyed["predict"])).status_code == 403
            assert (await http.get(path, headers=keyed["read"])).status_code == 200
