"""The commands `driftgauge simulate` and `driftgauge drift-test`."""

import sys
from pathlib import Path

import click

from driftgauge.models.drift.plan import (
    DRIFT_KINDS,
    DRIFT_SHAPES,
    DriftKind,
    DriftShape,
    SimulationPlan,
)
from driftgauge.shared.local.finding import located_settings, url_option
from driftgauge.shared.settings import read_settings

_intensity = click.option(
    "--intensity",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.3,
    show_default=True,
    help="Size: a shift in standard deviations, else a share of the rows.",
)
_events = click.option(
    "--events",
    type=click.IntRange(min=200),
    default=6000,
    show_default=True,
    help="Events to post; the drift begins after half of them.",
)
seed_option = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the traffic."
)
_shape = click.option(
    "--shape",
    type=click.Choice(DRIFT_SHAPES),
    default="abrupt",
    show_default=True,
    help="How it comes: at once, as ever more rows, ever stronger, or in two episodes.",
)
_rate = click.option(
    "--rate",
    type=click.FloatRange(min=0),
    default=0,
    help="Most events a second.  [default: no limit]",
)
_delay = click.option(
    "--label-delay",
    type=click.FloatRange(min=0),
    default=0.5,
    show_default=True,
    help="Mean seconds from a prediction to its label, drawn at random.",
)
output_option = click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("reports/simulations"),
    show_default=True,
    help="Folder of record and picture.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")


@click.command()
@click.option("--model", required=True, help="The model to post to.")
@click.option("--drift", required=True, type=click.Choice(DRIFT_KINDS), help="What changes.")
@_intensity
@_shape
@click.option("--feature", help="The feature that changes.  [default: one that suits]")
@click.option(
    "--segment", metavar="FEATURE=VALUE", help="Only rows of this segment change.  [default: all]"
)
@_events
@seed_option
@_rate
@_delay
@url_option
@output_option
@json_option
def simulate(
    *,
    model: str,
    drift: DriftKind,
    intensity: float,
    shape: DriftShape,
    feature: str | None,
    segment: str | None,
    events: int,
    seed: int,
    rate: float,
    label_delay: float,
    url: str,
    output: Path,
    as_json: bool,
) -> None:
    """Post traffic that drifts, with labels, to a running API; then say what it found. Exit code 1
    if not all of it.

    An API with keys needs one with the scopes read, predict and label, in DRIFTGAUGE_API_KEY.
    """
    import msgspec
    from rich.console import Console

    from driftgauge.models.drift.terminal import conclude, keep, run_shown

    console = Console(stderr=True, highlight=False)
    plan = SimulationPlan(
        model, drift, intensity, shape, events, seed, rate, label_delay, feature, segment=segment
    )
    simulated = run_shown(plan, located_settings(), url, console)
    conclude(simulated.record, console)
    for path in keep(simulated, output, console):
        click.echo(path.absolute(), err=as_json)
    if as_json:
        click.echo(msgspec.json.encode(simulated.record))
    sys.exit(0 if simulated.record.found else 1)


@click.command("drift-test")
@click.option(
    "--model",
    "name",
    type=click.Choice(["steel", "obesity", "credit"]),
    default="credit",
    show_default=True,
    help="The demo model; credit alone has categories that its schema leaves open.",
)
@click.option(
    "--drift",
    "drifts",
    multiple=True,
    type=click.Choice(DRIFT_KINDS),
    help="What changes; repeatable.  [default: all]",
)
@_intensity
@_shape
@_events
@seed_option
@output_option
@json_option
def drift_test(
    *,
    name: str,
    drifts: tuple[DriftKind, ...],
    intensity: float,
    shape: DriftShape,
    events: int,
    seed: int,
    output: Path,
    as_json: bool,
) -> None:
    """Start Redis, API and worker, and inject drifts: exit code 1 unless each is found, and nothing
    before it.
    """
    import msgspec
    from rich.console import Console

    from driftgauge.models.catalogue import MODELS
    from driftgauge.models.drift.testbed import run_all, table

    console = Console(stderr=True, highlight=False)
    kinds = drifts or DRIFT_KINDS
    plan = SimulationPlan(
        name, kinds[0], intensity, shape, events, seed, rate=0.0, label_delay_s=0.5
    )
    records = run_all(MODELS[name], kinds, plan, read_settings(), output, console)
    console.print(table(records))
    if as_json:
        click.echo(msgspec.json.encode(records))
    sys.exit(0 if all(record.passed for record in records) else 1)
