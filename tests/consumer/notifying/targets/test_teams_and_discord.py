"""Microsoft Teams and Discord, by a server that answers as their webhooks do."""

import re

import pytest

from driftgauge.consumer.notifying.choices import Discord, Teams
from driftgauge.consumer.notifying.targets.base import Later, Refused, Target
from driftgauge.consumer.notifying.targets.building import build
from driftgauge.shared.errors import ConfigurationError
from tests.consumer.notifying.messages import PNG, message, opened, resolved, worse
from tests.consumer.notifying.services import DiscordService, Service, said
from tests.consumer.notifying.sink import Sink


@pytest.fixture
def discord(sink: Sink) -> DiscordService:
    return DiscordService(sink)


@pytest.fixture
def target(discord: DiscordService, monkeypatch: pytest.MonkeyPatch) -> Target:
    monkeypatch.setenv("HOOK", f"{discord.address}/api/webhooks/1/secret?thread_id=7")
    return build(Discord(url_env="HOOK"))


def test_teams_gets_a_card_for_each_change(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    """A workflow answers 202 and says nothing of what it posted."""
    service = Service(sink)
    service.next += [said(202), said(202), said(429, b"", Retry_After="5"), said(401)]
    monkeypatch.setenv("HOOK", f"{sink.address}/workflows/1?sig=secret")
    target = build(Teams(url_env="HOOK"))
    assert (target.in_place, target.pictures) == (False, False)
    receipt = target.send(opened(), "")
    target.send(resolved(), receipt)
    cards = [one.json["attachments"][0]["content"] for one in service.got]
    assert [card["body"][0]["style"] for card in cards] == ["attention", "good"]
    assert service.got[0].query == {"sig": ["secret"]}
    with pytest.raises(Later) as late:
        target.send(opened(), "")
    assert late.value.after_s == 5
    with pytest.raises(Refused) as raised:
        target.send(opened(), "")
    assert "secret" not in raised.value.reason


def test_an_incident_is_one_message_of_discord(target: Target, discord: DiscordService) -> None:
    """It is changed in place, in the thread of the webhook's address; what got worse is a short
    message beside it.
    """
    receipt = target.send(opened(severity="warning"), "")
    assert target.send(worse(), receipt) == receipt
    assert target.send(resolved(), receipt) == receipt
    assert [one.method for one in discord.got] == ["POST", "PATCH", "POST", "PATCH"]
    assert all(one.query["thread_id"] == ["7"] for one in discord.got)
    assert discord.got[0].query["wait"] == ["true"]
    assert discord.got[1].path == f"/api/webhooks/1/secret/messages/{receipt}"
    assert "it is worse" in discord.got[2].json["content"]
    assert discord.messages[receipt].json["embeds"][0]["title"].endswith("it is over")


def test_a_message_that_somebody_deleted_is_posted_anew(
    target: Target, discord: DiscordService
) -> None:
    """Discord says 404."""
    receipt = target.send(resolved(), "1300000000000000099")
    assert list(discord.messages) == [receipt]


def test_a_picture_is_in_the_embed(target: Target, discord: DiscordService) -> None:
    """The picture is a part of the message's form, and the embed shows it."""
    target.send(message(picture=PNG), "")
    (got,) = discord.got
    assert re.match(r"multipart/form-data; boundary=\w+", got.headers["content-type"])
    assert PNG in got.body
    assert b'name="payload_json"' in got.body
    assert b"attachment://drift.png" in got.body
    assert b'name="files[0]"; filename="drift.png"' in got.body


@pytest.mark.parametrize("body", [b"", b"[]", b'{"id": 7}'])
def test_an_answer_that_is_not_discords_is_tried_again(
    target: Target, discord: DiscordService, body: bytes
) -> None:
    """Without an id the message could never be changed."""
    discord.next += [said(200, body)]
    with pytest.raises(Later, match="not Discord's"):
        target.send(opened(), "")


def test_discords_limit_of_the_rate_is_kept(target: Target, discord: DiscordService) -> None:
    """429 comes with the seconds to wait, in part of seconds."""
    discord.next += [said(429, {"retry_after": 0.65}, Retry_After="0.65")]
    with pytest.raises(Later) as raised:
        target.send(opened(), "")
    assert raised.value.after_s == 0.65


def test_an_address_that_is_none_refuses_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error does not quote it, since it may be a secret."""
    monkeypatch.setenv("HOOK", "http://secret:port")
    with pytest.raises(ConfigurationError) as raised:
        build(Discord(url_env="HOOK"))
    assert "secret" not in str(raised.value)
