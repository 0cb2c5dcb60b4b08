"""The built site is whole: no dead link, nothing of another host, nothing undocumented.

    python -m docs.making.site build/docs

Every page is also opened in a Chromium, which may ask no other host and find no error.
"""

import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import click
from playwright.sync_api import Page, sync_playwright

from docs.making import commands, library, routes, settings, structs
from driftgauge.__main__ import COMMANDS, cli
from driftgauge.consumer.metrics.table import WORKER
from driftgauge.producer.metrics.table import EVERY
from driftgauge.shared.local.usage import USAGE
from driftgauge.shared.settings import Settings

LOADED: Final = {"img", "script", "link", "source", "iframe", "video", "audio", "object"}
"""Elements whose address a browser asks for by itself."""
STYLED: Final = re.compile(r"""(?:url\(|@import)\s*["']?([^"')\s]+)""")
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")


@dataclass
class Read(HTMLParser):
    """What a page has: its ids, its links with their element, and its text."""

    ids: set[str] = field(default_factory=set)
    links: list[tuple[str, str]] = field(default_factory=list)
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    def has(self, place: str) -> bool:
        """Tell whether a link can lead to a place of the page; an empty one is its beginning."""
        return not place or place in self.ids

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the ids and links of an element."""
        for name, value in attrs:
            if name in {"id", "name"} and value:
                self.ids.add(value)
            elif name in {"href", "src", "data"} and value:
                self.links.append((tag, value))

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.text += data


def read(site: Path) -> dict[Path, Read]:
    """Read all pages of a site."""
    found = {}
    for path in sorted(site.rglob("*.html")):
        found[path.resolve()] = page = Read()
        page.feed(path.read_text())
    return found


def dead_links(pages: Mapping[Path, Read]) -> Iterator[str]:
    """Yield each link within the site that leads nowhere, and the page that it is on."""
    for path, page in pages.items():
        for _, link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists():
                yield f"{path.name}: {link} leads nowhere"
            elif target in pages and not pages[target].has(unquote(parts.fragment)):
                yield f"{path.name}: {link} names no place of that page"


def foreign(site: Path, pages: Mapping[Path, Read]) -> Iterator[str]:
    """Yield each file of another host that a browser would ask for."""
    for path, page in pages.items():
        for tag, link in page.links:
            if tag in LOADED and urlsplit(link).netloc:
                yield f"{path.name}: <{tag}> loads {link}"
    for path in site.rglob("*.css"):
        for link in STYLED.findall(path.read_text()):
            if urlsplit(link).netloc:
                yield f"{path.name}: loads {link}"


def undocumented(site: Path, pages: Mapping[Path, Read]) -> Iterator[str]:
    """Yield each setting, command, route, metric, event type and name that its page does not have.

    The pages are made from the same tables; this finds what the site lost on the way.
    """
    app = routes.made_app()
    paths = app.openapi()["paths"].items()
    context = click.Context(cli(), info_name="driftgauge")
    for page, names in {
        "settings": [settings.variable(name) for name in Settings.model_fields],
        "commands": [
            within.command_path for name in COMMANDS for within in commands.commands(name, context)
        ],
        "routes": [
            *(f"{method.upper()} {path}" for path, methods in paths for method in methods),
            *(name for name, _ in routes.pages(app)),
        ],
        "metrics": [*EVERY, *WORKER, *USAGE],
        "events": sorted(structs.types()),
        "library": library.names(),
    }.items():
        text = pages[(site / "reference" / f"{page}.html").resolve()].text
        for name in names:
            if not re.search(rf"(?<!\w){re.escape(name)}(?![\w/])", text):
                yield f"reference/{page}.html does not have {name}"


def refused(site: Path, pages: Mapping[Path, Read], browser: str) -> Iterator[str]:
    """Yield what a browser complains of, and each request that it sends elsewhere."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = opened.new_page()
        said: list[str] = []
        page.on("request", lambda one: said.append(f"asks {one.url}") if outside(one.url) else None)
        page.on("console", lambda one: said.append(one.text) if one.type == "error" else None)
        page.on("pageerror", lambda one: said.append(str(one)))
        for path in pages:
            page.goto(path.as_uri())
            yield from (f"{path.name}: {one}" for one in said)
            said.clear()
        yield from _search(page, site)
        opened.close()


def outside(url: str) -> bool:
    """Tell whether an address is not one of the site's own files.

    Examples
    --------
    >>> outside("file:///site/index.html"), outside("https://fonts.example/a.woff2")
    (False, True)
    """
    return urlsplit(url).scheme not in {"file", "data", "blob"}


def _search(page: Page, site: Path) -> Iterator[str]:
    """The search needs no server: it finds a word that stands on a page."""
    page.goto((site / "search.html").resolve().as_uri() + "?q=partition")
    try:
        page.wait_for_selector("#search-results li a", timeout=30_000)
    except TimeoutError:
        yield "search.html: finds nothing for a word of the glossary"


def main(site: Path) -> None:
    """Check a site, and end with 1 if something is wrong."""
    pages = read(site)
    faults = [*dead_links(pages), *foreign(site, pages), *undocumented(site, pages)]
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is not None:
        faults += refused(site, pages, browser)
    elif os.environ.get("CI") == "true":
        faults.append("no Chromium is installed: CI must open every page")
    sys.stdout.write("".join(f"{fault}\n" for fault in faults))
    seen = "opened in Chromium" if browser else "not opened, since no Chromium is installed"
    sys.stdout.write(f"{len(pages)} pages of {site}, {seen}: {len(faults)} faults\n")
    sys.exit(1 if faults or not pages else 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
