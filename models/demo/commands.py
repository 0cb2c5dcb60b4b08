"""The commands `driftgauge up`, `demo` and `demo-retrain`."""

import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from driftgauge.models.drift.commands import json_option, output_option, seed_option
from driftgauge.shared.connections.redis_client import connect, require, shown
from driftgauge.shared.registry.opening import registry_of
from driftgauge.shared.settings import read_settings
from driftgauge.shared.wording.times import written_moment

if TYPE_CHECKING:
    from driftgauge.shared.local.deployment import Deployment


@click.command()
@click.option("--port", type=int, help="Port of the API; the next free one if it is in use.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print where everything is as one line of JSON."
)
def up(port: int | None, *, as_json: bool) -> None:
    """Run Redis, API and worker on this machine until Ctrl-C."""
    from driftgauge.shared.local.deployment import Deployment

    _stop_on_signals()
    click.echo("Starting Redis, API and worker …", err=True)
    with Deployment(read_settings(port=port)) as running:
        _show_places(running, as_json=as_json)
        while True:
            for said in running.keep_running():
                click.echo(said, err=True)
            time.sleep(0.2)


def _show_places(running: "Deployment", *, as_json: bool) -> None:
    """Say where everything is, the dashboard first."""
    from driftgauge.shared.local.running import FILE

    if as_json:
        told = {"dashboard": f"{running.url}/", **msgspec.to_builtins(running.running)}
        click.echo(msgspec.json.encode(told))
        return
    folder = running.settings.data_dir.absolute()
    click.echo(f"Dashboard {running.url}/")
    click.echo(f"API       {running.url}/docs")
    click.echo(
        f"Redis     {running.server['kind']} {running.server['version']} at "
        f"{shown(running.settings.redis_url)}"
    )
    click.echo(f"Models    {registry_of(running.settings).storage.where()}")
    click.echo(f"Logs      {folder}/serve.log, worker.log")
    if running.settings.port != running.wanted_port:
        click.echo(f"Port {running.wanted_port} is in use; using {running.settings.port}.")
    click.echo(f"The other commands find it by {folder}/{FILE}: try `driftgauge status`.")
    click.echo("Ctrl-C stops everything; what was counted stays.")


@click.command()
@click.option(
    "--model",
    type=click.Choice(["steel", "obesity", "credit"]),
    default="steel",
    show_default=True,
    help="The demo model that predicts.",
)
@click.option(
    "--events",
    type=click.IntRange(min=100),
    help="Stop after this many; default: go on until Ctrl-C.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of model and traffic.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="With steel: the CSV whose rows are streamed instead of the simulator's.",
)
@click.option("--in-order", is_flag=True, help="With --data: keep the file's order in time.")
@click.option(
    "--rate",
    type=click.IntRange(min=1),
    default=500,
    show_default=True,
    help="Predictions a second.",
)
@click.option("--port", type=int, help="Port of the API; the next free one if it is in use.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("reports"),
    show_default=True,
    help="Folder of the reports.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line.")
def demo(
    *,
    model: str,
    events: int | None,
    seed: int,
    data: Path | None,
    rate: int,
    port: int | None,
    output: Path,
    in_order: bool,
    as_json: bool,
) -> None:
    """Show it working: live traffic, a sensor that drifts half-way, an alert, a report."""
    settings = read_settings(port=port)
    if settings.redis_url is not None:
        require(connect(settings.redis_url), settings.redis_url)  # before the model is trained
    from driftgauge.models.catalogue import MODELS
    from driftgauge.models.demo.live import DemoPlan
    from driftgauge.models.demo.run import run

    _stop_on_signals()
    if in_order and data is None:
        raise click.UsageError("--in-order needs --data.")
    if data is not None and not MODELS[model].keeps_stream:
        raise click.UsageError(
            f"--data is not for --model {model}: training and reference need all of its file."
        )
    plan = DemoPlan(
        MODELS[model], events, seed, data, rate, output, in_order=in_order, as_json=as_json
    )
    run(plan, settings)


def _stop_on_signals() -> None:
    """Treat SIGTERM as Ctrl-C, so that every child process is stopped.

    Ctrl-C is handled explicitly, because a process that a shell started in the background ignores
    it by default.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


@click.command("demo-retrain")
@click.option(
    "--model",
    "name",
    type=click.Choice(["obesity", "credit", "steel"]),
    default="obesity",
    show_default=True,
    help="The demo model.",
)
@seed_option
@output_option
@json_option
def demo_retrain(name: str, seed: int, output: Path, *, as_json: bool) -> None:
    """Show the retraining hook: the concept changes, an incident opens, a new version is trained,
    validated and staged.
    """
    from rich.console import Console

    from driftgauge.models.catalogue import MODELS
    from driftgauge.models.demo.retraining import run

    console = Console(stderr=as_json, highlight=False)
    result = run(MODELS[name], seed, output, read_settings(), console)
    for change in result.history:
        passed = (
            ""
            if change.validation is None
            else ": passed"
            if change.validation.passed
            else ": FAILED"
        )
        console.print(
            f"{written_moment(change.time)} {change.actor}: {change.action} {change.version} "
            f"{change.stage}{passed}"
        )
    console.print(
        f"In staging: {', '.join(result.staged)}"
        if result.staged
        else "[red]No version came into staging.[/]"
    )
    if as_json:
        click.echo(msgspec.json.encode(result))
    sys.exit(0 if result.staged else 1)
