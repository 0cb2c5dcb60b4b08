"""The rules for Prometheus: Debian's promtool reads and tries them, and none is untried."""

import re
from typing import Any

import pytest
import yaml

from driftgauge.producer.watching.blind import SEVERITIES
from tests.deploy.asked import rules
from tests.deploy.prometheus import DEPLOYED, promtool

TESTS = sorted((DEPLOYED / "tests").glob("*.yml"))
RULES = [rule for _, rule in rules()]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}


def tried(kind: str) -> list[dict[str, Any]]:
    """Return what promtool's tests expect, of one kind."""
    return [
        one
        for path in TESTS
        for test in yaml.safe_load(path.read_text())["tests"]
        for one in test.get(kind, [])
    ]


def test_promtool_reads_the_configuration() -> None:
    """The example configuration is sound, and so are the rules that it loads."""
    done = promtool("check", "config", DEPLOYED / "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("rules found") == 3


def test_promtool_tries_the_rules() -> None:
    """Alerts fire and stay quiet as their tests say, with the words that a person reads."""
    done = promtool("test", "rules", *TESTS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("SUCCESS") == len(TESTS)


def test_every_rule_is_tried() -> None:
    """Each alert is seen to fire and to stay quiet, and each recording rule to give a value."""
    cases = tried("alert_rule_test")
    assert {one["alertname"] for one in cases if one["exp_alerts"]} == set(ALERTS)
    assert {one["alertname"] for one in cases if not one["exp_alerts"]} == set(ALERTS)
    recorded = {rule["record"] for rule in RULES if "record" in rule}
    assert {one["expr"] for one in tried("promql_expr_test")} == recorded


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_says_how_bad_it_is_and_what_to_do(name: str) -> None:
    """A person who is paged reads what happened and what to do, in sentences."""
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in {"warning", "critical"}
    assert set(alert["annotations"]) == {"summary", "description"}
    assert all(text.endswith(".") for text in alert["annotations"].values())
    assert "for" in alert or "increase(" in alert["expr"]


def test_the_watchdogs_rules_are_as_bad_as_driftgauge_says() -> None:
    """An alert of the watchdog has the severity that it has in Driftgauge, and none is left out."""
    (named,) = {
        re.search(r'rule[=!]~"([^"]+)"', ALERTS[name]["expr"])[1]  # type: ignore[index]
        for name in ("DriftgaugeBlind", "DriftgaugeHalfBlind")
    }
    warnings = {rule for rule, severity in SEVERITIES.items() if severity == "warning"}
    assert set(named.split("|")) == warnings
    assert ALERTS["DriftgaugeBlind"]["labels"]["severity"] == "critical"
    assert ALERTS["DriftgaugeHalfBlind"]["labels"]["severity"] == "warning"
