"""GET /models…: what is registered and served. POST /models…/promote and /rollback: which version
serves.

The registry folder is the truth, and every API process follows it: a change is answered when it is
in the folder, and is served within two seconds.
"""

import asyncio
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Query, Request, Response

from driftgauge.producer.access.control import Guarded, caller_of, needs
from driftgauge.producer.describing.declared import answers, problem, takes
from driftgauge.producer.describing.schemas import Named
from driftgauge.producer.http.problems import ProblemDocument, invalid
from driftgauge.producer.intake.documents import Check, is_flag
from driftgauge.producer.intake.encodings import PARAMETER as ENCODING
from driftgauge.producer.parts import Parts
from driftgauge.producer.reading import catalogue
from driftgauge.producer.reading.catalogue import ModelSummary, ServingState, VersionDetails
from driftgauge.producer.reading.pages import page_of
from driftgauge.producer.routes.answering import answer
from driftgauge.producer.routes.parameters import Cursor, Limit, Model, ModelName, Version
from driftgauge.producer.routes.registry_requests import (
    check_version_name,
    from_registry,
    read_fields,
)
from driftgauge.shared.moments import IsoTime
from driftgauge.shared.reference.schema import FieldError, Schema
from driftgauge.shared.registry.opening import registry_of
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.versions.gates import GateResult
from driftgauge.shared.versions.manifest import Task
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
PROMOTION: Final = Named(
    "Promotion",
    {
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
    },
)
ROLLBACK: Final = Named(
    "Rollback",
    {"type": "object", "additionalProperties": False, "properties": {"reason": REASON}},
)
PROMOTION_CHECKS: Final[dict[str, Check]] = {"to": is_target, "reason": is_reason, "force": is_flag}
ROLLBACK_CHECKS: Final[dict[str, Check]] = {"reason": is_reason}
DAMAGED: Final = "What stands in the registry cannot be read."


class ModelPage(msgspec.Struct, frozen=True):
    """A page of models.

    Parameters
    ----------
    next
        Cursor of the next page; null on the last one.
    """

    models: list[ModelSummary]
    next: str | None


class ModelInfo(msgspec.Struct, frozen=True):
    """The version of a model that serves, and what requests to it have to be like.

    Parameters
    ----------
    created
        When it was registered.
    partitions
        Number of logs that its events are spread over.
    feature_engineering
        Module that computes the features; empty if unknown.
    metrics
        Metric to its value, as measured in training.
    batch_counts
        Whether batch predictions count for drift.
    reference_rows
        Rows of the reference.
    excluded
        Features that are not judged, and why.
    schema
        The features in the model's order, and what it predicts.
    """

    model: str
    version: str
    task: Task
    created: IsoTime
    partitions: int
    feature_engineering: str
    metrics: dict[str, float]
    batch_counts: bool
    reference_rows: int
    excluded: dict[str, str]
    schema: Schema


class GateProblem(ProblemDocument, frozen=True, omit_defaults=True):
    """A promotion that is refused.

    Parameters
    ----------
    gates
        The gates that failed; absent if it is refused for another reason.
    """

    gates: list[GateResult] = msgspec.field(default_factory=list)


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
    @answers(ModelPage, "Models by their names.")
    async def list_models(limit: Limit = 100, cursor: Cursor = None) -> Response:
        """Return every model: its versions with stage and metrics, the version that serves, and
        what is wrong.
        """

        def described() -> tuple[list[ModelSummary], str | None]:
            registered = {*registry.registered()}
            names = sorted(registered | parts.serving.production.keys())
            shown, following = page_of(zip(names, names, strict=True), limit, cursor)
            return [
                catalogue.model_or_fault(registry, name, serving_state(parts, name))
                if name in registered
                else ModelSummary(name, serving_state(parts, name))
                for name in shown
            ], following

        return answer(ModelPage(*await asyncio.to_thread(described)))

    @routes.get("/models/{model}")
    @needs("read")
    @answers(ModelSummary, "The model.", others={409: DAMAGED})
    async def get_model(model: Model) -> Response:
        """Return one model, with the latest changes of its stages, newest first."""

        def described() -> ModelSummary:
            found = catalogue.model(registry, model, serving_state(parts, model))
            changes = catalogue.history(registry, model)
            return msgspec.structs.replace(found, history=changes)

        return answer(await from_registry(described))

    @routes.get("/models/{model}/versions/{version}")
    @needs("read")
    @answers(VersionDetails, "The version.", others={409: DAMAGED})
    async def get_version(
        model: Model,
        version: Version,
        *,
        verify: Annotated[
            bool, Query(description="Whether to compare every file with its checksum.")
        ] = False,
    ) -> Response:
        """Return one version: manifest, schema, validation, history."""
        check_version_name(model, version)
        return answer(
            await from_registry(lambda: catalogue.version(registry, model, version, verify=verify))
        )

    @routes.get("/model-info")
    @needs("read", "predict")
    @answers(ModelInfo, "The production version.")
    async def get_model_info(model: ModelName = None) -> Response:
        """Return the schema that requests must fit, metrics and reference of the production
        version.
        """
        served = parts.serving.choose(model)
        manifest = served.manifest
        return answer(
            ModelInfo(
                model=served.model,
                version=served.version,
                task=manifest.task,
                created=manifest.created,
                partitions=manifest.partitions,
                feature_engineering=manifest.feature_engineering,
                metrics=manifest.metrics,
                batch_counts=manifest.batch_counts,
                reference_rows=served.published.reference.rows,
                excluded={
                    feature.name: feature.excluded
                    for feature in served.schema.features
                    if feature.excluded
                },
                schema=served.schema,
            )
        )


def _changing(routes: APIRouter, registry: ModelRegistry) -> None:
    @routes.post("/models/{model}/versions/{version}/promote")
    @needs("admin")
    @takes(PROMOTION, ENCODING, optional=True)
    @answers(
        StageChange,
        "The change, as the history has it.",
        others={409: problem("Gates that failed, or a stage that does not allow it.", GateProblem)},
    )
    async def promote_version(request: Request, model: Model, version: Version) -> Response:
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

        return answer(await from_registry(promoted))

    @routes.post("/models/{model}/rollback")
    @needs("admin")
    @takes(ROLLBACK, ENCODING, optional=True)
    @answers(
        StageChange,
        "The change, as the history has it.",
        others={409: "There is no version to go back to."},
    )
    async def roll_back_model(request: Request, model: Model) -> Response:
        """Bring the previous production version back; twice goes back twice."""
        reason = (await read_fields(request, ROLLBACK_CHECKS)).get("reason") or ""
        actor = caller_of(request).name
        return answer(
            await from_registry(lambda: registry.rollback(model, actor=actor, reason=reason))
        )


def serving_state(parts: Parts, model: str) -> ServingState:
    """Tell which version of a model this process serves, and why it is not the one in
    production.
    """
    served, fault = parts.serving.production.get(model), parts.serving.faults.get(model)
    return ServingState(served.version if served else None, fault.reason if fault else None)
