"""GET /reports/latest: the newest snapshot report, as JSON or as a page."""

from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Header, Response

from producer.access import Guarded, needs
from producer.parts import Parts
from producer.problems import Problem
from producer.routes.reading import known_model
from producer.streams import newest
from shared.reporting import render_html
from shared.snapshot import Snapshot


class Envelope(msgspec.Struct):
    """A CloudEvent, of which only the snapshot matters here."""

    data: Snapshot


def router(parts: Parts) -> APIRouter:
    """Make the route."""
    routes = APIRouter(route_class=Guarded, tags=["reports"])

    @routes.get("/reports/latest")
    @needs("read")
    async def latest(
        model: str | None = None,
        format: Literal["json", "html"] | None = None,  # noqa: A002  the parameter's public name
        accept: Annotated[str, Header()] = "",
    ) -> Response:
        """Give the newest snapshot: HTML if a browser asks or `format=html`, else JSON."""
        snapshot = await _latest(parts, await known_model(parts, model))
        if format == "html" or (format is None and prefers_html(accept)):
            return Response(render_html(snapshot), media_type="text/html")
        return Response(msgspec.json.encode(snapshot), media_type="application/json")

    return routes


async def _latest(parts: Parts, model: str) -> Snapshot:
    entries = await newest(parts.reader, parts.keys.snapshots(model), 1)
    if not entries:
        raise Problem(
            404,
            f"There is no report of {model} yet. The worker (`driftgauge worker`) writes one when it has judged a window.",
        )
    try:
        return msgspec.json.decode(entries[0][1], type=Envelope).data
    except ValueError:
        raise Problem(500, f"The newest report of {model} cannot be read: another version wrote it.") from None


def prefers_html(accept: str) -> bool:
    """Tell whether an Accept header puts HTML before JSON.

    Examples
    --------
    >>> prefers_html("text/html,application/xhtml+xml,*/*;q=0.8"), prefers_html("*/*")
    (True, False)
    """
    quality = {"text/html": 0.0, "application/json": 0.0}
    for part in accept.split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        if media in quality:
            weights = [parameter[2:] for parameter in parameters if parameter.startswith("q=")]
            try:
                quality[media] = float(weights[0]) if weights else 1.0
            except ValueError:  # a malformed weight: the type is not asked for
                continue
    return quality["text/html"] > quality["application/json"]
