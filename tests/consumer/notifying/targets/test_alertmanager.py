"""Alertmanager: Debian's own, asked by its own amtool."""

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from msgspec.structs import replace

from driftgauge.consumer.notifying.choices import Alertmanager
from driftgauge.consumer.notifying.message import Message
from driftgauge.consumer.notifying.targets.alertmanager import alert_of
from driftgauge.consumer.notifying.targets.building import build
from tests.consumer.notifying.alertmanager import RunningAlertmanager, alertmanager
from tests.consumer.notifying.builders import incident, transition
from tests.consumer.notifying.sink import http_sink


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAlertmanager]:
    with alertmanager(tmp_path_factory.mktemp("alertmanager")) as found:
        yield found


def message(number: int, change: str = "opened", name: str = "a", **more: Any) -> Message:
    return Message(
        f"{name}-{number}",
        incident(name, number, change, **more),
        transition(name, number, change, **more),
        link="https://monitor.example/dashboard/incidents/a",
        sent=int(time.time() * 1000),
    )


def test_an_incident_is_one_alert_that_ends(server: RunningAlertmanager) -> None:
    """Its opening, its changes and its repetitions are one alert, with the text of the last one; at
    its end it is gone.
    """
    target = build(Alertmanager(url=server.address + "/", labels={"team": "plant"}))
    target.send(message(1, severity="warning", headline="It began."), "")
    (found,) = server.alerts("incident=a")
    assert found["labels"] == {
        "alertname": "DriftgaugeIncident",
        "incident": "a",
        "model": "plant",
        "version": "1.0.0",
        "kind": "model",
        "team": "plant",
    }
    assert found["annotations"]["summary"] == "It began."
    assert found["generatorURL"] == "https://monitor.example/dashboard/incidents/a"
    target.send(message(2, "severity", headline="It is worse."), "")
    target.send(message(2, "severity", headline="It is worse."), "")
    (found,) = server.alerts("incident=a")
    assert found["annotations"]["summary"] == "It is worse."
    assert found["annotations"]["severity"] == "critical"
    target.send(message(3, "resolved"), "")
    assert server.alerts("incident=a") == []


def test_nasty_names_are_labels_and_nothing_else(server: RunningAlertmanager) -> None:
    """Whatever a stranger named, Alertmanager takes it, and it stays a text."""
    target = build(Alertmanager(url=server.address))
    nasty = '{{ printf "x" }} <script>alert(1)</script>\n"\\ü\u202e'
    found = message(1, name="nasty", headline=nasty, advice="", effect="\x00" + "x" * 5000)
    target.send(replace(found, link=""), "")
    (alert,) = server.alerts("incident=nasty")
    assert alert["annotations"]["summary"].startswith('{{ printf "x" }} <script>')
    assert len(alert["annotations"]["effect"]) == 1000
    assert "description" not in alert["annotations"]


def test_the_labels_never_change_and_the_end_moves_on() -> None:
    """Within an incident only annotations and times do; the alert begins when the incident did."""
    labels = {"model": "not this one", "severity": "page"}
    first = alert_of(message(1, severity="warning"), labels)
    later = alert_of(message(9, "cause", action="fix_feed"), labels)
    over = alert_of(message(10, "resolved"), labels)
    assert first["labels"] == later["labels"] == over["labels"]
    assert first["labels"]["model"] == "plant"
    assert first["startsAt"] == later["startsAt"] == over["startsAt"]
    ends = [datetime.fromisoformat(one["endsAt"]).timestamp() for one in (later, over)]
    assert 0 < ends[0] - time.time() <= 300
    assert ends[1] <= time.time() + 1


def test_a_proxy_before_it_gets_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """As bearer; without one nothing is sent."""
    monkeypatch.setenv("AM_TOKEN", "geheim")
    with http_sink() as sink:
        guarded = Alertmanager(url=sink.address, token_env="AM_TOKEN")  # noqa: S106  a name
        build(guarded).send(message(1), "")
        build(Alertmanager(url=sink.address + "/am/")).send(message(1), "")
        one, other = sink.received
    assert one.headers["authorization"] == "Bearer geheim"
    assert (one.path, other.path) == ("/api/v2/alerts", "/am/api/v2/alerts")
    assert "authorization" not in other.headers
