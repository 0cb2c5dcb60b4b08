"""A route that reads its body itself: FastAPI's dependencies and validation cost more than a
prediction does.
"""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi import Request, Response

from driftgauge.producer.access.control import Guarded
from driftgauge.producer.intake.encodings import PARAMETER as ENCODING


class RawBodyRoute(Guarded):
    """Calls its endpoint with the request, and nothing in between."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        return self.endpoint


def documented(
    body: Mapping[str, Any], status: int, meaning: str, answer: Mapping[str, Any]
) -> dict[str, Any]:
    """Describe a raw route's body and answer for OpenAPI; its header says how the body is
    compressed.
    """
    problem = {"application/problem+json": {"schema": {"type": "object"}}}
    return {
        "parameters": [ENCODING],
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {
            str(status): {
                "description": meaning,
                "content": {"application/json": {"schema": answer}},
            },
            "413": {
                "description": "Too large a body, as sent or unpacked.",
                "content": problem,
            },
            "415": {"description": "A Content-Encoding that is not taken.", "content": problem},
            "422": {"description": "Every bad field, by JSON pointer.", "content": problem},
            "503": {
                "description": "No model is loaded, it does not answer, or there is no room.",
                "content": problem,
            },
        },
    }
