"""GET /models…: what is registered and served. POST /models…/promote and /rollback: which version
serves.

The registry folder is the truth, and every API process follows it: a change is answered when it is
in the folder, and is served within two seconds.
"""

import asyncio
from typing import Any, Final

import msgspec
from fastapi import APIRouter, Request, Response

from driftgauge.producer.access.control import Guarded, caller_of, needs
from driftgauge.producer.http.problems import invalid
from driftgauge.producer.intake.documents import Check, is_flag
from driftgauge.producer.parts import Parts
from driftgauge.producer.reading import catalogue
from driftgauge.producer.routes.raw_body import documented
from driftgauge.producer.routes.registry_requests import (
    check_version_name,
    from_registry,
    json_answer,
    read_fields,
)
from driftgauge.shared.reference.schema import FieldError
from driftgauge.shared.registry.opening import registry_of
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.versions.stages import StageChange, Target

MAX_REASON: Final = 1000
TARGETS: Final = ("staging", "production")


def is_target(value: object) -> str | None:
    return None if value in TARGETS else "must be one of " + ", ".join(TARGETS)


def is_reason(value: object) -> str | None:
    fits = isinstance(value, str) and len(value) <= MAX_REASON and value.isprintable()
    return None if fits else f"must be one line of at most {MAX_REASON} characters"


REASON: Final = {
    "type": "string",
    "maxLength": MAX_REASON,
    "description": "Recorded in the model's history.",
}
PROMOTION: Final = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "to": {"type": "string", "enum": list(TARGETS), "default": "production"},
        "reason": REASON,
        "force": {
            "type": "boolean",
            "description": "Promote in spite of failed gates; needs a reason.",
        },
    },
    "example": {"to": "production", "reason": "better on last month's rows"},
}
ROLLBACK: Final = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"reason": REASON},
}
CHANGE: Final = {"type": "object", "description": "The change, as the history has it."}
PROMOTION_CHECKS: Final[dict[str, Check]] = {"to": is_target, "reason": is_reason, "force": is_flag}
ROLLBACK_CHECKS: Final[dict[str, Check]] = {"reason": is_reason}


def router(parts: Parts) -> APIRouter:
    """Make the routes."""
    routes = APIRouter(route_class=Guarded, tags=["models"])
    registry = registry_of(parts.settings)
    _reading(routes, registry, parts)
    _changing(routes, registry)
    return routes


def _reading(routes: APIRouter, registry: ModelRegistry, parts: Parts) -> None:

    @routes.get("/models")
    @needs("read")
    async def models() -> Response:
        """Return every model: its versions with stage and metrics, the version that serves, and
        what is wrong.
        """
        known = await asyncio.to_thread(catalogue.models, registry)
        known |= {name: {"model": name} for name in parts.serving.production if name not in known}
        found = [{**known[name], "serving": serving_state(parts, name)} for name in sorted(known)]
        return json_answer({"models": found})

    @routes.get("/models/{model}")
    @needs("read")
    async def model(model: str) -> Response:
        """Return one model, with the latest changes of its stages, newest first."""
        found = await from_registry(lambda: catalogue.model(registry, model))
        history = await from_registry(lambda: catalogue.history(registry, model))
        return json_answer({**found, "serving": serving_state(parts, model), "history": history})

    @routes.get("/models/{model}/versions/{version}")
    @needs("read")
    async def version(model: str, version: str, *, verify: bool = False) -> Response:
        """Return one version: manifest, schema, validation, history; `verify` compares every file
        with its checksum.
        """
        check_version_name(model, version)
        return json_answer(
            await from_registry(lambda: catalogue.version(registry, model, version, verify=verify))
        )

    @routes.get("/model-info")
    @needs("read", "predict")
    async def model_info(model: str | None = None) -> dict[str, Any]:
        """Return the schema that requests must fit, metrics and reference of the production
        version.
        """
        served = parts.serving.choose(model)
        manifest = served.manifest
        return {
            "model": served.model,
            "version": served.version,
            "task": manifest.task,
            "created": manifest.created,
            "partitions": manifest.partitions,
            "feature_engineering": manifest.feature_engineering,
            "metrics": manifest.metrics,
            "batch_counts": manifest.batch_counts,
            "reference_rows": served.published.reference.rows,
            "excluded": {
                feature.name: feature.excluded
                for feature in served.schema.features
                if feature.excluded
            },
            "schema": msgspec.to_builtins(served.schema),
        }


def _changing(routes: APIRouter, registry: ModelRegistry) -> None:
    @routes.post(
        "/models/{model}/versions/{version}/promote",
        openapi_extra=documented(PROMOTION, 200, "Promoted.", CHANGE),
    )
    @needs("admin")
    async def promote(request: Request, model: str, version: str) -> Response:
        """Promote a version, to production only through its gates: if any fails, 409 lists all
        that do.
        """
        told = await read_fields(request, PROMOTION_CHECKS)
        force, reason = bool(told.get("force")), told.get("reason") or ""
        if force and not reason.strip():
            raise invalid([FieldError("/reason", "is needed with force; it is recorded")])
        check_version_name(model, version)
        to: Target = told.get("to") or "production"
        actor = caller_of(request).name

        def promoted() -> StageChange:
            from driftgauge.shared.registry import promotion  # loads what reads tables

            return promotion.promote(
                registry, model, version, to, actor=actor, reason=reason, force=force
            )

        return _changed(await from_registry(promoted))

    @routes.post(
        "/models/{model}/rollback", openapi_extra=documented(ROLLBACK, 200, "Rolled back.", CHANGE)
    )
    @needs("admin")
    async def rollback(request: Request, model: str) -> Response:
        """Bring the previous production version back; twice goes back twice."""
        reason = (await read_fields(request, ROLLBACK_CHECKS)).get("reason") or ""
        actor = caller_of(request).name
        return _changed(
            await from_registry(lambda: registry.rollback(model, actor=actor, reason=reason))
        )


def serving_state(parts: Parts, model: str) -> dict[str, Any]:
    """Tell which version of a model this process serves, and why it is not the one in
    production.
    """
    served, fault = parts.serving.production.get(model), parts.serving.faults.get(model)
    return {"version": served.version if served else None, "fault": fault.reason if fault else None}


def _changed(change: StageChange) -> Response:
    return json_answer(msgspec.to_builtins(change))
