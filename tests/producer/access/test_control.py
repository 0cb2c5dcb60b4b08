import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
import redis
from click.testing import CliRunner
from fastapi import APIRouter, Response
from fastapi.routing import iter_route_contexts
from pydantic import SecretStr
from starlette.routing import Mount

from driftgauge.producer.access import session
from driftgauge.producer.access.control import (
    DECLARED,
    OPEN,
    UNTRUSTED,
    Caller,
    Guarded,
    for_everybody,
    needs,
    require_declarations,
)
from driftgauge.producer.access.session import COOKIE, seal, unseal
from driftgauge.producer.app import create_app
from driftgauge.producer.commands.replay import replay
from driftgauge.producer.routes.judged.streaming import while_allowed
from driftgauge.shared.access.key_file import (
    SCOPES,
    KeyScope,
    KeySet,
    create_key,
    read_keys,
    revoke_key,
)
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import BadData
from driftgauge.shared.local.deployment import environment
from driftgauge.shared.settings import Settings
from tests.producer.conftest import GOOD, api_process, running, until
from tests.producer.routes.test_predict import problem
from tests.producer.routes.test_reading import cloud_event, snapshot

pytestmark = pytest.mark.anyio
EVERYBODY = {
    "/static/{release}/{path:path}",
    "/livez",
    "/readyz",
    "/v2/health/live",
    "/v2/health/ready",
    "/login",
    "/logout",
}
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
EVENT = {"features": GOOD, "prediction": 5}


@pytest.fixture
def key(settings: Settings) -> Callable[..., str]:
    def create(*scopes: KeyScope, name: str = "", expires: datetime | None = None) -> str:
        return create_key(settings.keys_path, name or "-".join(scopes), scopes, expires)

    return create


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def guarded(routes: Any) -> list[Guarded]:
    """Every route, wherever it was included; whatever is no route with a declaration fails."""
    found = [context.original_route for context in iter_route_contexts(routes)]
    strange = [
        route
        for route in found
        if not isinstance(route, Guarded) or not hasattr(route.endpoint, DECLARED)
    ]
    assert strange == []
    return [route for route in found if isinstance(route, Guarded)]


PLACES = {
    "model": "linear",
    "version": "1.0.0",
    "report": "linear-1",
    "fingerprint": "0" * 16,
    "incident": "0" * 16,
    "name": "publisher-1",
}
"""Something to ask for, for each parameter of a path."""


STREAMS = ("/alerts/stream", "/incidents/stream", "/dashboard/events")
"""What a reader is answered without end."""


def test_every_route_declares_its_scope(settings: Settings) -> None:
    """No route of the app is without a declared scope, and only those that are listed here are for
    everybody.
    """
    routes = guarded(create_app(settings).routes)
    assert len(routes) > 15
    assert {route.path for route in routes if not route.needed} == EVERYBODY
    changing = {
        route.path: route.needed
        for route in routes
        if "POST" in route.methods and route.path not in EVERYBODY
    }
    predicting = {
        "/predict",
        "/predict_batch",
        "/events",
        "/cloudevents",
        "/dashboard/batch/check",
        "/v2/models/{model}/infer",
        "/v2/models/{model}/versions/{version}/infer",
    }
    assert {path for path, needed in changing.items() if needed == ("predict",)} == predicting
    assert not any("read" in needed for needed in changing.values()), (
        "who may only read changes nothing"
    )
    assert {
        needed for path, needed in changing.items() if path.startswith(("/models", "/alerts"))
    } == {("admin",)}


def test_a_route_without_a_declaration_cannot_be_made(settings: Settings) -> None:
    """An endpoint that declares nothing is an error when the app is built, and one that came by
    another way is found.
    """

    async def forgotten() -> None: ...

    app = create_app(settings)
    with pytest.raises(TypeError, match="/forgotten: forgotten does not declare"):
        app.add_api_route("/forgotten", forgotten)
    other = APIRouter()
    other.add_api_route("/forgotten", forgotten)
    app.include_router(other)
    with pytest.raises(TypeError, match=r"/forgotten: .*route_class=Guarded"):
        require_declarations(other.routes)
    with pytest.raises(AssertionError):
        guarded(app.routes)
    with pytest.raises(AssertionError):
        guarded([Mount("/static", app)])


@pytest.mark.usefixtures("linear")
async def test_each_scope_opens_its_routes_and_no_other(
    settings: Settings, key: Callable[..., str]
) -> None:
    """Every route answers 401 without a key, 403 that names the scope to a key without it, and lets
    the right one in.
    """
    keys = {scope: key(scope) for scope in SCOPES}
    async with running(create_app(settings)) as http:
        for route in guarded(http._transport.app.routes):  # type: ignore[attr-defined]  # the transport knows its app
            if not route.needed:
                continue
            path = route.path.format(**PLACES) if "{" in route.path else route.path
            method = next(iter(route.methods))
            refused = await http.request(method, path)
            problem(refused, 401)
            assert refused.headers["www-authenticate"] == 'Bearer realm="driftgauge"'
            for scope, text in keys.items():
                if path in STREAMS and scope in ("read", "admin"):
                    continue  # it would never end; see below
                answer = await http.request(method, path, headers=bearer(text))
                if scope in (*route.needed, "admin"):
                    assert answer.status_code not in (401, 403), (path, scope)
                else:
                    assert route.needed[0] in problem(answer, 403)["detail"]
                    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


@pytest.mark.usefixtures("linear")
async def test_how_a_key_is_given(settings: Settings, key: Callable[..., str]) -> None:
    """Bearer and X-API-Key are the same; a wrong, expired or malformed key is 401, whatever it is
    made of.
    """
    sound = key("predict")
    over = key("admin", name="over", expires=datetime.now(UTC) - timedelta(seconds=1))
    async with running(create_app(settings)) as http:
        for given in (bearer(sound), {"Authorization": f"bearer  {sound}"}, {"X-API-Key": sound}):
            assert (
                await http.post("/predict", json={"features": GOOD}, headers=given)
            ).status_code == 200
        for wrong in (over, sound[:-1], "", "dg_", sound + " x", "\xff" * 50, "x" * 10_000):
            for given in (
                {"Authorization": f"Bearer {wrong}".encode("latin-1")},
                {"X-API-Key": wrong.encode("latin-1")},
            ):
                answer = await http.post("/predict", json={"features": GOOD}, headers=given)
                problem(answer, 401)
                assert 'error="invalid_token"' in answer.headers["www-authenticate"]
        problem(
            await http.post(
                "/predict", json={"features": GOOD}, headers={"Authorization": f"Basic {sound}"}
            ),
            401,
        )
        problem(await http.post("/predict", json={"features": GOOD}, params={"key": sound}), 401)


@pytest.mark.usefixtures("linear")
async def test_keys_change_while_the_api_runs(settings: Settings, key: Callable[..., str]) -> None:
    """A new key is let in and a revoked one is not within seconds; the first key closes an open
    API.
    """
    async with running(create_app(settings)) as http:
        assert (await http.get("/health")).status_code == 200
        first, second = key("read", name="first"), key("read", name="second")

        async def status(headers: dict[str, str]) -> int:
            return (await http.get("/health", headers=headers)).status_code

        async def closed() -> bool:
            return await status({}) == 401 and await status(bearer(second)) == 200

        await until(closed)
        revoke_key(settings.keys_path, "first")

        async def revoked() -> bool:
            return await status(bearer(first)) == 401

        await until(revoked)
        assert await status(bearer(second)) == 200


@pytest.mark.usefixtures("linear")
async def test_an_open_stream_ends_with_its_key(
    settings: Settings, client: redis.Redis, keys: Keys, key: Callable[..., str]
) -> None:
    """Who follows alerts sees none any more once the key is revoked; one whose key holds goes
    on.
    """
    names = ("one", "two")
    texts = [key("read", name=name) for name in names]
    app = create_app(settings)
    async with running(app):
        access = app.state.parts.access
        callers = [
            Caller(name, access.ring.held.find(text.encode()))
            for name, text in zip(names, texts, strict=True)
        ]
        subscriptions = [await app.state.parts.subscriptions.open("linear", None) for _ in names]
        first, second = (
            while_allowed(subscription.blocks(), partial(access.still, caller, "read"))
            for subscription, caller in zip(subscriptions, callers, strict=True)
        )
        assert await anext(first) == await anext(second)
        revoke_key(settings.keys_path, "one")
        access.ring.refresh()
        client.xadd(keys.alerts("linear"), {"e": b"{}"})
        assert b"event: alert" in await anext(second)
        assert [block async for block in first] == []
        assert not access.still(UNTRUSTED, "read")
        assert not access.still(OPEN, "read"), "it began without keys, and now there are some"


@pytest.mark.usefixtures("linear")
async def test_people_outside_learn_only_whether_it_lives(
    settings: Settings, key: Callable[..., str]
) -> None:
    """With keys /livez and /readyz answer everybody, with the reasons only for those who may
    read.
    """
    text = key("read")
    async with running(create_app(settings)) as http:
        settings.keys_path.write_bytes(b"{")

        async def noticed() -> bool:
            return "damaged" in (await http.get("/readyz", headers=bearer(text))).text

        await until(noticed)
        assert (await http.get("/livez")).json() == {"status": "alive"}
        assert (await http.get("/readyz")).json() == {"status": "degraded"}


@pytest.mark.usefixtures("linear")
async def test_a_browser_logs_in_and_out(
    settings: Settings, client: redis.Redis, keys: Keys, key: Callable[..., str]
) -> None:
    """A page leads to the login and back; the cookie is for no script and no other site, and the
    logout takes it.
    """
    text = key("read")
    client.xadd(keys.snapshots("linear"), {"e": cloud_event(snapshot(1))})
    async with running(create_app(settings)) as http:
        sent = await http.get("/reports/latest?model=linear", headers=BROWSER)
        assert (sent.status_code, sent.headers["location"]) == (
            303,
            "/login?next=%2Freports%2Flatest%3Fmodel%3Dlinear",
        )
        form = await http.get(sent.headers["location"])
        assert 'value="/reports/latest?model=linear"' in form.text
        wrong = await http.post("/login", data={"key": "dg_no", "next": "/docs"})
        assert wrong.status_code == 401
        assert "unknown, revoked or expired" in wrong.text
        assert not http.cookies
        entered = await http.post(
            "/login", data={"key": f" {text}\n", "next": "/reports/latest?model=linear"}
        )
        assert (entered.status_code, entered.headers["location"]) == (
            303,
            "/reports/latest?model=linear",
        )
        cookie = entered.headers["set-cookie"]
        assert {"HttpOnly", "SameSite=strict", "Path=/", "Max-Age=43200"} <= set(cookie.split("; "))
        assert text.split("_", 2)[2] not in cookie
        page = await http.get(entered.headers["location"], headers=BROWSER)
        assert page.headers["content-type"].startswith("text/html")
        problem(await http.post("/predict", json={"features": GOOD}), 403)
        await http.post("/logout")
        assert not http.cookies
        problem(await http.get("/health"), 401)
        assert (await http.post("/login", json={"key": text})).status_code == 204
        assert (await http.get("/health")).status_code == 200
        problem(await http.get("/health", headers=bearer("dg_wrong")), 401)
    transport = httpx.ASGITransport(create_app(settings))
    async with httpx.AsyncClient(transport=transport, base_url="https://monitor.example") as http:
        assert "Secure" in (await http.post("/login", json={"key": text})).headers["set-cookie"]


async def test_a_form_with_too_many_fields_is_refused(
    settings: Settings, key: Callable[..., str]
) -> None:
    """A form that is none of ours is answered, and is no failure of the API."""
    key("read")
    async with running(create_app(settings)) as http:
        answer = await http.post("/login", data={f"field{number}": "x" for number in range(20)})
        assert answer.status_code == 422
        assert "more than 8 fields" in answer.json()["detail"]


@pytest.mark.parametrize(
    "wanted",
    ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:x", "/a\r\nb", ""],
)
@pytest.mark.usefixtures("linear")
async def test_the_login_leads_to_no_other_site(
    settings: Settings, key: Callable[..., str], wanted: str
) -> None:
    """Where to go next is a path of this API, whatever the form says; markup in it stays text."""
    text = key("read")
    async with running(create_app(settings)) as http:
        entered = await http.post("/login", data={"key": text, "next": wanted})
        assert entered.headers["location"] == "/"
        assert "<b>" not in (await http.get("/login", params={"next": '/"><b>'})).text


def test_sessions_cannot_be_forged_and_end_with_their_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session holds for every process with the keys file, until its time or its key's; any
    changed part ends it.
    """
    path = tmp_path / "keys.json"
    text = create_key(path, "a", ("read",), None)
    soon = datetime.now(UTC) + timedelta(hours=1)
    brief = create_key(path, "brief", ("admin",), soon)

    def held() -> KeySet:
        content = read_keys(path)
        assert content is not None
        return KeySet(content)

    one = held()
    key = one.find(text.encode())
    until_soon = one.find(brief.encode())
    assert key is not None
    assert until_soon is not None
    sealed = seal(one, key, 3600)
    assert unseal(held(), sealed) == key
    public, until, signature = sealed.split(".")
    longer = f"{public}.{int(until) + 1}.{signature}"
    other = f"{until_soon.id}.{until}.{signature}"
    for forged in (
        longer,
        other,
        sealed[:-1],
        sealed + "=",
        "",
        "..",
        f"{public}.{until}.",
        f"{public}.²." + signature,
        "é.1.x",
    ):
        assert unseal(one, forged) is None, forged
    assert int(seal(one, until_soon, 1e6).split(".")[1]) == int(soon.timestamp())
    moment = session.time.time()
    monkeypatch.setattr(session.time, "time", lambda: moment + 3601)
    assert unseal(one, sealed) is None
    monkeypatch.undo()
    revoke_key(path, "a")
    assert unseal(held(), sealed) is None


ELSEWHERE = (
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:3000"},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost.evil.example"},
    {"Origin": "http://localhost:8001"},
)


@pytest.mark.parametrize("with_keys", [True, False])
@pytest.mark.usefixtures("linear")
async def test_other_sites_pages_change_nothing(
    settings: Settings, key: Callable[..., str], *, with_keys: bool
) -> None:
    """What a browser says to come from another site's page is refused if it could change something,
    session or not.
    """
    text = key("admin") if with_keys else ""
    async with running(create_app(settings)) as http:
        if with_keys:
            await http.post("/login", json={"key": text})
        for elsewhere in ELSEWHERE:
            for path in ("/predict", "/events", "/models/linear/rollback", "/login", "/logout"):
                refused = await http.post(path, json=EVENT, headers=elsewhere)
                assert "another site" in problem(refused, 403)["detail"], (path, elsewhere)
        for own in (
            {},
            {"Sec-Fetch-Site": "same-origin"},
            {"Sec-Fetch-Site": "none"},
            {"Origin": "http://localhost"},
        ):
            assert (await http.post("/events", json=EVENT, headers=own)).status_code == 202


@pytest.mark.usefixtures("linear")
async def test_a_rebound_name_is_refused_without_keys(
    settings: Settings, key: Callable[..., str]
) -> None:
    """Without keys the Host must be localhost, an address or an allowed name; with keys any name
    will do.
    """
    own = settings.model_copy(update={"allowed_hosts": "Monitor,api.internal"})
    async with running(create_app(own)) as http:

        async def status(host: str) -> int:
            return (await http.get("/health", headers={"Host": host})).status_code

        for known in (
            "localhost",
            "localhost:8000",
            "127.0.0.1:8000",
            "[::1]:8000",
            "10.1.2.3",
            "monitor:80",
            "API.internal",
        ):
            assert await status(known) == 200, known
        for strange in (
            "evil.example",
            "localhost.evil.example:8000",
            "127.0.0.1.nip.io",
            "",
            "[::1",
            "x" * 300,
        ):
            assert await status(strange) == 421, strange
        refused = await http.post(
            "/predict", json={"features": GOOD}, headers={"Host": "evil.example"}
        )
        assert "DRIFTGAUGE_ALLOWED_HOSTS" in problem(refused, 421)["detail"]
        assert (await http.get("/livez", headers={"Host": "evil.example"})).status_code == 200
        assert "reasons" not in (await http.get("/readyz", headers={"Host": "evil.example"})).json()
    text = key("read")
    async with running(create_app(settings)) as http:
        assert (
            await http.get("/health", headers={"Host": "monitor.example", **bearer(text)})
        ).status_code == 200


@pytest.mark.usefixtures("linear")
async def test_every_answer_tells_the_browser_what_not_to_do(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """Pages, JSON, problems and failures of ours all have the headers; a page with needs of its own
    keeps its policy.
    """
    client.xadd(keys.snapshots("linear"), {"e": cloud_event(snapshot(1))})
    app = create_app(settings)

    @app.get("/broken", include_in_schema=False)
    @for_everybody
    async def broken() -> None:
        raise RuntimeError

    @app.get("/own", include_in_schema=False)
    @needs("read")
    async def own() -> Response:
        return Response(
            "",
            media_type="text/html",
            headers={"Content-Security-Policy": "mine", "Cache-Control": "max-age=9"},
        )

    async with running(app) as http:
        paths = (
            "/livez",
            "/nowhere",
            "/predict",
            "/broken",
            "/reports/latest",
            "/docs",
            "/login",
            "/metrics",
        )
        answers = {path: await http.get(path, headers=BROWSER) for path in paths}
        for path, answer in answers.items():
            assert answer.headers["x-content-type-options"] == "nosniff", path
            assert answer.headers["referrer-policy"] == "same-origin", path
        for path in paths:
            if path != "/broken":
                assert (
                    "frame-ancestors 'none'" in answers[path].headers["content-security-policy"]
                ), path
                assert answers[path].headers["cache-control"] == "no-store", path
        kept = (await http.get("/own")).headers
        assert (kept["content-security-policy"], kept["cache-control"]) == ("mine", "max-age=9")
        report = answers["/reports/latest"]
        assert "style-src 'unsafe-inline'" in report.headers["content-security-policy"], (
            "the page's own style applies"
        )
        assert "script-src" not in report.headers["content-security-policy"], (
            "default-src 'none' forbids scripts"
        )
        assert "<style" in report.text
        assert "<script" not in report.text
        for path in ("/docs", "/login"):
            policy = answers[path].headers["content-security-policy"]
            assert "default-src 'none'; script-src 'self';" in policy, (
                "scripts come from files of our own"
            )
            assert "<script>" not in answers[path].text


@pytest.mark.usefixtures("linear")
async def test_secrets_are_in_no_log(
    settings: Settings, key: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever is done with keys, right and wrong, and whatever fails, no log line or answer has
    one.
    """
    text, wrong = key("admin"), "dg_01234567_" + "w" * 43
    app = create_app(settings)

    @app.get("/broken", include_in_schema=False)
    @needs("read")
    async def broken() -> None:
        raise RuntimeError("boom")

    texts = []
    with caplog.at_level(logging.DEBUG):
        async with running(app) as http:
            for given in (text, wrong):
                for headers in (
                    bearer(given),
                    {"X-API-Key": given},
                    {"Cookie": f"{COOKIE}={given}"},
                ):
                    answers = [
                        await http.get(path, headers=headers)
                        for path in ("/health", "/broken", "/nowhere", "/readyz")
                    ]
                    answers += [
                        await http.post("/login", json={"key": given}),
                        await http.post("/login", data={"key": given}),
                    ]
                    answers += [
                        await http.post(
                            "/models/linear/rollback", json={"reason": 1}, headers=headers
                        )
                    ]
                    texts += [answer.text + str(answer.headers) for answer in answers]
            cookie = http.cookies[COOKIE]
        settings.keys_path.write_bytes(settings.keys_path.read_bytes()[:-20])
        app.state.parts.access.ring.refresh()
    everything = "\n".join([*texts, caplog.text])
    assert "RuntimeError" in caplog.text
    for secret in (text.split("_", 2)[2], "w" * 43):
        assert secret not in everything
    assert cookie not in caplog.text
    assert not re.search(r"[0-9a-f]{64}", caplog.text), "no digest, no session secret"
    assert text not in repr(Settings(api_key=SecretStr(text)))
    assert environment(Settings(api_key=SecretStr(text)))["DRIFTGAUGE_API_KEY"] == text, (
        "a child gets it as it is"
    )


@pytest.mark.usefixtures("linear")
def test_the_command_line_sends_its_key(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`replay` reaches an API with keys by DRIFTGAUGE_API_KEY, which is good for schema and events;
    without, it says why.
    """
    text = create_key(settings.keys_path, "replay", ("predict",), None)
    file = tmp_path / "rows.csv"
    pd.DataFrame({"x": [1, 2], "y": [3, 4], "made": [5, 6]}).to_csv(file, index=False)
    reader = create_key(settings.keys_path, "reader", ("read",), None)
    own = settings.model_copy(update={"api_key": SecretStr(reader)})
    with api_process(own, tmp_path) as (url, _):
        arguments = [str(file), "--model", "linear", "--prediction-column", "made", "--url", url]
        refused = CliRunner().invoke(replay, arguments)
        assert isinstance(refused.exception, BadData)
        assert "401" in str(refused.exception)
        monkeypatch.setenv("DRIFTGAUGE_API_KEY", text)
        assert "Posted 2 events" in CliRunner().invoke(replay, arguments).output
    assert text.split("_", 2)[2] not in (tmp_path / "api.log").read_text()
