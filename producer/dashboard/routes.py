"""GET /, /dashboard/models/MODEL, drift, performance, events, /static: the first pages, what keeps
them live, what they load.
"""

from importlib.metadata import version
from typing import Annotated, Any, Final, Literal, cast, get_args

import msgspec
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from driftgauge.producer.access.control import Guarded, caller_of, for_everybody, needs
from driftgauge.producer.dashboard import assets
from driftgauge.producer.dashboard.drift_page import drift_shown, performance_shown
from driftgauge.producer.dashboard.model_page import model_card
from driftgauge.producer.dashboard.rendering import Blank, page, root_of
from driftgauge.producer.dashboard.standings import Standings
from driftgauge.producer.dashboard.views.drift import Chosen
from driftgauge.producer.dashboard.views.standings import Asked, Order, Status, table
from driftgauge.producer.parts import Parts
from driftgauge.producer.routes.health import unmonitored
from driftgauge.producer.routes.judged.reports import preferred
from driftgauge.producer.routes.judged.streaming import while_allowed
from driftgauge.producer.routes.model_choice import known_model
from driftgauge.shared.statistics.psi import PSI

ORDER: Final = f"^-?({'|'.join(get_args(Order))})$"


def router(parts: Parts) -> APIRouter:
    """Make the routes."""
    routes = APIRouter(route_class=Guarded, tags=["dashboard"], include_in_schema=False)
    standings = Standings(parts)

    @routes.get("/")
    @needs("read")
    async def overview(
        request: Request,
        q: Annotated[str, Query(max_length=200)] = "",
        status: Annotated[Status | None, Blank] = None,
        sort: Annotated[str, Query(pattern=ORDER)] = "status",
        page_: Annotated[int, Query(alias="page", ge=1)] = 1,
        accept: Annotated[str, Header()] = "",
    ) -> Response:
        """Return the overview to a browser, and what this API is to a program."""
        if preferred(accept) != "html" and "HX-Request" not in request.headers:
            return Response(
                msgspec.json.encode(_about(request, parts)), media_type="application/json"
            )
        order = cast("Order", sort.removeprefix("-"))
        asked = Asked(q, status, order, sort.startswith("-"), page_)
        return page(
            request,
            "standings.html.j2",
            table=table(await standings.read(anew="HX-Request" in request.headers), asked),
            unmonitored=unmonitored(parts),
        )

    @routes.get("/dashboard/models/{model}")
    @needs("read")
    async def one_model(request: Request, model: str) -> Response:
        """Return a model's own page: its open incidents, its window, traffic and performance."""
        card = await model_card(parts, await known_model(parts, model))
        return page(request, "model.html.j2", model=card.model, card=card)

    @routes.get("/dashboard/drift")
    @needs("read")
    async def drift(
        request: Request,
        model: str | None = None,
        version: str | None = None,
        statistic: str = PSI,
        feature: str | None = None,
        show: Literal["changed", "all", ""] = "changed",
        find: Annotated[str, Query(max_length=200)] = "",
        page_number: Annotated[int, Query(alias="page", ge=1, le=100_000)] = 1,
    ) -> Response:
        """Return the drift of a model's version: the columns that changed over time, or all of
        them, and one of them in detail.
        """
        name = await _chosen(parts, model)
        if name is None:
            return page(request, "nothing.html.j2", title="Drift")
        return page(
            request,
            "drift.html.j2",
            model=name,
            **await drift_shown(
                parts,
                name,
                version,
                statistic,
                feature,
                Chosen(find.strip(), show == "all", page_number),
            ),
        )

    @routes.get("/dashboard/performance")
    @needs("read")
    async def performance(
        request: Request, model: str | None = None, version: str | None = None
    ) -> Response:
        """Return how right a model's version is, of all rows and by segment."""
        name = await _chosen(parts, model)
        if name is None:
            return page(request, "nothing.html.j2", title="Performance")
        return page(
            request,
            "performance.html.j2",
            model=name,
            **await performance_shown(parts, name, version),
        )

    @routes.get("/dashboard/events", response_class=StreamingResponse)
    @needs("read")
    async def events(
        request: Request,
        model: str | None = None,
        last_event_id: str | None = None,
        header: Annotated[str | None, Header(alias="Last-Event-ID")] = None,
    ) -> StreamingResponse:
        """Keep a page live: states, windows, reports and alerts of one model or of all, as
        server-sent events.
        """
        caller = caller_of(request)
        name = None if model is None else await known_model(parts, model)
        listener = await parts.feed.open(name, header or last_event_id)
        return StreamingResponse(
            while_allowed(parts.feed.follow(listener), lambda: parts.access.still(caller, "read")),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    @routes.get("/static/{release}/{path:path}")
    @for_everybody
    async def static(request: Request, release: str, path: str) -> Response:
        """Return a style, module or library."""
        return await assets.serve(request, release, path)

    return routes


async def _chosen(parts: Parts, model: str | None) -> str | None:
    """Return the model that a page is about: the one that is asked for, else the default or first
    one; None without any.
    """
    if model is not None:
        return await known_model(parts, model)
    names = sorted({*await parts.pipeline.models(), *parts.serving.production})
    default = parts.settings.default_model
    return default if default in names else next(iter(names), None)


def _about(request: Request, parts: Parts) -> dict[str, Any]:
    root = root_of(request)
    return {
        "name": "Driftgauge",
        "version": version("driftgauge"),
        "models": {served.model: served.version for served in parts.serving.production.values()},
        "links": {
            "openapi": f"{root}/openapi.json",
            "docs": f"{root}/docs",
            "health": f"{root}/health",
        },
    }
