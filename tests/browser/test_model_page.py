import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.plant import MODEL, SERVED, Plant, rows, wait_for
from tests.browser.test_drift import number


def test_the_tiles_are_what_was_posted(page: Page, plant: Plant) -> None:
    """Events counted and window rows equal what was posted, and the tile follows while more is
    posted.
    """
    page.goto(f"/dashboard/models/{MODEL}")
    card = page.locator(f'article[data-model="{MODEL}"]')
    counted = card.locator(f'[data-live="{MODEL}.events"]')
    expect(counted).to_have_text(f"{plant.events():,}")
    assert number(card.locator(".window-rows").text_content() or "") == plant.judged().window.rows
    plant.post(rows(11, 130))
    expect(counted).to_have_text(f"{plant.events():,}")
    expect(card.locator(f'[data-live="{MODEL}.lag"]')).to_have_text("0\u00a0s")


def test_traffic_and_latency_appear(page: Page, plant: Plant) -> None:
    """A prediction here gives the served model a latency; the traffic's chart gets a point a
    second, drawn once a second.
    """
    page.goto(f"/dashboard/models/{SERVED}")
    card = page.locator(f'article[data-model="{SERVED}"]')
    answer = httpx.post(
        f"{plant.url}/predict", json={"model": SERVED, "features": {"x": 1.5, "y": 2}}
    )
    assert answer.json()["prediction"] == pytest.approx(5)
    expect(card.locator(f'[data-live="{SERVED}.latency"]')).to_contain_text("ms")
    points = "JSON.parse(document.getElementById('traffic-linear').textContent).points.length"
    before = page.evaluate(points)
    wait_for(lambda: page.evaluate(points) >= before + 2, "two points more")
    assert page.locator("#traffic-chart-linear canvas").count() == 1


def test_the_prediction_is_drawn_against_its_reference(page: Page) -> None:
    """Both are in one picture, with what each bar says."""
    page.goto(f"/dashboard/models/{MODEL}")
    picture = page.locator(f'article[data-model="{MODEL}"] .predictions svg[role=img]')
    expect(picture).to_be_visible()
    assert picture.locator("rect.r").count() == picture.locator("rect.w").count() > 5
