import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from driftgauge.producer.app import create_app
from driftgauge.producer.dashboard.rendering import ENVIRONMENT
from driftgauge.shared.settings import Settings
from tests.exposition import parse
from tests.producer.conftest import GOOD, api_process, running

pytestmark = pytest.mark.anyio

PAGES = ("", "dashboard/drift", "dashboard/performance", "dashboard/alerts", "dashboard/models")
MORE_PAGES = ("dashboard/log", "dashboard/batch", "dashboard/reports", "login", "nothing-here")


def block_names() -> set[str]:
    return {
        name
        for file in ENVIRONMENT.list_templates(filter_func=lambda name: name.endswith(".j2"))
        for name in ENVIRONMENT.get_template(file).blocks
    }


@pytest.mark.usefixtures("linear")
async def test_a_page_is_given_whatever_part_of_it_is_asked_for(settings: Settings) -> None:
    """Any name in HX-Target, of another page's block, of the frame's, or of nothing, gets a part or
    the page, never an error.
    """
    async with running(create_app(settings)) as http:
        await http.post("/predict", json={"features": GOOD})
        for page in (*PAGES, *MORE_PAGES):
            for name in (*sorted(block_names()), "self", "__class__", "\u00e9", "a" * 500):
                headers = {"Accept": "text/html", "HX-Target": name.encode("latin-1")}
                answer = await http.get(f"/{page}", headers=headers)
                expected = 404 if page == "nothing-here" else 200
                assert answer.status_code == expected, (page, name)
        whole = await http.get("/", headers={"Accept": "text/html", "HX-Target": "title"})
        assert whole.text.startswith("<!doctype html>")


@pytest.mark.usefixtures("linear")
async def test_a_slash_too_much_leads_to_the_same_host(settings: Settings) -> None:
    """The location of the right path has no host, so it is right behind any proxy, and no host that
    a request names can get into it; query and prefix are kept.
    """
    async with running(create_app(settings)) as http:
        for path, location in (
            ("/health/?verbose=true&a=%20b", "/health?verbose=true&a=%20b"),
            ("//health/", None),
            ("/health//", "/health"),
            ("/alerts/0123456789abcdef/", "/alerts/0123456789abcdef"),
            ("//evil.example/", None),
            ("/nothing/", None),
        ):
            answer = await http.get(
                f"http://localhost{path}", headers={"Host": "evil.example"}, follow_redirects=False
            )
            assert answer.headers.get("location") == location
            assert answer.status_code == (404 if location is None else 307)
    below = settings.model_copy(update={"root_path": "/team"})
    async with running(create_app(below)) as http:
        answer = await http.get("/team/health/", follow_redirects=False)
        assert answer.headers["location"] == "/team/health"


@pytest.fixture
def address(settings: Settings, tmp_path: Path) -> Iterator[tuple[str, httpx.Client]]:
    with (
        api_process(settings, tmp_path) as (url, _),
        httpx.Client(base_url=url, trust_env=False) as http,
    ):
        yield url, http


@pytest.mark.usefixtures("linear")
def test_a_client_that_leaves_is_no_fault_of_the_api(address: tuple[str, httpx.Client]) -> None:
    """An upload that is broken off is 499 in the metrics, on every route that takes a body."""
    url, http = address
    place = urlsplit(url)
    routes = ("/predict", "/events", "/labels", "/predict_batch")
    for route in routes:
        head = f"POST {route} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        with socket.create_connection((place.hostname, place.port)) as client:
            client.sendall(f"{head}Content-Length: 1000\r\n\r\n{{".encode())
    deadline = time.monotonic() + 60
    expected = {(route, "499", 1) for route in routes}
    while not expected <= (found := answered(http)):
        assert time.monotonic() < deadline, found
    assert "500" not in {status for _, status, _ in found}


def answered(http: httpx.Client) -> set[tuple[str, str, float]]:
    """Return how often each route answered with each status."""
    requests = parse(http.get("/metrics").text)["driftgauge_http_requests"]
    return {
        (one.labels["route"], one.labels["status"], one.value)
        for one in requests.samples
        if one.name == "driftgauge_http_requests_total"
    }
