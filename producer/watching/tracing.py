"""The layer around the app that makes a span of each request, if OpenTelemetry is wanted.

A span holds the method, the route, the status and times: no address, no query, no id and no value,
which may be a person's. Probes and scrapes make none; a stream ends its span when it begins.
"""

from typing import TYPE_CHECKING, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from driftgauge.producer.watching.access_log import TRACE
from driftgauge.producer.watching.meter import UNMATCHED, route_of

if TYPE_CHECKING:
    from driftgauge.shared.otel.sdk import Tracing

UNTRACED: Final = frozenset(("/livez", "/readyz", "/health", "/metrics"))
STREAM: Final = b"text/event-stream"


class Traced:
    """The ASGI layer."""

    def __init__(self, app: ASGIApp, tracing: "Tracing") -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on within its span."""
        if scope["type"] != "http" or _path(scope) in UNTRACED:
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        with self._tracing.request(method, scope["headers"]) as span:
            if span is None:
                await self._app(scope, receive, send)
                return
            scope[TRACE] = span.carried.partition("-")[0]

            async def noted(message: Message) -> None:
                if message["type"] == "http.response.start":
                    route = route_of(scope)
                    name = method if route == UNMATCHED else f"{method} {route}"
                    span.answered(name, route, message["status"])
                    if _is_stream(message):
                        span.end()
                await send(message)

            await self._app(scope, receive, noted)


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def _is_stream(message: Message) -> bool:
    headers = message.get("headers", ())
    return any(name == b"content-type" and value.startswith(STREAM) for name, value in headers)
