"""TLS on the way to Redis: the files of `rediss://…?ssl_ca_certs=…&ssl_certfile=…&ssl_keyfile=…`,
and what its errors mean.

The names are redis-py's. Files are read when a client is made, so that a wrong one is an error of a
setting, and no server that does not answer; each connection reads them again, so renewed
certificates need no restart.
"""

import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Final
from urllib.parse import parse_qsl, urlsplit

import redis
import redis.asyncio
from redis.asyncio.connection import AbstractConnection as AsyncConnection
from redis.connection import URL_QUERY_ARGUMENT_PARSERS, AbstractConnection

from driftgauge.shared.errors import ConfigurationError

CA, CERTIFICATE, KEY = "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"
OPTIONS: Final = frozenset(
    {CA, CERTIFICATE, KEY, "ssl_password", "ssl_check_hostname", "ssl_cert_reqs"}
)
"""The options of an address that are about TLS."""
_PARSERS: Final[Mapping[str, Callable[[str], Any]]] = URL_QUERY_ARGUMENT_PARSERS  # type: ignore[assignment]  # its type is object
OTHER_HOST: Final = frozenset({62, 64})
"""OpenSSL's codes for a certificate of another name, or of another address."""
EXPIRED: Final = 10
NAME_ONE: Final = (
    f"Name one that its authority has signed in the address: ?{CERTIFICATE}=FILE&{KEY}=FILE"
)
WANTS_OURS: Final = (
    f"it asks for a certificate of the client and got none that it trusts. {NAME_ONE}"
)
ENDS_EARLY: Final = (
    "it ends the connection as soon as TLS is set up, as a server does that asks for a certificate "
    f"of the client and gets none that it trusts. {NAME_ONE}"
)
PAIR: Final = "a certificate and its key (PEM)"


class Untrusted(redis.ConnectionError):
    """There is a server, but TLS with it fails; the message says what to do."""


def options_of(query: Mapping[str, str]) -> dict[str, Any]:
    """Return the options of TLS of an address, as redis-py takes them.

    Examples
    --------
    >>> options_of({"ssl_certfile": "/etc/dg.crt", "ssl_check_hostname": "no", "db": "1"})
    {'ssl_certfile': '/etc/dg.crt', 'ssl_check_hostname': False}
    """
    return {name: _PARSERS.get(name, str)(text) for name, text in query.items() if name in OPTIONS}


def check_files(url: str) -> None:
    """Check that the files of an address can be read and fit each other.

    Raises
    ------
    ConfigurationError
        If not; the message names option and file.
    """
    query = dict(parse_qsl(urlsplit(url).query))
    authority, certificate = query.get(CA), query.get(CERTIFICATE)
    key = query.get(KEY)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if authority is not None:
        with _naming(f"{CA}={authority}", "certificates of authorities (PEM)"):
            context.load_verify_locations(authority)
    if certificate is not None:
        with _naming(f"{CERTIFICATE}={certificate}, {KEY}={key or certificate}", PAIR):
            # a key without its password would be asked for at the terminal
            context.load_cert_chain(certificate, key, query.get("ssl_password", ""))
    elif key is not None:
        raise ConfigurationError(f"DRIFTGAUGE_REDIS_URL has {KEY} without {CERTIFICATE}. Add it.")


@contextmanager
def _naming(option: str, wanted: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:  # ssl.SSLError is one
        said = (error.strerror or str(error)).partition(" (_ssl")[0]
        raise ConfigurationError(
            f"DRIFTGAUGE_REDIS_URL cannot be used: {option} must be {wanted}: {said}. Mend the "
            f"path or the file."
        ) from error


def meaning(error: BaseException) -> str:
    """Return what failed when a connection with TLS was opened, and what to do; empty if it is
    nothing about TLS.

    Examples
    --------
    >>> meaning(ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"))[:28]
    'it speaks no TLS at this por'
    >>> meaning(ConnectionRefusedError())
    ''
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError | ConnectionResetError):
        cause = cause.__context__
    match cause:
        case None:
            return ""
        case ssl.SSLCertVerificationError():
            return _of_verification(cause)
        case ssl.SSLEOFError() | ConnectionResetError():
            return ENDS_EARLY
    words = str(cause).upper()
    if "WRONG_VERSION_NUMBER" in words:
        return (
            "it speaks no TLS at this port. Use its port with TLS, or redis:// instead of rediss://"
        )
    return WANTS_OURS if "ALERT" in words else f"TLS fails ({cause})"


def _of_verification(error: ssl.SSLCertVerificationError) -> str:
    said = error.verify_message
    if error.verify_code in OTHER_HOST:
        return (
            f"its certificate is of another host ({said}). Use the name that stands in the "
            f"certificate, or have one made with this name"
        )
    if error.verify_code == EXPIRED:
        return f"its certificate cannot be used any more ({said}). Renew it"
    return (
        f"its certificate is of an authority that is not known here ({said}). Name the file of the "
        f"authority in the address: ?{CA}=FILE"
    )


class Telling(AbstractConnection):
    """A connection that says what fails of TLS; its class has the words of the last time."""

    words: ClassVar[str] = ""

    def connect_check_health(self, *arguments: Any, **options: Any) -> None:
        with _translated(self):
            super().connect_check_health(*arguments, **options)
        type(self).words = ""


class TellingAsync(AsyncConnection):
    """The same for asyncio, where a refusal may come with the first answer."""

    words: ClassVar[str] = ""
    _is_new = False

    async def connect_check_health(self, *arguments: Any, **options: Any) -> None:
        self._is_new = True
        with _translated(self):
            await super().connect_check_health(*arguments, **options)
        type(self).words = ""

    async def read_response(self, *arguments: Any, **options: Any) -> Any:
        if not self._is_new:
            return await super().read_response(*arguments, **options)
        with _translated(self):
            answer = await super().read_response(*arguments, **options)
        self._is_new = False
        return answer

    async def disconnect(self, *arguments: Any, **options: Any) -> None:
        """Close it. What TLS would still say to the server is left out where nobody waits for it:
        the loop may end before the server answers, and would leave the socket open.
        """
        writer = self._writer
        try:
            await super().disconnect(*arguments, **options)
        finally:
            if writer is not None:
                writer.transport.abort()


@contextmanager
def _translated(connection: Telling | TellingAsync) -> Iterator[None]:
    """Translate the errors of a connection with TLS while it is new."""
    try:
        yield
    except Untrusted:
        raise
    except redis.ConnectionError as error:
        secure = isinstance(connection, redis.SSLConnection | redis.asyncio.SSLConnection)
        words = meaning(error) if secure else ""
        if not words:
            raise
        where = f"{connection.host}:{connection.port}"  # type: ignore[union-attr]  # TLS has both
        type(connection).words = f"Redis at {where} cannot be used: {words}"
        raise Untrusted(type(connection).words) from error
