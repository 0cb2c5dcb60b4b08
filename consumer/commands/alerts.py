"""`driftgauge alerts`: show, follow, acknowledge and silence the alerts of a running API."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import click
import httpx
import msgspec

from driftgauge.consumer.commands.actor import current_user
from driftgauge.shared.connections.api_client import api_client, ask
from driftgauge.shared.connections.api_client import follow as follow_events
from driftgauge.shared.contract.alert import Alert
from driftgauge.shared.durations import minutes_of
from driftgauge.shared.errors import ModelNotFound
from driftgauge.shared.local.finding import located_settings, url_option
from driftgauge.shared.unpacking import UNREADABLE

ASKED: Final = 1000
"""Number of transitions that are requested for all models: the most that the API returns at
once.
"""
SHOWN: Final = 100
"""Most transitions that are shown of each model: the latest ones."""
PAUSE_S: Final = 1.0
"""Pause (s) before a stream that ended is opened again."""

Show = Callable[[dict[str, Any]], None]
_json_option = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")


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
@url_option
@click.pass_context
def alerts(
    context: click.Context,
    model: str | None,
    url: str,
    *,
    follow: bool,
    as_json: bool,
    everything: bool,
) -> None:
    """Show the latest alerts, oldest first; acknowledge or silence one.

    They are read from a running API. One with keys needs a key in DRIFTGAUGE_API_KEY: with the
    scope read to show alerts, admin to acknowledge or silence one.
    """
    if context.invoked_subcommand is not None:
        return

    def show(event: dict[str, Any]) -> None:
        _show(event, as_json=as_json, everything=everything)

    asyncio.run((_follow if follow else _show_latest)(url, model, show))


@alerts.command()
@click.argument("fingerprint")
@click.option("--note", default="", help="Why, in words; it stands in the alert's history.")
@url_option
@_json_option
def acknowledge(fingerprint: str, url: str, *, note: str, as_json: bool) -> None:
    """Mark an open alert as seen: no more reminders of it."""
    asyncio.run(_command(url, fingerprint, "acknowledge", {"note": note}, as_json=as_json))


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
@url_option
@_json_option
def silence(fingerprint: str, url: str, *, time_: str, note: str, as_json: bool) -> None:
    """Send no notifications of an open alert for a time; its transitions are still recorded."""
    said = {"note": note, "minutes": minutes_of(time_)}
    asyncio.run(_command(url, fingerprint, "silence", said, as_json=as_json))


async def _command(
    url: str, fingerprint: str, name: str, said: dict[str, Any], *, as_json: bool
) -> None:
    """Ask the API for a command to an alert, which the worker will apply."""
    path = f"/alerts/{quote(fingerprint, safe='')}/{name}"
    async with api_client(url, located_settings()) as client:
        answer = await ask(client, "POST", path, json={**said, "who": current_user()})
    if as_json:
        click.echo(msgspec.json.encode(answer))
        return
    click.echo(
        f"Asked of {answer['model']}; `driftgauge alerts --all --follow` shows it when the worker "
        "has applied it."
    )


async def _show_latest(url: str, model: str | None, show: Show) -> None:
    async with api_client(url, located_settings()) as client:
        for event in await _latest(client, model):
            show(event)


async def _follow(url: str, model: str | None, show: Show) -> None:
    """Show the latest alerts, then every new one; a stream that breaks is resumed where it broke.

    The stream is opened before the latest ones are read, so that none falls between the two.
    """
    known: set[str] | None = None
    position: str | None = None
    query = {} if model is None else {"model": model}
    async with api_client(url, located_settings()) as client:
        while True:
            stream = follow_events(client, "/alerts/stream", position, ModelNotFound, **query)
            async for place, data in stream:
                position = place
                if known is None:
                    latest = await _latest(client, model)
                    known = {str(event.get("id")) for event in latest}
                    for event in latest:
                        show(event)
                if data and str((event := msgspec.json.decode(data)).get("id")) not in known:
                    show(event)
            await asyncio.sleep(PAUSE_S)


async def _latest(client: httpx.AsyncClient, model: str | None) -> list[dict[str, Any]]:
    """Read the latest transitions, oldest first, at most SHOWN of each model."""
    query = {"count": ASKED} | ({} if model is None else {"model": model})
    page = await ask(client, "GET", "/alerts", ModelNotFound, params=query)
    shown: Counter[str] = Counter()
    found = []
    for event in page["alerts"]:
        alert = _alert(event)
        if alert is not None and shown[alert.model] < SHOWN:
            shown[alert.model] += 1
            found.append(event)
    return found[::-1]


def _alert(event: Any) -> Alert | None:
    """Decode the alert of an event; None if another release wrote it, or a person by hand."""
    try:
        return msgspec.convert(event["data"], Alert)
    except UNREADABLE:
        return None


def _show(event: dict[str, Any], *, as_json: bool, everything: bool) -> None:
    alert = _alert(event)
    if alert is None:
        return
    if not everything and (alert.state not in {"firing", "resolved"} or not alert.notify):
        return
    click.echo(msgspec.json.encode(event) if as_json else alert_line(alert))


def alert_line(alert: Alert) -> str:
    """Return an alert as one line of text; what others named cannot move the terminal's cursor."""
    when = datetime.fromtimestamp(alert.updated / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    word = alert.state if alert.change in {"state", "severity", "released"} else alert.change
    text = (
        f"{when}  {word.upper():8}  {alert.severity.upper():8}  {alert.model} {alert.version}  "
        f"{alert.feature or alert.segment or alert.rule}  {alert.summary}  [{alert.fingerprint}]"
    )
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
