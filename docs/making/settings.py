"""The settings, each with its default and its meaning, from `driftgauge.shared.settings`."""

import ast
import inspect
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, cast

from pydantic.fields import FieldInfo

from docs.making.prose import meant, plain, table
from driftgauge.shared.settings import Settings

GROUP: Final = re.compile(r"^    # (.+)$")
"""A comment of the class stands above the settings of one group."""
LIMITS: Final = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def page() -> str:
    """Write a table for each group of settings."""
    return "\n\n".join(
        f"## {title}\n\n" + table(["Setting", "Default", "Meaning"], map(_row, names))
        for title, names in groups().items()
    )


def groups() -> dict[str, list[str]]:
    """Return the names of the settings by the title of their group, in the order of the class."""
    found: dict[str, list[str]] = {}
    lines = inspect.getsource(Settings).splitlines()
    titles = {at: match[1] for at, line in enumerate(lines) if (match := GROUP.match(line))}
    for name, line in _lines():
        title = titles[max(at for at in titles if at < line)]
        found.setdefault(title, []).append(name)
    return found


def _class() -> ast.ClassDef:
    return cast(ast.ClassDef, ast.parse(inspect.getsource(Settings)).body[0])


def _lines() -> Iterator[tuple[str, int]]:
    for node in _class().body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, node.lineno - 1


def meanings() -> dict[str, str]:
    """Return the docstring of each setting that has one."""
    body = _class().body
    return {
        node.target.id: text.value.value
        for node, text in pairwise(body)
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


def variable(name: str) -> str:
    """Return the environment variable of a setting.

    Examples
    --------
    >>> variable("port")
    'DRIFTGAUGE_PORT'
    """
    return f"DRIFTGAUGE_{name.upper()}"


def _row(name: str) -> tuple[str, str, str]:
    field = Settings.model_fields[name]
    said = plain(meant(meanings().get(name), variable(name)))
    limits = _limits(field)
    return f"`{variable(name)}`", _default(field.default), f"{said} {limits}".strip()


def _default(value: Any) -> str:
    """Write a default as it is set.

    Examples
    --------
    >>> _default(("a", "b")), _default(None), _default(True), _default(1 << 30)
    ('`a,b`', 'none', '`true`', '`1073741824` (1 GiB)')
    """
    if value is None or value in ((), ""):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{','.join(value)}`"
    if isinstance(value, float):
        return f"`{value:g}`"
    if isinstance(value, int) and value >= 1 << 20 and value % (1 << 20) == 0:
        size = value >> 20
        return f"`{value}` ({size >> 10} GiB)" if size % 1024 == 0 else f"`{value}` ({size} MiB)"
    return f"`{value.as_posix() if isinstance(value, Path) else value}`"


def _limits(field: FieldInfo) -> str:
    """Write the numbers or words that a setting takes.

    Examples
    --------
    >>> _limits(Settings.model_fields["port"]), _limits(Settings.model_fields["publish_mode"])
    ('1 to 65535.', 'One of `ack`, `spool_first`, `replicated`.')
    >>> _limits(Settings.model_fields["performance_drop"])
    'Above 0 and below 1.'
    """
    choices = getattr(field.annotation, "__args__", ())
    if choices and all(isinstance(choice, str) for choice in choices):
        return f"One of {', '.join(f'`{choice}`' for choice in choices)}."
    bounds = {
        name: getattr(one, name)
        for one in field.metadata
        for name in LIMITS
        if getattr(one, name, None) is not None
    }
    if {"ge", "le"} <= bounds.keys():
        return f"{bounds['ge']:g} to {bounds['le']:g}."
    words = " and ".join(f"{LIMITS[name]} {bound:.9g}" for name, bound in bounds.items())
    return f"{words.capitalize()}." if words else ""
