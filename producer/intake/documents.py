"""Request bodies: bounded reading, JSON, and the check of every field but the features.

They are decoded without a typed model, so that one answer can name every bad field, not only the
first.
"""

import asyncio
import io
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from fastapi import Request

from driftgauge.producer.http.problems import RETRY_AFTER, Problem, too_large
from driftgauge.producer.intake.encodings import TooMuch, coding_of, unpacked
from driftgauge.producer.intake.turns import check_containers
from driftgauge.shared.durations import milliseconds
from driftgauge.shared.reference.schema import MOST_UNKNOWN, FieldError, pointer

MAX_ID = 128
SMALL_BODY: Final = 64 << 10
MOST_BODY_BYTES: Final = 256 << 20
"""Memory for unfinished bodies, or that of the four largest, whichever is more."""

Check = Callable[[object], str | None]
"""A function that returns what is wrong with a value, None if nothing is."""
_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True)
class NotJson:
    """An item of a body that cannot be read, and why."""

    fault: str

    @property
    def reason(self) -> str:
        """What is wrong, as it is answered."""
        return f"is not JSON: {self.fault}"


class Bodies:
    """Memory for the bodies of requests that are not whole yet, all together.

    Parameters
    ----------
    most
        Most bytes of the bodies that are larger than `SMALL_BODY`; the number of connections bounds
        the others.
    """

    def __init__(self, most: int) -> None:
        self.held = 0
        self._most = most

    def take(self, size: int) -> None:
        """Take some memory.

        Raises
        ------
        Problem
            503 if others have it.
        """
        if self.held + size > self._most:
            raise Problem(
                503,
                "Too many large bodies are being sent at once; send it again later.",
                (),
                RETRY_AFTER,
            )
        self.held += size

    def give_back(self, size: int) -> None:
        """Give memory back."""
        self.held -= size


async def read_body(request: Request, most_bytes: int) -> bytes:
    """Read a body of bounded size, and unpack it if it is compressed.

    Raises
    ------
    Problem
        413 if it is larger, or what is unpacked is; 415 if it is compressed in an unknown way, 400
        if it cannot be unpacked; 503 if the bodies of other requests take all the memory.
    """
    coding = coding_of(request.headers)
    body = await _received(request, most_bytes)
    if coding is None:
        return body
    try:
        return await asyncio.to_thread(b"".join, unpacked(io.BytesIO(body), coding, most_bytes))
    except TooMuch:
        raise too_large(most_bytes) from None


async def _received(request: Request, most_bytes: int) -> bytes:
    """Read a body as it is sent."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > most_bytes:
        raise too_large(most_bytes)
    bodies: Bodies = request.app.state.parts.bodies
    chunks = []
    size = held = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > most_bytes:
                raise too_large(most_bytes)
            if size - held > SMALL_BODY:
                bodies.take(size - held)
                held = size
            chunks.append(chunk)
    finally:
        bodies.give_back(held)
    return b"".join(chunks)


def decode(body: bytes) -> tuple[Any, Problem | None]:
    """Decode JSON strictly; return the document, and the fault of the document as a whole, if any.

    A body that only the lenient decoder reads (NaN, Infinity, 1e999) is returned together with its
    problem, so that the caller can name the bad fields first; it raises the problem if no field is
    at fault.

    Raises
    ------
    Problem
        400 if not even the lenient decoder reads it, or it holds too many lists and objects.

    Examples
    --------
    >>> decode(b'{"x": 1}')
    ({'x': 1}, None)
    >>> document, problem = decode(b'{"x": NaN}')
    >>> document, problem.status, problem.detail
    ({'x': nan}, 400, 'The body is not JSON: JSON is malformed: invalid character (byte 6).')
    """
    check_containers(body)
    try:
        return _decode(body), None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        problem = Problem(400, f"The body is not JSON: {error}.")
    except RecursionError:
        problem = Problem(400, "The body is nested too deeply.")
    try:
        return json.loads(body), problem
    except (ValueError, RecursionError):
        raise problem from None


def strict_fault(item: object, at: str, *, not_finite: bool = False) -> list[FieldError]:
    """Return why one item of a document that is no JSON as a whole is none; nothing if it is.

    Parameters
    ----------
    not_finite
        True if NaN and infinities are taken, as missing values of the schema.

    Examples
    --------
    >>> strict_fault({"x": 1}, "/0"), strict_fault({"x": math.nan}, "/1")[0].field
    ([], '/1')
    >>> strict_fault({"x": math.nan}, "/1", not_finite=True)
    []
    """
    try:
        _decode(json.dumps(_finite(item) if not_finite else item))
    except (msgspec.DecodeError, RecursionError) as error:
        return [FieldError(at, f"is not JSON: {error}", "unreadable")]
    return []


def _finite(item: Any) -> Any:
    """Return an item with null in the place of what is not finite."""
    if isinstance(item, dict):
        return {name: _finite(value) for name, value in item.items()}
    if isinstance(item, list):
        return [_finite(value) for value in item]
    return None if isinstance(item, float) and not math.isfinite(item) else item


def field_faults(
    document: object, checks: Mapping[str, Check], required: str | None, at: str = ""
) -> list[FieldError]:
    """Find the faults in the fields of an object, but not in the values of its features.

    Parameters
    ----------
    checks
        Check of each field that the object may have.
    required
        The one field that must be there; None if all may be absent or null.
    at
        JSON pointer of the object.

    Examples
    --------
    >>> faults = field_faults({"id": 7}, {"features": is_object, "id": is_id}, "features")
    >>> faults[0]
    FieldError(field='/id', message='must be a string of 1 to 128 characters')
    """
    if not isinstance(document, dict):
        words = document.reason if isinstance(document, NotJson) else "must be an object"
        return [FieldError(at, words, "unreadable")]
    faults: list[FieldError] = []
    for name, value in document.items():
        check = checks.get(name)
        if check is None and len(faults) >= MOST_UNKNOWN:
            continue
        if check is None:
            faults.append(
                FieldError(
                    pointer(at, name),
                    "is not a field of this request; use " + ", ".join(checks),
                    "unknown_field",
                )
            )
        elif value is not None or name == required:
            fault = check(value)
            if fault is not None:
                faults.append(FieldError(pointer(at, name), fault))
    if required is not None and required not in document:
        faults.append(FieldError(pointer(at, required), "is missing", "missing"))
    return faults


def is_object(value: object) -> str | None:
    return None if isinstance(value, dict) else "must be an object of feature names and values"


def is_text(value: object) -> str | None:
    return None if isinstance(value, str) else "must be a string"


def is_flag(value: object) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def is_id(value: object) -> str | None:
    return (
        None
        if isinstance(value, str) and 0 < len(value) <= MAX_ID
        else "must be a string of 1 to 128 characters"
    )


def is_time(value: object) -> str | None:
    return (
        "must be Unix milliseconds or an ISO 8601 time with its zone"
        if milliseconds(value) is None
        else None
    )


def is_duration(value: object) -> str | None:
    if type(value) is int or type(value) is float:
        return None if 0 <= value < math.inf else "must be a finite number of at least 0"
    return "must be a number"
