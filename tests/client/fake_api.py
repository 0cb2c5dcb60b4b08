"""An API that answers as a test says, and remembers what it was sent."""

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Answer = tuple[int, dict[str, Any]]


@dataclass
class Asked:
    """A request that came."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    items: list[dict[str, Any]]

    @property
    def numbers(self) -> list[int]:
        return [item["number"] for item in self.items]


def taken(asked: Asked) -> Answer:
    return 202, {"accepted": len(asked.items), "event": "published"}


@dataclass
class FakeApi:
    """What it was sent; `answers` says what it answers, `taken` by itself."""

    url: str
    answer: Callable[[Asked], Answer] = taken
    asked: list[Asked] = field(default_factory=list)

    def events(self) -> list[dict[str, Any]]:
        """The events of all requests that were taken."""
        return [item for one in self.asked if one.path == "/events" for item in one.items]

    def ids(self) -> list[str]:
        return [item["id"] for item in self.events()]


@contextmanager
def fake_api(answer: Callable[[Asked], Answer] = taken) -> Iterator[FakeApi]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            parts = urlsplit(self.path)
            items = [json.loads(line) for line in body.splitlines()]
            asked = Asked(parts.path, dict(parse_qsl(parts.query)), dict(self.headers), items)
            api.asked.append(asked)
            status, document = api.answer(asked)
            if status == 0:  # silence
                self.close_connection = True
                return
            content = json.dumps(document).encode()
            self.send_response(status)
            for name, value in document.pop("headers", {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with suppress(BrokenPipeError):  # nobody waits for it any more
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nothing is told."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    api = FakeApi(f"http://127.0.0.1:{server.server_port}", answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
