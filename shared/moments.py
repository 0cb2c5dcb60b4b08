"""Points in time as the API tells them: ISO 8601 in UTC, where the structs that cross a process
hold Unix milliseconds.

The types of the structs say which of their fields are points in time, so nothing else is a list of
them. Pure.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import inspect

from driftgauge.shared.durations import MAX_TIME_MS, milliseconds

UNIT: Final = "unit"
"""Member of a field's JSON schema that names the unit of its number."""
Moment = Annotated[int, msgspec.Meta(extra_json_schema={UNIT: "ms since 1970"})]
"""A point in time in Unix ms; the API tells it in ISO 8601."""
IsoTime = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
"""A point in time that is held in ISO 8601."""
LEAST_TIME_MS: Final = -62_135_596_800_000
"""The beginning of the year 1, in Unix ms."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Kind = TypeVar("Kind", bound=msgspec.Struct)
Change = Callable[[Any], Any]


def iso(moment: int) -> str:
    """Return a point in time in ISO 8601 to the millisecond, in UTC; one beyond the calendar as the
    calendar's end.

    Examples
    --------
    >>> iso(1714557600123), iso(10**18)
    ('2024-05-01T10:00:00.123Z', '9999-12-31T23:59:59.999Z')
    """
    within = min(max(moment, LEAST_TIME_MS), MAX_TIME_MS)
    told = (EPOCH + timedelta(milliseconds=within)).isoformat(timespec="milliseconds")
    return told.replace("+00:00", "Z")


def told(value: msgspec.Struct) -> Any:
    """Return a struct as JSON values, with its points in time in ISO 8601.

    Examples
    --------
    >>> class Window(msgspec.Struct):
    ...     end: Moment | None
    ...     rows: int = 0
    >>> told(Window(1714557600123)), told(Window(None))
    ({'end': '2024-05-01T10:00:00.123Z', 'rows': 0}, {'end': None, 'rows': 0})
    """
    change = _changing(type(value), iso)
    plain = msgspec.to_builtins(value)
    return plain if change is None else change(plain)


def untold(document: Any, kind: type[Kind]) -> Kind:
    """Return the struct that `told` has told; points in time may be Unix ms as well.

    Raises
    ------
    msgspec.ValidationError
        If it is no such struct.

    Examples
    --------
    >>> class Window(msgspec.Struct):
    ...     ends: list[Moment]
    >>> untold({"ends": ["2024-05-01T12:00:00.123+02:00", 5]}, Window)
    Window(ends=[1714557600123, 5])
    """
    change = _changing(kind, _read)
    return msgspec.convert(document if change is None else change(document), kind)


def is_moment(schema: Mapping[str, Any]) -> bool:
    """Tell whether a JSON schema is that of a `Moment`."""
    return UNIT in schema


def _read(value: Any) -> Any:
    """Read a point in time; what is none is left for the struct to refuse."""
    found = milliseconds(value) if isinstance(value, str) else None
    return value if found is None else found


@cache
def _changing(kind: Any, change: Change) -> Change | None:
    """Return what changes all points in time of a value of a type; None if it has none."""
    return _of(inspect.type_info(kind), change)


def _of(info: inspect.Type, change: Change) -> Change | None:
    if isinstance(info, inspect.Metadata):
        is_one = info.extra_json_schema is not None and is_moment(info.extra_json_schema)
        return change if is_one else _of(info.type, change)
    if isinstance(info, inspect.UnionType):
        changes = [found for one in info.types if (found := _of(one, change)) is not None]
        return _unless_none(changes[0]) if changes else None
    if isinstance(info, inspect.ListType | inspect.VarTupleType | inspect.CollectionType):
        of_item = _of(info.item_type, change)
        return None if of_item is None else lambda values: _each(values, of_item)
    if isinstance(info, inspect.DictType):
        of_value = _of(info.value_type, change)
        return None if of_value is None else lambda values: _each_named(values, of_value)
    if isinstance(info, inspect.StructType):
        fields = {
            field.encode_name: found
            for field in info.fields
            if (found := _of(field.type, change)) is not None
        }
        return (lambda values: _fields(values, fields)) if fields else None
    return None


def _unless_none(change: Change) -> Change:
    return lambda value: None if value is None else change(value)


def _each(values: Any, change: Change) -> Any:
    return [change(one) for one in values] if isinstance(values, list | tuple) else values


def _each_named(values: Any, change: Change) -> Any:
    if not isinstance(values, dict):
        return values
    return {name: change(one) for name, one in values.items()}


def _fields(values: Any, changes: Mapping[str, Change]) -> Any:
    if not isinstance(values, dict):
        return values
    return values | {
        name: change(values[name]) for name, change in changes.items() if name in values
    }
