"""The webhook: CloudEvents, signed by Standard Webhooks."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from driftgauge.consumer.notifying.choices import Webhook
from driftgauge.consumer.notifying.message import Message
from driftgauge.consumer.notifying.targets.building import build
from driftgauge.consumer.notifying.targets.webhook import key_of_secret, signed
from driftgauge.shared.errors import ConfigurationError
from tests.consumer.notifying.builders import incident, transition
from tests.consumer.notifying.sink import Sink, http_sink

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
MESSAGE = Message("a-1", incident(), transition("a", 1), sent=1_763_640_000_999)


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with http_sink() as found:
        yield found


def test_the_event_comes_as_it_is_signed(sink: Sink, tmp_path: Path) -> None:
    """A receiver that knows the secret finds the signature over id, time and body, and the key of
    the message as id and as idempotency key.
    """
    (tmp_path / "secret").write_text(SECRET + "\n")
    (tmp_path / "url").write_text(f"{sink.address}/T0/geheim\n")
    target = build(Webhook(url_file=f"{tmp_path}/url", secret_file=f"{tmp_path}/secret"))
    assert target.send(MESSAGE, "") == ""
    found = sink.received[-1]
    assert found.path == "/T0/geheim"
    assert found.body == MESSAGE.event
    assert found.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert found.headers["idempotency-key"] == found.headers["webhook-id"] == "a-1"
    assert found.headers["webhook-timestamp"] == "1763640000"
    text = b"a-1.1763640000." + found.body
    expected = base64.b64encode(hmac.new(bytes(range(32)), text, hashlib.sha256).digest())
    assert found.headers["webhook-signature"] == f"v1,{expected.decode()}"
    event = json.loads(found.body)
    assert (event["specversion"], event["id"], event["type"]) == (
        "1.0",
        "a-1",
        "driftgauge.incident.opened",
    )


def test_a_known_signature() -> None:
    """The example of the Standard Webhooks libraries."""
    key = key_of_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    found = signed(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert found["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_without_a_secret_it_is_not_signed(sink: Sink) -> None:
    """The id is there all the same."""
    build(Webhook(url=sink.address)).send(MESSAGE, "")
    headers = sink.received[-1].headers
    assert headers["webhook-id"] == "a-1"
    assert "webhook-signature" not in headers


@pytest.mark.parametrize(
    "secret", ["geheim", "whsec_", "whsec_AAAA", "whsec_" + "A" * 200, "whsec_äöü", SECRET[6:]]
)
def test_a_secret_of_another_form_is_refused(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a line that makes one, and without the secret."""
    monkeypatch.setenv("HOOK_SECRET", secret)
    with pytest.raises(ConfigurationError, match="openssl rand") as error:
        build(Webhook(url="http://127.0.0.1/", secret_env="HOOK_SECRET"))  # noqa: S106  a name
    assert len(secret) < 7 or secret not in str(error.value)
