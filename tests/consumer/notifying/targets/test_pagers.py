"""PagerDuty and Opsgenie, by a server that answers as they do."""

import pytest

from driftgauge.consumer.notifying.choices import Opsgenie, PagerDuty
from driftgauge.consumer.notifying.message import Message
from driftgauge.consumer.notifying.rendering.telling import tell
from driftgauge.consumer.notifying.targets.base import Later, Refused, Target
from driftgauge.consumer.notifying.targets.building import build
from driftgauge.consumer.notifying.targets.opsgenie import alert_of
from driftgauge.consumer.notifying.targets.pagerduty import event_of
from driftgauge.shared.contract.alert import Acknowledgement
from tests.consumer.notifying.messages import LINK, NOON, incident, message, opened, resolved, worse
from tests.consumer.notifying.nasty import NASTY, nasty
from tests.consumer.notifying.services import OpsgenieService, PagerDutyService, said
from tests.consumer.notifying.sink import Sink

NAME = "6b3108a1eb9f83ec"


def seen() -> Message:
    mark = Acknowledgement("ann", "on it", NOON)
    return message(incident(number=2, change="acknowledged", acknowledged=mark), silent=True)


@pytest.fixture
def pagerduty(sink: Sink) -> PagerDutyService:
    return PagerDutyService(sink)


@pytest.fixture
def pager(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> Target:
    monkeypatch.setenv("KEY", "R" * 32)
    return build(PagerDuty(key_env="KEY", address=sink.address))


def test_pagerduty_has_one_alert_for_an_incident(
    pager: Target, pagerduty: PagerDutyService
) -> None:
    """The same key triggers, acknowledges and resolves it; its severity follows the incident's."""
    receipt = pager.send(opened(severity="warning"), "")
    assert pagerduty.open[NAME]["severity"] == "warning"
    pager.send(worse(), receipt)
    assert {name: one["severity"] for name, one in pagerduty.open.items()} == {NAME: "critical"}
    pager.send(seen(), receipt)
    assert pagerduty.acknowledged == {NAME}
    pager.send(resolved(), receipt)
    assert pagerduty.open == {}
    assert {one.path for one in pagerduty.got} == {"/v2/enqueue"}


def test_pagerduty_gets_no_silent_change(pager: Target, pagerduty: PagerDutyService) -> None:
    """A trigger could page people."""
    receipt = pager.send(opened(), "")
    pager.send(message(incident(number=2, change="evidence"), silent=True), receipt)
    assert len(pagerduty.got) == 1


def test_pagerdutys_answers(pager: Target, pagerduty: PagerDutyService) -> None:
    """400 is a refusal, 429 and 500 are tried again."""
    pagerduty.next += [said(400, {"status": "invalid event"}), said(429), said(500)]
    with pytest.raises(Refused, match="status 400"):
        pager.send(opened(), "")
    for _ in range(2):
        with pytest.raises(Later):
            pager.send(opened(), "")


@pytest.mark.parametrize("text", NASTY)
def test_an_event_keeps_pagerdutys_limits(text: str) -> None:
    """A summary has at most 1,024 characters and a key 255; what is required is there."""
    event = event_of(nasty(text), "trigger")
    payload = event["payload"]
    assert len(event["dedup_key"]) <= 255
    assert 0 < len(payload["summary"]) <= 1024
    assert payload["severity"] in {"critical", "error", "warning", "info"}
    assert {"summary", "source", "severity"} <= set(payload)
    assert event["links"] == [{"href": LINK, "text": "Open the incident"}]
    assert "://" not in str(payload)


@pytest.fixture
def opsgenie(sink: Sink) -> OpsgenieService:
    return OpsgenieService(sink)


@pytest.fixture
def genie(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> Target:
    monkeypatch.setenv("KEY", "secret")
    address = f"{sink.address}/jsm/ops/integration"
    return build(Opsgenie(key_env="KEY", address=address, tags=("ml",)))


def test_opsgenie_has_one_alert_for_an_incident(genie: Target, opsgenie: OpsgenieService) -> None:
    """The alias is the incident's id; a change is a note, and the end closes it."""
    receipt = genie.send(opened(severity="warning"), "")
    (alert,) = opsgenie.open.values()
    assert (alert["alias"], alert["priority"], alert["tags"]) == (NAME, "P3", ["ml"])
    genie.send(worse(), receipt)
    assert len(opsgenie.open) == 1
    assert opsgenie.notes[0].startswith("steel: it is worse (critical)")
    genie.send(seen(), receipt)
    assert opsgenie.acknowledged == {NAME}
    genie.send(resolved(), receipt)
    assert opsgenie.open == {}
    assert opsgenie.got[0].path == "/jsm/ops/integration/v2/alerts"


def test_an_alert_that_a_person_closed_is_no_fault(
    genie: Target, opsgenie: OpsgenieService
) -> None:
    """The end of an incident whose alert is gone needs nothing more; a wrong key is a refusal."""
    genie.send(resolved(), "told")
    opsgenie.next += [said(403)]
    with pytest.raises(Refused, match="status 403"):
        genie.send(resolved(), "told")


@pytest.mark.parametrize("text", NASTY)
def test_an_alert_keeps_opsgenies_limits(text: str) -> None:
    """Message, alias, description and entity are cut."""
    found = nasty(text)
    alert = alert_of(found, tell(found), ["a"])
    assert 0 < len(alert["message"]) <= 130
    assert len(alert["alias"]) <= 512
    assert len(alert["description"]) <= 15_000
    assert len(alert["entity"]) <= 512
    assert sum(len(name) + len(text) for name, text in alert["details"].items()) <= 8000
