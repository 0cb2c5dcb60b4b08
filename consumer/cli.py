"""The worker's side of the command line: worker, models, alerts, report."""

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
import redis

from shared.errors import BadData, ModelNotFound
from shared.keys import Keys
from shared.redis_client import BLOCK_MS, UNAVAILABLE, connect, require
from shared.settings import Settings, read_settings
from shared.snapshot import Alert, CloudEvent, Snapshot

KEPT_ALERTS = 100


@click.command()
def worker() -> None:
    """Count and judge: the log in, alerts and reports out. Start any number of them."""
    from consumer.worker import Worker
    from shared.telemetry import configure_logging

    settings = read_settings()
    configure_logging()
    running = Worker(settings)
    running.stop_on_signals()
    running.run()


@click.group()
def models() -> None:
    """Register models and look at them."""


@models.command("list")
def list_models() -> None:
    """List the registered models, their versions, and which is in production."""
    from shared.model_registry import ModelRegistry

    registry = ModelRegistry(read_settings().registry_dir)
    for model in registry.models():
        production = registry.production(model)
        versions = ", ".join(f"{version}*" if version == production else version for version in registry.versions(model))
        click.echo(f"{model}  {versions}   (* in production)")


@models.command()
@click.argument("name")
@click.option(
    "--reference", required=True, type=click.Path(path_type=Path), help="CSV of the rows the model was trained on."
)
@click.option("--version", help="Semantic version; default: the next major one.")
@click.option("--prediction-column", help="Column of the model's predictions.")
@click.option("--target-column", help="Column of the true values; no feature.")
@click.option("--time-column", help="Column of the time; no feature.")
@click.option("--exclude", default="", help="Columns left out of drift, with commas.")
@click.option(
    "--partitions",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Logs that the events are spread over; chosen once, by the model's first version.",
)
@click.option("--schema", "schema_file", type=click.Path(path_type=Path),
              help="Schema to use; if the file is absent, the inferred schema is written there.")  # fmt: skip
def register(
    name: str, reference: Path, version: str | None, prediction_column: str | None, target_column: str | None,
    time_column: str | None, exclude: str, partitions: int, schema_file: Path | None,
) -> None:  # fmt: skip
    """Register a model that is only monitored: its predictions are made elsewhere."""
    from consumer.registration import register_monitored
    from shared.model_registry import ModelRegistry

    folder, published = register_monitored(
        ModelRegistry(read_settings().registry_dir), name, reference, version=version, prediction=prediction_column,
        target=target_column, time=time_column, exclude=[column for column in exclude.split(",") if column],
        schema_file=schema_file, partitions=partitions,
    )  # fmt: skip
    schema, rows = published.schema, published.reference.rows
    kinds = [feature.kind for feature in schema.features]
    click.echo(
        f"{name} {published.manifest.version}: {kinds.count('numeric')} numeric features, "
        f"{kinds.count('categorical')} categorical, {rows:,} reference rows, stored in {folder}."
    )
    least = read_settings().min_reference_rows
    if rows < least:
        click.echo(f"Drift needs {least:,} reference rows; until then it is INSUFFICIENT_DATA, integrity excepted.")
    click.echo("To change the schema, edit a copy of its schema.json and register again with --schema FILE.")


@click.command()
@click.option("--model", help="Only this model.")
@click.option("--follow", is_flag=True, help="Go on as new ones come.")
@click.option("--json", "as_json", is_flag=True, help="CloudEvents, one JSON object a line.")
@click.option("--all", "everything", is_flag=True, help="Pending and inactive ones too, not only firing and resolved.")
def alerts(model: str | None, *, follow: bool, as_json: bool, everything: bool) -> None:
    """Show the latest alerts, oldest first."""
    settings, client = _connected()
    keys = Keys(settings.key_prefix)
    try:
        streams: dict[Any, Any] = {keys.alerts(name): "0-0" for name in _models(client, keys, model)}
        for stream in streams:
            latest: Any = client.xrevrange(stream, count=KEPT_ALERTS)
            for entry_id, fields in reversed(latest):
                streams[stream] = entry_id.decode()
                _show_alert(fields, as_json=as_json, everything=everything)
        while follow:
            for name in _models(client, keys, model):
                streams.setdefault(keys.alerts(name), "0-0")
            for fields in _next_entries(client, streams):
                _show_alert(fields, as_json=as_json, everything=everything)
    except UNAVAILABLE:
        require(client, settings.redis_url)  # says that Redis went away
        raise


@click.command()
@click.option("--model", help="Which model, if there are several.")
@click.option("--json", "as_json", is_flag=True, help="Print the snapshot as JSON.")
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), help="Folder to write HTML and JSON to.")
def report(model: str | None, *, as_json: bool, output: Path | None) -> None:
    """Show the latest snapshot report, or write it to a folder."""
    from shared.reporting.files import write_report

    settings, client = _connected()
    keys = Keys(settings.key_prefix)
    names = _models(client, keys, model)
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


def _connected() -> tuple[Settings, redis.Redis]:
    """Read the settings and connect; one clear line if Redis does not answer."""
    settings = read_settings()
    client = connect(settings.redis_url)
    require(client, settings.redis_url)
    return settings, client


def _models(client: redis.Redis, keys: Keys, wanted: str | None) -> list[str]:
    found: set[bytes] = client.smembers(keys.models)  # type: ignore[assignment]  # bytes, not str
    names = sorted(name.decode() for name in found)
    if wanted is None:
        return names
    if wanted not in names:
        raise ModelNotFound(f"No model {wanted!r} was published to this Redis (there are: {', '.join(names) or 'none'}).")
    return [wanted]


def _next_entries(client: redis.Redis, streams: dict[Any, Any]) -> Iterator[Mapping[bytes, bytes]]:
    """Wait for new entries of the streams, and move their positions."""
    if not streams:
        time.sleep(BLOCK_MS / 1000)
        return
    reply: Any = client.xread({**streams}, count=KEPT_ALERTS, block=BLOCK_MS)
    for stream, entries in reply or []:
        for entry_id, fields in entries:
            streams[stream.decode()] = entry_id.decode()
            yield fields


def _show_alert(fields: Mapping[bytes, bytes], *, as_json: bool, everything: bool) -> None:
    event = msgspec.json.decode(fields[b"e"], type=CloudEvent)
    alert = msgspec.json.decode(event.data, type=Alert)
    if not everything and alert.state not in {"firing", "resolved"}:
        return
    click.echo(fields[b"e"] if as_json else alert_line(alert))


def alert_line(alert: Alert) -> str:
    """Give an alert as one line of text; strangers' names cannot move the terminal's cursor."""
    when = datetime.fromtimestamp(alert.updated / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    text = (
        f"{when}  {alert.state.upper():8}  {alert.severity.upper():8}  {alert.model} {alert.version}  "
        f"{alert.feature}  {alert.summary}"
    )
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


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
