"""`driftgauge labels`: true values for the predictions of a running API."""

import sys
from pathlib import Path

import click
import httpx
import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from driftgauge.producer.commands.label_file import Columns, Imported, import_file
from driftgauge.shared.connections.api_client import DEFAULT_URL, authorization
from driftgauge.shared.settings import read_settings


@click.group()
def labels() -> None:
    """Send the true values of predictions, which become known later than the predictions."""


@labels.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--model", required=True, help="The model that made the predictions.")
@click.option(
    "--id-column",
    default="prediction_id",
    show_default=True,
    help="Column of the predictions' ids.",
)
@click.option(
    "--label-column", default="label", show_default=True, help="Column of the true values."
)
@click.option(
    "--time-column",
    help="Column of the times at which they became known; without zone: UTC.  [default: now]",
)
@click.option("--url", default=DEFAULT_URL, show_default=True, help="The API.")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers and the reasons as JSON.")
def import_labels(
    file: Path,
    model: str,
    id_column: str,
    label_column: str,
    time_column: str | None,
    url: str,
    *,
    as_json: bool,
) -> None:
    """Post the labels of a CSV FILE to a running API. Exit code 1 if any of them was rejected.

    An API with keys needs one with the scope label, in DRIFTGAUGE_API_KEY.
    """
    headers = authorization(read_settings())
    columns = Columns(id_column, label_column, time_column)
    size = file.stat().st_size if file.is_file() else 0
    with (
        httpx.Client(base_url=url, headers=headers, trust_env=False) as client,
        _progress() as progress,
    ):
        task = progress.add_task("posted", total=size)
        imported = import_file(
            client, file, model, columns, lambda part: progress.advance(task, part)
        )
        progress.update(task, completed=size)
    _tell(imported, as_json=as_json)
    if imported.rejected:
        sys.exit(1)


def _progress() -> Progress:
    bar = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*bar, console=Console(stderr=True))


def _tell(imported: Imported, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(imported).decode())
        return
    click.echo(f"{imported.accepted} labels were accepted, {imported.rejected} rejected.")
    for row, reason in imported.first:
        click.echo(f"Row {row}: {reason}", err=True)
    if imported.rejected > len(imported.first):
        click.echo(f"… and {imported.rejected - len(imported.first)} more.", err=True)
