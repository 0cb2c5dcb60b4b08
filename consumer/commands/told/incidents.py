"""`driftgauge incidents`: show, follow, acknowledge and silence the incidents of a running API."""

from typing import Final

import click

from driftgauge.consumer.commands.told.telling import Telling, json_option, moment
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.local.finding import url_option


def incident_line(incident: Incident) -> str:
    """Return an incident as two lines of text: its headline, and what to do."""
    going_on = incident.change in {"opened", "severity", "cause", "evidence", "released"}
    word = incident.state if going_on else incident.change
    return (
        f"{moment(incident.updated)}  {word.upper():8}  {incident.severity.upper():8}  "
        f"{incident.model} {incident.version}  {incident.headline}  [{incident.id}]\n"
        f"{'':21}{incident.advice}"
    )


INCIDENTS: Final = Telling(
    "incidents", Incident, lambda incident: incident.notify, incident_line, each_once=True
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
def incidents(
    context: click.Context,
    model: str | None,
    url: str,
    *,
    follow: bool,
    as_json: bool,
    everything: bool,
) -> None:
    """Show the incidents, oldest first; acknowledge or silence one.

    They are read from a running API. One with keys needs a key in DRIFTGAUGE_API_KEY: with the
    scope read to show incidents, admin to acknowledge or silence one.
    """
    if context.invoked_subcommand is not None:
        return

    INCIDENTS.run(url, model, follow=follow, as_json=as_json, everything=everything)


@incidents.command()
@click.argument("incident")
@click.option("--note", default="", help="Why, in words; it stands in the incident's history.")
@url_option
@json_option
def acknowledge(incident: str, url: str, *, note: str, as_json: bool) -> None:
    """Mark an open incident as seen: no more reminders of it."""
    INCIDENTS.acknowledge(url, incident, note, as_json=as_json)


@incidents.command()
@click.argument("incident")
@click.option(
    "--for",
    "time_",
    required=True,
    metavar="TIME",
    help="How long, such as 30m, 2h or 3d of the model's time.",
)
@click.option("--note", default="", help="Why, in words; it stands in the incident's history.")
@url_option
@json_option
def silence(incident: str, url: str, *, time_: str, note: str, as_json: bool) -> None:
    """Send no notifications of an open incident for a time; its transitions are still recorded."""
    INCIDENTS.silence(url, incident, time_, note, as_json=as_json)
