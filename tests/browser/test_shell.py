import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from driftgauge.shared.wording.numbers import MINUS
from tests.browser.conftest import Watched
from tests.browser.plant import MODEL, Plant

PAGES = (
    "/",
    f"/dashboard/models/{MODEL}",
    f"/dashboard/drift?model={MODEL}",
    f"/dashboard/drift?model={MODEL}&feature=line",
    f"/dashboard/performance?model={MODEL}",
    "/dashboard/glossary",
    "/login",
    "/docs",
    "/redoc",
)

DOCUMENTS = ("/docs", "/redoc")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_sound(page: Page, path: str) -> None:
    """Every page renders without a console error and asks no other host (the fixture's check)."""
    answer = page.goto(path, wait_until="load")
    assert answer is not None
    assert answer.status == 200
    expect(page.locator("#main")).to_be_visible()
    if path in DOCUMENTS:
        expect(page.get_by_text("/predict_batch").first).to_be_visible()


@pytest.fixture(scope="module")
def telephone(chromium: Browser, plant: Plant) -> Iterator[tuple[Page, Watched]]:
    viewport: ViewportSize = {"width": 390, "height": 844}
    context = chromium.new_context(base_url=plant.url, viewport=viewport, has_touch=True)
    watched = Watched(context, plant.url)
    yield context.new_page(), watched
    context.close()


@pytest.mark.parametrize("path", PAGES[:6])
def test_a_telephone_shows_a_page(telephone: tuple[Page, Watched], path: str) -> None:
    """At 390 px nothing is wider than the screen, in light and in dark; text and ground differ
    enough (4.5 : 1).
    """
    page, watched = telephone
    page.goto(path)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.evaluate(CONTRAST) == []
    watched.check()


def test_a_page_goes_live(page: Page) -> None:
    """The banner says live, by word as well as colour, when the stream is open."""
    page.goto("/")
    expect(page.locator("#banner")).to_have_attribute("data-state", "live")
    expect(page.locator("#banner")).to_have_text("live")


def test_times_are_relative_and_in_a_zone_of_choice(chromium: Browser, plant: Plant) -> None:
    """A time says how long ago it was, and as its title the moment, on a clock of 24 hours with its
    zone; the zone is that of the computer or UTC, which is remembered. On paper, and without
    scripts, a time is the moment.
    """
    path = f"/dashboard/reports?model={MODEL}"
    options = {"base_url": plant.url, "timezone_id": "America/St_Johns", "locale": "en-US"}
    plain = chromium.new_context(**options, java_script_enabled=False).new_page()
    plain.goto(path)
    moment = plain.locator("time").first.text_content() or ""
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", moment)
    expect(plain.locator("#zone")).to_be_hidden()
    plain.context.close()
    context = chromium.new_context(**options)
    page = context.new_page()
    page.goto(path)
    first = page.locator("time").first
    expect(first).to_have_text(re.compile(r"^\d+\u00a0(s|min|h|d) ago$"))
    expect(first).to_have_attribute(
        "title", re.compile(rf"^\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC{MINUS}0[23]:30$")
    )
    page.get_by_role("button", name="Local time").click()
    expect(first).to_have_attribute("title", moment)
    page.reload()
    expect(page.get_by_role("button", name="UTC")).to_be_visible()
    expect(first).to_have_attribute("title", moment)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(first).to_have_text(moment)
    context.close()


def test_the_first_key_leads_to_the_content(page: Page) -> None:
    """Tab, then Enter, skips the navigation; what has the focus is seen to have it."""
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


CONTRAST = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, place) => sum + v * [0.2126, 0.7152, 0.0722][place], 0);
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const found = getComputedStyle(one).backgroundColor;
      if (!/, 0\\)$/.test(found)) return parse(found);
    }
    return [255, 255, 255];
  };
  const poor = [];
  const texts = "h1,h2,h3,p,dt,dd,a,small,.badge,button,label,td,th";
  for (const element of document.querySelectorAll(texts)) {
    if (!element.textContent.trim() || !element.getClientRects().length) continue;
    const colours = [parse(getComputedStyle(element).color), ground(element)];
    const [a, b] = colours.map(light).sort((x, y) => y - x);
    const name = `${element.tagName} ${element.className} ${element.textContent}`;
    if ((a + 0.05) / (b + 0.05) < 4.5) poor.push(name);
  }
  return poor;
}"""
