"""The overview, worked with: by keyboard while it is refreshed, and without scripts."""

import re

from playwright.sync_api import Browser, Page, expect

from tests.browser.plant import MODEL, SERVED, Plant


def test_a_refresh_takes_nothing_from_the_reader(page: Page) -> None:
    """While the rows are asked for again, the focus stays where it is, in the table and in the
    search, and what is typed stays; no library for charts is loaded.
    """
    page.goto("/?sort=model")
    expect(page.locator("#banner")).to_have_text("live")
    link = page.locator(f"#model-{MODEL}")
    search = page.get_by_label("Search")
    for focused in (link, search):
        focused.focus()
        if focused is search:
            page.keyboard.type("pla")
        page.evaluate("document.querySelector('#models table').dataset.old = 'true'")
        page.evaluate("document.body.dispatchEvent(new CustomEvent('dg:refresh'))")
        expect(page.locator("#models table:not([data-old])")).to_be_visible()
        expect(focused).to_be_focused()
    expect(search).to_have_value("pla")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"q=pla"))
    assert rows_of(page) == [MODEL]
    assert page.evaluate("window.echarts === undefined")


def test_it_works_without_scripts(chromium: Browser, plant: Plant) -> None:
    """Search, order and the way to a model are forms and links."""
    context = chromium.new_context(base_url=plant.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/")
    page.get_by_role("link", name="Model", exact=True).click()
    assert rows_of(page) == sorted([MODEL, SERVED])
    page.get_by_role("link", name="Model", exact=True).click()
    assert rows_of(page) == sorted([MODEL, SERVED], reverse=True)
    page.get_by_label("Search").fill(SERVED)
    page.get_by_role("button", name="Search").click()
    assert rows_of(page) == [SERVED]
    page.get_by_role("link", name=SERVED, exact=True).click()
    expect(page.locator("h1")).to_have_text(SERVED)
    context.close()


def rows_of(page: Page) -> list[str | None]:
    return [row.get_attribute("data-model") for row in page.locator("tr[data-model]").all()]
