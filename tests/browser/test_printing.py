"""What comes out of a printer: pages of the dashboard, and the report."""

import re
from pathlib import Path

import httpx
import msgspec
import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.report import frames, judged
from driftgauge.shared.contract.snapshot import Snapshot
from driftgauge.shared.reporting import render_html
from tests.browser.plant import MODEL, Plant, rows
from tests.producer.dashboard.snapshots import active, performance
from tests.shared.reporting.segmented import segments

MOST_PAGES = 6
PAPER = {"width": 710, "height": 1040}
"""An A4 sheet without its margins, in CSS pixels."""
BROKEN = """() => {
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode;
    if (node.parentElement.closest("svg,script,style")) continue;
    for (const word of node.data.matchAll(/[\\p{L}\\p{N}]+/gu)) {
      const range = document.createRange();
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      const lines = new Set([...range.getClientRects()].map((box) => Math.round(box.top)));
      if (lines.size > 1 && word[0].length < 40) found.push(word[0]);
    }
  }
  return found;
}"""
"""Returns the words that stand on two lines; one that no column can hold is none."""
CUT = """() => [...document.querySelectorAll("main *")].filter((one) => {
  const box = one.getBoundingClientRect();
  const shown = box.width && box.height && !one.closest(".sr");
  return shown && (box.right > innerWidth + 1 || box.left < -1);
}).map((one) => `${one.tagName} ${one.className.baseVal ?? one.className}`)"""
"""Returns what the edge of the paper cuts."""


def pages(content: bytes) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", content))


@pytest.fixture(scope="module")
def snapshots() -> dict[str, Snapshot]:
    """Eighteen features: a third of them drifted, and as bad as it can be."""
    found = judged(*frames(18), model="steel")
    long = {
        one.name: f"line_{place}_station_{place:03}_inlet_temperature_after_the_second_filter"
        for place, one in enumerate(found.features[:3])
    }
    columns = [
        msgspec.structs.replace(one, name=long.get(one.name, one.name), severity="critical")
        for one in found.features
    ]
    alerts = [active(one.name) for one in columns for _ in range(3)]
    worst = msgspec.structs.replace(
        found, features=columns, alerts=alerts, segments=segments(), performance=performance(2.5)
    )
    return {"drifted": found, "worst": worst}


@pytest.mark.parametrize("name", ["drifted", "worst"])
def test_the_report_fits_on_six_sheets(
    chromium: Browser, tmp_path: Path, snapshots: dict[str, Snapshot], name: str
) -> None:
    """Of 18 features, however many of them changed, with performance and segments; no word is
    broken, and nothing is cut.
    """
    path = tmp_path / f"{name}.html"
    path.write_text(render_html(snapshots[name]))
    context = chromium.new_context(viewport=PAPER, color_scheme="dark")
    page = context.new_page()
    page.goto(path.as_uri())
    page.emulate_media(media="print")
    assert page.evaluate(BROKEN) == []
    assert page.evaluate(CUT) == []
    assert pages(page.pdf(prefer_css_page_size=True)) <= MOST_PAGES
    context.close()


def printed(page: Page) -> bytes:
    """Print a page of the dashboard, after a look at it as paper has it."""
    page.set_viewport_size({"width": PAPER["width"], "height": PAPER["height"]})
    page.emulate_media(media="print", color_scheme="dark")
    for away in (".top", ".bottom", ".controls", "button", "canvas"):
        for one in page.locator(away).all():
            expect(one).not_to_be_visible()
    white = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert white == "rgb(255, 255, 255)"
    assert page.evaluate(CUT) == []
    return page.pdf(prefer_css_page_size=True)


def test_pages_are_printed(page: Page, plant: Plant) -> None:
    """Drift with a column's charts, performance, and an incident: light in the dark, whole, and
    without what can only be clicked.
    """
    plant.post(rows(7, 900, shift=1.5))
    plant.judged()
    page.goto(f"/dashboard/drift?model={MODEL}&show=all&feature=temperature")
    expect(page.locator("#series-chart canvas")).to_be_visible()
    assert pages(printed(page)) <= 3
    expect(page.locator(".drawer .printed svg")).to_be_visible()
    page.goto(f"/dashboard/performance?model={MODEL}")
    assert pages(printed(page)) == 1
    page.emulate_media(media="screen")
    incident = httpx.get(f"{plant.url}/incidents?model={MODEL}").json()["incidents"][0]
    page.goto(f"/dashboard/incidents/{incident['data']['id']}")
    expect(page.locator("#incident h1")).to_be_visible()
    assert pages(printed(page)) <= 3
