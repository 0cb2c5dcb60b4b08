"""A route that reads its body itself: FastAPI's dependencies and validation cost more than a
prediction does.
"""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import Request, Response

from driftgauge.producer.access.control import Guarded

NO_MODEL: Final = "There is no model of this name in production; the answer names those that are."
MISNUMBERED: Final = (
    "The publisher numbers by another number of partitions than the model has; the answer says "
    "which."
)
UNPREDICTING: Final = "The model is only monitored: it has nothing to predict with."


class RawBodyRoute(Guarded):
    """Calls its endpoint with the request, and nothing in between."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        return self.endpoint
