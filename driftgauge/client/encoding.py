"""What an application logs becomes JSON: values of plain types or of what stands for them, and null
for what is missing.
"""

import json
import math
from collections.abc import Mapping
from typing import Any, Final

PLAIN: Final = frozenset({float, int, str, bool, type(None)})
"""Types of values that nobody can change."""
LONGEST_ID: Final = 128
"""Most characters of an id."""


class Unserialisable(Exception):
    """Something that no JSON can be made of."""


def mapping(features: object) -> Mapping[Any, Any]:
    """Return features as a mapping of names and values: a mapping, a row of pandas, a model of
    pydantic, a named tuple, or pairs.

    Examples
    --------
    >>> mapping([("x", 1)])
    {'x': 1}
    """
    if isinstance(features, Mapping):
        return features
    for name in ("model_dump", "to_dict", "_asdict"):
        convert = getattr(features, name, None)
        if convert is not None:
            return mapping(convert())
    pairs: Any = features
    return dict(pairs)


def encode(content: Mapping[str, object]) -> bytes:
    """Return an event as JSON, with null for what is not finite.

    Raises
    ------
    Unserialisable
        If a value has no plain form.

    Examples
    --------
    >>> encode({"x": float("nan"), "y": 1.5})
    b'{"x":null,"y":1.5}'
    """
    try:
        try:
            return _encode(content).encode("ascii")
        except ValueError:  # NaN or an infinity, or a circle, which the second try finds
            return _encode(_finite(content)).encode("ascii")
    except (TypeError, ValueError, OverflowError, RecursionError, AttributeError) as error:
        raise Unserialisable(f"{type(error).__name__}: {error}") from error


def event_json(content: Mapping[str, object]) -> bytes:
    """Return an event as JSON, without what is None."""
    return encode({name: value for name, value in content.items() if value is not None})


def taken_down(content: dict[str, object]) -> dict[str, object] | bytes:
    """Return an event as nobody can change it any more, at the least cost: its plain values as they
    are, to be encoded by the sender's thread; JSON at once if it holds anything else.

    Examples
    --------
    >>> taken_down({"features": {"x": 1.5}, "prediction": 2.0})
    {'features': {'x': 1.5}, 'prediction': 2.0}
    >>> taken_down({"features": {"x": [1.5]}, "prediction": 2.0})
    b'{"features":{"x":[1.5]},"prediction":2.0}'
    """
    features = content.get("features")
    if (
        type(features) is not dict
        or not PLAIN.issuperset(map(type, features.values()))
        or not PLAIN.issuperset(map(type, features))
        or not PLAIN.issuperset(type(content[name]) for name in content if name != "features")
    ):
        return event_json(content)
    content["features"] = features.copy()
    return content


def text_id(given: object) -> str:
    """Return an id as the API takes it.

    Raises
    ------
    Unserialisable
        If it is empty, or longer than `LONGEST_ID`.
    """
    found = given if isinstance(given, str) else str(given)
    if not 0 < len(found) <= LONGEST_ID:
        raise Unserialisable(f"an id has 1 to {LONGEST_ID} characters, not {len(found)}")
    return found


def milliseconds(moment: object) -> object:
    """Return a time as the API takes it: Unix milliseconds, or a text in ISO 8601 with its zone.

    Parameters
    ----------
    moment
        A `datetime` (one without a zone is local time), a text, or Unix milliseconds.
    """
    timestamp = getattr(moment, "timestamp", None)
    return moment if timestamp is None else int(timestamp() * 1000)


def _plain(value: Any) -> object:
    """Return what stands for a value that JSON does not know: of numpy, pandas, decimal, datetime,
    enum.
    """
    if hasattr(value, "isoformat"):
        return value.isoformat() if value == value else None  # noqa: PLR0124  NaT is not itself
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        plain = value.item()
        return None if isinstance(plain, float) and not math.isfinite(plain) else plain
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "as_integer_ratio"):
        return float(value)
    if type(value).__name__ == "NAType":  # pandas's missing value
        return None
    if hasattr(value, "value") and type(type(value)).__name__ in {"EnumMeta", "EnumType"}:
        return value.value
    raise TypeError(f"a {type(value).__name__} is no number, text, truth value or None")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    if hasattr(value, "tolist"):
        return _finite(value.tolist())
    return value


_encode: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=_plain).encode
