"""CloudEvents 1.0 over HTTP: one in headers and body (binary), one as a document (structured), or a
list of documents (batched).
"""

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from driftgauge.shared.durations import MAX_TIME_MS
from driftgauge.shared.errors import BadData

STRUCTURED: Final = "application/cloudevents+json"
BATCHED: Final = "application/cloudevents-batch+json"
PREFIX: Final = "ce-"
REQUIRED: Final = ("id", "source", "specversion", "type")


class CloudEvent(msgspec.Struct, frozen=True):
    """An event.

    Parameters
    ----------
    moment
        Unix time (ms, with its fraction); None if it has none.
    extensions
        Its other attributes.
    data
        Its content, as bytes.
    """

    id: str
    source: str
    type: str
    moment: float | None
    extensions: dict[str, str]
    data: bytes


Found = CloudEvent | str
"""An event, or what is wrong with it."""


def read_events(headers: Mapping[str, str], body: bytes) -> tuple[list[Found], bool]:
    """Read the events of a request; return whether it is a batch.

    Raises
    ------
    BadData
        If it is none, or the document cannot be read.

    Examples
    --------
    >>> headers = {
    ...     "ce-id": "7",
    ...     "ce-source": "s",
    ...     "ce-specversion": "1.0",
    ...     "ce-type": "t",
    ...     "ce-time": "2025-11-20T12:00:00.5Z",
    ...     "content-type": "application/json",
    ... }
    >>> (event,), many = read_events(headers, b"{}")
    >>> event.id, event.moment, event.data, many
    ('7', 1763640000500.0, b'{}', False)
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == STRUCTURED:
        return [_structured(_decoded(body))], False
    if kind == BATCHED:
        found = _decoded(body)
        if not isinstance(found, list):
            raise BadData("The body is no list of events.")
        return [_structured(one) for one in found], True
    attributes = {
        name[len(PREFIX) :].lower(): unquote(value)
        for name, value in headers.items()
        if name.lower().startswith(PREFIX)
    }
    if not attributes:
        raise BadData(
            f"This is no CloudEvent: it has neither headers ce-… nor the type {STRUCTURED} or "
            f"{BATCHED}."
        )
    return [_event(attributes, body)], False


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadData(f"The body is not JSON: {error}.") from error


def _structured(document: Any) -> Found:
    if not isinstance(document, dict):
        return "the event is no object"
    attributes = {
        name: value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for name, value in document.items()
        if name not in {"data", "data_base64"} and value is not None
    }
    if "data_base64" in document:
        try:
            return _event(attributes, base64.b64decode(document["data_base64"], validate=True))
        except (TypeError, ValueError):
            return "data_base64 is no base64"
    return _event(attributes, msgspec.json.encode(document.get("data")))


def _event(attributes: dict[str, str], data: bytes) -> Found:
    absent = [name for name in REQUIRED if not attributes.get(name)]
    if absent:
        return f"the event has no {', '.join(absent)}"
    if not attributes["specversion"].startswith("1."):
        return f"its specversion is {attributes['specversion'][:20]!r}, not 1.0"
    time, moment = attributes.pop("time", None), None
    if time is not None:
        moment = _moment(time)
        if moment is None:
            return "its time is none"
    extensions = {name: text for name, text in attributes.items() if name not in REQUIRED}
    return CloudEvent(
        attributes["id"], attributes["source"], attributes["type"], moment, extensions, data
    )


def _moment(text: str) -> float | None:
    """Return a time of RFC 3339 as Unix time (ms), to the microsecond; None if it is none."""
    try:
        found = datetime.fromisoformat(text)
        moment = found.timestamp() * 1000
    except (ValueError, OverflowError):
        return None
    return moment if found.tzinfo is not None and 0 <= moment <= MAX_TIME_MS else None
