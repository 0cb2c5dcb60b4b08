"""`driftgauge alerts`: show, follow, acknowledge and silence the alerts of a running API."""

from typing import Final

import click

from driftgauge.consumer.commands.told.telling import Telling, json_option, moment
from driftgauge.shared.contract.alert import Alert
from driftgauge.shared.local.finding import url_option


def alert_line(alert: Alert) -> str:
    """Return an alert as one line of text."""
    word = alert.state if alert.change in {"state", "severity", "released"} else alert.change
    return (
        f"{moment(alert.updated)}  {word.upper():8}  {alert.severity.upper():8}  {alert.model} "
        f"{alert.version}  {alert.feature or alert.segment or alert.rule}  {alert.summary}  "
        f"[{alert.fingerprint}]"
    )


ALERTS: Final = Telling(
    "alerts",
    Alert,
    lambda alert: alert.state in {"firing", "resolved"} and alert.notify,
    alert_line,
)


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

    ALERTS.run(url, model, follow=follow, as_json=as_json, everything=everything)


@alerts.command()
@click.argument("fingerprint")
@click.option("--note", default="", help="Why, in words; it stands in the alert's history.")
@url_option
@json_option
def acknowledge(fingerprint: str, url: str, *, note: str, as_json: bool) -> None:
    """Mark an open alert as seen: no more reminders of it."""
    ALERTS.acknowledge(url, fingerprint, note, as_json=as_json)


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
@json_option
def silence(fingerprint: str, url: str, *, time_: str, note: str, as_json: bool) -> None:
    """Send no notifications of an open alert for a time; its transitions are still recorded."""
    ALERTS.silence(url, fingerprint, time_, note, as_json=as_json)
