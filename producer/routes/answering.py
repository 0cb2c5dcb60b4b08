"""Answers made of structs."""

import msgspec
from fastapi import Response

from driftgauge.producer.describing.declared import JSON
from driftgauge.shared.moments import told


def answer(
    document: msgspec.Struct, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """Return a struct as JSON, its points in time in ISO 8601."""
    return Response(msgspec.json.encode(told(document)), status, headers, JSON)
