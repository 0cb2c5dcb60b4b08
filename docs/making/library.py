"""The names of the library, with their docstrings."""

import dataclasses
import inspect
from collections.abc import Iterator
from typing import Any, Final

import driftgauge
from docs.making.prose import described
from driftgauge.shared.statistics import STATISTICS

WIDTH: Final = 88


def page() -> str:
    """Write a section for each name that `import driftgauge` offers."""
    return "\n\n".join(_name(name) for name in names())


def names() -> list[str]:
    """Return the public names, in alphabetical order."""
    return sorted({*driftgauge.__all__, *STATISTICS}, key=str.lower)


def _name(name: str) -> str:
    found = getattr(driftgauge, name)
    path = f"driftgauge.{name}"
    parts = [f"## {name}", _code(path, found), described(inspect.getdoc(found), path)]
    if inspect.isclass(found) and not dataclasses.is_dataclass(found):
        parts += [_method(path, inner, method) for inner, method in _methods(found)]
    return "\n\n".join(parts)


def _methods(owner: type) -> Iterator[tuple[str, Any]]:
    """Yield the public methods and properties that a class defines, in the order of its code."""
    for name, found in vars(owner).items():
        if (callable(found) or isinstance(found, property)) and not name.startswith("_"):
            yield name, found


def _method(owner: str, name: str, found: Any) -> str:
    path = f"{owner}.{name}"
    if isinstance(found, property):
        return f"### {path}\n\n{described(inspect.getdoc(found), path)}"
    return f"### {path}\n\n{_code(path, found)}\n\n{described(inspect.getdoc(found), path)}"


def _code(path: str, found: Any) -> str:
    return f"```python\n{_signature(path, found)}\n```"


def _signature(path: str, found: Any) -> str:
    """Write how it is called, an argument a line if they are many."""
    parameters = [one for one in inspect.signature(found).parameters.values() if one.name != "self"]
    written = [str(one.replace(annotation=inspect.Parameter.empty)) for one in parameters]
    marks = [at for at, one in enumerate(parameters) if one.kind is one.KEYWORD_ONLY]
    if marks:
        written.insert(marks[0], "*")
    line = f"{path}({', '.join(written)})"
    within = "".join(f"    {one},\n" for one in written)
    return line if len(line) <= WIDTH else f"{path}(\n{within})"
