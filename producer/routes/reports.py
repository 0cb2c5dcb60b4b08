"""GET /reports/latest and /reports/{id}: a snapshot report, as JSON or as a page. An alert links to its own."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Header, Path, Response

from producer.access import Guarded, needs
from producer.parts import Parts
from producer.problems import Problem
from producer.routes.reading import known_model
from producer.streams import newest
from shared.reporting import render_html
from shared.snapshot import Snapshot

READ = 20
"""Reports read at once: each has some ten kB."""


class Named(msgspec.Struct):
    """A CloudEvent, of which only the id matters here: it is its snapshot's."""

    id: str


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
        return _answer(await _latest(parts, await known_model(parts, model)), format, accept)

    @routes.get("/reports/{report}")
    @needs("read")
    async def one(
        report: Annotated[str, Path(max_length=200)],
        format: Literal["json", "html"] | None = None,  # noqa: A002  the parameter's public name
        accept: Annotated[str, Header()] = "",
    ) -> Response:
        """Give the snapshot that an alert links to, while it is kept."""
        models = sorted(await parts.subscriptions.models())
        return _answer(
            await _find(parts, [model for model in models if report.startswith(f"{model}-")], report), format, accept
        )

    return routes


def _answer(snapshot: Snapshot, wanted: Literal["json", "html"] | None, accept: str) -> Response:
    if wanted == "html" or (wanted is None and prefers_html(accept)):
        return Response(render_html(snapshot), media_type="text/html")
    return Response(msgspec.json.encode(snapshot), media_type="application/json")


async def _find(parts: Parts, models: Sequence[str], report: str) -> Snapshot:
    """Look for a report by its id, the newest first; each entry is read only as far as its id."""
    for model in models:
        end = "+"
        while True:
            entries: Any = await parts.reader.xrevrange(parts.keys.snapshots(model), max=end, count=READ)
            for entry_id, fields in entries:
                end = f"({entry_id.decode()}"
                if _id_of(fields.get(b"e", b"")) == report:
                    return _read(fields[b"e"], report)
            if len(entries) < READ:
                break
    raise Problem(404, f"No report {report} is kept; each model keeps its last thousand.")


def _id_of(event: bytes) -> str | None:
    try:
        return msgspec.json.decode(event, type=Named).id
    except ValueError:  # another version's, or written by hand: it is not the one that is asked for
        return None


async def _latest(parts: Parts, model: str) -> Snapshot:
    entries = await newest(parts.reader, parts.keys.snapshots(model), 1)
    if not entries:
        raise Problem(
            404,
            f"There is no report of {model} yet. The worker (`driftgauge worker`) writes one when it has judged a window.",
        )
    return _read(entries[0][1], f"of {model}")


def _read(event: bytes, name: str) -> Snapshot:
    try:
        return msgspec.json.decode(event, type=Envelope).data
    except ValueError:
        raise Problem(500, f"The report {name} cannot be read: another version wrote it.") from None


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
