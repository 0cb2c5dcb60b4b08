"""Parameters that several routes have: the same name means the same everywhere."""

from typing import Annotated, Any, Final

from fastapi import Path, Query
from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from driftgauge.producer.reading.pages import LONGEST_CURSOR
from driftgauge.shared.durations import milliseconds

LONGEST_VERSION: Final = 64
TIME_SCHEMA: Final[dict[str, Any]] = {
    "anyOf": [{"type": "string", "format": "date-time"}, {"type": "integer", "minimum": 0}],
}
"""A point in time of a request: ISO 8601 with a zone, or Unix milliseconds."""
NO_TIME: Final = (
    "must be a time with its zone, such as 2025-11-20T20:15:00Z (in a URL + is written %2B), or "
    "Unix milliseconds"
)


def time_of(given: object, zone: str = "") -> int | None:
    """Read a point in time; None of nothing.

    Parameters
    ----------
    zone
        Zone of a time that names none; empty if there is none.

    Raises
    ------
    PydanticCustomError
        If it is none, or has no zone.

    Examples
    --------
    >>> time_of("2025-11-20T20:15:00+01:00"), time_of("1763666100000"), time_of(None)
    (1763666100000, 1763666100000, None)
    """
    if given is None:
        return None
    is_number = isinstance(given, str) and given.isascii() and given.isdecimal()
    found = milliseconds(int(given[:20]) if is_number and isinstance(given, str) else given)
    if found is None and zone:
        found = milliseconds(f"{given}{zone}")
    if found is None:
        raise PydanticCustomError("time", NO_TIME)
    return found


Time = Annotated[int | None, BeforeValidator(time_of), WithJsonSchema(TIME_SCHEMA)]
"""A point in time as Unix ms; None if there is none."""
UNLESS_EMPTY: Final = BeforeValidator(lambda text: text or None)
"""Of a parameter of a query: a form sends its empty fields too."""
Since = Annotated[Time, UNLESS_EMPTY, Query(description="Not before this time.")]
Until = Annotated[Time, UNLESS_EMPTY, Query(description="Before this time.")]
ModelName = Annotated[
    str | None, Query(description="Name of the model; needed only when there are several.")
]
AnyModel = Annotated[str | None, Query(description="Name of a model; all models if absent.")]
Model = Annotated[str, Path(description="Name of the model.")]
Version = Annotated[str, Path(description="Version of the model, such as 1.0.0.")]
Limit = Annotated[int, Query(ge=1, le=1000, description="Most entries of the answer.")]
Cursor = Annotated[
    str | None,
    Query(
        max_length=LONGEST_CURSOR,
        description="`next` of the page before; the first page if absent.",
    ),
]
