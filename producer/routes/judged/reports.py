"""GET /reports, /reports/latest and /reports/{id}: the snapshot reports, as a list, a page, JSON or
a picture.

The form is the suffix of the path (`.html`, `.json`, `.png`), else `format`, else what the client
prefers. An alert links to its own report.
"""

import asyncio
from io import BytesIO
from typing import Annotated, Final, Literal

import msgspec
from fastapi import APIRouter, Header, Path, Query, Response

from driftgauge.producer.access.control import Guarded, needs
from driftgauge.producer.describing.declared import answers
from driftgauge.producer.http.problems import Problem
from driftgauge.producer.parts import Parts
from driftgauge.producer.reading import reports
from driftgauge.producer.routes.answering import answer
from driftgauge.producer.routes.model_choice import chosen_models, known_model
from driftgauge.producer.routes.parameters import AnyModel, Cursor
from driftgauge.shared.contract.snapshot import Snapshot
from driftgauge.shared.contract.snapshot_parts import SnapshotSummary
from driftgauge.shared.errors import ConfigurationError
from driftgauge.shared.moments import told
from driftgauge.shared.reporting import render_html, report_name
from driftgauge.shared.reporting.health import PipelineHealth
from driftgauge.shared.reporting.png import write_png

Form = Literal["json", "html", "png"]
MEDIA: Final[dict[Form, str]] = {
    "json": "application/json",
    "html": "text/html",
    "png": "image/png",
}
FORMS: Final = {"application/json": Snapshot, "text/html": str, "image/png": bytes}
MOST: Final = "Most entries of the answer."
NO_PICTURES: Final = "Pictures need matplotlib, which is not installed."


class KeptReport(SnapshotSummary, frozen=True, kw_only=True):
    """A snapshot report that is kept.

    Parameters
    ----------
    report
        Its path in the API.
    """

    report: str


class ReportPage(msgspec.Struct, frozen=True):
    """A page of reports.

    Parameters
    ----------
    next
        Cursor of the next page; null on the last one.
    """

    reports: list[KeptReport]
    next: str | None


def router(parts: Parts) -> APIRouter:
    """Make the routes."""
    routes = APIRouter(route_class=Guarded, tags=["reports"])
    drawing = asyncio.Semaphore(1)  # a picture takes a second of a core and some ten MB

    @routes.get("/reports")
    @needs("read")
    @answers(ReportPage, "Kept reports, the newest first.")
    async def list_reports(
        model: AnyModel = None,
        limit: Annotated[int, Query(ge=1, le=200, description=MOST)] = 50,
        cursor: Cursor = None,
    ) -> Response:
        """List the kept reports, newest first, of one model or of all."""
        models = await chosen_models(parts, model)
        found, following = await reports.page(parts.reader, parts.keys, models, limit, cursor)
        entries = [
            KeptReport(**msgspec.structs.asdict(one), report=f"/reports/{one.id}") for one in found
        ]
        return answer(ReportPage(entries, following))

    @routes.get("/reports/{report}")
    @needs("read")
    @answers(FORMS, "The report, in the form that was asked for.", others={501: NO_PICTURES})
    async def get_report(
        report: Annotated[
            str,
            Path(
                max_length=200, description="Id of the report, or `latest`; a suffix is its form."
            ),
        ],
        model: Annotated[
            str | None, Query(description="The model whose latest report is asked for.")
        ] = None,
        format: Annotated[  # noqa: A002  the parameter's public name
            Form | None, Query(description="Its form; by the header Accept if absent, else JSON.")
        ] = None,
        accept: Annotated[str, Header(include_in_schema=False)] = "",
    ) -> Response:
        """Return a kept report by the id that an alert links to, or the `latest` one of a model."""
        name, suffix = _parted(report)
        snapshot = await _found(parts, name, model)
        form = suffix or format or preferred(accept)
        if form == "json":
            content = await asyncio.to_thread(_document, snapshot)
        elif form == "html":
            content = await asyncio.to_thread(_page, snapshot, await _health(parts, snapshot.model))
        else:
            async with drawing:
                content = await asyncio.to_thread(_picture, snapshot)
        headers = (
            {"Content-Disposition": f'inline; filename="{report_name(snapshot)}.{form}"'}
            if suffix
            else {}
        )
        return Response(content, media_type=MEDIA[form], headers={**headers, "Vary": "Accept"})

    return routes


def _parted(report: str) -> tuple[str, Form | None]:
    """Take the suffix off a name; an id has dots of its own.

    Examples
    --------
    >>> _parted("steel-1.0.0-000000006000.png"), _parted("steel-1.0.0-000000006000")
    (('steel-1.0.0-000000006000', 'png'), ('steel-1.0.0-000000006000', None))
    """
    for form in MEDIA:
        if report.endswith(f".{form}"):
            return report.removesuffix(f".{form}"), form
    return report, None


async def _found(parts: Parts, name: str, model: str | None) -> Snapshot:
    if name == "latest":
        return await reports.latest(parts.reader, parts.keys, await known_model(parts, model))
    models = sorted(one for one in await parts.subscriptions.models() if name.startswith(f"{one}-"))
    return await reports.find(parts.reader, parts.keys, models, name)


async def _health(parts: Parts, model: str) -> PipelineHealth | None:
    """Return the current state of a model's pipeline; None for a model that Redis does not know."""
    states = await parts.pipeline.read([model]) if model in await parts.pipeline.models() else []
    return reports.health_of(states[0]) if states else None


def _document(snapshot: Snapshot) -> bytes:
    return msgspec.json.encode(told(snapshot))


def _page(snapshot: Snapshot, health: PipelineHealth | None) -> bytes:
    return render_html(snapshot, health).encode()


def _picture(snapshot: Snapshot) -> bytes:
    file = BytesIO()
    try:
        write_png(snapshot, file)
    except ConfigurationError as error:
        raise Problem(501, str(error)) from error
    return file.getvalue()


def preferred(accept: str) -> Form:
    """Return the form that an Accept header prefers; JSON if it names none.

    Examples
    --------
    >>> (
    ...     preferred("text/html,application/xhtml+xml,*/*;q=0.8"),
    ...     preferred("*/*"),
    ...     preferred("image/png"),
    ... )
    ('html', 'json', 'png')
    """
    quality = dict.fromkeys(MEDIA.values(), 0.0)
    for part in accept.split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        if media in quality:
            weights = [parameter[2:] for parameter in parameters if parameter.startswith("q=")]
            try:
                quality[media] = float(weights[0]) if weights else 1.0
            except ValueError:  # a malformed weight: the type is not asked for
                continue
    return max(MEDIA, key=lambda form: quality[MEDIA[form]])
