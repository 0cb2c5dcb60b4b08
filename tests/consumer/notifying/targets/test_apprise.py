"""Apprise, by the service of it that posts JSON to a server."""

import base64
import logging
import sys

import pytest

from driftgauge.consumer.notifying.choices import Apprise
from driftgauge.consumer.notifying.targets.base import Later, Target
from driftgauge.consumer.notifying.targets.building import build
from driftgauge.shared.errors import ConfigurationError, NotInstalled
from tests.consumer.notifying.messages import LINK, PNG, message, opened
from tests.consumer.notifying.nasty import nasty
from tests.consumer.notifying.services import Service, said
from tests.consumer.notifying.sink import Sink

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
"""One of its services imports it."""


@pytest.fixture
def service(sink: Sink) -> Service:
    return Service(sink)


@pytest.fixture
def target(service: Service, monkeypatch: pytest.MonkeyPatch) -> Target:
    address = service.address.replace("http://", "json://user:secret@")
    monkeypatch.setenv("APPRISE", f"{address}/one\n{address}/two")
    return build(Apprise(url_env="APPRISE"))


def test_all_services_get_the_message_and_the_picture(target: Target, service: Service) -> None:
    """Title, text, link and picture arrive at each address."""
    target.send(message(picture=PNG), "")
    assert {one.path.rstrip("/") for one in service.got} == {"/one", "/two"}
    sent = service.got[0].json
    assert sent["title"] == "steel: new incident (critical)"
    assert sent["message"].startswith("Since 20 Nov 12:01 UTC load reads")
    assert sent["message"].endswith(LINK)
    assert sent["type"] == "failure"
    assert base64.b64decode(sent["attachments"][0]["base64"]) == PNG


def test_a_name_mentions_nobody(target: Target, service: Service) -> None:
    """Some services look for mentions in plain text."""
    target.send(nasty("@everyone <!channel> **x**"), "x")
    sent = service.got[0].json
    words = sent["title"] + sent["message"].removesuffix(LINK)
    assert not set(words) & set("@<>*")


def test_a_failure_is_tried_again_and_tells_no_address(
    target: Target, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """Apprise does not say why; its own log would hold addresses."""
    service.next += [said(403), said(200)]
    with caplog.at_level(logging.DEBUG), pytest.raises(Later) as raised:
        target.send(opened(), "")
    assert "secret" not in raised.value.reason + caplog.text


def test_an_address_that_apprise_does_not_know_refuses_the_start(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The error does not quote it."""
    monkeypatch.setenv("APPRISE", "nosuch://secret")
    with pytest.raises(ConfigurationError) as raised:
        build(Apprise(url_env="APPRISE"))
    assert "secret" not in str(raised.value) + caplog.text


def test_without_the_package_the_start_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The extra is named."""
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(NotInstalled, match=r"driftgauge\[apprise\]"):
        build(Apprise(url_env="APPRISE"))
