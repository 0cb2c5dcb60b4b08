"""The names of the library, with their docstrings."""

import inspect
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
    text = described(inspect.getdoc(found), f"driftgauge.{name}")
    return f"## {name}\n\n```python\n{_signature(name, found)}\n```\n\n{text}"


def _signature(name: str, found: Any) -> str:
    """Write how it is called, an argument a line if they are many."""
    parameters = inspect.signature(found).parameters.values()
    written = [str(one.replace(annotation=inspect.Parameter.empty)) for one in parameters]
    marks = [at for at, one in enumerate(parameters) if one.kind is one.KEYWORD_ONLY]
    if marks:
        written.insert(marks[0], "*")
    line = f"driftgauge.{name}({', '.join(written)})"
    within = "".join(f"    {one},\n" for one in written)
    return line if len(line) <= WIDTH else f"driftgauge.{name}(\n{within})"
