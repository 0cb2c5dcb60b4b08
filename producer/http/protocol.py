"""One connection, as uvicorn's protocol reads it, with bounds on what a client may hold of us.

A client owes us the head of its request within `HEAD_S`, then its body at no less than
`LEAST_BYTES` in each `BODY_S`, and it has to read its answer. A head has bounds in bytes and in
number of fields, which are checked before any key is looked at. Fields of a trailer are no headers:
they come after the request was judged by its headers, so they are left out.

The state of a connection:

    HEAD ──head is whole──► BODY ──body is whole──► ANSWER ──answered──► IDLE ──next bytes──► HEAD

This runs at each request, most of which come in one piece. So the states are numbers, what is above
is called by its name (`super()` looks it up anew each time), and lists are kept only of those that
let us wait.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from driftgauge.producer.http import headers
from driftgauge.producer.http.connections import Connections, RefusalReason
from driftgauge.producer.http.forwarded import Trusted
from driftgauge.producer.http.problems import Problem
from driftgauge.producer.http.sites import site_of

MOST_HEAD_BYTES: Final = 32 << 10
"""Most bytes of a request's URL and headers, and of anything else that is no body."""
MOST_FIELDS: Final = 100
"""Most header fields of a request."""
HEAD_S: Final = 15.0
"""Longest time (s) from the first byte of a request, or from the connection, to the end of its
head.
"""
BODY_S: Final = 30.0
LEAST_BYTES: Final = 16 << 10
"""Least bytes of a body in each `BODY_S`, while the API reads on."""
ANSWER_S: Final = 60.0
"""Longest time (s) in which a client takes nothing of its answer."""
LINGER_S: Final = 3.0
"""Time (s) for which a client that still sends may read an answer that came early."""
LINGER_BYTES: Final = 1 << 20
LARGE_HEAD: Final = Problem(
    431,
    f"The head of a request has at most {MOST_FIELDS} fields and {MOST_HEAD_BYTES >> 10} KiB, its "
    "URL included.",
)
SLOW: Final = Problem(408, "The request did not come in time.")
MALFORMED: Final = Problem(400, "This is no HTTP request.")


HEAD, BODY, ANSWER, IDLE = range(4)
"""What a connection is doing."""

_data_received = HttpToolsProtocol.data_received
_on_headers_complete = HttpToolsProtocol.on_headers_complete
_on_body = HttpToolsProtocol.on_body
_on_message_complete = HttpToolsProtocol.on_message_complete
_on_response_complete = HttpToolsProtocol.on_response_complete


class BoundedProtocol(HttpToolsProtocol):
    """A connection within bounds.

    Parameters
    ----------
    bounds
        The connections of this process.
    trusted
        Addresses of proxies: they speak for many clients, so they have no bound of their own.
    """

    def __init__(self, *given: Any, bounds: Connections, trusted: Trusted, **more: Any) -> None:
        super().__init__(*given, **more)
        self._bounds = bounds
        self._trusted = trusted
        self._admitted = False
        self._site = ""
        self._state = HEAD
        self._since = 0.0  # beginning of the head, of a stretch of the body, or of the end
        self._listed = False  # whether it is among those that owe a head
        self._fed = 0  # bytes since the request's beginning, its head's end, or its last body byte
        self._received = 0  # bytes of the body in this stretch
        self._blocked: float | None = None
        self._ended = False

    # -- the connection ----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        address = self.client[0] if self.client else ""
        self._site = "" if address in self._trusted else site_of(address)
        problem = self._bounds.admit(self._site)
        if problem is not None:
            self._refuse(problem, "too_many")
            return
        self._admitted = True
        self._since = self.loop.time()
        self._bounds.heads[self] = None
        self._listed = True

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._fed += len(data)
        if self._ended:
            if self._fed > LINGER_BYTES:
                self.transport.abort()
            return
        if self._state == IDLE:
            self._bounds.idle.pop(self, None)
            self._state = HEAD
            self._since = self.loop.time()
        _data_received(self, data)
        if self._fed > MOST_HEAD_BYTES:
            self._refuse(LARGE_HEAD, "large_head", linger=True)
        elif self._state >= ANSWER or self._ended:
            return
        elif self._state == BODY:
            if not self._since:
                self._since = self.loop.time()
                self._bounds.watched[self] = None
        elif not self._listed:
            self._bounds.heads[self] = None
            self._listed = True

    def pause_writing(self) -> None:
        super().pause_writing()
        self._blocked = self.loop.time()
        self._bounds.watched[self] = None

    def resume_writing(self) -> None:
        super().resume_writing()
        self._blocked = None

    # -- the parser's steps ------------------------------------------------------------------------

    def on_headers_complete(self) -> None:
        if self._ended:
            return
        if self._listed:
            del self._bounds.heads[self]
            self._listed = False
        if len(self.headers) > MOST_FIELDS or (
            self._fed > MOST_HEAD_BYTES and self._head_bytes() > MOST_HEAD_BYTES
        ):
            self._refuse(LARGE_HEAD, "large_head", linger=True)
            return
        self._state = BODY
        self._fed = self._received = 0
        self._since = 0.0  # nothing of it has been waited for yet
        _on_headers_complete(self)
        self.headers = []  # not those that the request was judged by: a trailer's go here

    def on_body(self, body: bytes) -> None:
        if self._ended:
            return
        self._fed = 0
        self._received += len(body)
        _on_body(self, body)

    def on_message_complete(self) -> None:
        if self._ended:
            return
        self._fed = 0
        self._state = ANSWER
        _on_message_complete(self)
        if self.cycle.response_complete and not self.pipeline:
            self._become_idle()

    def on_response_complete(self) -> None:
        if self._state == ANSWER and not self.pipeline:
            self._become_idle()
        elif self._state == BODY:  # it was answered early, and goes on to send
            self._since = self.loop.time()
            self._bounds.watched[self] = None
        _on_response_complete(self)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  ours says it as a problem document
        self._refuse(MALFORMED, "malformed", linger=True)

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: a request for another protocol is answered in this one (RFC 9110, 7.8)."""

    # -- bounds ------------------------------------------------------------------------------------

    def drop(self, reason: RefusalReason) -> None:
        """End the connection at once, without an answer."""
        self._ended = True
        self._bounds.refused[reason] += 1
        self._leave()
        self.transport.abort()

    def overdue(self, now: float) -> bool:
        """End the connection if it has taken too long for what it is doing; return whether it
        did.
        """
        if self._blocked is not None and now - self._blocked > ANSWER_S:
            self.drop("slow_reader")
        elif self._ended:
            if now - self._since > LINGER_S:
                self.transport.abort()
        elif self._state == HEAD:
            if now - self._since <= HEAD_S:
                return False
            if self._fed:
                self._refuse(SLOW, "slow_head")
            else:  # it never began, as those that browsers open in advance: nothing is owed to it
                self._leave()
                self.transport.abort()
        elif self._state == BODY:
            return self._slow_body(now)
        elif self._blocked is None:
            self._bounds.watched.pop(self, None)
            return False
        return True

    def _slow_body(self, now: float) -> bool:
        if self.cycle.response_complete:
            if now - self._since > LINGER_S:
                self.drop("slow_body")
                return True
        elif self.flow.read_paused or self.cycle.waiting_for_100_continue:
            # it is the API that does not read on
            self._since, self._received = now, 0
        elif now - self._since > BODY_S:
            if self._received < LEAST_BYTES:
                self._refuse(SLOW, "slow_body")
                return True
            self._since, self._received = now, 0
        return False

    def _leave(self) -> None:
        if self._admitted:
            self._admitted = False
            self._bounds.leave(self, self._site)

    def _become_idle(self) -> None:
        self._state = IDLE
        self._bounds.idle[self] = None

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _refuse(self, problem: Problem, reason: RefusalReason, *, linger: bool = False) -> None:
        """Answer without asking a route, if no other answer is under way, and end the connection.

        Parameters
        ----------
        linger
            Whether to take what the client still sends for a while: if it were cut off in the
            middle of it, it would not read the answer.
        """
        if self._ended:
            return
        self._ended = True
        self._bounds.refused[reason] += 1
        running = self.cycle is not None and not self.cycle.response_complete
        if not (running and self.cycle.response_started) and not self.pipeline:
            self.transport.write(_bytes_of(problem))
        if running:  # its route learns that the client has gone
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if linger and self._admitted:
            self._since, self._fed = self.loop.time(), 0
            self._bounds.heads.pop(self, None)
            self._bounds.watched[self] = None
            if self.transport.can_write_eof():
                self.transport.write_eof()
        else:
            self.transport.close()


def _bytes_of(problem: Problem) -> bytes:
    """Return a problem as the whole answer of a connection that ends with it."""
    answer = problem.response()
    lines = [
        *answer.raw_headers,
        *((name.lower().encode(), value.encode()) for name, value in headers.EVERY.items()),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
    ]
    fields = b"".join(name + b": " + value + b"\r\n" for name, value in lines)
    return STATUS_LINE[problem.status] + fields + b"\r\n" + bytes(answer.body)
