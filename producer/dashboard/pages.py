"""GET /dashboard/alerts, models, batch, log, reports: read-only pages; their forms post to the
API's own routes.
"""

import asyncio
import inspect
from dataclasses import replace
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BeforeValidator

from driftgauge.producer.access.control import Guarded, needs
from driftgauge.producer.dashboard import alerts, batch, models
from driftgauge.producer.dashboard.rendering import Blank, page
from driftgauge.producer.dashboard.views.timeline import by_alert
from driftgauge.producer.http.problems import Problem
from driftgauge.producer.intake.documents import read_body
from driftgauge.producer.parts import Parts
from driftgauge.producer.reading import history, reports
from driftgauge.producer.reading.history import EventFilter, readable
from driftgauge.producer.reading.incidents import open_incidents
from driftgauge.producer.reading.pages import LONGEST_CURSOR
from driftgauge.producer.reading.predictions.log import PredictionFilter
from driftgauge.producer.routes.batch import form_of_body
from driftgauge.producer.routes.model_choice import known_model
from driftgauge.producer.routes.parameters import time_of
from driftgauge.producer.routes.predictions import row_filter, schema_of
from driftgauge.shared.contract.alert import Alert
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.registry.opening import registry_of
from driftgauge.shared.rules import rule_of

ROWS: Final = 50
REPORTS: Final = 25
FILTERS: Final = frozenset((*inspect.signature(row_filter).parameters, "since", "until"))
Model = Annotated[str | None, Blank]
Before = Annotated[str, Query(max_length=LONGEST_CURSOR)]
UtcTime = Annotated[int | None, BeforeValidator(lambda text: time_of(text or None, zone="Z"))]
"""A time as a browser's field gives it, which the page shows in UTC."""


def shown_filter(
    rows: Annotated[PredictionFilter, Depends(row_filter)],
    since: UtcTime = None,
    until: UtcTime = None,
) -> PredictionFilter:
    """Read the filters of the page of predictions."""
    return replace(rows, since_ms=since, until_ms=until)


def router(parts: Parts) -> APIRouter:
    """Make the routes."""
    routes = APIRouter(route_class=Guarded, include_in_schema=False)
    _alerts(routes, parts)
    _models(routes, parts)
    _batch(routes, parts)
    _log(routes, parts)
    _reports(routes, parts)
    return routes


def _alerts(routes: APIRouter, parts: Parts) -> None:
    @routes.get("/dashboard/alerts")
    @needs("read")
    async def listed(
        request: Request,
        model: Model = None,
        state: Annotated[Literal["pending", "firing", "resolved", "inactive"] | None, Blank] = None,
        severity: Annotated[Literal["warning", "critical"] | None, Blank] = None,
        before: Before = "",
        *,
        every: bool = False,
    ) -> Response:
        """Return the open alerts, the most urgent ones or every one, and the history."""
        names = await _known(parts, model)
        wanted = EventFilter(state, None, severity)
        return page(
            request,
            "alerts.html.j2",
            model=model,
            models=await _all(parts),
            filters={"state": state, "severity": severity},
            open_alerts=await alerts.open_alerts(parts, names, wanted),
            incidents=by_alert(
                readable(await open_incidents(parts.reader, parts.keys, names), Incident)
            ),
            most=None if every else ROWS,
            every=every,
            page=await alerts.transitions(parts, names, wanted, before),
            before=before,
        )

    @routes.get("/dashboard/alerts/{fingerprint}")
    @needs("read")
    async def one(
        request: Request, fingerprint: Annotated[str, Path(pattern="^[0-9a-f]{16}$")]
    ) -> Response:
        """Return the history of one alert, and the evidence behind it."""
        streams = [parts.keys.alerts(name) for name in await _all(parts)]
        events = await history.life(parts.reader, streams, "fingerprint", fingerprint)
        found = readable(events, Alert)
        if not found:
            raise Problem(
                404,
                f"No alert with the fingerprint {fingerprint} is kept; /dashboard/alerts has those "
                f"that are.",
            )
        model = found[-1].model
        return page(
            request,
            "alert.html.j2",
            model=model,
            life=found[::-1],
            alert=found[-1],
            incident=by_alert(
                readable(await open_incidents(parts.reader, parts.keys, [model]), Incident)
            ).get(fingerprint),
            kind=rule_of(found[-1].rule).kind,
            blind=alerts.is_blind(found[-1]),
            may_be_acknowledged=alerts.may_be_acknowledged(found[-1]),
            traces=alerts.traces_of(found[-1], parts.settings.trace_url),
        )


def _models(routes: APIRouter, parts: Parts) -> None:
    registry = registry_of(parts.settings)

    @routes.get("/dashboard/models")
    @needs("read")
    async def listed(request: Request, model: Model = None) -> Response:
        """Return the registered models with versions, gates and history."""
        found = await asyncio.to_thread(models.registered, registry, model)
        if model is not None and not found:
            raise Problem(
                404,
                f"There is no model {model[:64]!r} in the registry; /dashboard/models lists those "
                f"that are.",
            )
        names = await asyncio.to_thread(registry.registered)
        return page(
            request, "models.html.j2", model=model, models=names, found=found, serving=parts.serving
        )


def _batch(routes: APIRouter, parts: Parts) -> None:
    @routes.get("/dashboard/batch")
    @needs("read")
    async def form(
        request: Request, model: Model = None, version: Annotated[str | None, Blank] = None
    ) -> Response:
        """Return the form for a CSV file, and the columns that it must have."""
        names = [
            name
            for name, served in sorted(parts.serving.production.items())
            if served.estimator is not None
        ]
        chosen = model or (names[0] if names else None)
        asked = model if version is None else None
        monitored = asked if asked is not None and await _only_monitored(parts, asked) else None
        served = (
            await parts.serving.predicting(chosen, version)
            if chosen is not None and monitored is None
            else None
        )
        limits = {"rows": parts.settings.batch_max_rows, "bytes": parts.settings.batch_max_bytes}
        shown: dict[str, Any] = {
            "models": names,
            "served": served,
            "asked_version": version,
            "limits": limits,
            "monitored": monitored,
        }
        return page(request, "batch.html.j2", model=chosen, **shown)

    @routes.post("/dashboard/batch/check")
    @needs("predict")
    async def check(
        request: Request, model: str, version: str | None = None, *, whole: bool = False
    ) -> Response:
        """Check the beginning of a file against the schema, before all of it is sent; of Parquet
        the end, where its columns stand. Nothing is predicted.
        """
        served = await parts.serving.predicting(model, version)
        form = form_of_body(request.headers.get("content-type", "text/csv"))
        body = await read_body(request, batch.MOST_BYTES)
        found = await asyncio.to_thread(batch.beginning, body, served.schema, form, whole=whole)
        return Response(msgspec.json.encode(found), media_type="application/json")


def _log(routes: APIRouter, parts: Parts) -> None:
    @routes.get("/dashboard/log")
    @needs("read")
    async def log(
        request: Request,
        wanted: Annotated[PredictionFilter, Depends(shown_filter)],
        model: Model = None,
        before: Before = "",
    ) -> Response:
        """Return the latest predictions, or a page of earlier ones."""
        names = await _all(parts)
        if model is None and not names:
            return page(request, "log.html.j2", model=None, models=[])
        chosen = names[0] if model is None else await known_model(parts, model)
        found = await parts.predictions.page(chosen, wanted, ROWS, before)
        return page(
            request,
            "log.html.j2",
            model=chosen,
            models=names,
            filters={
                name: value
                for name, value in request.query_params.items()
                if name in FILTERS and value
            },
            wanted=wanted,
            times={"since": wanted.since_ms, "until": wanted.until_ms},
            found=found,
            before=before,
            classes=await _classes(parts, chosen, wanted.version),
            is_archived=parts.predictions.archived is not None,
            names={
                version: await _names(parts, chosen, version)
                for version in {row.event.version for row in found.rows if row.names is None}
            },
        )


def _reports(routes: APIRouter, parts: Parts) -> None:
    @routes.get("/dashboard/reports")
    @needs("read")
    async def listed(request: Request, model: Model = None, before: Before = "") -> Response:
        """Return the kept reports."""
        names = await _known(parts, model)
        found, following = await reports.page(
            parts.reader, parts.keys, names, REPORTS, before or None
        )
        shown: dict[str, Any] = {
            "models": await _all(parts),
            "found": found,
            "following": following,
            "before": before,
        }
        return page(request, "reports.html.j2", model=model, **shown)


async def _only_monitored(parts: Parts, model: str) -> bool:
    """Return whether a model is known and has no version that predicts here.

    Raises
    ------
    Problem
        404 if there is no such model.
    """
    served = parts.serving.production.get(await known_model(parts, model))
    return served is None or served.estimator is None


async def _all(parts: Parts) -> list[str]:
    """Name the models that Redis knows or that are served here."""
    return sorted({*await parts.pipeline.models(), *parts.serving.production})


async def _known(parts: Parts, model: str | None) -> list[str]:
    return await _all(parts) if model is None else [await known_model(parts, model)]


async def _classes(parts: Parts, model: str, version: str) -> Any:
    """Return the classes that a model predicts; empty for numbers, None if not known here."""
    schema = await schema_of(parts, model, version)
    return (
        None
        if schema is None
        else schema.classes or (() if schema.prediction == "numeric" else None)
    )


async def _names(parts: Parts, model: str, version: str) -> tuple[str, ...]:
    schema = await schema_of(parts, model, version)
    return () if schema is None else schema.names
