"""The watchdog's alerts as incidents."""

from msgspec.structs import replace

from driftgauge.producer.watching import blind
from driftgauge.producer.watching.incidents import ADVICE, incident_of
from driftgauge.shared.contract.alert import Alert, AlertEvidence
from driftgauge.shared.contract.incident import HEADLINE_LENGTH

EVIDENCE = AlertEvidence("seconds", 30, 20, None, 0, 0, 5, 0, 1)
ALERT = Alert(
    "f" * 16, "steel", "-", "", "blind.no_worker", "critical", "firing",
    "No worker has committed for 30 s.", EVIDENCE, 83_000_000, 83_030_000, None, "",
)  # fmt: skip


def test_every_rule_says_what_to_do() -> None:
    """No rule is told of without an advice, and none is advised on that there is not."""
    assert set(ADVICE) == set(blind.NAMES)


def test_an_alert_is_an_incident_from_its_firing_to_its_end() -> None:
    """Both transitions have one id; each is told; the end says when."""
    opened = incident_of(ALERT)
    over = incident_of(replace(ALERT, state="resolved", updated=83_090_000, ended=83_090_000))
    assert opened is not None
    assert over is not None
    assert opened.id == over.id
    assert (opened.number, opened.change, opened.notify) == (1, "opened", True)
    assert (over.number, over.change, over.ended) == (2, "resolved", 83_090_000)
    assert opened.headline == "Since 1 Jan 23:03 UTC: No worker has committed for 30 s."
    assert opened.advice.startswith("Start a worker")
    assert (opened.kind, opened.cause.kind) == ("operation", "monitor")


def test_a_headline_is_one_sentence_of_when_and_what() -> None:
    """What may have led to it and what to do stand elsewhere; at the end it says since when it is
    over.
    """
    said = "The worker does not keep up: 90.5 s behind. Start more workers."
    opened = incident_of(replace(ALERT, summary=said))
    assert opened is not None
    assert opened.headline.endswith("UTC: The worker does not keep up: 90.5 s behind.")
    end = {"state": "resolved", "ended": 83_190_000, "summary": "The worker keeps up again."}
    over = incident_of(replace(ALERT, **end))
    assert over is not None
    assert over.headline == "Since 1 Jan 23:06 UTC: The worker keeps up again."


def test_a_long_reason_is_cut() -> None:
    """A headline is one line, whatever the reason."""
    said = incident_of(replace(ALERT, summary="x" * 5000))
    assert said is not None
    assert len(said.headline) <= HEADLINE_LENGTH


def test_a_pending_alert_is_none() -> None:
    """Only what fires is told."""
    assert incident_of(replace(ALERT, state="pending")) is None
