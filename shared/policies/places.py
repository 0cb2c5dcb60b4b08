"""Where in a TOML file its keys and entries stand, which the parser does not tell. Pure.

The file is known to be TOML, so nothing is checked here: it is walked through once, token by token.
"""

import re
import tomllib
from collections.abc import Generator, Iterator
from typing import Final

Place = tuple[str | int, ...]
"""Where a value stands: the names of tables and keys, and the numbers of an array's entries."""

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_STRING: Final = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?!")'  # up to two quotes more belong to it
    r"|'''.*?'''(?!')"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_NAME: Final = re.compile(r'[A-Za-z0-9_-]+|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'')
_KEY: Final = re.compile(rf"(?:{_NAME.pattern})(?:[ \t]*\.[ \t]*(?:{_NAME.pattern}))*")
_EQUALS: Final = re.compile(r"[ \t]*=[ \t]*")
_HEADER: Final = re.compile(r"(\[\[?)[ \t]*")
_PLAIN: Final = re.compile(r"[^#\n]*")
_PLAIN_WITHIN: Final = re.compile(r"[^,\]}#\n]+")
_INLINE: Final = -1


def places(text: str) -> Iterator[tuple[Place, int]]:
    r"""Yield each table, key and entry of an array in the order of the file, with its offset.

    Examples
    --------
    >>> list(places("[a]\nb = [1, {c = 2}]\n[[d]]"))
    [(('a',), 0), (('a', 'b'), 4), (('a', 'b', 0), 9), (('a', 'b', 1), 12), (('a', 'b', 1, 'c'), 13), (('d', 0), 21)]
    """  # noqa: E501  a doctest
    arrays: dict[Place, int] = {}
    table: Place = ()
    at = _after(_BLANK, text, 0)
    while at < len(text):
        header = _HEADER.match(text, at)
        key = _KEY.match(text, at if header is None else header.end())
        if key is None:  # no TOML
            return
        names = _names(key[0])
        if header is None:
            yield (*table, *names), at
            at = yield from _value(text, _after(_EQUALS, text, key.end()), (*table, *names))
        else:
            table = _entered(names, arrays, is_new=header[1] == "[[")
            yield table, at
            at = _after(_PLAIN, text, key.end())
        at = _after(_BLANK, text, at)


def _value(text: str, at: int, place: Place) -> Generator[tuple[Place, int], None, int]:
    """Yield what is inside of a value; return the offset behind it."""
    around: list[tuple[Place, int]] = []  # arrays, with the number of their next entry, and tables
    while at < len(text):
        if around and text[at] in "]},":
            outer, number = around.pop()
            if text[at] == ",":
                around.append((outer, number if number == _INLINE else number + 1))
            at += 1
        elif around and around[-1][1] == _INLINE:
            key = _KEY.match(text, at)
            if key is None:  # no TOML
                return len(text)
            place = (*around[-1][0], *_names(key[0]))
            yield place, at
            at = _begun(text, _after(_EQUALS, text, key.end()), place, around)
        else:
            if around:
                place = (*around[-1][0], around[-1][1])
                yield place, at
            at = _begun(text, at, place, around)
        if not around:
            return at
        at = _after(_BLANK, text, at)
    return at


def _begun(text: str, at: int, place: Place, around: list[tuple[Place, int]]) -> int:
    """Enter an array or an inline table, or pass over another value; return the offset then."""
    if text[at : at + 1] in {"[", "{"}:
        around.append((place, 0 if text[at] == "[" else _INLINE))
        return at + 1
    string = _STRING.match(text, at)
    return string.end() if string else _after(_PLAIN_WITHIN if around else _PLAIN, text, at)


def _entered(names: Place, arrays: dict[Place, int], *, is_new: bool) -> Place:
    """Return the place of a header, whose names lead through the latest entries of arrays; count
    the entry that it begins, if it does.
    """
    place: Place = ()
    for number, name in enumerate(names, start=1):
        place = (*place, name)
        if is_new and number == len(names):
            arrays[place] = arrays.get(place, -1) + 1
        if place in arrays:
            place = (*place, arrays[place])
    return place


def _names(key: str) -> Place:
    names = (one[0] for one in _NAME.finditer(key))
    return tuple(_unquoted(name) if name[0] in "\"'" else name for name in names)


def _unquoted(name: str) -> str:
    found: str = tomllib.loads(f"x = {name}")["x"]
    return found


def _after(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return at if found is None else found.end()
