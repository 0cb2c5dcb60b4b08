"""Counters and the access log of the API's requests, in a layer around the app that costs each
request some microseconds.
"""

import time
from bisect import bisect_left
from collections import Counter
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from driftgauge.producer.watching.access_log import HEADER, AccessLog

BOUNDS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper bounds (s) of the latency's buckets; a last bucket holds what took longer."""
PREDICT: Final = "/predict"
UNMATCHED: Final = "other"
"""Route of the requests that match none: a path that a client made up must not become a label."""


class Meter:
    """Requests by route and status, and the latency of predictions.

    Attributes
    ----------
    requests
        Requests by route and status.
    latencies
        Requests to /predict in each bucket: one number more than `BOUNDS_S`.
    latency_sum_s
        Seconds that they took in all.
    """

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        self.latencies = [0] * (len(BOUNDS_S) + 1)
        self.latency_sum_s = 0.0

    def count(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request when its answer begins."""
        path = route_of(scope)
        self.requests[path, status] += 1
        if path == PREDICT:
            self.latencies[bisect_left(BOUNDS_S, seconds)] += 1
            self.latency_sum_s += seconds


def route_of(scope: Scope) -> str:
    """Return the route that a request matched, as it was declared (`/models/{model}`)."""
    return getattr(scope.get("route"), "path", UNMATCHED)


class Metered:
    """The ASGI layer that counts each request, logs it, and adds its id to the answer."""

    def __init__(self, app: ASGIApp, meter: Meter, log: AccessLog) -> None:
        self._app = app
        self._meter = meter
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and count it when its answer begins."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        begun = False
        request_id = self._log.identify(scope)

        async def counted(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                message["headers"] = [*message.get("headers", ()), (HEADER, request_id)]
                self._note(scope, message["status"], time.perf_counter() - started)
            await send(message)

        try:
            await self._app(scope, receive, counted)
        except Exception:
            if not begun:  # the layer outside answers 500
                self._note(scope, 500, time.perf_counter() - started)
            raise

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        self._meter.count(scope, status, seconds)
        self._log.write(scope, route_of(scope), status, seconds)
