import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from playwright.sync_api import Browser, BrowserContext, sync_playwright
from pydantic import SecretStr

from driftgauge.shared.access.key_file import create_key
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.settings import Settings
from tests.producer.conftest import api_process
from tests.producer.routes.test_reading import cloud_event, snapshot

NAME = "monitor.example"
"""A name that only the browser resolves; to it plain HTTP by this name is not secure, so it sends
no Sec-Fetch-Site.
"""


@pytest.fixture
def browser() -> Iterator[Browser]:
    found = (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    if found is None:
        pytest.skip("no Chromium is installed")
    with sync_playwright() as playwright:
        options = [f"--host-resolver-rules=MAP {NAME} 127.0.0.1", "--no-sandbox"]
        launched = playwright.chromium.launch(executable_path=found, args=options)
        yield launched
        launched.close()


def test_a_browser_works_with_a_session(
    settings: Settings, client: redis.Redis, keys: Keys, browser: Browser, tmp_path: Path
) -> None:
    """By name and on localhost: login, a page with its style, the alerts' stream; another site's
    form changes nothing.
    """
    text = create_key(settings.keys_path, "reader", ("read", "admin"), None)
    client.sadd(keys.models, "linear")
    client.xadd(keys.snapshots("linear"), {"e": cloud_event(snapshot(1))})
    with api_process(settings.model_copy(update={"api_key": SecretStr(text)}), tmp_path) as (
        url,
        _,
    ):
        for base in (url.replace("127.0.0.1", NAME), url.replace("127.0.0.1", "localhost")):
            context = browser.new_context()
            _works(context, base, text)
            _follows(context, base)
            context.close()


def _works(context: BrowserContext, base: str, text: str) -> None:
    page = context.new_page()
    page.goto(f"{base}/reports/latest?model=linear")
    assert page.url.startswith(f"{base}/login?next=")
    page.fill("input[name=key]", text)
    page.click("button")
    page.wait_for_url(f"{base}/reports/latest?model=linear")
    assert (
        page.evaluate("getComputedStyle(document.querySelector('.badge')).borderRadius") == "20px"
    )
    assert page.evaluate("document.cookie") == ""
    assert "<svg" in page.content()
    page.goto(
        f"data:text/html,<form method=post "
        f"action='{base}/models/linear/rollback'><button>win</button></form>"
    )
    with page.expect_response("**/rollback") as answer:
        page.click("button")
    assert answer.value.status in (
        401,
        403,
    )  # 401: the browser sends no SameSite=Strict cookie along
    assert page.goto(f"{base}/health").status == 200  # type: ignore[union-attr]


def _follows(context: BrowserContext, base: str) -> None:
    page = context.new_page()
    page.goto(f"{base}/")
    page.locator("#banner[data-state=blind]").wait_for()  # connected; no worker lives here
    opened = (
        "new Promise(done => { const s = new EventSource('/alerts/stream'); s.onopen = () => { "
        "s.close(); done(true) };"
    )
    assert page.evaluate(opened + " s.onerror = () => done(false) })") is True


@pytest.mark.usefixtures("linear")
@pytest.mark.parametrize("width", [390, pytest.param(1280, marks=pytest.mark.long)])
def test_an_error_is_a_page_that_leads_on(
    settings: Settings, browser: Browser, tmp_path: Path, width: int
) -> None:
    """It has the dashboard's style, fits a telephone, loads without a fault, and its button leads
    to the login or home.
    """
    text = create_key(settings.keys_path, "labels", ("label",), None)
    reader = SecretStr(create_key(settings.keys_path, "reader", ("read",), None))
    with api_process(settings.model_copy(update={"api_key": reader}), tmp_path) as (url, _):
        context = browser.new_context(viewport={"width": width, "height": 800})
        page, faults = context.new_page(), list[str]()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("requestfailed", lambda request: faults.append(request.url))
        page.goto(f"{url}/dashboard/nothing?a={'long' * 60}")
        assert page.inner_text("h1") == "Not Found"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert (
            page.evaluate("getComputedStyle(document.querySelector('.error-code')).fontWeight")
            == "600"
        )
        page.locator("main").get_by_role("link", name="Overview").click()
        assert page.url == f"{url}/login?next=%2F"
        page.fill("input[name=key]", text)
        page.click("button")
        assert page.inner_text("h1") == "Forbidden"
        page.locator("main").get_by_role("link", name="Log in").click()
        assert page.url.startswith(f"{url}/login?next=")
        assert faults == []
        context.close()
