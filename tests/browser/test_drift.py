import re

import numpy as np
import pandas as pd
from playwright.sync_api import BrowserContext, Page, expect

from driftgauge.shared.contract.alerts import cloud_event
from tests.browser.conftest import Watched
from tests.browser.plant import MODEL, REFERENCE, Plant, predicted, rows, wait_for
from tests.producer.dashboard.snapshots import alert

DRIFT = f"/dashboard/drift?model={MODEL}&show=all"


def number(text: str) -> float:
    return float(text.replace(",", ""))


def psi_of(reference: "pd.Series[float]", window: "pd.Series[float]") -> float:
    """PSI on the reference's deciles, straight from the rows."""
    if reference.dtype == object or isinstance(reference.dtype, pd.StringDtype):
        names = sorted(set(reference))
        p, q = (np.array([(side == name).mean() for name in names]) for side in (reference, window))
    else:
        deciles = np.quantile(reference, np.arange(1, 10) / 10, method="inverted_cdf")
        counts = [
            np.bincount(np.searchsorted(deciles, side), minlength=10) / len(side)
            for side in (reference, window)
        ]
        p, q = counts
    return float(((q - p) * np.log(q / p)).sum())


def shown_window(page: Page, plant: Plant) -> pd.DataFrame:
    """The posted rows of the window that the page shows, by the numbers that it says itself."""
    rows_shown = int(number(page.locator("#window-rows data").get_attribute("value") or ""))
    events = int(number(page.locator("dl.facts dd data").last.get_attribute("value") or ""))
    return plant.frame()[events - rows_shown : events]


def test_the_numbers_are_those_of_the_posted_events(page: Page, plant: Plant) -> None:
    """PSI of every feature and of the prediction equals what the posted rows give by the textbook
    formula.
    """
    page.goto(DRIFT)
    window = shown_window(page, plant)
    assert len(window) >= 600
    expected = {
        name: psi_of(REFERENCE[name], window[name]) for name in ("temperature", "pressure", "line")
    }
    expected["prediction"] = psi_of(pd.Series(predicted(REFERENCE)), pd.Series(predicted(window)))
    for name, value in expected.items():
        shown = page.locator(f'tr[data-feature="{name}"] td.value data').get_attribute("value")
        assert abs(float(shown or "nan") - value) < 1e-9, name
    expect(page.locator(".excluded-list")).to_contain_text("serial")
    expect(page.locator(".excluded-list")).to_contain_text("identifies the row")


def test_an_injected_drift_appears_without_reload(
    page: Page, context: BrowserContext, plant: Plant
) -> None:
    """On the open drift page, in its open drawer, and as the headline of its row on the open
    overview.
    """
    page.goto(f"{DRIFT}&feature=temperature")
    overview = context.new_page()
    overview.goto("/")
    for one in (page, overview):
        expect(one.locator("#banner")).to_have_attribute("data-state", "live")
        one.evaluate("window.notReloaded = true")
    points = page.locator("#series-points").text_content()
    plant.post(rows(7, 900, shift=1.5))
    temperature = page.locator('tr[data-feature="temperature"]')
    expect(temperature.locator(".badge")).to_have_class(re.compile("critical"))
    expect(page.locator("#heat tr", has_text="temperature").locator("td").last).to_have_class("h5")
    expect(page.locator(".drawer header .badge")).to_have_class(re.compile("critical"))
    assert page.locator("#series-points").text_content() != points
    assert page.locator("#series-chart canvas").count() == 1
    row = overview.locator(f'tr[data-model="{MODEL}"]')
    expect(row.locator(".badge")).to_have_class(re.compile("critical"))
    expect(row.locator(".m-what")).to_contain_text("temperature")
    assert page.evaluate("window.notReloaded") is True
    assert overview.evaluate("window.notReloaded") is True


def test_the_stream_resumes_when_the_api_restarts(
    page: Page, plant: Plant, watched: Watched
) -> None:
    """The banner says so, and what happened while the API was away arrives once."""
    watched.expected = lambda error: (
        "ERR_" in error or "Failed to load resource" in error or "htmx:" in error
    )
    page.goto(DRIFT)
    banner = page.locator("#banner")
    expect(banner).to_have_attribute("data-state", "live")
    page.evaluate(
        "window.heard = []; document.body.addEventListener('dg:alert', (e) => "
        "window.heard.push(e.detail.data.started))"
    )
    plant.stop_api()
    expect(banner).to_have_attribute("data-state", "reconnecting")
    for started in (1, 2):
        plant.redis.xadd(plant.keys.alerts(MODEL), {"e": cloud_event(alert(started))})
    plant.start_api()
    expect(banner).to_have_attribute("data-state", "live")
    heard = wait_for(
        lambda: page.evaluate("window.heard.filter((started) => started < 10)"), "the missed alerts"
    )
    assert heard == [1, 2]


def test_the_drawer_by_keyboard(page: Page) -> None:
    """Enter on a feature opens it, focus goes in and comes back, Escape closes; the address can be
    bookmarked.
    """
    page.goto(DRIFT)
    link = page.locator('tr[data-feature="pressure"] a')
    link.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#drawer-title")).to_be_focused()
    assert "feature=pressure" in page.url
    expect(page.locator("#series-chart canvas")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".drawer")).to_have_count(0)
    expect(link).to_be_focused()
    page.go_back()
    expect(page.locator("#drawer-title")).to_have_text("pressure")
    bookmarked = page.context.new_page()
    bookmarked.goto(page.url)
    expect(bookmarked.locator("#drawer-title")).to_have_text("pressure")
    bookmarked.close()


def test_columns_are_found_while_their_name_is_typed(page: Page, plant: Plant) -> None:
    """No reload, and the address has what was typed; what is asked for again when a window was
    judged is the same, and the text is not lost.
    """
    page.goto(DRIFT)
    page.evaluate("window.notReloaded = true")
    rows_shown = page.locator("#features tbody tr")
    expect(rows_shown).to_have_count(4)
    page.get_by_label("Name contains").press_sequentially("PRESS")
    expect(rows_shown).to_have_count(1)
    expect(rows_shown).to_have_attribute("data-feature", "pressure")
    assert "find=PRESS" in page.url
    before = page.locator("#window-rows").evaluate("(one) => (one.dataset.old = 'yes')")
    assert before == "yes"
    plant.post(rows(3, 100))
    expect(page.locator("#window-rows[data-old]")).to_have_count(0)
    expect(rows_shown).to_have_count(1)
    expect(page.get_by_label("Name contains")).to_have_value("PRESS")
    page.get_by_role("link", name="Any name").click()
    expect(rows_shown).to_have_count(4)
    assert page.evaluate("window.notReloaded") is None


def test_another_statistic_is_chosen(page: Page) -> None:
    """Choosing sends the form; the address has the choice, and nothing that was not chosen."""
    page.goto(DRIFT)
    page.get_by_label("Statistic").select_option("ks")
    page.wait_for_url("**statistic=ks**")
    assert "version=" not in page.url
    expect(page.locator("#features thead")).to_contain_text("KS")
    value = page.locator('tr[data-feature="pressure"] td.value')
    assert number(value.text_content() or "") > 0
