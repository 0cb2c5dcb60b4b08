"""GET /metrics: for Prometheus. Without Redis the process's own metrics are still given."""

from fastapi import APIRouter, Request, Response

from driftgauge.producer.access.control import Guarded, needs
from driftgauge.producer.describing.declared import answers
from driftgauge.producer.metrics.scrapes import Scrapes
from driftgauge.producer.parts import Parts
from driftgauge.shared.metrics.text import MEDIA_TYPES, chosen


def router(parts: Parts) -> APIRouter:
    """Make the route."""
    routes = APIRouter(route_class=Guarded, tags=["health"])
    scrapes = Scrapes(parts)

    @routes.get("/metrics")
    @needs("read")
    @answers({"text/plain": str, "application/openmetrics-text": str}, "All metrics.")
    async def get_metrics(request: Request) -> Response:
        """Return all metrics in the format that the header Accept prefers: the text format of
        Prometheus, or OpenMetrics.
        """
        form = chosen(request.headers.get("accept", ""))
        headers = {"vary": "accept"}
        return Response(await scrapes.body(form), media_type=MEDIA_TYPES[form], headers=headers)

    return routes
