"""Shared by the routes of the registry: the check of a version's name, the fields of a request, and
the registry's errors as answers.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec
from fastapi import Request

from driftgauge.producer.http.problems import Problem, invalid
from driftgauge.producer.intake.documents import Check, decode, field_faults, read_body
from driftgauge.shared.errors import BadData, ModelNotFound
from driftgauge.shared.registry.registry import check_name
from driftgauge.shared.versions.gates import GateFailed

MAX_BODY: Final = 1 << 16
Found = TypeVar("Found")


def check_version_name(model: str, version: str) -> None:
    """Refuse what cannot be the name of a version.

    Raises
    ------
    Problem
        404 if it cannot be one.
    """
    try:
        check_name(model, version)
    except BadData as error:
        raise Problem(404, str(error)) from error


async def from_registry(ask: Callable[[], Found]) -> Found:
    """Ask the registry in a thread; its errors become answers.

    Raises
    ------
    Problem
        404 for what is not there, 409 for what cannot be done with what is.
    """
    try:
        return await asyncio.to_thread(ask)
    except ModelNotFound as error:
        raise Problem(404, str(error)) from error
    except GateFailed as error:
        gates = [msgspec.to_builtins(check) for check in error.failed]
        raise Problem(409, str(error), members={"gates": gates}) from error
    except (BadData, ValueError) as error:
        raise Problem(409, str(error)) from error


async def read_fields(
    request: Request, checks: dict[str, Check], required: str | None = None
) -> dict[str, Any]:
    """Read the fields of a request; an empty body has none."""
    body = await read_body(request, MAX_BODY)
    document, flaw = decode(body) if body else ({}, None)
    faults = field_faults(document, checks, required)
    if faults:
        raise invalid(faults)
    if flaw is not None:
        raise flaw
    found: dict[str, Any] = document
    return found
