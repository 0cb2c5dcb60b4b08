"""`driftgauge replay`: post a file to a running API."""

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from driftgauge.shared.connections.api_client import DEFAULT_URL, authorization, fetch_schema
from driftgauge.shared.settings import read_settings

if TYPE_CHECKING:
    from driftgauge.producer.commands import replaying


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--model", required=True, help="The model that the rows are for.")
@click.option(
    "--as",
    "way",
    type=click.Choice(["events", "predict"]),
    default="events",
    show_default=True,
    help="Post predictions that the file has, or let the API predict.",
)
@click.option("--prediction-column", help="Column of the predictions that were made.")
@click.option("--time-column", help="Column of the event times; a time without zone is UTC.")
@click.option(
    "--shuffle",
    type=int,
    metavar="SEED",
    help="Post the rows in random order, without their times.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0),
    default=0,
    help="Most events a second.  [default: no limit]",
)
@click.option("--url", default=DEFAULT_URL, show_default=True, help="The API.")
@click.option("--limit", type=click.IntRange(min=1), help="Post only the first rows of the file.")
def replay(
    file: Path,
    model: str,
    way: "replaying.Way",
    prediction_column: str | None,
    time_column: str | None,
    shuffle: int | None,
    rate: float,
    url: str,
    limit: int | None,
) -> None:
    """Post the rows of a CSV FILE to a running API, after a check of all of them.

    An API with keys needs one with the scope predict, in DRIFTGAUGE_API_KEY.
    """
    from driftgauge.producer.commands import replaying  # loads what reads tables
    from driftgauge.shared.tables.reading import read_table

    frame = read_table(file)
    if limit is not None:
        frame = frame.head(limit)
    columns = replaying.Columns(prediction_column, time_column)

    async def run() -> None:
        headers = authorization(read_settings())
        async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as client:
            schema = await fetch_schema(client, model)
            plan = replaying.plan(frame, schema, model, columns, way, shuffle)
            if plan.ignored:
                click.echo(
                    f"These columns are no features and stay out: {', '.join(plan.ignored)}.",
                    err=True,
                )
            await _post(client, plan, way, rate)

    asyncio.run(run())


async def _post(
    client: httpx.AsyncClient, plan: "replaying.Plan", way: "replaying.Way", rate: float
) -> None:
    from driftgauge.producer.commands import replaying

    started = time.monotonic()
    bar = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*bar, console=Console(stderr=True)) as progress:
        task = progress.add_task("posting", total=len(plan.requests))
        await replaying.post(
            client, plan.requests, way, rate, lambda events: progress.advance(task, events)
        )
    seconds = time.monotonic() - started
    click.echo(
        f"Posted {len(plan.requests)} events in {seconds:.1f} s "
        f"({len(plan.requests) / seconds:.0f} a second)."
    )
