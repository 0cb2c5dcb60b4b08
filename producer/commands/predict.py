"""`driftgauge predict`: let a running API predict the rows of a file."""

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import Any

import click
import httpx
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from driftgauge.producer.commands.upload import Sending, predict_file
from driftgauge.shared.connections.api_client import authorization, fetch_schema
from driftgauge.shared.local.finding import located_settings, url_option
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.tables.options import form_of, text_options


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--model", required=True, help="The model that the rows are for.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="CSV file of the answers.",
)
@click.option(
    "--id-column",
    help="Column of the predictions' ids, each different.  [default: made by the API]",
)
@click.option("--time-column", help="Column of the event times; without zone: UTC.  [default: now]")
@text_options
@url_option
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the number of rows by status, and of dropped events, as JSON.",
)
def predict(
    file: Path,
    model: str,
    output: Path,
    id_column: str | None,
    time_column: str | None,
    url: str,
    *,
    as_json: bool,
    **said: Any,
) -> None:
    """Predict the rows of a FILE (CSV, JSON lines, Parquet or Arrow) by a running API, which
    publishes them with the source `batch`.

    An API with keys needs one with the scope predict, in DRIFTGAUGE_API_KEY.
    """
    headers = authorization(located_settings())
    schema = asyncio.run(_schema(url, headers, model))
    started = time.monotonic()
    with (
        httpx.Client(base_url=url, headers=headers, trust_env=False) as client,
        _progress() as progress,
    ):
        send = progress.add_task("rows sent", total=None)
        take = progress.add_task("rows answered", total=None)
        given = {"id_column": id_column, "time_column": time_column}
        sending = Sending(
            file,
            schema.names,
            lambda rows: progress.advance(send, rows),
            form_of(said, schema.table),
            row_columns={name: column for name, column in given.items() if column is not None},
        )

        def received(lines: int) -> None:
            progress.update(take, advance=lines, total=sending.rows)

        found = predict_file(client, sending, model, output, received)
    for remark in sending.remarks:
        click.echo(remark, err=True)
    if sending.ignored:
        click.echo(
            f"These columns are no features and stayed out: {', '.join(sending.ignored)}.", err=True
        )
    click.echo(
        msgspec.json.encode(found).decode()
        if as_json
        else _summary(found, output, time.monotonic() - started)
    )


def _progress() -> Progress:
    bar = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*bar, console=Console(stderr=True))


async def _schema(url: str, headers: dict[str, str], model: str) -> Schema:
    async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as client:
        return await fetch_schema(client, model)


def _summary(found: Counter[str], output: Path, seconds: float) -> str:
    bad = found["invalid"] + found["failed"]
    more = f" Without a prediction: {bad}, their column `error` says why." if bad else ""
    more += (
        f" Not published, since the API's queue was full: {found['dropped']}."
        if found["dropped"]
        else ""
    )
    return f"Predicted {found['ok']} rows in {seconds:.1f} s into {output.absolute()}.{more}"
