"""The worker's port: GET /metrics, /livez and /readyz, from a thread of its own.

It never holds the counting up: it reads plain numbers, makes the text at most once a second, and
takes so few connections, for so short a time each, that nobody can make it work. A connection asks
for one thing, and is closed. Who may ask is as in the API: with a keys file /metrics, and the
reasons of /readyz, need a key with the scope read; without one it answers only to localhost and to
addresses, so that a page whose own name leads here reads nothing.
"""

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import msgspec

from driftgauge.consumer.metrics.standing import Readiness, Stands
from driftgauge.shared.access.key_ring import POLL_S, KeyRing
from driftgauge.shared.access.origin import host_allowed
from driftgauge.shared.metrics.text import MEDIA_TYPES, Exposition, chosen, whole

MOST_CONNECTIONS: Final = 16
"""Most connections at a time; a further one is closed at once."""
LARGEST_HEAD: Final = 16_384
"""Most bytes of a request."""
TIMEOUT_S: Final = 5.0
"""Longest time (s) for a request to come, and for an answer to be taken."""
FRESH_S: Final = 1.0
"""Time (s) for which the metrics are told again."""
PATIENCE_S: Final = 2.0
"""Longest time (s) that the worker waits for the thread at its end."""
JSON: Final = "application/json"
PLAIN: Final = "text/plain; charset=utf-8"
WORDS: Final[Mapping[int, str]] = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    421: "Misdirected Request",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}

log = logging.getLogger("driftgauge.worker")


@dataclass(frozen=True, slots=True)
class Request:
    """A request: its path without the query, and its headers by their names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]

    @classmethod
    def parse(cls, head: bytes) -> "Request":
        r"""Read a head; ValueError if it is none.

        Examples
        --------
        >>> Request.parse(b"GET /livez?x HTTP/1.1\r\nHost: a\r\n\r\n")
        Request(method='GET', path='/livez', headers={'host': 'a'})
        """
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, protocol = first.split(" ")
        if not protocol.startswith("HTTP/1.") or not target.startswith("/"):
            raise ValueError("no request of HTTP/1")
        fields = (line.partition(":") for line in lines if line)
        return cls(
            method,
            target.partition("?")[0],
            {name.strip().lower(): value.strip() for name, _, value in fields},
        )

    @property
    def key(self) -> bytes | None:
        """The key that it presents; None if it presents none."""
        kind, _, value = self.headers.get("authorization", "").partition(" ")
        found = value.strip() if kind.lower() == "bearer" else self.headers.get("x-api-key")
        return None if found is None else found.encode("latin-1")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: status, type and body, and whether it says how to come in."""

    status: int
    media_type: str
    body: bytes

    @classmethod
    def said(cls, status: int, words: str) -> "Answer":
        """Make an answer of a sentence."""
        return cls(status, PLAIN, f"{words}\n".encode())

    def packed(self, *, with_body: bool) -> bytes:
        """Write it as it is sent."""
        lines = [
            f"HTTP/1.1 {self.status} {WORDS[self.status]}",
            f"Content-Type: {self.media_type}",
            f"Content-Length: {len(self.body)}",
            "Cache-Control: no-store",
            "X-Content-Type-Options: nosniff",
            "Connection: close",
            *(["WWW-Authenticate: Bearer"] if self.status == 401 else []),
            *(["Allow: GET, HEAD"] if self.status == 405 else []),
        ]
        head = "\r\n".join([*lines, "", ""]).encode()
        return head + self.body if with_body else head


class Teller:
    """Answers requests from how the worker stands.

    Parameters
    ----------
    standing
        Returns how it stands now.
    ring
        The API's keys; none without a keys file.
    names
        Host names by which the port is known, beside localhost; they matter while there are no
        keys.
    """

    def __init__(
        self, standing: Callable[[], Stands], ring: KeyRing, names: Collection[str] = ()
    ) -> None:
        self._standing = standing
        self._ring = ring
        self._names = names
        self._read_at = time.monotonic()
        self._text = Exposition({})
        self._until = 0.0

    def answer(self, request: Request) -> Answer:
        """Answer a request."""
        if request.method not in {"GET", "HEAD"}:
            return Answer.said(405, "This port only tells: GET /metrics, /livez, /readyz.")
        if request.path == "/livez":
            return self._liveness()
        if request.path == "/readyz":
            return self._readiness(told=self._refusal(request) is None)
        if request.path == "/metrics":
            return self._refusal(request) or self._metrics(request.headers.get("accept", ""))
        return Answer.said(404, "There is /metrics, /livez and /readyz.")

    def _refusal(self, request: Request) -> Answer | None:
        """Return why a request may not read; None if it may."""
        if time.monotonic() - self._read_at >= POLL_S:
            self._ring.refresh()
            self._read_at = time.monotonic()
        held = self._ring.held
        if held is None:
            host = request.headers.get("host", "")
            if host_allowed(host, self._names):
                return None
            return Answer.said(
                421,
                "Without keys this port answers only to localhost and to addresses; add the name "
                "to DRIFTGAUGE_ALLOWED_HOSTS, or make keys with `driftgauge keys create`.",
            )
        if request.key is None:
            return Answer.said(401, "This needs a key: Authorization: Bearer KEY, or X-API-Key.")
        key = held.find(request.key)
        if key is None or key.expired():
            return Answer.said(401, "This key is unknown, revoked or expired.")
        return None if key.allows("read") else Answer.said(403, "This key has no scope read.")

    def _metrics(self, accept: str) -> Answer:
        if time.monotonic() >= self._until:
            self._text = self._standing().exposed()
            self._text.seal()
            self._until = time.monotonic() + FRESH_S
        form = chosen(accept)
        return Answer(200, MEDIA_TYPES[form], whole([self._text.written(form)], form))

    def _liveness(self) -> Answer:
        if self._standing().lives:
            return Answer(200, JSON, b'{"status":"alive"}')
        return Answer(503, JSON, b'{"status":"stalled"}')

    def _readiness(self, *, told: bool) -> Answer:
        standing = self._standing()
        hindrances = standing.hindrances
        reasons = [*hindrances, *standing.failing]
        found = Readiness("degraded" if reasons else "ready", reasons if told else None)
        return Answer(503 if hindrances else 200, JSON, msgspec.json.encode(found))


class Port:
    """A thread that answers on a listening socket until it is closed.

    Parameters
    ----------
    listener
        Socket that listens; it is closed at the end.
    """

    def __init__(self, listener: socket.socket, teller: Teller) -> None:
        listener.listen(MOST_CONNECTIONS)
        self._listener = listener
        self._teller = teller
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._open: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="port", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """End, and close what is open."""
        with suppress(RuntimeError):  # it has ended by itself
            self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(PATIENCE_S)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._answer())
        except Exception:
            log.exception("The worker's port ended; the worker goes on without it")
        finally:
            self._listener.close()
            self._loop.close()

    async def _answer(self) -> None:
        server = await asyncio.start_server(
            self._accept, sock=self._listener, limit=LARGEST_HEAD, backlog=MOST_CONNECTIONS
        )
        await self._ended.wait()
        server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= MOST_CONNECTIONS:
            writer.transport.abort()
            return
        task = self._loop.create_task(self._serve(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, and close the connection whatever comes of it."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                packed = await self._answered(reader)
                writer.write(packed)
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):  # it is gone, or too slow
            pass
        finally:
            writer.transport.abort()

    async def _answered(self, reader: asyncio.StreamReader) -> bytes:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return Answer.said(431, "This request is too large.").packed(with_body=True)
        try:
            request = Request.parse(head)
        except ValueError:
            return Answer.said(400, "This is no request of HTTP/1.").packed(with_body=True)
        return self._teller.answer(request).packed(with_body=request.method != "HEAD")
