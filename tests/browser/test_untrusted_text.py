"""Hostile text in a real browser. Its model stays in the deployment, so this file comes after the
others.
"""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from driftgauge.shared.registry.registry import ModelRegistry
from tests import hostile
from tests.browser.plant import SERVED, Plant, wait_for

pytestmark = pytest.mark.long

PAGES = (
    "/",
    *(
        f"/dashboard/{name}?model={hostile.MODEL}"
        for name in ("drift", "performance", "incidents", "alerts", "models", "log", "reports")
    ),
    "/dashboard/notifications",
    f"/dashboard/alerts/{hostile.name_of(hostile.SCRIPT)}",
    f"/dashboard/alerts/{hostile.name_of(hostile.LONG)}",
    f"/dashboard/incidents/{hostile.incident_of(hostile.SCRIPT)}",
    f"/dashboard/incidents/{hostile.incident_of(hostile.LONG)}",
    f"/reports/{hostile.MODEL}-1.html",
)


@pytest.fixture(scope="module")
def conspired(plant: Plant) -> Plant:
    hostile.register(ModelRegistry(plant.deployment.settings.registry_dir))
    wait_for(
        lambda: plant.redis.exists(plant.keys.versions(hostile.MODEL)), "the hostile model in Redis"
    )
    hostile.write(plant.redis, plant.keys)
    return plant


@pytest.fixture
def wary(page: Page) -> Page:
    """A page that notes each dialog, which only an injected script would open."""
    page.add_init_script("window.ran = 0")
    page.on("dialog", lambda dialog: pytest.fail(f"a dialog opened: {dialog.message}"))
    return page


@pytest.mark.usefixtures("conspired")
def test_no_page_runs_untrusted_text(wary: Page) -> None:
    """Every page with hostile names, notes, reasons and values: no script, no dialog, no image, and
    it fits 390 pixels.
    """
    wary.set_viewport_size({"width": 390, "height": 800})
    for path in PAGES:
        wary.goto(path)
        expect(wary.locator("h1").first).to_be_visible()
        for details in wary.locator("details:has(> summary)").all()[:3]:
            if details.get_attribute("open") is None:
                details.locator("> summary").click()
        assert wary.evaluate("window.ran") == 0, path
        assert wary.locator("img:not([src^='/static/'])").count() == 0, path
        if path.startswith(("/dashboard/", "/reports/")) and "drift" not in path:
            assert wary.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path


@pytest.mark.usefixtures("conspired")
def test_what_was_unfolded_stays_so(wary: Page) -> None:
    """A page that is asked for again, as it is whenever something is judged, folds nothing that is
    being read.
    """
    wary.goto(f"/dashboard/performance?model={hostile.MODEL}")
    folds = wary.locator("details[id^=segments]")
    fold = folds.nth(1)
    fold.locator("> summary").click()
    before = fold.element_handle()
    with wary.expect_response(lambda answer: "/dashboard/performance" in answer.url):
        wary.evaluate("document.body.dispatchEvent(new CustomEvent('dg:refresh'))")
    wary.wait_for_function("one => !one.isConnected", arg=before)
    expect(folds.nth(1)).to_have_attribute("open", "")
    expect(folds.first).not_to_have_attribute("open", "")


@pytest.mark.usefixtures("conspired")
def test_dialogs_show_untrusted_text_as_text(wary: Page) -> None:
    """The dialogs are filled by a script of ours: what they are about is text."""
    for page in (
        f"/dashboard/alerts/{hostile.name_of(hostile.SCRIPT)}",
        f"/dashboard/incidents/{hostile.incident_of(hostile.SCRIPT)}",
    ):
        wary.goto(page)
        wary.get_by_role("button", name="Silence").first.click()
        expect(wary.locator("dialog[open] bdi")).to_contain_text("hostile")
        assert wary.locator("dialog[open] script, dialog[open] img").count() == 0
    assert wary.evaluate("window.ran") == 0


@pytest.mark.usefixtures("conspired")
def test_a_hostile_file_is_text(wary: Page, tmp_path: Path) -> None:
    """The name, columns and cells of a file that was chosen are shown as text."""
    wary.goto(f"/dashboard/batch?model={SERVED}")
    header, cells = tmp_path / "<img src=x onerror='window.ran=4'>.csv", tmp_path / "cells.csv"
    header.write_text(
        f'x,y,"{hostile.SCRIPT}","{hostile.IMAGE.replace(chr(34), chr(34) * 2)}"\n1,2,3,4\n'
    )
    wary.set_input_files("#file", header)
    expect(wary.locator("#faults")).to_contain_text("<script>")
    cells.write_text(
        f'x,y\n"{hostile.SCRIPT}",1\n"{hostile.FORMULA.replace(chr(34), chr(34) * 2)}",1\n1,1\n'
    )
    wary.set_input_files("#file", cells)
    expect(wary.locator("#preview")).to_contain_text("<script>")
    wary.locator("#predict").click()
    expect(wary.locator("#verdict")).to_contain_text("1 predicted, 2 did not fit")
    assert wary.evaluate("window.ran") == 0
