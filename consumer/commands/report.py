"""`driftgauge report`: the latest snapshot report."""

from pathlib import Path
from typing import Any

import click
import msgspec
import redis

from consumer.commands.connection import connected, published_models
from shared.errors import BadData, ModelNotFound
from shared.keys import Keys
from shared.snapshot import CloudEvent, Snapshot


@click.command()
@click.option("--model", help="Which model, if there are several.")
@click.option("--json", "as_json", is_flag=True, help="Print the snapshot as JSON.")
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), help="Folder to write HTML and JSON to.")
def report(model: str | None, *, as_json: bool, output: Path | None) -> None:
    """Show the latest snapshot report, or write it to a folder."""
    from shared.reporting.files import write_report

    settings, client = connected()
    keys = Keys(settings.key_prefix)
    names = published_models(client, keys, model)
    if len(names) != 1:
        raise BadData(f"There are {len(names)} models ({', '.join(names)}); choose one with --model.")
    snapshot = _latest_snapshot(client, keys, names[0])
    if output is not None:
        for path in write_report(snapshot, output):
            click.echo(path)
    elif as_json:
        click.echo(msgspec.json.encode(snapshot))
    else:
        _show_snapshot(snapshot)


def _latest_snapshot(client: redis.Redis, keys: Keys, model: str) -> Snapshot:
    latest: Any = client.xrevrange(keys.snapshots(model), count=1)
    if not latest:
        raise ModelNotFound(
            f"There is no snapshot report of {model} yet: the first one comes when the window has enough rows to judge. "
            "Is a worker running?"
        )
    event = msgspec.json.decode(latest[0][1][b"e"], type=CloudEvent)
    return msgspec.json.decode(event.data, type=Snapshot)


def _show_snapshot(snapshot: Snapshot) -> None:
    window = snapshot.window
    click.echo(f"{snapshot.model} {snapshot.version}: {snapshot.verdict}")
    click.echo(
        f"{window.rows:,} rows in {window.panes} panes, {window.events:,} events; reference {snapshot.reference_rows:,}"
    )
    for feature in [*snapshot.features, *([snapshot.prediction] if snapshot.prediction else [])]:
        psi = next((found.value for found in feature.statistics if found.name == "psi"), None)
        shown = "-" if psi is None else f"{psi:.3f}"
        click.echo(f"  {feature.name[:40]:40}  {feature.severity:18}  PSI {shown:>7}  {feature.reason[:80]}")
    for action in snapshot.actions:
        click.echo(f"  {action.action.replace('_', ' ')}: {action.reason} ({len(action.alerts)} alerts)")
