"""Tables on the terminal; untrusted text is shown as plain text."""

from collections.abc import Iterable, Sequence

from driftgauge.shared.wording.visible import visible

PIPED_WIDTH = 200
"""Columns of a table that goes to a file or another program."""


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """Print a table; long texts are folded, never cut."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=PIPED_WIDTH)
    table = Table(
        title=Text(title) if title else None,
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(value)) for value in row))
    console.print(table)


def printable(value: object) -> str:
    r"""Write a value with what steers a terminal as escapes.

    Examples
    --------
    >>> printable("\x1b[31mred")
    '\\x1b[31mred'
    """
    return visible(str(value))
