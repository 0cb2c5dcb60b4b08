"""`driftgauge status`: how everything is, on one screen."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click
import msgspec

from driftgauge.shared.errors import RedisUnavailable
from driftgauge.shared.local.finding import WHERE, Found, find
from driftgauge.shared.settings import Settings
from driftgauge.shared.wording.visible import visible

if TYPE_CHECKING:
    from driftgauge.producer.diagnosis.sources import Picture
    from driftgauge.producer.diagnosis.standing import Standing

COLOURS = {"critical": "bold red", "warning": "yellow", "ok": "green"}


@click.command()
@click.option("--model", help="Only this model.")
@click.option("--url", help=f"The API; no other source is asked then.  [default: {WHERE}]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(model: str | None, url: str | None, *, as_json: bool) -> None:
    """Show each model's status, what it says, since when, traffic, lag, open incidents and alerts.

    The API is asked if it runs, else Redis. Exit code 69 if neither answers.
    """
    from driftgauge.producer.diagnosis.sources import look
    from driftgauge.producer.diagnosis.standing import standings

    found = find()
    picture = look(found, url)
    found = replace(found, api_url=url or found.api_url)
    models = [one for one in standings(picture) if model in {None, one.model}]
    if as_json:
        click.echo(msgspec.json.encode(_document(found, picture, models)))
        sys.exit(0 if picture.source else RedisUnavailable.exit_code)
    _show_places(found, picture)
    if not picture.source:
        click.echo(
            f"{picture.reason} `driftgauge up` starts everything; `driftgauge doctor` tells more."
        )
        _show_registered(found.settings)
        sys.exit(RedisUnavailable.exit_code)
    if models:
        _show_models(models)
    else:
        click.echo(
            "No model has sent an event yet."
            if model is None
            else f"No model {model} has sent an event."
        )


def _document(found: Found, picture: "Picture", models: "Sequence[Standing]") -> dict[str, Any]:
    return {
        "dashboard": f"{found.api_url}/",
        "api": {"url": found.api_url, **msgspec.structs.asdict(picture.service)},
        "deployment": found.deployment,
        "source": picture.source or None,
        "reason": picture.reason,
        "models": models,
    }


def _show_places(found: Found, picture: "Picture") -> None:
    from driftgauge.shared.connections.redis_client import shown

    service = picture.service
    click.echo(f"Dashboard  {found.api_url}/" + ("" if service.answers else f"  {service.reason}"))
    for said in service.degraded:
        click.echo(f"           {visible(said)}")
    click.echo(f"Redis      {shown(found.settings.redis_url)}")
    if found.deployment is not None:
        one = found.deployment
        click.echo(f"Run by     driftgauge {one.command}, process {one.pid}, in {one.data_dir}")
    if found.doubt:
        click.echo(f"Note       {found.doubt}")
    click.echo("")


def _show_registered(settings: Settings) -> None:
    """Say which models would run here."""
    from driftgauge.shared.registry.opening import registry_of

    registry = registry_of(settings)
    for model in registry.registered():
        production = registry.stages(model).production
        stage = f"{production} in production" if production else "none in production"
        click.echo(f"Registered: {model}, {stage}")


def _show_models(models: "Sequence[Standing]") -> None:
    from rich.console import Console
    from rich.text import Text

    from driftgauge.shared.wording.numbers import count
    from driftgauge.shared.wording.plain import clip
    from driftgauge.shared.wording.times import duration, moment
    from driftgauge.shared.wording.titles import severity_words

    console = Console(highlight=False)
    for one in models:
        name = clip(f"{one.model} {one.version}".strip(), 60)
        word = severity_words(one.status).upper()
        headline = one.headline.removeprefix(f"{word.capitalize()}: ")
        head = Text.assemble(
            (word, COLOURS.get(one.status, "dim")), f"  {name}: {clip(headline, 400)}"
        )
        alerts = ", ".join(f"{number} {word}" for word, number in one.alerts.items() if number)
        lag = f"lag {duration(one.lag_seconds)}" + (
            f" ({count(one.lag_events)} events)" if one.lag_events else ""
        )
        facts = (
            *(
                ()
                if one.since is None
                else (f"since {moment(round(one.since.timestamp() * 1000))}",)
            ),
            f"{count(one.events_last_hour)} events in the last hour",
            lag,
            f"open incidents: {len(one.incidents)}",
            f"alerts: {alerts or 'none'}",
            *(() if one.worker else ("NO WORKER",)),
        )
        console.print(head, soft_wrap=True)
        if one.advice:
            console.print(Text(f"    → {clip(one.advice, 300)}"), soft_wrap=True)
        console.print(Text(f"    {'; '.join(facts)}"), soft_wrap=True)
        if one.fault:
            console.print(Text(f"    failing: {clip(one.fault, 300)}", "red"), soft_wrap=True)
