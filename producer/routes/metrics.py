"""GET /metrics: for Prometheus. Without Redis the process's own metrics are still given."""

import asyncio
from typing import Final

import redis
from fastapi import APIRouter, Response

from driftgauge.producer.access.control import Guarded, needs
from driftgauge.producer.parts import Parts
from driftgauge.producer.watching import metrics
from driftgauge.producer.watching.exposition import MEDIA_TYPE, Family, render
from driftgauge.producer.watching.watchdog import firing_rules
from driftgauge.shared.connections.redis_client import UNAVAILABLE
from driftgauge.shared.errors import BadData

TIMEOUT_S: Final = 3.0
"""Well below Prometheus's scrape timeout of 10 s."""


def router(parts: Parts) -> APIRouter:
    """Make the route."""
    routes = APIRouter(route_class=Guarded, tags=["health"])

    @routes.get("/metrics", response_class=Response)
    @needs("read")
    async def scrape() -> Response:
        """Give all metrics in the Prometheus text format."""
        own = metrics.of_process(parts.publisher, parts.meter)
        return Response(render([*own, *await _pipeline(parts)]), media_type=MEDIA_TYPE)

    return routes


async def _pipeline(parts: Parts) -> list[Family]:
    """Read the pipeline; a failure is a metric too."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            names = await parts.pipeline.models()
            states = await parts.pipeline.read(names, current=True)
            blind = await firing_rules(parts.reader, parts.keys, names)
    except (*UNAVAILABLE, TimeoutError):
        return metrics.of_redis(up=False, readable=False)
    except (redis.RedisError, BadData):  # /health?verbose=true says why
        return metrics.of_redis(up=True, readable=False)
    return [
        *metrics.of_redis(up=True, readable=True),
        *metrics.of_pipeline(states),
        metrics.of_watchdog(blind),
    ]
