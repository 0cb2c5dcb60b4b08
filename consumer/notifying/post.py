"""One HTTP request of a target: bounded in time and in memory, whatever the server does.

- The host's name is resolved once, its addresses are checked, and the connection goes to one that
  was checked, so that a name that changes meanwhile leads nowhere else.
- Redirections are not followed, and no proxy of the environment is used.
- After a time (`WITHIN_S`) the connection is cut, also if the server sends a byte now and then.
- At most `MOST_ANSWER` bytes of the answer are read; more do not change what its status says.

Neither address nor secret is in a reason or a log: httpcore's own lines are switched off.
"""

import base64
import logging
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache
from ssl import SSLContext
from typing import Any, Final

import httpcore
import httpx

from driftgauge.consumer.notifying.addresses import forbidden
from driftgauge.consumer.notifying.targets.base import Later, Refused

WITHIN_S: Final = 30.0
"""Longest time (s) of a request, from the connection to the end of the answer."""
CONNECT_S: Final = 10.0
MOST_TRIED: Final = 3
"""Most addresses of a host that are tried, one after the other."""
MOST_ANSWER: Final = 65_536
AGAIN: Final = frozenset({408, 425, 429})
"""HTTP status codes below 500 after which another attempt is made."""
GATEWAYS: Final = frozenset({502, 504})
"""Those of a proxy that does not know what became of the request."""

logging.getLogger("httpcore").setLevel(logging.WARNING)  # below it would log hosts and headers


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with a status of success.

    Parameters
    ----------
    status
        From 200 to 299.
    body
        Its first bytes, at most `MOST_ANSWER`.
    """

    status: int
    body: bytes


def post(
    address: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    method: str = "POST",
    within_s: float | None = None,
) -> Answer:
    """Send a request, and return the answer if its status is one of success.

    Parameters
    ----------
    address
        http or https address; a user and password in it are sent as basic authentication.
    headers
        Headers beside Host and Content-Length.
    within_s
        Longest time (s) of the request, from the connection on; None for `WITHIN_S`.

    Raises
    ------
    Refused
        If the address is forbidden or none, or the status says that it is of no use to try again.
    Later
        If there is no answer, or none of HTTP, or its status is 408, 425, 429 or 5xx.
    """
    target, sent = _request(address, body, headers)
    limit_s = WITHIN_S if within_s is None else within_s
    backend = _Checked(limit_s)
    times = dict.fromkeys(("read", "write"), limit_s)
    times |= dict.fromkeys(("connect", "pool"), min(CONNECT_S, limit_s))
    try:
        with (
            httpcore.ConnectionPool(ssl_context=_trusted(), network_backend=backend) as pool,
            pool.stream(
                method, target, headers=sent, content=body, extensions={"timeout": times}
            ) as answer,
        ):
            _check(answer.status, dict(answer.headers))
            return Answer(answer.status, _read(answer.iter_stream()))
    except _TROUBLE as error:
        # the cause may quote the address
        raise Later(backend.words_of(error), maybe_taken=backend.has_sent(error)) from None
    finally:
        backend.end()


_TROUBLE: Final = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError)


def _request(
    address: str, body: bytes, headers: Mapping[str, str]
) -> tuple[httpcore.URL, list[tuple[bytes, bytes]]]:
    """Return what httpcore is to ask, with all headers."""
    try:
        url = httpx.URL(address)
        sent = {"Host": url.netloc.decode("ascii"), "Content-Length": str(len(body))}
        if url.userinfo:
            user = f"{url.username}:{url.password}".encode()
            sent["Authorization"] = f"Basic {base64.b64encode(user).decode()}"
        raw = [(name.encode("ascii"), value.encode("ascii")) for name, value in
               {**sent, "User-Agent": "driftgauge", **headers}.items()]  # fmt: skip
    except (httpx.InvalidURL, ValueError):  # the message would quote the address
        raise Refused("its address, or a header, cannot be used") from None
    if url.scheme not in {"http", "https"} or not url.raw_host:
        raise Refused("its address is not one of http or https")
    target = httpcore.URL(scheme=url.scheme, host=url.raw_host, port=url.port, target=url.raw_path)
    return target, raw


@cache
def _trusted() -> SSLContext:
    """The certificates that are trusted: those that httpx brings, or of SSL_CERT_FILE."""
    return httpx.create_ssl_context()


def _check(status: int, headers: Mapping[bytes, bytes]) -> None:
    if 200 <= status < 300:
        return
    if status in AGAIN or status >= 500:
        after_s = retry_after(headers, time.time())
        raise Later(f"status {status}", after_s, maybe_taken=status in GATEWAYS)
    if 300 <= status < 400:
        raise Refused(f"status {status}, a redirection, which is not followed", status)
    raise Refused(f"status {status}", status)


def retry_after(headers: Mapping[bytes, bytes], now_s: float) -> float | None:
    """Return for how many seconds an answer asks to be left alone; None if it does not say so in
    one of the two forms.

    Examples
    --------
    >>> retry_after({b"Retry-After": b"120"}, 0.0)
    120.0
    >>> retry_after({b"retry-after": b"Thu, 01 Jan 1970 00:01:00 GMT"}, 50.0)
    10.0
    >>> retry_after({b"Retry-After": b"soon"}, 0.0) is None
    True
    """
    found = {name.lower(): value for name, value in headers.items()}.get(b"retry-after", b"")
    text = found.decode("ascii", errors="replace").strip()
    if text.isascii() and text.replace(".", "", 1).isdigit():
        return float(text[:20])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now_s)
    except (ValueError, TypeError, OverflowError):
        return None


def _read(parts: Iterable[bytes]) -> bytes:
    """Read the beginning of a body; one that breaks off takes nothing back from the status."""
    found = b""
    try:
        for part in parts:
            found += part
            if len(found) >= MOST_ANSWER:
                break
    except _TROUBLE:
        pass
    return found[:MOST_ANSWER]


class _Checked(httpcore.SyncBackend):
    """Connects to checked addresses, and cuts the connection when its time is over."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._timer: threading.Timer | None = None
        self._cut: socket.socket | None = None
        self._is_over = False

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address of a host that answers."""
        lost: Exception = httpcore.ConnectError("its name leads to no address")
        try:
            addresses = resolved(host, port)
        except OSError:
            raise httpcore.ConnectError("its name cannot be resolved") from None
        until = time.monotonic() + self._limit_s
        for address in addresses[:MOST_TRIED]:
            left_s = until - time.monotonic()
            if left_s <= 0:
                break
            within_s = left_s if timeout is None else min(timeout, left_s)
            try:
                stream = super().connect_tcp(address, port, within_s, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                lost = error
                continue
            self._limit(stream.get_extra_info("socket"), max(0.0, until - time.monotonic()))
            return stream
        raise lost

    def _limit(self, connected: socket.socket, left_s: float) -> None:
        self._cut = connected.dup()  # TLS takes the first one over
        self._timer = threading.Timer(left_s, self._over)
        self._timer.daemon = True
        self._timer.start()

    def _over(self) -> None:
        self._is_over = True
        if self._cut is not None:
            try:
                self._cut.shutdown(socket.SHUT_RDWR)
            except OSError:  # it ended by itself meanwhile
                return

    def end(self) -> None:
        """Stop the time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()
        if self._cut is not None:
            self._cut.close()

    def has_sent(self, error: Exception) -> bool:
        """Return whether the request may have come, although an error did."""
        early = isinstance(error, httpcore.ConnectError | httpcore.ConnectTimeout)
        return self._cut is not None and not early

    def words_of(self, error: Exception) -> str:
        """Return what went wrong, without what the error quotes."""
        if self._is_over or isinstance(error, httpcore.TimeoutException):
            return f"no answer within {self._limit_s:g} s"
        if isinstance(error, httpcore.ConnectError):
            cause = error.__cause__ or error.__context__
            if "certificate" in str(error).lower():
                return "its certificate is not trusted"
            return "no connection" + (f" ({type(cause).__name__})" if cause else "")
        if isinstance(error, httpcore.ProtocolError):
            return "its answer is no HTTP, or breaks off"
        return "the connection broke off"


def resolved(host: str, port: int) -> list[str]:
    """Return the addresses of a host, to each of which may be sent.

    Raises
    ------
    Refused
        If a forbidden one is among them.
    OSError
        If the name cannot be resolved.
    """
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise OSError("no name of a host") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        reason = forbidden(address.partition("%")[0])
        if reason:
            raise Refused(f"its host is {reason}, to which nothing is sent")
    return addresses
