"""The pictures of the README: the demo's dashboard some minutes after its sensor began to drift.

    python -m benchmarks.screenshots

Writes docs/images/*.png, each below 150 kB; needs an installed Chromium.
"""

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

import click
import httpx
from playwright.sync_api import Browser, sync_playwright

FOLDER: Final = Path(__file__).parents[1] / "docs" / "images"
MOST_BYTES: Final = 150_000
PATIENCE_S: Final = 600
SETTLE_MS: Final = 3000
SHOTS: Final[dict[str, tuple[str, Literal["light", "dark"], int, int]]] = {
    "overview": ("/", "light", 1180, 640),
    "drift": ("/dashboard/drift", "light", 1180, 640),
    "feature": ("/dashboard/drift?feature=phase_log_odds", "dark", 1180, 640),
}
"""Name to path, colour scheme, width and height."""


SMOKE = ("--events", "500", "--page", "overview", "--open-ms", "500")
"""Arguments of the smallest run, which CI starts."""


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=FOLDER, help="Of the pictures.")
@click.option("--events", default=9000, show_default=True, help="Counted before the first picture.")
@click.option(
    "--page", "pages", multiple=True, type=click.Choice(list(SHOTS)), help="[default: all]"
)
@click.option(
    "--open-ms",
    default=30_000,
    show_default=True,
    help="How long the overview is open: the line of its traffic then has that length.",
)
def main(folder: Path, events: int, pages: tuple[str, ...], open_ms: int) -> None:
    """Run the demo until its drift shows, and take the pictures."""
    chromium = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if chromium is None:
        raise click.ClickException("No Chromium is installed: apt-get install chromium.")
    folder.mkdir(parents=True, exist_ok=True)
    with demo(events) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name in pages or SHOTS:
            click.echo(shot(browser, url, name, folder, open_ms))
        browser.close()


@contextmanager
def demo(events: int) -> Iterator[str]:
    """Run the demo, and yield its address when enough was counted."""
    command = [sys.executable, "-m", "driftgauge", "demo"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            url = _address(process)
            _wait(url, events)
            yield url
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)


def shot(browser: Browser, url: str, name: str, folder: Path, open_ms: int) -> Path:
    """Take a picture.

    Raises
    ------
    click.ClickException
        If it is too large for a README.
    """
    path, scheme, width, height = SHOTS[name]
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, locale="en-GB"
    )
    page = context.new_page()
    page.goto(url + path)
    page.wait_for_timeout(open_ms if path == "/" else min(open_ms, SETTLE_MS))
    target = folder / f"{name}.png"
    page.screenshot(path=target)
    context.close()
    if target.stat().st_size > MOST_BYTES:
        raise click.ClickException(
            f"{target} has {target.stat().st_size} bytes, more than {MOST_BYTES}."
        )
    return target


def _address(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    for line in process.stdout:
        found = re.search(r"(http://[\w.:]+)/\s+the dashboard", line)
        if found:
            return found[1]
    raise click.ClickException("The demo did not start; run `driftgauge demo` to see why.")


def _wait(url: str, events: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        answer = httpx.get(f"{url}/drift")
        if answer.status_code == httpx.codes.OK and answer.json()["window"]["events"] >= events:
            return
        time.sleep(1)
    raise click.ClickException(
        f"The demo did not count {events} predictions within {PATIENCE_S} s."
    )


if __name__ == "__main__":
    main()
