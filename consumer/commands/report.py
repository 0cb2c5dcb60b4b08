"""`driftgauge report`: the latest snapshot report, or the one that an alert names."""

from pathlib import Path
from typing import Any

import click
import msgspec
import redis

from driftgauge.consumer.commands.connection import connected, published_models
from driftgauge.shared.contract.alert import CloudEvent
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.snapshot import Snapshot
from driftgauge.shared.errors import BadData, ModelNotFound

READ = 20
"""Reports read at once."""


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
def report(
    model: str | None,
    report_id: str | None,
    *,
    as_json: bool,
    output: Path | None,
    png: Path | None,
) -> None:
    """Show the latest snapshot report, or write it to files."""
    from driftgauge.shared.reporting.files import write_picture, write_report
    from driftgauge.shared.reporting.terminal import render_text

    settings, client = connected()
    keys = Keys(settings.key_prefix)
    names = published_models(client, keys, model)
    if len(names) != 1:
        raise BadData(
            f"There are {len(names)} models ({', '.join(names)}); choose one with --model."
        )
    snapshot = (
        _latest_snapshot(client, keys, names[0])
        if report_id is None
        else _named(client, keys, names[0], report_id)
    )
    paths = [
        *(write_report(snapshot, output) if output else []),
        *([write_picture(snapshot, png)] if png else []),
    ]
    for path in paths:
        click.echo(path)
    if paths:
        return
    if as_json:
        click.echo(msgspec.json.encode(snapshot))
    else:
        click.echo(render_text(snapshot))


def _latest_snapshot(client: redis.Redis, keys: Keys, model: str) -> Snapshot:
    latest: Any = client.xrevrange(keys.snapshots(model), count=1)
    if not latest:
        raise ModelNotFound(
            f"There is no snapshot report of {model} yet: the first one comes when the window has "
            f"enough rows to judge. "
            "Is a worker running?"
        )
    return _read(latest[0][1][b"e"])


def _named(client: redis.Redis, keys: Keys, model: str, report_id: str) -> Snapshot:
    """Look for a report, the newest first."""
    end = "+"
    while True:
        entries: Any = client.xrevrange(keys.snapshots(model), max=end, count=READ)
        for entry_id, fields in entries:
            end = f"({entry_id.decode()}"
            if msgspec.json.decode(fields[b"e"], type=CloudEvent).id == report_id:
                return _read(fields[b"e"])
        if len(entries) < READ:
            raise ModelNotFound(
                f"No report {report_id} of {model} is kept; a model keeps its last thousand."
            )


def _read(packed: bytes) -> Snapshot:
    return msgspec.json.decode(msgspec.json.decode(packed, type=CloudEvent).data, type=Snapshot)
