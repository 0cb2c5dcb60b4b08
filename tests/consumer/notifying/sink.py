"""A receiver of HTTP requests on this machine, that remembers them and answers as it is told."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Received:
    """A request that came in; the names of its headers are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def key(self) -> str:
        return self.headers["idempotency-key"]


@dataclass(frozen=True)
class Reply:
    """What the sink answers."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)


Answering = Callable[[Received], Reply | None]
"""Returns the answer to a request; None closes the connection without one. It may take its time."""


class Sink:
    """A receiver; its `answering` may be changed."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.answering: Answering = lambda _: Reply()
        self._lock = threading.Lock()
        self._received: list[Received] = []

    @property
    def received(self) -> list[Received]:
        with self._lock:
            return list(self._received)

    @property
    def keys(self) -> list[str]:
        return [one.key for one in self.received]

    def clear(self) -> None:
        with self._lock:
            self._received.clear()
        self.answering = lambda _: Reply()

    def take(self, found: Received) -> Reply | None:
        with self._lock:
            self._received.append(found)
        return self.answering(found)


@contextmanager
def http_sink() -> Iterator[Sink]:
    """Run a sink until the context ends."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(length)
            reply = sink.take(Received(self.command, self.path, headers, body))
            self.close_connection = True
            if reply is None:
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_POST = do_PATCH = do_PUT = do_GET = answer  # noqa: N815  http.server's names

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """Nothing: who asked has gone."""

    server = Server(("127.0.0.1", 0), Handler)
    sink = Sink(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield sink
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
