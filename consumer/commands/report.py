"""`driftgauge report`: the latest snapshot report of a running API, or the one of an alert."""

import asyncio
from pathlib import Path
from urllib.parse import quote

import click
import msgspec

from driftgauge.shared.connections.api_client import api_client, ask
from driftgauge.shared.contract.snapshot import Snapshot
from driftgauge.shared.errors import BadData, ModelNotFound
from driftgauge.shared.local.finding import located_settings, url_option
from driftgauge.shared.moments import untold


@click.command()
@click.option("--model", help="Which model, if there are several.")
@click.option("--id", "report_id", help="Which report; default: the latest.")
@click.option("--json", "as_json", is_flag=True, help="Print the snapshot as JSON.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to write HTML and JSON to.",
)
@click.option(
    "--png", type=click.Path(path_type=Path, dir_okay=False), help="File to draw a picture to."
)
@url_option
def report(
    model: str | None,
    report_id: str | None,
    url: str,
    *,
    as_json: bool,
    output: Path | None,
    png: Path | None,
) -> None:
    """Show the latest snapshot report, or write it to files.

    It is read from a running API. One with keys needs a key with the scope read in
    DRIFTGAUGE_API_KEY.
    """
    from driftgauge.shared.reporting.files import write_picture, write_report
    from driftgauge.shared.reporting.terminal import render_text

    snapshot = asyncio.run(_snapshot(url, model, report_id))
    paths = [
        *(write_report(snapshot, output) if output else []),
        *([write_picture(snapshot, png)] if png else []),
    ]
    for path in paths:
        click.echo(path.absolute())
    if paths:
        return
    if as_json:
        click.echo(msgspec.json.encode(snapshot))
    else:
        click.echo(render_text(snapshot))


async def _snapshot(url: str, model: str | None, report_id: str | None) -> Snapshot:
    """Ask the API for a report, by default for the latest one."""
    path = "/reports/latest" if report_id is None else f"/reports/{quote(report_id, safe='')}"
    query = {"format": "json"} | ({} if model is None else {"model": model})
    async with api_client(url, located_settings()) as client:
        document = await ask(client, "GET", path, ModelNotFound, params=query)
    try:
        snapshot = untold(document, Snapshot)
    except msgspec.ValidationError as error:
        raise BadData(
            f"{url}{path} is no report that this version can read ({error}). Use the version of "
            "Driftgauge that the worker has."
        ) from error
    if model not in {None, snapshot.model}:
        raise ModelNotFound(f"The report {report_id} is of {snapshot.model}, not of {model}.")
    return snapshot
