"""GET /dashboard/slice: a condition's rows in the archive, held against the others."""

import asyncio
from importlib.util import find_spec
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Request, Response

from driftgauge.producer.access.control import Guarded, needs
from driftgauge.producer.dashboard.rendering import Blank, page
from driftgauge.producer.parts import Parts
from driftgauge.producer.routes.model_choice import known_model
from driftgauge.producer.slicing.child import Asked, Told, sliced
from driftgauge.shared.extras import pip_line

BUSY: Final = Told(
    None, "Another slice is being compared by this API process; ask again when it is done."
)


def router(parts: Parts) -> APIRouter:
    """Make the route; a process of the API compares one slice at a time."""
    routes = APIRouter(route_class=Guarded, include_in_schema=False)
    turn = asyncio.Lock()

    @routes.get("/dashboard/slice")
    @needs("read")
    async def one(
        request: Request,
        model: Annotated[str | None, Blank] = None,
        condition: Annotated[str, Query(max_length=4000)] = "",
        since: Annotated[str, Query(max_length=40)] = "30d",
        against: Literal["rest", "reference"] = "rest",
    ) -> Response:
        """Return the form, and what a condition's rows are like."""
        names = sorted({*await parts.pipeline.models(), *parts.serving.production})
        chosen = await known_model(parts, model) if model else next(iter(names), None)
        lacking = _lacking(parts)
        told = None
        if condition.strip() and chosen is not None and not lacking:
            told = BUSY
            if not turn.locked():
                async with turn:
                    asked = Asked(chosen, condition, since or "30d", against)
                    told = await sliced(asked, parts.settings)
        return page(
            request,
            "slice.html.j2",
            model=chosen,
            models=names,
            lacking=lacking,
            condition=condition,
            since=since,
            against=against,
            told=told,
        )

    return routes


def _lacking(parts: Parts) -> str:
    """Say what this API lacks to read an archive; empty if nothing."""
    if parts.settings.archive_url is None:
        return (
            "Nothing is archived here: set DRIFTGAUGE_ARCHIVE_URL to the archive's folder or "
            "address, for the workers and for this API."
        )
    if any(find_spec(package) is None for package in ("duckdb", "pyarrow")):
        return f"The packages that read an archive are not installed: {pip_line('query')}"
    return ""
