"""The API behind a real proxy that serves it below a path, on a socket of its own."""

import http.client
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import SecretStr

from driftgauge.shared.access.key_file import create_key
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from driftgauge.shared.registry.registry import ModelRegistry
from tests.producer.conftest import GOOD, api_process, publish_linear, settings_in
from tests.producer.dashboard.test_pages import Elements

PREFIX = "/team/drift"
BROWSER = {"Accept": "text/html"}
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}
LINKS = ("href", "src", "action", "hx-get", "data-events", "data-action")
SUBJECTS = ("drift", "alerts", "models", "batch", "log", "reports")
PAGES = ("/", *(f"/dashboard/{name}" for name in SUBJECTS), "/docs", "/redoc")


@contextmanager
def proxy(api: str, *, strips: bool, says: str = PREFIX) -> Iterator[str]:
    """Serve the API below the prefix, and nothing else; stripping it or not, and saying which it
    is.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        address: ClassVar[str] = urlsplit(api).netloc

        def answer(self) -> None:
            if not self.path.startswith(f"{PREFIX}/"):
                self.send_error(404, "outside of the prefix")
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            upstream = http.client.HTTPConnection(self.address, timeout=20)
            headers = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in HOP_BY_HOP
            }
            headers |= {
                "X-Forwarded-Prefix": says,
                "X-Forwarded-For": "192.0.2.7",
                "X-Forwarded-Proto": "https",
            }
            path = self.path.removeprefix(PREFIX) if strips else self.path
            upstream.request(self.command, path, body, headers)
            found = upstream.getresponse()
            content = found.read()
            self.send_response(found.status)
            for name, value in found.getheaders():
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            upstream.close()

        do_GET = do_POST = answer  # noqa: N815  the names that http.server calls

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def serving(folder: Path, redis_url: str) -> Iterator[tuple[str, str]]:
    """Yield the address of an API, and an administrator's key."""
    settings = settings_in(folder, redis_url, f"test-{uuid.uuid4().hex[:12]}")
    publish_linear(ModelRegistry(settings.registry_dir))
    key = create_key(settings.keys_path, "admin", ("admin",), None)
    with api_process(settings.model_copy(update={"api_key": SecretStr(key)}), folder) as (url, _):
        yield url, key


@pytest.fixture(scope="module")
def api(
    redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """One that believes its proxy."""
    with serving(tmp_path_factory.mktemp("api"), redis_server.url) as found:
        yield found


def addresses(text: str) -> set[str]:
    """Return everything that a page links to, loads, or sends to."""
    found = {attributes.get(name) or "" for _, attributes in Elements(text).found for name in LINKS}
    return {address for address in found if address and not address.startswith("#")}


@pytest.mark.parametrize("strips", [True, False])
def test_links_files_redirects_and_cookies_have_the_prefix(
    api: tuple[str, str], *, strips: bool
) -> None:
    """A browser that comes by the proxy never leaves its prefix: it logs in, opens all pages with
    their files, logs out.
    """
    address, key = api
    with (
        proxy(address, strips=strips) as url,
        httpx.Client(base_url=url, trust_env=False, headers=BROWSER) as browser,
    ):
        sent = browser.get(f"{PREFIX}/dashboard/drift?model=linear")
        login = f"{PREFIX}/login?next=%2Fdashboard%2Fdrift%3Fmodel%3Dlinear"
        assert (sent.status_code, sent.headers["location"]) == (303, login)
        form = Elements(browser.get(login).text)
        assert form.of("form", method="post")[0]["action"] == f"{PREFIX}/login"
        wanted = form.of("input", name="next")[0]["value"]
        entered = browser.post(f"{PREFIX}/login", data={"key": key, "next": wanted})
        assert entered.headers["location"] == f"{PREFIX}/dashboard/drift?model=linear"
        cookie = entered.headers["set-cookie"]
        assert f"Path={PREFIX};" in f"{cookie};"
        assert "Secure" in cookie
        browser.headers["Cookie"] = cookie.split(";")[0]
        files: set[str] = set()
        for page in PAGES:
            answer = browser.get(PREFIX + page)
            assert answer.status_code == 200, page
            found = addresses(answer.text)
            assert all(address.startswith(f"{PREFIX}/") for address in found), found
            files |= {address for address in found if "/static/" in address}
        assert len(files) >= 5
        assert {browser.get(file).status_code for file in files} == {200}
        assert browser.get(f"{PREFIX}/openapi.json").json()["servers"] == [{"url": PREFIX}]
        assert browser.post(f"{PREFIX}/predict", json={"features": GOOD}).status_code == 200
        out = browser.post(f"{PREFIX}/logout")
        assert (out.status_code, out.headers["location"]) == (303, f"{PREFIX}/login")
        assert f"Path={PREFIX};" in f"{out.headers['set-cookie']};"


def test_only_trusted_proxies_are_believed(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From any other address the header changes nothing: not a link, not a redirect, not a
    cookie.
    """
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "192.0.2.1,198.51.100.0/24")
    with serving(tmp_path, redis_url) as (api, key), proxy(api, strips=True) as url:
        assert (
            httpx.get(f"{url}{PREFIX}/", headers=BROWSER, trust_env=False).headers["location"]
            == "/login?next=%2F"
        )
        entered = httpx.post(
            f"{url}{PREFIX}/login", data={"key": key, "next": "/"}, trust_env=False
        )
        assert entered.headers["location"] == "/"
        assert "Path=/;" in f"{entered.headers['set-cookie']};"
        text = httpx.get(
            f"{url}{PREFIX}/", headers={**BROWSER, "X-API-Key": key}, trust_env=False
        ).text
        assert PREFIX not in text


def test_what_can_be_no_path_is_no_prefix(api: tuple[str, str]) -> None:
    """A proxy that passes on what a client made up does not send anybody to another host."""
    for hostile in (
        "//evil.example",
        "/a/../..",
        '/"><script>',
        "javascript:alert(1)",
        "/a?b",
        "/" + "a" * 300,
    ):
        with proxy(api[0], strips=True, says=hostile) as url:
            sent = httpx.get(f"{url}{PREFIX}/", headers=BROWSER, trust_env=False)
        assert sent.headers["location"] == "/login?next=%2F", hostile
