"""The boards for Grafana, which cannot be run where the tests run: that they are what their source
says, what Grafana reads, and about metrics and pages that exist.
"""

import json
import re
from itertools import combinations
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.boards.__main__ import FOLDER, files
from deploy.boards.board import TAG, WIDTH
from docs.making.routes import made_app, pages
from driftgauge.consumer.metrics.table import WORKER
from driftgauge.producer.metrics.table import EVERY
from tests.deploy.asked import (
    BUILT_IN,
    MATCHER,
    VARIABLE,
    Asked,
    boards,
    of_boards,
    of_rules,
    panels,
    rules,
)

BOARDS = boards()
SCRAPED = {"instance", "job"}
"""Labels that Prometheus adds."""
OTHERS = {"up": set[str](), "process_resident_memory_bytes": set[str]()}
"""Metrics that are not ours, with their labels."""
ASKED = [*of_boards(), *of_rules()]


def known() -> dict[str, set[str]]:
    """Return the labels of every metric, under each name by which it is asked for."""
    found = dict(OTHERS)
    for name, metric in {**EVERY, **WORKER}.items():
        labels = {*metric.labels}
        found[name] = labels | ({"quantile"} if metric.kind == "summary" else set())
        if metric.kind in {"histogram", "summary"}:
            found |= {f"{name}_sum": labels, f"{name}_count": labels}
        if metric.kind == "histogram":
            found[f"{name}_bucket"] = labels | {"le"}
    return found


KNOWN = known()


@pytest.fixture(params=BOARDS, name="board")
def one_board(request: pytest.FixtureRequest) -> dict[str, Any]:
    return BOARDS[request.param]


def test_the_files_are_what_the_source_says() -> None:
    """Whoever changes a board's source also makes its file: python -m deploy.boards."""
    assert {path.name: path.read_text() for path in FOLDER.iterdir()} == files()


def test_grafana_knows_every_field(board: dict[str, Any]) -> None:
    """A board that Grafana's own model of dashboards reads and writes again is the same: no field
    of it is misspelt, or of another kind of panel.
    """
    register_default_plugins()
    again = json.dumps(Dashboard.from_json(board), cls=JSONEncoder)
    assert board == _common(board, json.loads(again))


def _common(mine: Any, theirs: Any) -> Any:
    """Leave out what Grafana adds where a field is not given."""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        return {key: _common(mine[key], theirs[key]) for key in mine if key in theirs}
    if isinstance(mine, list) and isinstance(theirs, list) and len(mine) == len(theirs):
        return [_common(*pair) for pair in zip(mine, theirs, strict=True)]
    return theirs


def test_a_misspelt_field_is_seen() -> None:
    """The check can fail."""
    board = json.loads(files()["fleet.json"])
    board["panels"][1]["fieldConfig"]["defaults"]["units"] = "s"
    with pytest.raises(AssertionError):
        test_grafana_knows_every_field(board)


def test_every_unit_is_one_of_grafanas(board: dict[str, Any]) -> None:
    """A unit that Grafana does not know would be written behind each number as it is."""
    ids = {value for value in vars(units).values() if isinstance(value, str)}
    assert {panel["fieldConfig"]["defaults"]["unit"] for panel in panels(board)} <= ids


def test_ids_are_unique_and_panels_do_not_overlap(board: dict[str, Any]) -> None:
    """Each panel has its own number and its own place in the grid."""
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(set(numbers)) == len(numbers)
    places = [panel["gridPos"] for panel in board["panels"]]
    assert all(place["x"] + place["w"] <= WIDTH for place in places)
    for a, b in combinations(places, 2):
        apart = (
            a["x"] + a["w"] <= b["x"]
            or b["x"] + b["w"] <= a["x"]
            or a["y"] + a["h"] <= b["y"]
            or b["y"] + b["h"] <= a["y"]
        )
        assert apart, (a, b)


def test_boards_know_each_other() -> None:
    """Each board has its own id, and the tag by which the others link to it."""
    assert len({board["uid"] for board in BOARDS.values()}) == len(BOARDS) == 3
    assert all(board["tags"] == [TAG] for board in BOARDS.values())


def test_every_panel_says_what_it_shows(board: dict[str, Any]) -> None:
    """A reader who does not know the words of the field finds a sentence on each panel, and a name
    on each series.
    """
    for panel in panels(board):
        assert panel["title"]
        assert re.fullmatch(r"[A-Z].{20,}\.", panel["description"]), panel["title"]
        assert all(target["legendFormat"] for target in panel["targets"])
        assert panel["datasource"]["uid"] == "${datasource}"


def test_every_variable_is_one_of_the_board(board: dict[str, Any]) -> None:
    """No query, title or link names a variable that a reader cannot choose."""
    declared = {variable["name"] for variable in board["templating"]["list"]}
    text = json.dumps(board).replace("${__field.labels.", "").replace("${__data.fields.", "")
    assert set(VARIABLE.findall(text)) <= declared | BUILT_IN
    assert {"datasource", "model", "driftgauge"} <= declared


def test_every_link_leads_to_a_page_of_driftgauge() -> None:
    """A link begins with Driftgauge's address, and its page exists."""
    known_pages = [name.removeprefix("GET ") for name, _ in pages(made_app())]
    found = {link["url"] for board in BOARDS.values() for link in _links(board)}
    assert len(found) > 3
    for url in found:
        assert url.startswith("${driftgauge:raw}/")
        page = re.sub(r"\$\{[^}]*\}", "x", url.removeprefix("${driftgauge:raw}")).partition("?")[0]
        assert any(re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", one), page) for one in known_pages)


def _links(board: dict[str, Any]) -> list[dict[str, Any]]:
    links = [link for link in board["links"] if link["type"] == "link"]
    for panel in panels(board):
        links += panel["fieldConfig"]["defaults"].get("links", [])
    return links


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked.where)
def test_every_metric_and_label_is_one(asked: Asked) -> None:
    """A board or rule asks for no metric or label that Driftgauge does not have: such a query is
    empty, and nobody would notice.
    """
    recorded = {rule["record"]: {"model"} for _, rule in rules() if "record" in rule}
    labels = {**KNOWN, **recorded}
    assert asked.selectors
    assert {name for name, _ in asked.selectors} <= labels.keys()
    for name, matchers in asked.selectors:
        assert set(MATCHER.findall(matchers)) <= labels[name] | SCRAPED, name
    every = set[str]().union(*(labels[name] for name, _ in asked.selectors))
    assert asked.grouped <= every | SCRAPED
    assert asked.labels <= every | SCRAPED


@pytest.mark.parametrize(
    "expression",
    [
        "max(driftgauge_lag)",
        'max(driftgauge_lag_entries{modell="x"})',
        "max by (version) (driftgauge_lag_entries)",
        "vector(0)",
    ],
)
def test_a_misspelt_name_is_seen(expression: str) -> None:
    """The check can fail: for a metric, a matcher, a grouping, and a query that asks nothing."""
    with pytest.raises(AssertionError):
        test_every_metric_and_label_is_one(Asked("planted", expression))
