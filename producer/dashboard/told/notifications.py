"""GET /dashboard/notifications: by which routes people are told of incidents, and how each does."""

from fastapi import APIRouter, Request, Response

from driftgauge.producer.access.control import Guarded, needs
from driftgauge.producer.dashboard.rendering import page
from driftgauge.producer.parts import Parts
from driftgauge.producer.reading.notifications import NotificationRoute
from driftgauge.producer.routes.judged import notifications
from driftgauge.producer.watching.notification import assess


def router(parts: Parts) -> APIRouter:
    """Make the route."""
    routes = APIRouter(route_class=Guarded, include_in_schema=False)

    @routes.get("/dashboard/notifications")
    @needs("read")
    async def listed(request: Request, model: str | None = None) -> Response:
        """Return the routes, those that do not get through first, and the latest dead letters."""
        found = await notifications.read(parts)
        seconds, micros = await parts.reader.time()  # all times of routes are Redis's
        now = int(seconds) * 1000 + int(micros) // 1000
        marked = [(standing(route, now), route) for route in found.routes]
        order = {"critical": 0, "warning": 1}
        return page(
            request,
            "notifications.html.j2",
            model=model,
            routes=sorted(marked, key=lambda one: (order.get(one[0], 2), one[1].name)),
            letters=found.dead_letters,
        )

    return routes


def standing(route: NotificationRoute, now: int) -> str:
    """Return how a route does, as a severity: critical if people are not told by it, a warning if
    it has just failed and tries on; `unknown` if nothing was to be told yet.
    """
    found = assess(route, now)
    if found.bad:
        return "critical"
    if found.bad is None or route.fault is not None:
        return "warning"
    return "ok" if route.last_sent is not None else "unknown"
