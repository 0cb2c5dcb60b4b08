"""A collector in this process: it takes what comes by OTLP over HTTP, and keeps it decoded."""

import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue


class Received(NamedTuple):
    """A span as it came: ids in hexadecimal digits, links as what events carry."""

    service: str
    name: str
    trace: str
    span: str
    parent: str
    state: str
    kind: int
    status: int
    facts: dict[str, Any]
    links: list[str]


class Collector:
    """What came so far.

    Attributes
    ----------
    status
        What requests are answered with.
    hangs
        Set while nothing is answered.
    """

    def __init__(self) -> None:
        self.spans: list[Received] = []
        self.metrics: dict[tuple[str, str], Any] = {}
        self.raw = b""
        self.status = 200
        self.hangs = threading.Event()
        self.url = ""

    def take(self, path: str, body: bytes) -> None:
        self.raw += body
        if path == "/v1/traces":
            self.spans += _spans(ExportTraceServiceRequest.FromString(body))
        else:
            for whole in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                service = _facts(whole.resource.attributes)["service.name"]
                for scope in whole.scope_metrics:
                    self.metrics |= {(service, one.name): one for one in scope.metrics}

    def named(self, name: str, **facts: Any) -> list[Received]:
        wanted = {key.replace("__", "."): value for key, value in facts.items()}
        return [
            one for one in self.spans if one.name == name and wanted.items() <= one.facts.items()
        ]

    def parent_of(self, span: Received) -> Received | None:
        return next((one for one in self.spans if one.span == span.parent), None)


@contextmanager
def collector() -> Iterator[Collector]:
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            while found.hangs.is_set():
                time.sleep(0.01)
            if found.status == 200:
                found.take(self.path, body)
            self.send_response(found.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _spans(request: ExportTraceServiceRequest) -> Iterator[Received]:
    for whole in request.resource_spans:
        service = _facts(whole.resource.attributes)["service.name"]
        for scope in whole.scope_spans:
            for one in scope.spans:
                yield Received(
                    service,
                    one.name,
                    one.trace_id.hex(),
                    one.span_id.hex(),
                    one.parent_span_id.hex(),
                    one.trace_state,
                    one.kind,
                    one.status.code,
                    _facts(one.attributes),
                    [f"{link.trace_id.hex()}-{link.span_id.hex()}" for link in one.links],
                )


def _facts(attributes: "Any") -> dict[str, Any]:
    found: list[KeyValue] = list(attributes)
    return {one.key: getattr(one.value, one.value.WhichOneof("value") or "") for one in found}
