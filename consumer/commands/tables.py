"""Tables on the terminal; untrusted text is shown as plain text."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from driftgauge.shared.wording.visible import visible

if TYPE_CHECKING:
    from rich.table import Table

PIPED_WIDTH: Final = 200
"""Columns of a table that goes to a file or another program."""
UNBOUNDED: Final = 100_000
"""A width that any table fits in."""


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """Print a table; long texts are folded, never cut. Where even its words have no room beside
    each other, each row is printed as a table of its own, a line for each column.
    """
    from rich.console import Console
    from rich.measure import Measurement

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=PIPED_WIDTH)
    kept = [[printable(value) for value in row] for row in rows]
    table = _table(columns, kept, title)
    unbounded = console.options.update_width(UNBOUNDED)
    if Measurement.get(console, unbounded, table).minimum <= console.width:
        console.print(table)
        return
    for number, row in enumerate(kept, start=1):
        console.print(_table(("", ""), zip(columns, row, strict=True), title or f"Row {number}"))


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(title) if title else None,
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        show_header=any(columns),
    )
    for name in columns:
        table.add_column(Text(printable(name)), overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def printable(value: object) -> str:
    r"""Write a value with what steers a terminal as escapes.

    Examples
    --------
    >>> printable("\x1b[31mred")
    '\\x1b[31mred'
    """
    return visible(str(value))
