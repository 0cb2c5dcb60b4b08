"""`driftgauge alerts`: follow the alert streams."""

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import click
import msgspec
import redis

from consumer.commands.connection import connected, published_models
from shared.keys import Keys
from shared.redis_client import BLOCK_MS, UNAVAILABLE, require
from shared.snapshot import Alert, CloudEvent

KEPT_ALERTS = 100


@click.command()
@click.option("--model", help="Only this model.")
@click.option("--follow", is_flag=True, help="Go on as new ones come.")
@click.option("--json", "as_json", is_flag=True, help="CloudEvents, one JSON object a line.")
@click.option("--all", "everything", is_flag=True, help="Pending and inactive ones too, not only firing and resolved.")
def alerts(model: str | None, *, follow: bool, as_json: bool, everything: bool) -> None:
    """Show the latest alerts, oldest first."""
    settings, client = connected()
    keys = Keys(settings.key_prefix)
    try:
        streams: dict[Any, Any] = {keys.alerts(name): "0-0" for name in published_models(client, keys, model)}
        for stream in streams:
            latest: Any = client.xrevrange(stream, count=KEPT_ALERTS)
            for entry_id, fields in reversed(latest):
                streams[stream] = entry_id.decode()
                _show_alert(fields, as_json=as_json, everything=everything)
        while follow:
            for name in published_models(client, keys, model):
                streams.setdefault(keys.alerts(name), "0-0")
            for fields in _next_entries(client, streams):
                _show_alert(fields, as_json=as_json, everything=everything)
    except UNAVAILABLE:
        require(client, settings.redis_url)  # says that Redis went away
        raise


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
