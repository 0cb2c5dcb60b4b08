"""GET /asyncapi.json and /schemas: what the messages in streams, events and webhooks look like."""

import asyncio
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Path, Response

from driftgauge.producer.access.control import Guarded, needs
from driftgauge.producer.describing.declared import JSON, answers
from driftgauge.producer.describing.schemas import Named
from driftgauge.producer.http.problems import Problem
from driftgauge.producer.messages.asyncapi import document
from driftgauge.producer.messages.kinds import NAMED
from driftgauge.producer.messages.schemas import Listed, listed, schema_of
from driftgauge.producer.parts import Parts

SCHEMA_JSON: Final = "application/schema+json"
ASYNCAPI: Final = Named("AsyncApi", {"type": "object", "description": "AsyncAPI 3.0.0."})
SCHEMA: Final = Named("JsonSchema", {"type": "object", "description": "JSON Schema, 2020-12."})
Name = Annotated[str, Path(description="Name of the kind of messages, as /schemas lists it.")]


def router(parts: Parts) -> APIRouter:  # noqa: ARG001  each router takes them
    """Make the routes."""
    routes = APIRouter(route_class=Guarded, tags=["messages"])

    @routes.get("/asyncapi.json")
    @needs("read", "predict")
    @answers(ASYNCAPI, "The streams with their messages.")
    async def get_asyncapi() -> Response:
        """Describe every stream in Redis, what can be followed and what is posted to webhooks, as
        an AsyncAPI document.
        """
        found = await asyncio.to_thread(document)  # the first time it is made
        return Response(msgspec.json.encode(found), media_type=JSON)

    @routes.get("/schemas")
    @needs("read", "predict")
    @answers(Listed, "The kinds of messages.")
    async def list_schemas() -> Response:
        """List the kinds of messages, each with a JSON Schema."""
        return Response(msgspec.json.encode(listed()), media_type=JSON)

    @routes.get("/schemas/{name}.json")
    @needs("read", "predict")
    @answers({SCHEMA_JSON: SCHEMA}, "The schema.")
    async def get_schema(name: Name) -> Response:
        """Return the JSON Schema of a kind of messages."""
        if name not in NAMED:
            raise Problem(404, f"There is no such schema; there are {', '.join(sorted(NAMED))}.")
        return Response(msgspec.json.encode(schema_of(name)), media_type=SCHEMA_JSON)

    return routes
