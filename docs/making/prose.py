"""Docstrings and tables as Markdown."""

import inspect
import re
from collections.abc import Iterable, Sequence
from typing import Final

SECTION: Final = re.compile(r"^([A-Z][A-Za-z]+)\n-{3,}$", re.MULTILINE)
"""The heading of a section of a numpy docstring."""
NAMED: Final = {"Parameters", "Returns", "Raises", "Attributes", "Yields"}
"""Sections whose entries are a name and, indented below it, its meaning."""
CODE: Final = re.compile(r"(`[^`]*`)")


class Undocumented(ValueError):
    """Something that users meet is explained nowhere; the message names it."""


def meant(text: str | None, what: str) -> str:
    r"""Return an explanation as one line.

    Raises
    ------
    Undocumented
        If it says nothing.

    Examples
    --------
    >>> meant("Rows of\n    the window.", "rows")
    'Rows of the window.'
    >>> meant("", "DRIFTGAUGE_PORT")
    Traceback (most recent call last):
    docs.making.prose.Undocumented: DRIFTGAUGE_PORT is not explained.
    """
    said = " ".join((text or "").split())
    if not said:
        raise Undocumented(f"{what} is not explained.")
    return said


def plain(text: str) -> str:
    r"""Escape what Markdown would take for markup, outside of code.

    Examples
    --------
    >>> plain("*args of `a*b` <x>")
    '\\*args of `a*b` &lt;x>'
    """
    parts = CODE.split(text)
    parts[::2] = [re.sub(r"([*_\[\]])", r"\\\1", part).replace("<", "&lt;") for part in parts[::2]]
    return "".join(parts)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    r"""Write a table; cells are Markdown.

    Examples
    --------
    >>> print(table(["a", "b"], [["1|2", "3"]]))
    | a | b |
    |---|---|
    | 1\|2 | 3 |
    """
    lines = [heads, ["---"] * len(heads), *rows]
    written = [
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    ]
    written[1] = "|" + "---|" * len(heads)
    return "\n".join(written)


def parts_of(docstring: str | None) -> dict[str, str]:
    r"""Part a numpy docstring by its sections; the text before the first one is under "".

    Examples
    --------
    >>> parts_of("Do it.\n\nRaises\n------\nBadData\n    If it fails.")
    {'': 'Do it.', 'Raises': 'BadData\n    If it fails.'}
    """
    first, *rest = SECTION.split(inspect.cleandoc(docstring or ""))
    found = {"": first.strip()}
    found.update({name: text.strip("\n") for name, text in zip(rest[::2], rest[1::2], strict=True)})
    return found


def entries_of(section: str) -> dict[str, str]:
    r"""Return the entries of a section, each a name and its meaning.

    Examples
    --------
    >>> entries_of("n, m\n    Rows.\nname\n    Its\n    name.")
    {'n': 'Rows.', 'm': 'Rows.', 'name': 'Its name.'}
    """
    found: dict[str, str] = {}
    names: list[str] = []
    for line in section.splitlines():
        if line and not line.startswith(" "):
            names = [name.strip() for name in line.split(" : ")[0].split(",")]
        for name in names:
            inner = line.strip() if line.startswith(" ") else ""
            found[name] = " ".join(filter(None, (found.get(name, ""), inner)))
    return found


def described(docstring: str | None, what: str) -> str:
    """Write a numpy docstring as Markdown.

    Raises
    ------
    Undocumented
        If there is none.
    """
    parts = parts_of(docstring)
    meant(parts[""], what)
    written = [plain(parts.pop(""))]
    for name, text in parts.items():
        if name in NAMED:
            entries: dict[str, list[str]] = {}
            for key, said in entries_of(text).items():
                entries.setdefault(said, []).append(f"`{key}`")
            lines = [f"- {', '.join(keys)}: {plain(said)}" for said, keys in entries.items()]
            written.append("\n".join([f"**{name}**", "", *lines]))
        elif name == "Examples":
            written.append(f"**{name}**\n\n```pycon\n{text.strip()}\n```")
        else:
            written.append(f"**{name}**\n\n{plain(text)}")
    return "\n\n".join(written)
