"""A webhook: the incident's CloudEvent as JSON, in structured mode (CloudEvents 1.0, HTTP protocol
binding), signed by Standard Webhooks 1.0.

A receiver checks the signature over id, time and body, refuses a time that is more than some
minutes off, so that a message that was overheard cannot be played again, and takes each id once.
"""

import base64
import binascii
import hashlib
import hmac

from driftgauge.consumer.notifying.choices import Webhook
from driftgauge.consumer.notifying.message import Message
from driftgauge.consumer.notifying.post import post
from driftgauge.consumer.notifying.secrets import secret_of
from driftgauge.consumer.notifying.targets.base import Target
from driftgauge.shared.errors import ConfigurationError

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
PREFIX = "whsec_"


class WebhookTarget(Target):
    """Posts each transition that people are told of."""

    def __init__(self, choice: Webhook) -> None:
        self._address = secret_of(choice, "url")
        secret = secret_of(choice, "secret")
        self._key = key_of_secret(secret) if secret else b""

    def send(self, message: Message, receipt: str) -> str:  # noqa: ARG002  each is a message of its own
        """Post the event."""
        headers = {"Content-Type": CONTENT_TYPE, "Idempotency-Key": message.key}
        if self._key:
            headers |= signed(self._key, message.key, message.sent // 1000, message.event)
        else:
            headers["webhook-id"] = message.key
        post(self._address, message.event, headers)
        return ""


def signed(key: bytes, name: str, seconds: int, body: bytes) -> dict[str, str]:
    """Return the headers of Standard Webhooks.

    Parameters
    ----------
    key
        Key of the HMAC-SHA256.
    name, seconds, body
        Id of the message, time at which it is sent (Unix s), and what is sent.

    Examples
    --------
    >>> from base64 import b64decode
    >>> found = signed(b64decode("AAAA"), "msg_1", 1614265330, b"{}")
    >>> found["webhook-id"], found["webhook-timestamp"], found["webhook-signature"][:3]
    ('msg_1', '1614265330', 'v1,')
    """
    text = f"{name}.{seconds}.".encode() + body
    signature = base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": name,
        "webhook-timestamp": str(seconds),
        "webhook-signature": f"v1,{signature}",
    }


def key_of_secret(secret: str) -> bytes:
    r"""Return the key in a secret of Standard Webhooks.

    Raises
    ------
    ConfigurationError
        If it is none.

    Examples
    --------
    >>> key_of_secret("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX")[:4]
    b'\x00\x01\x02\x03'
    """
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or not 24 <= len(key) <= 64:
        raise ConfigurationError(
            "The secret of a webhook is no `whsec_` with 24 to 64 bytes in Base64. Make one: "
            "echo whsec_$(openssl rand -base64 32)"
        )
    return key
