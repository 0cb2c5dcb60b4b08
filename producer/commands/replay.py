"""`driftgauge replay`: post a file to a running API."""

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import httpx
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from driftgauge.producer.commands.rate_column import RateColumn
from driftgauge.producer.commands.resuming import numbered, publisher_of
from driftgauge.shared.connections.api_client import authorization, fetch_schema
from driftgauge.shared.errors import BadData, DriftgaugeError
from driftgauge.shared.local.finding import located_settings, url_option
from driftgauge.shared.storage.places import local_files
from driftgauge.shared.tables.options import file_options, form_of, names_option

if TYPE_CHECKING:
    from driftgauge.producer.commands import replaying, resuming


@click.command()
@click.argument("files", nargs=-1, required=True)
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
    "--id-column",
    help="Column of the predictions' ids, each different.  [default: made by the API]",
)
@names_option(
    "--probability-column",
    "probability_columns",
    help="Column of a class's probability, in the order of the classes; of two, the second's "
    "alone will do. Repeatable, or with commas.",
)
@click.option(
    "--per-day",
    type=click.FloatRange(min=0, min_open=True),
    help="Rows a day of a file without times.  [default: DRIFTGAUGE_EXPECTED_EVENTS_PER_DAY]",
)
@click.option(
    "--shuffle",
    type=int,
    metavar="SEED",
    help="Post the rows in random order, without the times of the file.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="CSV file of the ids, with the columns that are no features: for `labels import`.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0),
    default=0,
    help="Most events a second.  [default: no limit]",
)
@file_options
@url_option
@click.option("--limit", type=click.IntRange(min=1), help="Post only the first rows of the file.")
@click.option(
    "--resume",
    is_flag=True,
    help="Go on where an earlier run with --resume of the same files stopped, and count no row "
    "twice; with --as events.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
def replay(
    files: tuple[str, ...],
    model: str,
    way: "replaying.Way",
    prediction_column: str | None,
    time_column: str | None,
    id_column: str | None,
    probability_columns: tuple[str, ...],
    per_day: float | None,
    shuffle: int | None,
    output: Path | None,
    rate: float,
    url: str,
    limit: int | None,
    *,
    resume: bool,
    as_json: bool,
    **said: Any,
) -> None:
    """Post the rows of FILES (CSV, JSON lines, Parquet or Arrow; - is standard input, s3:// object
    storage) to a running API, after a check of all of them.

    Rows without times are taken as so many a day, the same on every machine. An API with keys needs
    one with the scopes predict and read, in DRIFTGAUGE_API_KEY.
    """
    from driftgauge.producer.commands import replaying  # loads what reads tables
    from driftgauge.shared.tables.reading import read_table

    if resume and way != "events":
        raise click.UsageError("--resume is for predictions that the file has: --as events.")
    columns = replaying.Columns(prediction_column, time_column, id_column, probability_columns)
    settings = located_settings()

    async def run(paths: list[Path]) -> None:
        headers = authorization(settings)
        async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as client:
            schema = await fetch_schema(client, model)
            schema = msgspec.structs.replace(schema, table=form_of(said, schema.table))
            names = ", ".join(path.name for path in paths)
            with Console(stderr=True).status(Text(f"reading and checking {names}")):
                kinds = schema.kinds_of(columns.names)
                frames = [read_table(path, schema.table, kinds, _say) for path in paths]
                frame = replaying.joined(frames)
                if limit is not None:
                    frame = frame.head(limit)
                plan = replaying.plan(frame, schema, model, columns, way, shuffle)
            if plan.ignored:
                click.echo(
                    f"These columns are no features and stay out: {', '.join(plan.ignored)}.",
                    err=True,
                )
            before = None
            if resume:
                how = (model, columns, shuffle, limit)
                before = await numbered(client, plan.requests, model, publisher_of(paths, how))
                click.echo(f"{sum(before.arrived)} rows have arrived before.", err=True)
            if way == "events" and (time_column is None or shuffle is not None):
                pace = per_day or settings.expected_events_per_day
                click.echo(await _pace(client, model, plan, pace), err=True)
            answers = await _post(client, plan, way, rate, before, as_json=as_json)
            if output is not None:
                replaying.answered(frame, plan, answers, columns).to_csv(output, index=False)
            replaying.check_taken(answers)

    with local_files(files) as paths:
        absent = next((path for path in paths if not path.exists()), None)
        if absent is not None:
            raise BadData(f"There is no file {absent}. Nothing was posted.")
        asyncio.run(run(paths))


def _say(remark: str) -> None:
    click.echo(remark, err=True)


async def _pace(
    client: httpx.AsyncClient, model: str, plan: "replaying.Plan", per_day: float
) -> str:
    """Set the times of the rows, if there is room for them behind what was counted; say which."""
    from driftgauge.producer.commands import replaying
    from driftgauge.shared.tables.pace import DAY_MS, remark, start_after

    unknown = ""
    try:
        busy = await replaying.busy_until(client, model)
    except DriftgaugeError as error:
        busy, unknown = None, f" Whether the model has later events is not known: {error}"
    start = start_after(busy)
    end = start + len(plan.requests) / per_day * DAY_MS
    if end > time.time() * 1000:
        return (
            "The file has no times, and the model has events up to now: the rows get the time at "
            "which they are posted, so that panes and alerts depend on how fast that is."
        )
    replaying.pace(plan.requests, per_day, start)
    return remark(per_day, start) + unknown


async def _post(
    client: httpx.AsyncClient,
    plan: "replaying.Plan",
    way: "replaying.Way",
    rate: float,
    before: "resuming.Numbered | None",
    *,
    as_json: bool,
) -> list[dict[str, Any]]:
    """Post what has not arrived before, and return the answer to each request."""
    from driftgauge.producer.commands import replaying

    started = time.monotonic()
    bar = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*bar, console=Console(stderr=True)) as progress:
        arrived = before.arrived if before is not None else [False] * len(plan.requests)
        due = [one for one, gone in zip(plan.requests, arrived, strict=True) if not gone]
        task = progress.add_task("posting", total=len(due))
        new = await replaying.post(
            client,
            due,
            way,
            rate,
            lambda events: progress.advance(task, events),
            None if before is None else before.query,
        )
    seconds = time.monotonic() - started
    rest = iter(new)
    answers = [
        {"id": one["id"]} if gone else next(rest)
        for one, gone in zip(plan.requests, arrived, strict=True)
    ]
    if as_json:
        refused = sum("reason" in one for one in answers)
        told = {"posted": len(new), "refused": refused, "seconds": round(seconds, 3)}
        click.echo(msgspec.json.encode(told))
        return answers
    click.echo(f"Posted {len(new)} events in {seconds:.1f} s ({len(new) / seconds:.0f} a second).")
    return answers
