"""`driftgauge labels`: true values for the predictions of a running API."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click
import httpx
import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from driftgauge.producer.commands.label_file import Columns, Imported, ids_by_key, import_file
from driftgauge.producer.commands.rate_column import RateColumn
from driftgauge.shared.connections.api_client import authorization
from driftgauge.shared.local.finding import located_settings, url_option
from driftgauge.shared.storage.places import local_files
from driftgauge.shared.tables.format import TableFormat, TimeFormat
from driftgauge.shared.tables.options import form_of, text_options

NOT_JOINED: Final = 3
"""Exit code if all labels were accepted, but some found no prediction."""
POLL_S: Final = 0.2
TIMEOUT_S: Final = 10.0
JOINED: Final = ("joined", "repeated", "corrected")
APART: Final = {
    "early": "wait for a prediction with their id",
    "unknown": "waited in vain for a prediction with their id",
    "expired": "came when their prediction was not known any more",
    "unfit": "are of another kind than the predictions",
    "refused": "found no room to wait for their prediction",
}
"""What became of labels that are not joined, by the name of their count."""

Counts = Mapping[str, int]


class _Written(msgspec.Struct):
    """How a version writes tables and times."""

    table: TableFormat = TableFormat()
    time: TimeFormat | None = None


class _Info(msgspec.Struct):
    """What is read of GET /model-info."""

    schema: _Written = msgspec.field(default_factory=_Written)


@click.group()
def labels() -> None:
    """Send the true values of predictions, which become known later than the predictions."""


@labels.command("import")
@click.argument("files", nargs=-1, required=True)
@click.option("--model", required=True, help="The model that made the predictions.")
@click.option(
    "--id-column",
    default="prediction_id",
    show_default=True,
    help="Column of the predictions' ids; or, with --predictions, of what stands for them.",
)
@click.option(
    "--label-column", default="label", show_default=True, help="Column of the true values."
)
@click.option(
    "--time-column",
    help="Column of the times at which they became known; without zone: UTC.  [default: now]",
)
@click.option(
    "--predictions",
    type=click.Path(path_type=Path),
    help="What `predict --id-column` or `replay --output` wrote: the ids are looked up there.",
)
@click.option(
    "--key",
    help="Column of --predictions that holds the same as --id-column.  [default: its name]",
)
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=30,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the worker to say how many were joined.",
)
@text_options
@url_option
@click.option("--json", "as_json", is_flag=True, help="Print the numbers and the reasons as JSON.")
def import_labels(
    files: tuple[str, ...],
    model: str,
    id_column: str,
    label_column: str,
    time_column: str | None,
    predictions: Path | None,
    key: str | None,
    wait: float,
    url: str,
    *,
    as_json: bool,
    **said: Any,
) -> None:
    """Post the labels of FILES (CSV, JSON lines, Parquet or Arrow; - is standard input, s3://
    object storage) to a running API.

    Exit code: 0 all were joined or nobody knows yet, 1 some were rejected, 3 some found no
    prediction, 65 the file cannot be used. An API with keys needs one with the scope label, in
    DRIFTGAUGE_API_KEY.
    """
    headers = authorization(located_settings())
    columns = Columns(id_column, label_column, time_column)
    if key is not None and predictions is None:
        raise click.UsageError("--key belongs to --predictions.")
    ids = None if predictions is None else ids_by_key(predictions, key or id_column)
    with (
        local_files(files) as paths,
        httpx.Client(base_url=url, headers=headers, trust_env=False) as client,
        _progress() as progress,
    ):
        before = _counts(client, model)
        version = _version(client, model)
        size = sum(path.stat().st_size for path in paths if path.is_file())
        task, rows, imported = progress.add_task("posted", total=size, rows=0), 0, Imported()

        def sent(characters: int, part: int) -> None:
            nonlocal rows
            rows += part
            progress.update(task, advance=characters, rows=rows)

        form = form_of(said, version.table)
        for path in paths:
            import_file(client, path, model, columns, sent, ids, form, version.time, imported)
        progress.update(task, completed=size)
        for remark in imported.remarks:
            click.echo(remark, err=True)
        progress.update(task, description="waiting for the worker")
        became = _became(client, model, before, imported.accepted, wait)
    _tell(imported, became, as_json=as_json)
    if imported.rejected:
        sys.exit(1)
    apart = sum(became[name] for name in APART) if became is not None else 0
    if imported.unmatched or apart:
        sys.exit(NOT_JOINED)


def _version(client: httpx.Client, model: str) -> _Written:
    """Ask how the version in production writes tables and times; the usual way, if the key may not
    know.
    """
    try:
        answer = client.get("/model-info", params={"model": model}, timeout=TIMEOUT_S)
        info = msgspec.json.decode(answer.content, type=_Info) if answer.is_success else _Info()
    except (httpx.HTTPError, msgspec.MsgspecError):  # what is wrong is said when labels are posted
        return _Written()
    return info.schema


def _counts(client: httpx.Client, model: str) -> Counts | None:
    """Ask what became of all labels so far; None if that is not known."""
    try:
        answer = client.get("/labels", params={"model": model}, timeout=TIMEOUT_S)
        return (
            msgspec.json.decode(answer.content, type=dict[str, int]) if answer.is_success else None
        )
    except (httpx.HTTPError, msgspec.MsgspecError):  # what was accepted is accepted nevertheless
        return None


def _became(
    client: httpx.Client, model: str, before: Counts | None, accepted: int, wait: float
) -> Counts | None:
    """Wait until as many more labels were counted as were accepted, and tell what became of them;
    None if they were not within the wait.
    """
    end = time.monotonic() + wait
    while before is not None and accepted:
        now = _counts(client, model)
        if now is not None and now["came"] - before["came"] >= accepted:
            return {name: max(0, now[name] - before[name]) for name in (*JOINED, *APART)}
        if time.monotonic() >= end:
            return None
        time.sleep(POLL_S)
    return None


def _progress() -> Progress:
    bar = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        RateColumn("rows"),
        TimeRemainingColumn(),
    )
    return Progress(*bar, console=Console(stderr=True))


def _tell(imported: Imported, became: Counts | None, *, as_json: bool) -> None:
    if as_json:
        told = msgspec.to_builtins(imported) | {"became": became}
        click.echo(msgspec.json.encode(told).decode())
        return
    click.echo(f"{imported.accepted} labels were accepted, {imported.rejected} rejected.")
    if imported.other:
        click.echo(
            f"{imported.other} of the accepted are of a class that the model does not know: they "
            f"count as OTHER."
        )
    for row, reason in imported.first:
        click.echo(f"Row {row}: {reason}", err=True)
    if imported.rejected > len(imported.first):
        click.echo(f"… and {imported.rejected - len(imported.first)} more.", err=True)
    if imported.unmatched:
        click.echo(
            f"{imported.unmatched} rows have a key that is not in --predictions; they were not "
            f"posted.",
            err=True,
        )
    if became is None:
        if imported.accepted:
            click.echo(
                "Whether they met their predictions is not known: no worker has counted them yet. "
                "GET /labels tells later.",
                err=True,
            )
        return
    click.echo(f"{sum(became[name] for name in JOINED)} met their prediction.")
    for name, words in APART.items():
        if became[name]:
            click.echo(f"{became[name]} {words}.", err=True)
