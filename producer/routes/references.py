"""GET, POST /models/{model}/versions/{version}/references, and its undo: the reference that a
version is compared with.

As `driftgauge reference` does it. A worker makes the reference, since the panes and their
statistics are its own; this process stores it in the registry, and writes the change to the logs.
"""

import asyncio
from typing import Annotated, Final

import redis
from fastapi import APIRouter, Query, Request, Response

from driftgauge.producer.access.control import Guarded, caller_of, needs
from driftgauge.producer.describing.declared import answers, takes
from driftgauge.producer.describing.schemas import Named
from driftgauge.producer.http.problems import Problem
from driftgauge.producer.intake.documents import Check
from driftgauge.producer.intake.encodings import PARAMETER as ENCODING
from driftgauge.producer.parts import Parts
from driftgauge.producer.reading import proposals
from driftgauge.producer.reading.reference_history import (
    AcceptedChange,
    ReferencePage,
    described,
    reference_history,
)
from driftgauge.producer.routes.answering import answer
from driftgauge.producer.routes.parameters import Cursor, Model, Version
from driftgauge.producer.routes.registry_requests import (
    check_version_name,
    from_registry,
    read_fields,
)
from driftgauge.shared.durations import minutes_of
from driftgauge.shared.errors import BadData
from driftgauge.shared.registry.opening import registry_of
from driftgauge.shared.registry.reference_publishing import publish
from driftgauge.shared.registry.reference_store import ReferenceStore
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.versions.manifest import Manifest

WINDOW: Final = "14d"
MAX_REASON: Final = 500
PATH: Final = "/models/{model}/versions/{version}/references"


def window_ms(text: str) -> int:
    """Read the length of a window, rounded to whole ms.

    Examples
    --------
    >>> window_ms("36h"), window_ms("0.000001m")
    (129600000, 0)
    """
    return round(minutes_of(text) * 60_000)


def is_window(value: object) -> str | None:
    try:
        fits = isinstance(value, str) and window_ms(value) > 0
    except BadData:
        fits = False
    return None if fits else "must be a time such as 36h or 14d"


def is_reason(value: object) -> str | None:
    fits = (
        isinstance(value, str)
        and bool(value.strip())
        and len(value) <= MAX_REASON
        and value.isprintable()
    )
    return None if fits else f"must be one line of 1 to {MAX_REASON} characters"


REASON: Final = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_REASON,
    "description": "Stands in the history.",
}
ACCEPTANCE: Final = Named(
    "ReferenceAcceptance",
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["reason"],
        "properties": {
            "window": {
                "type": "string",
                "default": WINDOW,
                "description": "Latest rows to take, such as 36h or 14d.",
            },
            "reason": REASON,
        },
        "example": {"window": "14d", "reason": "second furnace since March"},
    },
)
UNDOING: Final = Named(
    "ReferenceUndo",
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["reason"],
        "properties": {"reason": REASON},
        "example": {"reason": "was too early"},
    },
)
MADE: Final = "The change, as the history has it."
DAMAGED: Final = "What stands in the registry cannot be read."
UNFIT: Final = "No reference can be made of what was counted; the answer says why."
TOO_LONG: Final = "The reference was not made in time. Nothing has changed."
MOST: Final = "Most entries of the answer."
ACCEPTANCE_CHECKS: Final[dict[str, Check]] = {"window": is_window, "reason": is_reason}
UNDOING_CHECKS: Final[dict[str, Check]] = {"reason": is_reason}


def router(parts: Parts) -> APIRouter:
    """Make the routes."""
    routes = APIRouter(route_class=Guarded, tags=["models"])
    registry = registry_of(parts.settings)

    @routes.get(PATH)
    @needs("read")
    @answers(ReferencePage, "The reference in use, and the changes.", others={409: DAMAGED})
    async def list_references(
        model: Model,
        version: Version,
        limit: Annotated[int, Query(ge=1, le=200, description=MOST)] = 50,
        cursor: Cursor = None,
    ) -> Response:
        """Return the number of the reference in use (0: the registered one), and every change of
        it, newest first.
        """
        check_version_name(model, version)
        return answer(
            await from_registry(lambda: reference_history(registry, model, version, limit, cursor))
        )

    @routes.post(PATH)
    @needs("admin")
    @takes(ACCEPTANCE, ENCODING)
    @answers(AcceptedChange, MADE, status=201, others={409: UNFIT, 504: TOO_LONG})
    async def accept_reference(request: Request, model: Model, version: Version) -> Response:
        """Make a new reference of what was counted in production lately, and hold the version
        against it from here on.

        409 says why the panes do not suffice, 503 that no worker is there.
        """
        told = await read_fields(request, ACCEPTANCE_CHECKS, "reason")
        store, manifest = await _store(registry, model, version)
        window = window_ms(told.get("window") or WINDOW)
        made = await proposals.proposed_reference(parts.reader, parts.keys, model, version, window)
        who = caller_of(request).name
        history = await from_registry(lambda: store.accept(made, who=who, reason=told["reason"]))
        await _published(parts, manifest, store)
        return answer(described(history.changes[-1], made), 201)

    @routes.post(f"{PATH}/undo")
    @needs("admin")
    @takes(UNDOING, ENCODING)
    @answers(AcceptedChange, MADE, others={409: "The registered reference is in use."})
    async def undo_reference(request: Request, model: Model, version: Version) -> Response:
        """Go back to the reference before the one in use; 409 if that is the registered one."""
        told = await read_fields(request, UNDOING_CHECKS, "reason")
        store, manifest = await _store(registry, model, version)
        who = caller_of(request).name
        history = await from_registry(lambda: store.undo(who=who, reason=told["reason"]))
        await _published(parts, manifest, store)
        return answer(described(history.changes[-1], None))

    return routes


async def _store(
    registry: ModelRegistry, model: str, version: str
) -> tuple[ReferenceStore, Manifest]:
    check_version_name(model, version)

    def find() -> tuple[ReferenceStore, Manifest]:
        return ReferenceStore(registry, model, version), registry.manifest(model, version)

    return await from_registry(find)


async def _published(parts: Parts, manifest: Manifest, store: ReferenceStore) -> None:
    """Write the change to the logs; it is in the registry, so that it can be published again.

    If that fails, no time to try again is given: to repeat the request would accept, or undo, once
    more.
    """
    settings, found = parts.settings, f"{manifest.model} --version {manifest.version}"
    try:
        await asyncio.to_thread(publish, settings.redis_url, parts.keys, manifest, store)
    except redis.RedisError as error:
        raise Problem(
            503,
            "The change is in the registry, and not in every log, since Redis does not answer. Do "
            "not repeat the "
            f"request; run `driftgauge reference publish {found}` when it does.",
        ) from error
