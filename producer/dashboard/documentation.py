"""GET /docs, /redoc and /openapi.json: all routes, with the scope that each needs; and
/dashboard/glossary: what the words on the pages mean.

Swagger UI and ReDoc come with this package: from another host they would run beside a browser's
session, and would show nothing without a network. Both write style into their pages, which their
policy has to allow; scripts come from files only.
"""

import asyncio
from typing import Final

import msgspec
from fastapi import APIRouter, Request, Response

from driftgauge.producer.access.control import Guarded, needs
from driftgauge.producer.dashboard.rendering import POLICY, page, root_of
from driftgauge.producer.parts import Parts
from driftgauge.producer.reading import examples
from driftgauge.shared.wording import glossary

STYLED: Final = POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
SEARCHING: Final = STYLED + "; worker-src blob:"
"""Policy of the ReDoc page, whose search runs in a web worker made from a blob."""


def router(parts: Parts) -> APIRouter:
    """Make the routes."""
    routes = APIRouter(route_class=Guarded, include_in_schema=False)

    @routes.get("/openapi.json")
    @needs("read", "predict")
    async def openapi(request: Request) -> Response:
        """Return the API's description in OpenAPI, with examples for a served model."""
        # the first time it is made, which takes a tenth of a second
        document = await asyncio.to_thread(request.app.openapi)
        served = examples.chosen(parts.serving.production, parts.settings.default_model)
        if served is not None:
            document = examples.with_examples(document, examples.examples(served))
        servers = [{"url": root}] if (root := root_of(request)) else []
        return Response(
            msgspec.json.encode({**document, "servers": servers}), media_type="application/json"
        )

    @routes.get("/docs")
    @needs("read", "predict")
    async def docs(request: Request) -> Response:
        """Return the API's description as a page on which requests can be tried (Swagger UI)."""
        return page(request, "swagger.html.j2", policy=STYLED)

    @routes.get("/redoc")
    @needs("read", "predict")
    async def redoc(request: Request) -> Response:
        """Return the API's description as a page to read (ReDoc)."""
        return page(request, "redoc.html.j2", policy=SEARCHING)

    @routes.get("/dashboard/glossary")
    @needs("read")
    async def words(request: Request, model: str | None = None) -> Response:
        """Return what the words on the pages mean."""
        return page(
            request,
            "glossary.html.j2",
            model=model,
            rules=list(glossary.rule_rows()),
            severities=glossary.SEVERITIES,
            words=glossary.WORDS,
        )

    return routes
