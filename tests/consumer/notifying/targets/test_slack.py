"""Slack, by a server that answers as its Web API does."""

import logging
from pathlib import Path

import pytest

from driftgauge.consumer.notifying.choices import Slack, SlackWebhook
from driftgauge.consumer.notifying.targets.base import Later, Refused, Target
from driftgauge.consumer.notifying.targets.building import build
from tests.consumer.notifying.messages import LINK, PNG, incident, message, opened, resolved, worse
from tests.consumer.notifying.services import Service, SlackService, said
from tests.consumer.notifying.sink import Reply, Sink


@pytest.fixture
def slack(sink: Sink) -> SlackService:
    return SlackService(sink)


@pytest.fixture
def target(slack: SlackService, tmp_path: Path) -> Target:
    token = tmp_path / "token"
    token.write_text(f"{slack.token}\n")
    return build(Slack(channel="C1", token_file=str(token), address=f"{slack.address}/api/"))


def refused(error: str) -> Reply:
    return said(200, {"ok": False, "error": error})


def test_an_incident_is_one_message_that_is_changed(target: Target, slack: SlackService) -> None:
    """The end stands in the message of the beginning; what got worse is a reply that the channel
    shows, since a changed message alerts nobody.
    """
    receipt = target.send(opened(severity="warning"), "")
    assert target.send(worse(), receipt) == receipt
    assert target.send(resolved(), receipt) == receipt
    ((posted, content),) = slack.messages.items()
    assert (receipt, slack.changes) == (f"C1 {posted}", [posted] * 2)
    assert content["blocks"][0]["text"]["text"].endswith("steel: it is over")
    assert content["metadata"]["event_payload"] == {
        "incident": "6b3108a1eb9f83ec",
        "key": "6b3108a1eb9f83ec-3",
    }
    (reply,) = slack.replies
    assert (reply["thread_ts"], reply["reply_broadcast"]) == (posted, True)
    assert "it is worse (critical)" in reply["text"]
    assert LINK in str(content["blocks"])


def test_a_silent_change_replies_to_nobody(target: Target, slack: SlackService) -> None:
    """What nobody is notified of only changes the message; a reminder is a reply."""
    receipt = target.send(opened(), "")
    target.send(message(incident(number=2, change="severity"), silent=True), receipt)
    assert not slack.replies
    target.send(message(repeat=1), receipt)
    assert len(slack.replies) == 1
    assert len(slack.messages) == 1


@pytest.mark.parametrize(
    "error", ["message_not_found", "cant_update_message", "edit_window_closed"]
)
def test_a_message_that_cannot_be_changed_is_posted_anew(
    target: Target, slack: SlackService, error: str
) -> None:
    """Somebody deleted it, or the workspace allows no late changes: people are told all the
    same.
    """
    slack.next += [refused(error)]
    receipt = target.send(resolved(), "C1 1.0")
    assert list(slack.messages) == [receipt.partition(" ")[2]]


@pytest.mark.parametrize("error", ["ratelimited", "internal_error", "service_unavailable"])
def test_an_error_that_passes_is_tried_again(
    target: Target, slack: SlackService, error: str
) -> None:
    """Slack says so with status 200."""
    slack.next += [refused(error)]
    with pytest.raises(Later, match=error):
        target.send(opened(), "")


def test_a_limit_of_the_rate_is_kept(target: Target, slack: SlackService) -> None:
    """429 comes with the seconds to wait."""
    slack.next += [said(429, {"ok": False, "error": "ratelimited"}, Retry_After="30")]
    with pytest.raises(Later) as raised:
        target.send(opened(), "")
    assert raised.value.after_s == 30


@pytest.mark.parametrize("error", ["invalid_auth", "channel_not_found", "is_archived", "<x> y"])
def test_an_error_that_stays_is_a_refusal(target: Target, slack: SlackService, error: str) -> None:
    """Its name is the reason, if it is a name."""
    slack.next += [refused(error)]
    with pytest.raises(Refused) as raised:
        target.send(opened(), "")
    assert ("<" in raised.value.reason) is False


@pytest.mark.parametrize("body", [b"<html>", b"", b"[]", b'{"ok": "yes"}', b"\xff"])
def test_an_answer_that_is_not_slacks_is_tried_again(
    target: Target, slack: SlackService, body: bytes
) -> None:
    """A proxy's page with status 200 is no delivery."""
    slack.next += [said(200, body)]
    with pytest.raises(Later, match="not Slack's"):
        target.send(opened(), "")


def test_a_picture_is_in_the_thread(target: Target, slack: SlackService) -> None:
    """It is uploaded in Slack's three steps, for the first message only."""
    receipt = target.send(message(picture=PNG), "")
    target.send(worse(), receipt)
    assert slack.files == {"F1": PNG}
    (shared,) = slack.shared
    assert (shared["channel_id"], shared["thread_ts"]) == ("C1", receipt.partition(" ")[2])


def test_a_picture_that_is_refused_stops_no_message(
    target: Target, slack: SlackService, caplog: pytest.LogCaptureFixture
) -> None:
    """A token without the scope for files tells without pictures, and the log says so."""
    slack.next += [said(200, {"ok": True, "channel": "C1", "ts": "1.1"}), refused("missing_scope")]
    with caplog.at_level(logging.WARNING):
        assert target.send(message(picture=PNG), "") == "C1 1.1"
    assert "missing_scope" in caplog.text
    assert slack.token not in caplog.text


def test_a_webhook_gets_each_change(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    """A webhook cannot change a message, so each is one of its own."""
    service = Service(sink)
    monkeypatch.setenv("HOOK", f"{sink.address}/services/T/B/secret")
    target = build(SlackWebhook(url_env="HOOK"))
    assert not target.in_place
    receipt = target.send(opened(), "")
    target.send(resolved(), receipt)
    assert [one.path for one in service.got] == ["/services/T/B/secret"] * 2
    titles = [one.json["blocks"][0]["text"]["text"] for one in service.got]
    assert titles[0].endswith("new incident (critical)")
    assert titles[1].endswith("it is over")
    service.next += [said(403, b"action_prohibited")]
    with pytest.raises(Refused) as raised:
        target.send(opened(), "")
    assert "secret" not in raised.value.reason
