"""The pictures of the docs: the demo's dashboard some minutes after its sensor began to drift.

    python -m benchmarks.demo.screenshots                      # those of docs/images, each < 150 kB
    python -m benchmarks.demo.screenshots --every --folder F   # every page, all widths and colours

It needs an installed Chromium.
"""

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Final, Literal, NamedTuple

import click
import httpx
from playwright.sync_api import Browser, sync_playwright

FOLDER: Final = Path(__file__).parents[2] / "docs" / "images"
MOST_BYTES: Final = 150_000
PATIENCE_S: Final = 600
SETTLE_MS: Final = 3000
Scheme = Literal["light", "dark"]
INCIDENT: Final = "/dashboard/incidents/{incident}"
"""The page of the demo's incident, whose id is asked for."""


class Shot(NamedTuple):
    """A picture: the page's path, the colours, and the window in pixels."""

    path: str
    scheme: Scheme
    width: int
    height: int
    whole: bool = False


SHOTS: Final = {
    "incident": Shot(INCIDENT, "light", 1180, 560),
    "drift": Shot("/dashboard/drift", "light", 1180, 640),
    "feature": Shot("/dashboard/drift?feature=phase_log_odds", "dark", 1180, 640),
}
"""The pictures of docs/images, by name."""
PAGES: Final = {
    "overview": "/",
    "model": "/dashboard/models/steel",
    "incidents": "/dashboard/incidents",
    "incident": INCIDENT,
    "drift": "/dashboard/drift",
    "feature": "/dashboard/drift?feature=phase_log_odds",
    "performance": "/dashboard/performance",
    "notifications": "/dashboard/notifications",
    "alerts": "/dashboard/alerts",
    "models": "/dashboard/models",
    "batch": "/dashboard/batch",
    "log": "/dashboard/log",
    "reports": "/dashboard/reports",
    "glossary": "/dashboard/glossary",
    "error": "/dashboard/alerts/nonsense",
}
SIZES: Final = ((1440, 900), (1280, 800), (390, 844))
SCHEMES: Final[tuple[Scheme, ...]] = ("light", "dark")
EVERY: Final = {
    f"{name}-{width}-{scheme}": Shot(path, scheme, width, height, whole=True)
    for (name, path), (width, height), scheme in product(PAGES.items(), SIZES, SCHEMES)
}

SMOKE = ("--events", "500", "--page", "drift", "--open-ms", "500")
"""Arguments of the smallest run, which CI starts."""


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=FOLDER, help="Of the pictures.")
@click.option("--events", default=9000, show_default=True, help="Counted before the first picture.")
@click.option("--page", "pages", multiple=True, help="Names of the pictures.  [default: all]")
@click.option(
    "--every", is_flag=True, help="Every page whole, in three widths, light and dark, of any size."
)
@click.option(
    "--open-ms",
    default=SETTLE_MS,
    show_default=True,
    help="How long a page is open before its picture.",
)
def main(folder: Path, events: int, pages: tuple[str, ...], open_ms: int, *, every: bool) -> None:
    """Run the demo until its drift shows, and take the pictures."""
    chromium = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if chromium is None:
        raise click.ClickException("No Chromium is installed: apt-get install chromium.")
    shots: dict[str, Shot] = EVERY if every else SHOTS
    if unknown := set(pages) - shots.keys():
        raise click.ClickException(f"There is no picture {', '.join(unknown)}: {', '.join(shots)}.")
    folder.mkdir(parents=True, exist_ok=True)
    with demo(events) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name in pages or shots:
            click.echo(taken(browser, url, shots[name], folder / f"{name}.png", open_ms))
        browser.close()
    for path in folder.glob("*.png"):
        if not every and path.stat().st_size > MOST_BYTES:
            size = path.stat().st_size
            raise click.ClickException(f"{path} has {size} bytes, more than {MOST_BYTES}.")


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


def taken(browser: Browser, url: str, shot: Shot, target: Path, open_ms: int) -> Path:
    """Take a picture."""
    context = browser.new_context(
        viewport={"width": shot.width, "height": shot.height},
        color_scheme=shot.scheme,
        locale="en-GB",
    )
    page = context.new_page()
    page.goto(url + _path(url, shot))
    page.wait_for_timeout(open_ms)
    page.screenshot(path=target, full_page=shot.whole)
    context.close()
    return target


def _path(url: str, shot: Shot) -> str:
    if "{incident}" not in shot.path:
        return shot.path
    found = httpx.get(f"{url}/incidents").json()["incidents"]
    return shot.path.format(incident=found[0]["data"]["id"])


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
