"""GET /metrics: for Prometheus. Without Redis the process's own metrics are still given."""

import asyncio
from typing import Final

import redis
from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry, generate_latest

from driftgauge.producer.access.control import Guarded, needs
from driftgauge.producer.describing.declared import answers
from driftgauge.producer.parts import Parts
from driftgauge.producer.watching.metrics import MEDIA_TYPE, PipelineMetrics, ProcessMetrics
from driftgauge.producer.watching.watchdog import firing_rules
from driftgauge.shared.connections.redis_client import UNAVAILABLE
from driftgauge.shared.errors import BadData

TIMEOUT_S: Final = 3.0
"""Well below Prometheus's scrape timeout of 10 s."""


def router(parts: Parts) -> APIRouter:
    """Make the route."""
    routes = APIRouter(route_class=Guarded, tags=["health"])

    @routes.get("/metrics")
    @needs("read")
    @answers({"text/plain": str}, "All metrics.")
    async def get_metrics() -> Response:
        """Return all metrics in the Prometheus text format."""
        registry = CollectorRegistry()  # of this scrape alone: the library's own is process-wide
        registry.register(
            ProcessMetrics(
                parts.publisher,
                parts.refusals,
                parts.refused_labels,
                parts.meter,
                parts.scorer,
                parts.connections,
                parts.supervisor,
            )
        )
        registry.register(await _pipeline(parts))
        # in a thread: the text of 400 partitions takes 0.2 s, for which predictions must not wait
        text = await asyncio.to_thread(generate_latest, registry)
        return Response(text, media_type=MEDIA_TYPE)

    return routes


async def _pipeline(parts: Parts) -> PipelineMetrics:
    """Read the pipeline; a failure is a metric too."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            names = await parts.pipeline.models()
            states = await parts.pipeline.read(names, current=True)
            blind = await firing_rules(parts.reader, parts.keys, names)
    except (*UNAVAILABLE, TimeoutError):
        return PipelineMetrics(up=False, readable=False)
    except (redis.RedisError, BadData):  # /health?verbose=true says why
        return PipelineMetrics(up=True, readable=False)
    readable = not any(state.unreadable for state in states)
    return PipelineMetrics(up=True, readable=readable, models=states, blind=blind)
