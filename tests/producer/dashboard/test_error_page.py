"""Errors as pages: who gets one, what it says, and that it leads on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from driftgauge.producer.access.control import Guarded, for_everybody
from driftgauge.producer.app import create_app
from driftgauge.producer.dashboard import error_page
from driftgauge.producer.describing.declared import answers
from driftgauge.shared.access.key_file import create_key
from driftgauge.shared.settings import Settings
from tests.producer.conftest import running
from tests.producer.dashboard.test_pages import Elements
from tests.producer.routes.test_predict import problem

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("linear")]
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@asynccontextmanager
async def failing(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """The app with a route that fails."""
    app = create_app(settings)

    @for_everybody
    @answers(None, "Nothing.")
    async def fail(x: str = "") -> None:  # noqa: ARG001  part of its address
        raise RuntimeError("secret of the code")

    app.router.routes.append(Guarded("/dashboard/fails", fail))
    async with running(app) as http:
        yield http


def links(text: str) -> list[str]:
    return [
        attributes["href"] or "" for _, attributes in Elements(text).found if "href" in attributes
    ]


async def shown(http: httpx.AsyncClient, path: str, status: int, **headers: str) -> str:
    answer = await http.get(path, headers={**BROWSER, **headers})
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "text/html; charset=utf-8",
    )
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["vary"] == "Accept, HX-Target"
    assert "Traceback" not in answer.text
    assert answer.headers["x-request-id"] in answer.text
    return answer.text


async def test_each_error_says_what_where_and_what_next(settings: Settings) -> None:
    """401, 403, 404, 422 and 500 have the problem's own words, the address, and a way on."""
    label, reader = (
        create_key(settings.keys_path, scope, (scope,), None) for scope in ("label", "read")
    )  # type: ignore[arg-type]
    page = "/dashboard/models?model=no"
    async with failing(settings) as http:
        text = await shown(http, page, 401, **{"X-API-Key": "dg_wrong"})
        assert (
            "This key is unknown, revoked or expired. <code>driftgauge keys create</code> makes "
            "keys." in text
        )
        assert "/login?next=%2Fdashboard%2Fmodels%3Fmodel%3Dno" in links(text)
        text = await shown(http, page, 403, **{"X-API-Key": label})
        assert "lacks the scope read" in text
        assert "/login?next=%2Fdashboard%2Fmodels%3Fmodel%3Dno" in links(text)
        text = await shown(http, page, 404, **{"X-API-Key": reader})
        assert "There is no model &#39;no&#39; in the registry" in text
        assert "<bdi>/dashboard/models?model=no</bdi>" in text
        text = await shown(http, "/dashboard/nothing", 404)
        assert "There is nothing at /dashboard/nothing" in text
        text = await shown(http, "/dashboard/alerts?state=odd", 422, **{"X-API-Key": reader})
        assert "/query/state" in text
        text = await shown(http, "/dashboard/fails?x=1", 500)
        assert "secret" not in text
        assert "/dashboard/fails?x=1" in links(text)
        assert all("/" in links(one) for one in (text,))


async def test_programs_get_the_problem_as_ever(settings: Settings) -> None:
    """Whoever does not ask for HTML by a GET, and htmx inside of a page, gets a problem
    document.
    """
    async with failing(settings) as http:
        for headers in (
            {},
            {"Accept": "*/*"},
            {"Accept": "application/json"},
            {**BROWSER, "HX-Request": "true"},
        ):
            problem(await http.get("/dashboard/nothing", headers=headers), 404)
            problem(await http.get("/dashboard/fails", headers=headers), 500)
            problem(await http.get("/dashboard/models?model=no", headers=headers), 404)
        problem(await http.post("/predict", json={}, headers=BROWSER), 422)
        problem(await http.post("/dashboard/nothing", headers=BROWSER), 404)


async def test_below_a_prefix_every_link_has_it(settings: Settings) -> None:
    """The page of an error 500, too, which is made outside of all layers; a path with two slashes
    names no other host.
    """
    async with failing(settings.model_copy(update={"root_path": "/monitor"})) as http:
        wrong = {
            "/monitor/dashboard/fails": 500,
            "/dashboard/nothing": 404,
            "/monitor//evil.example": 404,
        }
        for path, status in wrong.items():
            text = await shown(http, path, status)
            assert all(
                link.startswith("/monitor/") for link in links(text) if not link.startswith("#")
            ), links(text)
            assert "//evil" not in "".join(links(text))


async def test_a_page_that_cannot_be_made_hides_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the error's page fails too, a browser gets the problem document."""

    def broken(*_: Any, **__: Any) -> None:
        raise KeyError("template")

    monkeypatch.setattr(error_page, "page", broken)
    async with failing(settings) as http:
        assert (
            "its log says where"
            in problem(await http.get("/dashboard/fails", headers=BROWSER), 500)["detail"]
        )
