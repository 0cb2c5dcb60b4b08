"""`driftgauge alerts`: follow the alert streams; acknowledge and silence alerts."""

import getpass
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import click
import msgspec
import redis

from driftgauge.consumer.commands.connection import connected, published_models
from driftgauge.shared.connections.redis_client import BLOCK_MS, UNAVAILABLE, require
from driftgauge.shared.contract import commands
from driftgauge.shared.contract.alert import Alert, CloudEvent
from driftgauge.shared.contract.commands import COMMANDS_KEPT, Acknowledge, Command, SilenceAlert
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.snapshot import Snapshot
from driftgauge.shared.durations import minutes_of
from driftgauge.shared.errors import BadData

KEPT_ALERTS = 100


@click.group(invoke_without_command=True)
@click.option("--model", help="Only this model.")
@click.option("--follow", is_flag=True, help="Go on as new ones come.")
@click.option("--json", "as_json", is_flag=True, help="CloudEvents, one JSON object a line.")
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="All transitions, not only those that people are notified of.",
)
@click.pass_context
def alerts(
    context: click.Context, model: str | None, *, follow: bool, as_json: bool, everything: bool
) -> None:
    """Show the latest alerts, oldest first; acknowledge or silence one."""
    if context.invoked_subcommand is None:
        _show(model, follow=follow, as_json=as_json, everything=everything)


def _show(model: str | None, *, follow: bool, as_json: bool, everything: bool) -> None:
    settings, client = connected()
    keys = Keys(settings.key_prefix)
    try:
        streams: dict[Any, Any] = {
            keys.alerts(name): "0-0" for name in published_models(client, keys, model)
        }
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


@alerts.command()
@click.argument("fingerprint")
@click.option("--note", default="", help="Why, in words; it stands in the alert's history.")
def acknowledge(fingerprint: str, *, note: str) -> None:
    """Mark an open alert as seen: no more reminders of it."""
    _ask(Acknowledge(fingerprint, getpass.getuser(), note))


@alerts.command()
@click.argument("fingerprint")
@click.option(
    "--for",
    "time_",
    required=True,
    metavar="TIME",
    help="How long, such as 30m, 2h or 3d of the model's time.",
)
@click.option("--note", default="", help="Why, in words; it stands in the alert's history.")
def silence(fingerprint: str, *, time_: str, note: str) -> None:
    """Let nobody be notified of an open alert for a time; its transitions are recorded all the
    same.
    """
    _ask(SilenceAlert(fingerprint, getpass.getuser(), note, minutes=minutes_of(time_)))


def _ask(command: Command) -> None:
    """Write a command to the model that has the alert open, checked as judging will check it."""
    packed = commands.encode(command)
    commands.decode(packed)
    settings, client = connected()
    keys = Keys(settings.key_prefix)
    for model in published_models(client, keys, None):
        snapshots: Any = client.hvals(keys.current(model))
        found = [
            alert
            for packed_ in snapshots
            for alert in msgspec.json.decode(packed_, type=Snapshot).alerts
        ]
        if any(alert.fingerprint == command.fingerprint for alert in found):
            fields: Any = {commands.FIELD: packed}
            client.xadd(keys.commands(model), fields, maxlen=COMMANDS_KEPT, approximate=True)
            click.echo(
                f"Asked of {model}; `driftgauge alerts --all --follow` shows it when the worker "
                f"has applied it."
            )
            return
    raise BadData(
        f"No open alert has the fingerprint {command.fingerprint}; `driftgauge report --json` "
        f"lists them."
    )


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
    if not everything and (alert.state not in {"firing", "resolved"} or not alert.notify):
        return
    click.echo(fields[b"e"] if as_json else alert_line(alert))


def alert_line(alert: Alert) -> str:
    """Give an alert as one line of text; strangers' names cannot move the terminal's cursor."""
    when = datetime.fromtimestamp(alert.updated / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    word = alert.state if alert.change in {"state", "severity", "released"} else alert.change
    text = (
        f"{when}  {word.upper():8}  {alert.severity.upper():8}  {alert.model} {alert.version}  "
        f"{alert.feature or alert.segment or alert.rule}  {alert.summary}  [{alert.fingerprint}]"
    )
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
