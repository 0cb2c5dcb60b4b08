"""Reads TOML tables into structs, and says at which line a file that does not fit them is wrong.
Pure.

The parser tells the line of what is no TOML, and nothing of the lines of what it has read: they are
found by places.py.
"""

import re
import tomllib
from typing import Any, TypeVar

import msgspec

from driftgauge.shared.policies.places import Place, places

_Form = TypeVar("_Form")

_LINE = re.compile(r" \(at line ([0-9]+), column [0-9]+\)$|( \(at end of document\))$")
_PATH = re.compile(r" - at `(?:key in )?\$([^`]*)`$")
_STEP = re.compile(r"\.([A-Za-z0-9_-]+)|\[([0-9]+)\]")
_LONG = re.compile(rb"[0-9_]{4000,}")
_UNKNOWN = re.compile(r"unknown field `([^`]*)`")


class TomlFault(ValueError):
    """A file that cannot be used: at which line (from 1), and why, without a full stop."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


def parsed(text: bytes) -> dict[str, Any]:
    r"""Parse a TOML file.

    Raises
    ------
    TomlFault
        If it is not TOML.

    Examples
    --------
    >>> parsed(b"[a]\nb = 1")
    {'a': {'b': 1}}
    >>> try:
    ...     parsed(b"[a]\nb = = 1")
    ... except TomlFault as fault:
    ...     print(fault)
    line 2: Invalid value
    """
    try:
        return tomllib.loads(text.decode())
    except UnicodeDecodeError as error:
        line = text[: error.start].count(b"\n") + 1
        raise TomlFault(line, "it is not UTF-8 text") from error
    except tomllib.TOMLDecodeError as error:
        found = _LINE.search(str(error))
        last = text.count(b"\n") + 1
        line = int(found[1]) if found is not None and found[1] else last
        raise TomlFault(line, _LINE.sub("", str(error))) from error
    except ValueError as error:  # Python reads no integer of thousands of digits
        long = _LONG.search(text)
        line = text.count(b"\n", 0, long.start()) + 1 if long is not None else 1
        raise TomlFault(line, "a number in it is too long") from error
    except RecursionError as error:
        raise TomlFault(1, "its values are nested too deeply") from error


def converted(text: bytes, found: object, place: Place, form: type[_Form]) -> _Form:
    r"""Convert what stands at a place of a parsed file to a struct.

    Parameters
    ----------
    text
        The file, from which the line of a fault is found.

    Raises
    ------
    TomlFault
        If it does not have this form.

    Examples
    --------
    >>> class Limit(msgspec.Struct, forbid_unknown_fields=True):
    ...     value: float
    >>> text = b"[[limits]]\nvalue = 1\n[[limits]]\n# many\nvalue = 'two'"
    >>> try:
    ...     converted(text, parsed(text)["limits"], ("limits",), list[Limit])
    ... except TomlFault as fault:
    ...     print(fault)
    line 5: limits[1].value: Expected `float`, got `str`
    """
    try:
        return msgspec.convert(found, form)
    except msgspec.ValidationError as error:
        inside, reason = _said(str(error))
        where = (*place, *inside)
        raise TomlFault(line_of(text, where), f"{worded(where)}: {reason}") from error


def line_of(text: bytes, place: Place) -> int:
    r"""Return the line at which a place of a TOML file stands; if it is not in the file, that of
    the nearest table or entry around it that is; 1 if there is none.

    Examples
    --------
    >>> text = b"a = 1\n[b]\n\nc = [\n1,\n2]\n[[d]]\ne = {f = 1}\n[[d]]\n"
    >>> [line_of(text, place) for place in (("b",), ("b", "c"), ("d", 0, "e", "f"), ("d", 1))]
    [2, 4, 8, 9]
    >>> line_of(text, ("d", 1, "absent")), line_of(text, ("absent",))
    (9, 1)
    """
    whole = text.decode(errors="replace")
    best, line = 0, 1
    for found, offset in places(whole):
        same = _common(found, place)
        if same > best:
            best, line = same, whole.count("\n", 0, offset) + 1
        if best == len(place):
            break
    return line


def worded(place: Place) -> str:
    """Name a place as a person would.

    Examples
    --------
    >>> worded(("models", "steel", "thresholds", 0, "warning"))
    'models.steel.thresholds[0].warning'
    """
    steps = (f"[{one}]" if isinstance(one, int) else f".{one}" for one in place)
    return "".join(steps).removeprefix(".")


def _said(message: str) -> tuple[Place, str]:
    """Split msgspec's message into the place inside of what was converted, and the rest."""
    path = _PATH.search(message)
    steps = _STEP.findall(path[1]) if path is not None else ()
    inside: Place = tuple(name or int(number) for name, number in steps)
    unknown = _UNKNOWN.search(message)
    if unknown is not None:
        inside = (*inside, unknown[1])
    return inside, _PATH.sub("", message)


def _common(one: Place, other: Place) -> int:
    """Return with how many equal steps two places begin."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((number for number, (a, b) in pairs if a != b), min(len(one), len(other)))
