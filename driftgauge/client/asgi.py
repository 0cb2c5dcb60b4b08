"""A middleware for ASGI (FastAPI, Starlette, Litestar, …) that logs what a route predicts, by the
JSON of its requests and responses.
"""

import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from driftgauge.client.monitor import Monitor
from driftgauge.client.watching import log_all

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

MOST_BYTES: Final = 1 << 20
"""Largest body that is looked at."""


class MonitorMiddleware:
    """Logs the predictions of a route: neither request nor response is changed or held up.

    Parameters
    ----------
    app
        The application.
    monitor
        Where its predictions are logged.
    path
        Path of the route, as the application sees it.
    features
        Function of the request's JSON that returns the features, or those of each row; by itself
        its member `features`, or all of it.
    prediction
        Function of the response's JSON that returns the prediction, or that of each row; by itself
        its member `prediction`, or all of it.

    Examples
    --------
    With FastAPI or Starlette: `app.add_middleware(MonitorMiddleware, monitor=monitor)`.
    """

    def __init__(
        self,
        app: App,
        monitor: Monitor,
        path: str = "/predict",
        features: Callable[[Any], Any] | None = None,
        prediction: Callable[[Any], Any] | None = None,
    ) -> None:
        self._app = app
        self._monitor = monitor
        self._path = path
        self._features = features or _member("features")
        self._prediction = prediction or _member("prediction")

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http" or scope["path"] != self._path or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        asked, answered, status = _Body(), _Body(), 0

        async def received() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                asked.add(message.get("body", b""))
            return message

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                answered.add(message.get("body", b""))
            await send(message)

        begun = time.perf_counter()
        try:
            await self._app(scope, received, sent)
        except Exception as error:
            self._fail(asked, error)
            raise
        latency_ms = (time.perf_counter() - begun) * 1000
        if status >= 500:
            self._fail(asked, f"HTTP {status}")
        elif 200 <= status < 300:
            self._note(asked, answered, latency_ms)

    def _note(self, asked: "_Body", answered: "_Body", latency_ms: float) -> None:
        try:
            features = self._features(asked.json())
            log_all(self._monitor, features, self._prediction(answered.json()), latency_ms)
        except Exception as error:  # noqa: BLE001  the request is answered; that it is not logged is counted
            self._monitor.give_up(error)

    def _fail(self, asked: "_Body", error: object) -> None:
        try:
            features = self._features(asked.json())
        except Exception:  # noqa: BLE001  then it is told without features
            features = {}
        for row in features if isinstance(features, list) else [features]:
            self._monitor.failed(row, error)


class _Body:
    """A body of bounded size."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, part: bytes) -> None:
        self._size += len(part)
        if self._size <= MOST_BYTES:
            self._parts.append(part)

    def json(self) -> Any:
        if self._size > MOST_BYTES:
            raise ValueError(f"a body of {self._size} bytes is not looked at")
        return json.loads(b"".join(self._parts))


def _member(name: str) -> Callable[[Any], Any]:
    def pick(document: Any) -> Any:
        return document[name] if isinstance(document, dict) and name in document else document

    return pick
