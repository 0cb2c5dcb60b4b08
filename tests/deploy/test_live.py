"""Debian's Prometheus scrapes a deployment that runs, and every expression of every board and rule
gives data by its HTTP API: first of a model that drifts, then of faults that the test makes.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.deploy.asked import Asked, boards, of_boards, of_rules
from tests.deploy.bank import MODEL, Bank
from tests.deploy.drawing import draw
from tests.deploy.faults import FAULTS, refuse
from tests.deploy.prometheus import Prometheus, required
from tests.places import ROOT

pytestmark = pytest.mark.long
PATIENCE_S = 120.0
CALM = 9
"""Posts before the drift."""
DRIFT = 1.0
"""Its size in standard deviations."""
SHORT = {"__rate_interval": "20s", "__range": "5m"}
"""What Grafana fills in, for a scrape every two seconds."""
ALL = {"model": MODEL, "version": ".*", "feature": ".*", "metric": "accuracy", **SHORT}
ONE = {**ALL, "version": "1.0.0", "feature": "(income|region)"}
PICTURES = ROOT / "build" / "boards"
"""Where the drawn boards are left for a person to look at."""
UNREACHED = (
    "DriftgaugeLag",
    "DriftgaugeNoJudge",
    "DriftgaugeNotJudged",
    "DriftgaugeTaskStuck",
    "DriftgaugeWindowOld",
)
"""Alerts whose fault takes minutes, or a worker that counts and does not judge. What they ask for
is asked one by one here, and promtool's tests see them fire.
"""
DRIFTED = (
    'driftgauge_incidents_open{kind="model", severity="critical"} > 0',
    'driftgauge_feature_severity{feature="income"} == 2',
    "driftgauge_performance_severity == 2",
)
"""What the drift comes to: an incident, of a feature, that makes the model worse."""
TOLD = {"DriftgaugeIncidentCritical", "DriftgaugeNotificationsFail"}
"""Alerts of the drift, and of a route whose target is not there."""


class Seen:
    """A deployment, the Prometheus that scrapes it, and which expressions have given data."""

    def __init__(self, bank: Bank, prometheus: Prometheus) -> None:
        self.bank = bank
        self.prometheus = prometheus
        self.started = time.time()
        self.pending = [*of_boards(), *of_rules()]
        self.found: dict[Asked, list[dict[str, Any]]] = {}
        self.empty: set[str] = set()
        self.drift = False

    def look(self) -> None:
        """Ask for everything that has given nothing yet."""
        for asked in self.pending:
            series = self.prometheus.query(asked.filled(ONE))
            if series and self.prometheus.query(asked.filled(ALL)):
                self.found[asked] = series
        self.pending = [asked for asked in self.pending if asked not in self.found]

    def missing(self, names: set[str]) -> set[str]:
        """Return which of some panels or rules have given nothing yet."""
        return {name for asked in self.pending for name in names if name in asked.where}

    def drifted(self) -> bool:
        """Tell whether the drift was found."""
        return all(map(self.prometheus.query, DRIFTED))

    @property
    def boards(self) -> set[str]:
        """Panels that have given nothing yet."""
        return {asked.where for asked in self.pending if ".yml" not in asked.where}

    def until(self, done: Callable[[], bool], act: Callable[[], None]) -> None:
        """Act and look until it is done, or for as long as patience lasts."""
        deadline = time.monotonic() + PATIENCE_S
        self.look()
        while not done() and time.monotonic() < deadline:
            act()
            time.sleep(0.3)
            self.look()


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """Let a model drift until all boards have data, make the faults, and draw the boards before the
    last one, in which nothing is scraped.
    """
    required("prometheus")
    folders = [tmp_path_factory.mktemp(name) for name in ("bank", "prometheus")]
    with Bank(folders[0]) as bank, Prometheus(folders[1], bank.targets) as prometheus:
        found = Seen(bank, prometheus)
        for number in range(CALM):
            bank.post()
            found.look()
            if number == CALM // 2:
                refuse(bank)
        found.until(
            lambda: not found.boards and not found.missing(TOLD) and found.drifted(),
            lambda: bank.post(DRIFT),
        )
        found.empty, found.drift = found.boards, found.drifted()
        for fault in FAULTS:
            if fault is FAULTS[-1]:
                draw(prometheus, found.started, ALL, PICTURES)
            with fault.making(bank):
                found.until(
                    lambda fault=fault: not found.missing(fault.alerts),
                    lambda fault=fault: bank.post(DRIFT) if fault.posts else None,
                )
        yield found


def test_every_expression_of_every_board_gives_data(seen: Seen) -> None:
    """Each query of each panel has data while a model drifts, for one model, version and feature as
    for all of them, and before anything failed.
    """
    assert seen.drift
    assert seen.empty == set()


def test_every_rule_gives_data(seen: Seen) -> None:
    """Each recording rule has data, and each alert sees its fault."""
    waiting = {asked.where.split(": ")[1] for asked in seen.pending if ".yml" in asked.where}
    assert waiting <= set(UNREACHED)


@pytest.mark.parametrize("name", UNREACHED)
def test_what_an_unreached_alert_asks_for_is_there(seen: Seen, name: str) -> None:
    """Each series that an alert compares exists, so it is quiet since all is well."""
    (asked,) = [one for one in of_rules() if one.where.endswith(name)]
    for metric, matchers in asked.selectors:
        assert seen.prometheus.query(f"last_over_time({metric}{matchers}[10m])"), metric


def test_prometheus_evaluates_every_rule(seen: Seen) -> None:
    """No rule fails in the Prometheus that loads it."""
    loaded = seen.prometheus.rules()
    assert len(loaded) == len([*of_rules()])
    assert {rule["name"]: rule.get("lastError") for rule in loaded if rule["health"] != "ok"} == {}


def test_a_legend_names_labels_that_its_series_have(seen: Seen) -> None:
    """No series is drawn under an empty name."""
    for asked, series in seen.found.items():
        for one in series:
            assert asked.labels <= one["metric"].keys(), asked.where


def test_every_choice_offers_something(seen: Seen) -> None:
    """A reader can choose a model, a version, a feature and a metric."""
    for board in boards().values():
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                series, _, label = variable["query"]["query"][len("label_values(") : -1].rpartition(
                    ", "
                )
                offered = seen.prometheus.label_values(label, Asked("", series).filled(ONE))
                assert offered, variable["name"]


def test_prometheus_reads_every_expression(seen: Seen) -> None:
    """Each expression is written as Prometheus would write it, but for spaces and order."""
    for asked in (*of_boards(), *of_rules()):
        assert seen.prometheus.formatted(asked.filled(ONE))


@pytest.mark.usefixtures("seen")
def test_the_boards_are_drawn() -> None:
    """Grafana cannot be run here: the same queries are drawn, for a person to look at."""
    assert {path.stem for path in PICTURES.glob("*.png")} == set(boards())
