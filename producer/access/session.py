"""A browser's session: a signed cookie that names a key, since a page cannot send headers of its
own.

`ID.EXPIRES.SIGNATURE`; the signature is HMAC-SHA-256 over both and the key's digest, under the
secret of the keys file. So nothing is stored, every API process with the same keys file accepts it,
and revoking the key ends it.
"""

import base64
import hashlib
import hmac
import time
from typing import Final

from driftgauge.shared.access.key_file import Key, KeySet

COOKIE: Final = "driftgauge_session"
MAX_CHARACTERS: Final = 100
"""Longest cookie that is read, in characters; ours are shorter."""


def seal(held: KeySet, key: Key, seconds: float) -> str:
    """Return the cookie of a new session of a key. It ends after `seconds`, or with the key if that
    is earlier.
    """
    until = time.time() + seconds
    if key.expires is not None:
        until = min(until, key.expires.timestamp())
    return f"{key.id}.{int(until)}.{_sign(held, key, int(until))}"


def unseal(held: KeySet, text: str) -> Key | None:
    """Return the key of a session; None if it is forged, over, or its key was revoked."""
    public, _, rest = text.partition(".")
    until, _, signature = rest.partition(".")
    key = (
        held.named(public)
        if len(text) <= MAX_CHARACTERS and text.isascii() and until.isdecimal()
        else None
    )
    if key is None or not hmac.compare_digest(_sign(held, key, int(until)), signature):
        return None
    return key if time.time() < int(until) else None


def cookie_of(header: bytes) -> str | None:
    """Find our cookie in a Cookie header.

    Examples
    --------
    >>> cookie_of(b"theme=dark; driftgauge_session=1.2.3")
    '1.2.3'
    """
    for part in header.decode("latin-1").split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return None


def _sign(held: KeySet, key: Key, until: int) -> str:
    signed = f"session.{key.id}.{until}.{key.digest}".encode()
    return (
        base64.urlsafe_b64encode(hmac.digest(held.session_secret, signed, hashlib.sha256))
        .rstrip(b"=")
        .decode()
    )
