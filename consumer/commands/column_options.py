"""The options that say how the columns of a table are taken, and the table that shows it."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from driftgauge.consumer.commands.tables import printable, show_table
from driftgauge.shared.tables.format import COLUMN_TYPES
from driftgauge.shared.tables.options import CELL_OPTIONS, TEXT_OPTIONS, with_options
from driftgauge.shared.wording.numbers import percent, with_unit

if TYPE_CHECKING:
    from driftgauge.consumer.offline.reference_table import Recognised
    from driftgauge.shared.reference.columns.choices import Choices

_OPTIONS: Final = (
    click.option(
        "--type",
        "types",
        multiple=True,
        metavar="COLUMN=TYPE",
        help=f"Take a column as {', '.join(COLUMN_TYPES[:-1])} or {COLUMN_TYPES[-1]}. Repeatable.",
    ),
    click.option(
        "--unit",
        "units",
        multiple=True,
        metavar="COLUMN=UNIT",
        help="Unit of a column's numbers, such as load=kWh.  [default: as in a name like "
        "'load [kWh]'] Repeatable.",
    ),
    *CELL_OPTIONS,
    *TEXT_OPTIONS,
    click.option("--date-format", help="How times are written as text, as of strptime: %d/%m/%Y."),
    click.option(
        "--time-unit",
        type=click.Choice(["s", "ms", "us", "ns"]),
        help="Unit of times that are numbers.  [default: recognised by their size]",
    ),
    click.option("--timezone", help="Zone of times that name none.  [default: UTC]"),
)


def table_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, which gets them by name for `choices_of`."""
    return with_options(command, _OPTIONS)


def choices_of(given: Mapping[str, Any]) -> "Choices":
    """Read the options; BadData if one of them is malformed."""
    from driftgauge.shared.reference.columns.choices import Choices

    return Choices.of(given)


def show_columns(found: "Recognised") -> None:
    """Print how each column is taken, and below what may be wrong with it."""
    show_table(
        ("column", "kind", "why", "missing", "distinct", "values"),
        (
            (
                row.column,
                row.kind,
                row.why,
                percent(row.missing),
                f"{row.distinct:,}",
                with_unit(row.shown, row.unit),
            )
            for row in found.rows
        ),
    )
    for row in found.rows:
        for warning in row.warnings:
            click.echo(f"{printable(row.column)}: {printable(warning)}.")
    for remark in found.remarks:
        click.echo(printable(remark))
    click.echo("")
