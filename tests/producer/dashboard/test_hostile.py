"""Untrusted text is never markup, script, path or formula: not in a page, a report, the name of a
file, or a CSV.
"""

import csv
import io
import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import httpx
import pytest
import redis

from driftgauge.producer.app import create_app
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from tests import hostile
from tests.producer.conftest import SCHEMA, publish, rows, running, serving, until

pytestmark = pytest.mark.anyio
HTML = {"Accept": "text/html"}
PAGES = (
    "/",
    f"/dashboard/models/{hostile.MODEL}",
    *(
        f"/dashboard/{page}?model={hostile.MODEL}"
        for page in ("drift", "performance", "incidents", "alerts", "models", "log", "reports")
    ),
    *(f"/dashboard/{page}" for page in ("incidents", "alerts", "models", "batch", "reports")),
    "/dashboard/notifications",
    *(f"/dashboard/alerts/{hostile.name_of(text)}" for text in hostile.TEXTS),
    *(f"/dashboard/incidents/{hostile.incident_of(text)}" for text in hostile.TEXTS),
    *(f"/reports/{hostile.MODEL}-{number}?format=html" for number in range(len(hostile.TEXTS))),
)
QUERIES = (
    *(
        ("log", name)
        for name in ("model", "version", "id", "prediction", "since", "least", "before")
    ),
    *((page, "model") for page in ("incidents", "alerts", "models", "batch", "reports")),
    *((page, "before") for page in ("incidents", "alerts", "reports")),
    ("alerts", "state"),
    ("batch", "version"),
)
FORBIDDEN = {"iframe", "object", "embed", "base"}
ADDRESSES = {"href", "src", "action", "hx-get", "data-action", "data-events", "formaction"}
NAMES = ADDRESSES | {"data-feature"}
"""Attributes that nobody sees, and that must have a name whole."""
DIRECTIONS = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f]")
RUN = re.compile(r"[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")


class Reader(HTMLParser):
    """Reads a page as a browser does, and notes what untrusted text must not make."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.words = 0
        self.script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.script = tag == "script"
        own = given.get("src", "").startswith("/static/") or given.get("type") == "application/json"
        if (
            tag in FORBIDDEN
            or (tag == "script" and not own)
            or (tag == "img" and not given["src"].startswith("/static/"))
        ):
            self.faults.append(f"<{tag} {given}>")
        self.faults += [
            f"{tag} {name}={value}" for name, value in given.items() if name.startswith("on")
        ]
        self.faults += [
            f"{tag} {name}={given[name]}"
            for name in ADDRESSES & given.keys()
            if not sound(given[name])
        ]
        self.faults += [
            f"{name} of {len(value)}"
            for name, value in given.items()
            if len(value) > (20_000 if name in NAMES else 3000)
        ]

    def handle_data(self, data: str) -> None:
        if self.script:  # data for modules, which show it by their own rules
            return
        self.words += len(data)
        longest = max(map(len, data.split()), default=0)
        if longest > 700 or DIRECTIONS.search(data):
            self.faults.append(f"text of {longest}: {data[:80]!r}")


def sound(address: str) -> bool:
    """Tell whether an address is a path of this API, and goes up nowhere."""
    if address == "data:," or address.startswith(("#", "data:image/")):
        return True
    parts = urlsplit(address)
    return (
        address.startswith("/") and not parts.netloc and ".." not in unquote(parts.path).split("/")
    )


def read(text: str) -> Reader:
    found = Reader()
    found.feed(text)
    found.close()
    return found


@pytest.fixture
def planted(registry: ModelRegistry, client: redis.Redis, keys: Keys) -> ModelRegistry:
    publish(registry, "linear", SCHEMA, rows())
    hostile.register(registry)
    hostile.write(client, keys)
    return registry


@pytest.mark.usefixtures("planted")
async def test_no_page_or_report_is_made_of_untrusted_text(settings: Settings) -> None:
    """Every page and report, read as a browser reads it: no element, handler, address or direction
    comes from untrusted text.
    """
    async with serving(settings) as http:
        for path in PAGES:
            answer = await http.get(path, headers=HTML)
            if answer.status_code == 404 and path.startswith("/dashboard/drift"):
                continue  # of a build without that page
            assert answer.status_code == 200, (path, answer.text[:500])
            found = read(answer.text)
            assert found.faults == [], path
            assert found.words > 100
            assert len(answer.text) < 2_000_000


async def test_the_reader_finds_what_it_is_for() -> None:
    """The check above can fail: each kind of fault, planted alone, is found."""
    for text in (
        hostile.SCRIPT,
        f'<input value="{hostile.IMAGE}">',
        f'<a href="{hostile.LINK}">',
        "<a href='/x/../../y'>",
        "<a href='/x/%2e%2e/y'>",
        "<a href='//evil.example'>",
        "<p>\u202ex</p>",
        f"<p>{hostile.LONG}</p>",
    ):
        assert read(text).faults, text


@pytest.mark.usefixtures("planted")
async def test_filters_are_only_text(settings: Settings) -> None:
    """What stands in the address of a page comes back as text, or as a problem that no browser
    takes for a page.
    """
    async with serving(settings) as http:
        for text in hostile.TEXTS:
            for page, query in QUERIES:
                answer = await http.get(f"/dashboard/{page}?{query}={quote(text)}", headers=HTML)
                if answer.headers["content-type"].startswith("text/html"):
                    assert [
                        fault for fault in read(answer.text).faults if hostile.LONG not in fault
                    ] == []
                else:
                    assert answer.headers["content-type"] == "application/problem+json"
                    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.usefixtures("planted")
async def test_no_cell_of_a_csv_is_a_formula(settings: Settings) -> None:
    """Ids, predictions, labels, feature names and categories: a spreadsheet runs none of them; the
    file's name is plain.
    """
    async with serving(settings) as http:
        answer = await http.get(f"/predictions?model={hostile.MODEL}&format=csv")
        name = answer.headers["content-disposition"]
        assert re.fullmatch(r'attachment; filename="predictions_hostile_\d{8}_\d{6}\.csv"', name)
        table = list(csv.reader(io.StringIO(answer.text, newline="")))
    assert len(table) == len(hostile.TEXTS) + 1
    assert {row[5] for row in table[1:]} >= {hostile.SCRIPT, f"'{hostile.FORMULA}"}
    faults = [
        cell
        for row in table
        for cell in row
        if RUN.match(cell) and not re.fullmatch(r"-?[\d.]+(e[+-]\d+)?", cell)
    ]
    assert faults == []


@pytest.mark.usefixtures("planted")
async def test_a_hostile_file_is_checked_and_predicted_as_text(settings: Settings) -> None:
    """Untrusted names of CSV columns come back as JSON; no cell of the answer to a batch is a
    formula.
    """
    header = io.StringIO(newline="")
    csv.writer(header).writerow([*hostile.TEXTS, "category"])
    csv.writer(header).writerow([*range(len(hostile.TEXTS)), hostile.FORMULA])
    async with serving(settings) as http:
        await until(lambda: http.get("/model-info?model=linear"))
        answer = await http.post(
            "/dashboard/batch/check?model=linear&whole=true", content=header.getvalue()
        )
        refused = await http.post(
            "/predict_batch?model=linear",
            content=header.getvalue(),
            headers={"Content-Type": "text/csv"},
        )
    for one in (answer, refused):
        assert one.headers["content-type"].startswith("application/")
        assert one.headers["x-content-type-options"] == "nosniff"


async def cross_site(http: httpx.AsyncClient, path: str, body: Any) -> int:
    answer = await http.post(
        path, json=body, headers={"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"}
    )
    return answer.status_code


@pytest.mark.usefixtures("planted")
async def test_another_sites_page_changes_nothing(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """Every route that the pages' forms use refuses what a browser says comes from another site."""
    async with running(create_app(settings)) as http:
        name = hostile.name_of(hostile.SCRIPT)
        for path, body in (
            (f"/alerts/{name}/acknowledge", {}),
            (f"/alerts/{name}/silence", {"minutes": 5}),
            (f"/models/{hostile.MODEL}/versions/1.0.0/promote", {"to": "staging"}),
            (f"/models/{hostile.MODEL}/rollback", {}),
            ("/predict_batch?model=linear", [{"x": 1, "y": 2}]),
            ("/dashboard/batch/check?model=linear", {}),
        ):
            assert await cross_site(http, path, body) == 403, path
        assert (await http.get(f"/models/{hostile.MODEL}")).json()["production"] == "2.0.0"
    assert not client.exists(keys.commands(hostile.MODEL))
