"""`driftgauge query`."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from driftgauge.consumer.commands.kept.opened import (
    models_of,
    opened_archive,
    query_options,
    require_model,
    time_of,
)
from driftgauge.consumer.commands.tables import show_table
from driftgauge.shared.errors import BadData, ConfigurationError

if TYPE_CHECKING:
    from driftgauge.shared.archive.store import Store

SHOWN: Final = 100
"""Rows that are printed as a table; the other forms have all."""


@click.command()
@click.argument("sql")
@click.option("--model", help="Which model, if there are several.")
@click.option("--csv", "as_csv", is_flag=True, help="Print all rows as CSV.")
@click.option("--json", "as_json", is_flag=True, help="Print all rows as JSON lines.")
@click.option(
    "--parquet",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write all rows to.",
)
@query_options
def query(
    sql: str,
    model: str | None,
    since: str | None,
    until: str | None,
    parquet: Path | None,
    timeout: float,
    memory: int,
    *,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Ask the archive by SQL: the views are predictions, labels, joined, refused, incidents,
    transitions, panes, histograms and cells.

    It reads the archive and nothing else. Example: driftgauge query "SELECT date, count(*) FROM
    predictions GROUP BY date".
    """
    from driftgauge.shared.archive.exporting import export
    from driftgauge.shared.archive.querying import Query
    from driftgauge.shared.archive.scan import Range

    if sum((as_csv, as_json, parquet is not None)) > 1:
        raise ConfigurationError("Only one of --csv, --json and --parquet can be given.")
    store = opened_archive()
    wanted = Range(_model(store, model), time_of(since, "--since"), time_of(until, "--until"))
    tell = partial(click.echo, err=True)
    with closing(Query(store, wanted, tell, memory_mb=memory, seconds=timeout)) as asked:
        try:
            batches = asked.run(sql)
            if parquet is not None:
                with parquet.open("wb") as file:
                    click.echo(f"{export(batches, 'parquet', file):,} rows.", err=True)
            elif as_csv or as_json:
                export(batches, "csv" if as_csv else "jsonl", sys.stdout.buffer)
            else:
                _show(batches)
        except OSError as error:
            raise BadData(f"The result cannot be written: {error}.") from error


def _model(store: "Store", given: str | None) -> str:
    """Return the model that is asked about."""
    if given is not None:
        require_model(store, given)
        return given
    names = models_of(store)
    if len(names) == 1:
        return names[0]
    there = f"it has {', '.join(names)}; name one by --model" if names else "it is empty"
    raise ConfigurationError(f"{store.where()}: {there}.")


def _show(batches: Iterator[Any]) -> None:
    """Print the first rows as a table."""
    rows: list[Iterable[object]] = []
    names: list[str] = []
    more = False
    for batch in batches:
        names = batch.schema.names
        left = SHOWN - len(rows)
        more = more or batch.num_rows > left
        rows += [list(row.values()) for row in batch.slice(0, left).to_pylist()]
        if more:
            break
    show_table(names, [["" if cell is None else str(cell) for cell in row] for row in rows])
    if more:
        click.echo(f"The first {SHOWN} rows; --csv, --json and --parquet have all.", err=True)
