"""A real Chromium on a real deployment, once for all browser tests of this folder.

The fixtures end with the folder (scope `package`): while Playwright runs, its event loop is the
thread's, so that no asyncio test could run.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)

from tests.browser.plant import Plant, rows

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_MS = 60_000
"""Until what is expected of a page must hold: a busy machine draws ReDoc in many seconds."""

SKIPPED = pytest.StashKey[bool]()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if config.stash.get(SKIPPED, False):
        terminalreporter.section("NO BROWSER TEST WAS RUN", sep="!", red=True, bold=True)
        terminalreporter.line(
            "No Chromium is installed (apt-get install chromium). In CI that is an error."
        )


@pytest.fixture(scope="package")
def chromium(pytestconfig: pytest.Config) -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        assert os.environ.get("CI") != "true", "CI must run the browser tests: install Chromium"
        pytestconfig.stash[SKIPPED] = True
        pytest.skip("no Chromium is installed")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="package")
def plant(tmp_path_factory: pytest.TempPathFactory, chromium: Browser) -> Iterator[Plant]:  # noqa: ARG001  skipped without
    """API, worker, Redis, and clean traffic that was judged."""
    running = Plant(tmp_path_factory.mktemp("plant"))
    running.start()
    try:
        running.post(rows(1, 1500))
        running.judged()
        yield running
    finally:
        running.stop()


class Watched:
    """What a page did that no page of ours may do."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.errors: list[str] = []
        self.foreign: list[str] = []
        self.expected: Callable[[str], bool] = lambda _: False
        """Which console errors a test provokes."""
        self._host = urlsplit(url).netloc
        context.on("console", self._console)
        context.on("weberror", lambda error: self.errors.append(f"{error.error}"))
        context.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(
                f"{message.type}: {message.text} ({message.location.get('url', '')})"
            )

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and parts.netloc != self._host:
            self.foreign.append(request.url)

    def check(self) -> None:
        assert self.foreign == []
        assert [error for error in self.errors if not self.expected(error)] == []


@pytest.fixture
def context(chromium: Browser, plant: Plant) -> Iterator[BrowserContext]:
    made = chromium.new_context(base_url=plant.url, viewport={"width": 1280, "height": 900})
    made.set_default_timeout(PATIENCE_MS)
    yield made
    made.close()


@pytest.fixture
def watched(context: BrowserContext, plant: Plant) -> Iterator[Watched]:
    """Fails a test at its end whose pages logged an error or asked another host."""
    found = Watched(context, plant.url)
    yield found
    found.check()


@pytest.fixture
def page(context: BrowserContext, watched: Watched) -> Page:  # noqa: ARG001  every page is watched
    return context.new_page()
