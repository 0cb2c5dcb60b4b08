import pytest
from playwright.sync_api import Page, expect

PAGES = ("/", "/login", "/docs", "/redoc")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_sound(page: Page, path: str) -> None:
    """Every page renders without a console error and asks no other host (the fixture's check)."""
    answer = page.goto(path, wait_until="load")
    assert answer is not None
    assert answer.status == 200
    expect(page.locator("#main")).to_be_visible()
    page.wait_for_timeout(300)


def test_a_page_goes_live(page: Page) -> None:
    """The banner says live when the stream is open."""
    page.goto("/")
    expect(page.locator("#banner")).to_have_attribute("data-state", "live")
