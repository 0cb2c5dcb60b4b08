"""The options of commands that say how a file is written, where it is not written as the version's
reference was.
"""

import csv
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import click
import msgspec

from driftgauge.shared.tables.format import TableFormat

CELL_OPTIONS: Final = (
    click.option(
        "--missing",
        multiple=True,
        metavar="TEXT",
        help="Text that means a missing value, such as '?' or NA; an empty cell always does. "
        "Repeatable.",
    ),
    click.option(
        "--decimal",
        type=click.Choice([".", ","]),
        help="Decimal mark of numbers.  [default: as the reference has it, or a point]",
    ),
    click.option("--thousands", help="What stands between the thousands of numbers."),
)
TEXT_OPTIONS: Final = (
    click.option("--separator", help="What stands between cells.  [default: recognised]"),
    click.option("--encoding", help="Of text files.  [default: as the reference has it, or utf-8]"),
)
Command = Callable[..., Any]


def _parted(
    context: click.Context,  # noqa: ARG001  click's signature
    option: click.Parameter,  # noqa: ARG001
    given: Sequence[str],
) -> tuple[str, ...]:
    """Part what a repeatable option was given at its commas; a name with commas is quoted."""
    parts = (part.strip() for row in csv.reader(given, skipinitialspace=True) for part in row)
    return tuple(part for part in parts if part)


names_option = partial(click.option, multiple=True, callback=_parted)
"""Makes an option that takes names: it may be repeated, and a text may have several, with commas.

`--exclude a --exclude b`, `--exclude a,b`, and `--exclude '"a,b"'` for one column of that name.
"""


def with_options(command: Command, options: Sequence[Callable[[Command], Command]]) -> Command:
    """Add options to a command, in their order."""
    for option in reversed(options):
        command = option(command)
    return command


def file_options(command: Command) -> Command:
    """Add the options to a command that reads a file by a version's types; see `form_of`."""
    return with_options(command, (*CELL_OPTIONS, *TEXT_OPTIONS))


def text_options(command: Command) -> Command:
    """Add the options to a command that hands the cells on as they are written."""
    return with_options(command, TEXT_OPTIONS)


def form_of(given: Mapping[str, Any], usual: TableFormat | None = None) -> TableFormat:
    """Return how a file is written: as usual, but for what was said.

    Parameters
    ----------
    given
        The options, by name; further missing marks are added to the usual ones, and a decimal mark
        without one of thousands means that there is none.

    Raises
    ------
    BadData
        If a mark cannot be one.

    Examples
    --------
    >>> form_of({"missing": ("NA",), "decimal": ","}, TableFormat(missing=("?",)))
    TableFormat(separator=None, decimal=',', thousands='', missing=('?', 'NA'), encoding='utf-8')
    """
    usual = usual or TableFormat()
    single = ("separator", "decimal", "thousands", "encoding")
    said = {name: given[name] for name in single if given.get(name) is not None}
    if "decimal" in said:  # what stood between the thousands may be it
        said.setdefault("thousands", "")
    marks = tuple(dict.fromkeys((*usual.missing, *given.get("missing", ()))))
    return msgspec.structs.replace(usual, missing=marks, **said)
