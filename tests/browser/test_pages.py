"""The pages Alerts, Models, Batch, Log and Reports, worked with as somebody does: by mouse and
keyboard, wide and narrow.
"""

import csv
import io
import re
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pandas as pd
import pytest
from playwright.sync_api import Page, expect

from driftgauge.shared.contract.events import PREDICTION
from tests.browser.conftest import Watched
from tests.browser.plant import MODEL, SERVED, Plant, rows, wait_for
from tests.browser.test_shell import CONTRAST

pytestmark = pytest.mark.long

PAGES = ("incidents", "alerts", "models", "batch", "log", "reports")


@pytest.fixture(scope="module")
def drifted(plant: Plant) -> Plant:
    """The plant with an open alert, a report and predictions of a served model."""
    plant.post(rows(2, 900, 1.5))
    plant.judged()
    wait_for(
        lambda: httpx.get(f"{plant.url}/alerts?model={MODEL}&state=firing").json()["alerts"],
        "an alert that fires",
    )
    for number in range(30):
        body = {"model": SERVED, "features": {"x": number, "y": 1}, "id": f"row-{number}"}
        assert httpx.post(f"{plant.url}/predict", json=body).status_code == 200
    return plant


@pytest.mark.usefixtures("drifted")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_390_pixels(page: Page, scheme: str) -> None:
    """On a telephone no page is wider than the screen, and every page has its content without a
    console error.
    """
    page.set_viewport_size({"width": 390, "height": 800})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of its literals
    for name in PAGES:
        page.goto(f"/dashboard/{name}")
        expect(page.locator("h1")).to_be_visible()
        expect(page.locator("#banner")).to_have_attribute("data-state", "live")
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, name
        for summary in page.locator("article.incident summary").all():
            summary.click()
        if name in {"incidents", "alerts"}:
            assert page.evaluate(CONTRAST) == [], name
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, name
    page.goto(f"/dashboard/log?model={SERVED}")
    page.locator("#predictions summary").first.click()
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_acknowledge_and_silence(page: Page, drifted: Plant) -> None:
    """By keyboard: a note is recorded with the alert, a silence until its end, and the page shows
    both by itself; it leads to the feature's drawer.
    """
    page.goto(f"/dashboard/alerts?model={MODEL}&severity=critical")
    page.locator("tr[data-fingerprint]").get_by_role(
        "link", name="temperature: Values changed (PSI)"
    ).click()
    card = page.locator("#alert")
    name = page.url.rpartition("/")[2]
    card.get_by_role("button", name="Acknowledge").focus()
    page.keyboard.press("Enter")
    dialog = page.locator("dialog[open]")
    expect(dialog).to_contain_text("temperature, Values changed (PSI)")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    card.get_by_role("button", name="Acknowledge").press("Enter")
    dialog.get_by_label("Note").fill("<b>seen</b> by the night shift")
    page.keyboard.press("Enter")
    expect(page.locator("#outcome")).to_contain_text("Acknowledged")
    expect(card).to_contain_text("Acknowledged by anonymous")
    card.get_by_role("button", name="Silence").click()
    dialog.get_by_label("For").select_option("120")
    dialog.get_by_role("button", name="Confirm").click()
    expect(card).to_contain_text("Silenced until")
    expect(card).to_contain_text("<b>seen</b> by the night shift")
    life = httpx.get(f"{drifted.url}/alerts/{name}").json()["alerts"]
    mark = life[-1]["data"]["silenced"]
    asked, until = (datetime.fromisoformat(mark[name]) for name in ("time", "until"))
    assert until - asked == timedelta(minutes=120)
    card.get_by_role("link", name="temperature in detail").click()
    expect(page.locator("#drawer-title")).to_contain_text("temperature")


def test_an_incident_is_read_and_acknowledged(page: Page, drifted: Plant) -> None:
    """The page of incidents has one card for the fault, folded; unfolded and ticked it stays so
    while the page is refreshed; many are acknowledged with one note; then the card says by whom and
    why, and its own page has the evidence.
    """
    page.goto(f"/dashboard/incidents?model={MODEL}")
    card = page.locator("article.incident").filter(has_text="temperature")
    expect(card).to_have_count(1)
    expect(card.get_by_text("What to do:")).to_be_hidden()
    card.locator("summary").click()
    expect(card.get_by_text("What to do:")).to_be_visible()
    card.get_by_role("checkbox").check()
    with page.expect_response(lambda answer: "dashboard/incidents" in answer.url):
        drifted.post(rows(21, 100, 1.5))
    expect(card.get_by_text("What to do:")).to_be_visible()
    expect(card.get_by_role("checkbox")).to_be_checked()
    page.locator("#chosen").get_by_label("Note").fill("seen")
    page.get_by_role("button", name="Acknowledge the chosen").click()
    expect(page.locator("#outcome")).to_contain_text("1 incident acknowledged")
    expect(card).to_contain_text("acknowledged by anonymous")
    card.locator("summary").click()
    expect(card.locator("q")).to_have_text("seen")
    card.get_by_role("link", name="Open the incident").click()
    expect(page.locator("h1")).to_contain_text("Since ")
    expect(page.locator("#incident")).to_contain_text("the cause")
    expect(page.locator("#incident figure.bars svg")).to_be_visible()
    page.locator("#incident .timeline a").first.click()
    expect(page.locator("#alert")).to_contain_text("Evidence")


def test_promote_and_roll_back(page: Page, plant: Plant, watched: Watched) -> None:
    """What the registry refuses is said in the dialog; a promotion serves, a rollback undoes it,
    the history has both.
    """
    watched.expected = lambda error: "409" in error
    page.goto(f"/dashboard/models?model={SERVED}")
    article = page.locator(f"article[data-model={SERVED}]")
    expect(article).to_contain_text("serves 2.0.0")
    article.locator("summary", has_text="History").click()
    article.get_by_role("button", name="Promote").click()
    dialog = page.locator("dialog[open]")
    expect(dialog).to_contain_text(f"{SERVED} 1.0.0")
    dialog.locator("select[name=to]").select_option("staging")
    dialog.get_by_role("textbox", name="Reason").fill("to try it")
    dialog.get_by_role("button", name="Confirm").click()
    expect(page.locator("#outcome")).to_contain_text("Promoted")
    expect(article.locator("tr", has_text="1.0.0").first).to_contain_text("staging")
    expect(article.locator(".life")).to_be_hidden()  # as the reader left it
    article.locator("summary", has_text="History").click()
    article.get_by_role("button", name="Promote").click()
    dialog.locator("select[name=to]").select_option("staging")
    dialog.get_by_role("button", name="Confirm").click()
    expect(dialog.get_by_role("alert")).to_contain_text("1.0.0 is in staging already")
    dialog.locator("select[name=to]").select_option("production")
    dialog.get_by_role("textbox", name="Reason").fill("back to what we know")
    dialog.get_by_role("button", name="Confirm").click()
    expect(article).to_contain_text("serves 1.0.0")
    assert served(plant) == "1.0.0"
    article.get_by_role("button", name="Roll back to 2.0.0").click()
    expect(dialog).to_contain_text("from 1.0.0 back to 2.0.0")
    dialog.get_by_role("button", name="Confirm").click()
    expect(article).to_contain_text("serves 2.0.0")
    expect(article.locator(".life")).to_contain_text("back to what we know")
    wait_for(lambda: served(plant) == "2.0.0", "the version of before")


def served(plant: Plant) -> str:
    return str(httpx.get(f"{plant.url}/model-info?model={SERVED}").json()["version"])


def test_a_file_goes_and_comes_back(
    page: Page, plant: Plant, tmp_path: Path, watched: Watched
) -> None:
    """Wrong columns are told before anything is sent; a good file comes back row by row, and opens
    in no formula.
    """
    watched.expected = lambda error: "422" in error
    page.goto(f"/dashboard/batch?model={SERVED}")
    before = log_length(plant)
    wrong, good = tmp_path / "wrong.csv", tmp_path / "good.csv"
    wrong.write_text("x,=cmd\n1,2\n")
    page.set_input_files("#file", wrong)
    expect(page.locator("#verdict")).to_contain_text("do not fit the model")
    expect(page.locator("#faults")).to_contain_text("=cmd is no feature of this model")
    expect(page.locator("#predict")).to_be_disabled()
    good.write_text(
        "y,x\n" + "".join(f"{number / 10},{number / 10}\n" for number in range(700)) + "1,many\n"
    )
    page.set_input_files("#file", good)
    expect(page.locator("#verdict")).to_contain_text("All 2 columns fit")
    assert log_length(plant) == before
    page.locator("#predict").click()
    expect(page.locator("#verdict")).to_contain_text("Done: 700 predicted, 1 did not fit")
    expect(page.locator("#preview tr[data-line='5'] td").nth(1)).to_have_text("0.9")
    with page.expect_download() as download:
        page.locator("#download").click()
    assert re.fullmatch(r"predictions_linear_\d{8}_\d{6}\.csv", download.value.suggested_filename)
    found = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text(), newline="")))
    assert [float(row["prediction"]) for row in found[:700]] == pytest.approx(
        [0.3 * number for number in range(700)], abs=1e-9
    )
    assert (found[700]["status"], found[700]["error"]) == (
        "invalid",
        "x must be a number, not a string",
    )
    wait_for(lambda: log_length(plant) == before + 700, "the events of the file")


def test_a_file_of_another_form_is_checked_and_sent(
    page: Page, plant: Plant, tmp_path: Path
) -> None:
    """Parquet and JSON lines are shown before they are sent, and predicted row by row; a row that
    does not fit harms no other.
    """
    frame = pd.DataFrame({"x": [0.5, 1.5], "y": [1.0, 2.0]})
    parquet, lines = tmp_path / "rows.parquet", tmp_path / "rows.jsonl"
    frame.to_parquet(parquet)
    lines.write_text('{"x": 1, "y": 2}\n{"x": 1}\n')
    before = log_length(plant)
    page.goto(f"/dashboard/batch?model={SERVED}")
    for path, checked, done in (
        (parquet, "All 2 columns fit the model", "Done: 2 predicted"),
        (lines, "1 of the first 2 rows do not fit", "1 did not fit"),
    ):
        page.set_input_files("#file", path)
        expect(page.locator("#verdict")).to_contain_text(checked)
        expect(page.locator("#preview tbody tr")).to_have_count(2)
        page.locator("#predict").click()
        expect(page.locator("#verdict")).to_contain_text(done)
    wait_for(lambda: log_length(plant) == before + 3, "the events of the files")


def log_length(plant: Plant) -> int:
    """Count the predictions in the log: ticks come by themselves while it is idle."""
    return sum(
        fields[b"t"] == PREDICTION for _, fields in plant.redis.xrange(plant.keys.log(SERVED, 0))
    )  # type: ignore[union-attr]  # not async


def test_the_log_is_filtered_live_and_downloaded(page: Page, drifted: Plant) -> None:
    """Filters are a form and an address; the download has the filtered rows; a new prediction
    appears by itself.
    """
    page.goto(f"/dashboard/log?model={SERVED}")
    page.get_by_label("Prediction from").fill("12")
    page.get_by_label("to", exact=True).fill("20")
    page.get_by_label("Version").fill("2.0.0")
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url("**least=12**")
    shown = page.locator("#predictions tbody tr")
    numbers = [float(text) for text in shown.locator("td:nth-child(5)").all_inner_texts()]
    assert [number for number in numbers if not 12 <= number <= 20] == []
    assert {13, 15, 17, 19} <= set(map(round, numbers))
    with page.expect_download() as download:
        page.get_by_role("link", name="Download CSV").click()
    table = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text(), newline="")))
    assert [float(row["prediction"]) for row in table][: len(numbers)] == pytest.approx(
        numbers, rel=1e-5
    )
    body = {"model": SERVED, "features": {"x": 6, "y": 4.5}, "id": "just-now"}
    assert httpx.post(f"{drifted.url}/predict", json=body).status_code == 200
    expect(shown.first).to_contain_text("just-now")
    shown.first.locator("summary").click()
    expect(shown.first.locator("dl")).to_contain_text("6")
    page.goto("/dashboard/log?model=linear&id=no-such-id")
    expect(page.locator("#predictions")).to_contain_text("remove the filters")


@pytest.mark.usefixtures("drifted")
def test_reports_open(page: Page) -> None:
    """A report opens from the list, and is downloaded under its own name."""
    page.goto(f"/dashboard/reports?model={MODEL}")
    with page.expect_download() as download:
        page.get_by_role("link", name="JSON").first.click()
    assert re.fullmatch(r"drift_report_\d{8}_\d{6}\.json", download.value.suggested_filename)
    page.get_by_role("link", name="Open").first.click()
    expect(page.locator("h1").first).to_be_visible()
