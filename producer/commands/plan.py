"""`driftgauge plan`."""

from importlib import resources
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.table import Table

    from driftgauge.shared.planning.costs import Costs
    from driftgauge.shared.planning.plan import Load, Plan


@click.command()
@click.option(
    "--events-per-second",
    "rate",
    type=click.FloatRange(min=0, min_open=True),
    required=True,
    help="At the busiest time, of all models together.",
)
@click.option(
    "--features", type=click.IntRange(min=1), default=18, show_default=True, help="Of a model."
)
@click.option(
    "--categorical",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="So many of the features.",
)
@click.option(
    "--segments",
    type=click.IntRange(0, 3),
    default=0,
    show_default=True,
    help="So many of the features define segments.",
)
@click.option(
    "--labels",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Share of the events whose true value comes.",
)
@click.option(
    "--models",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="That share the events evenly.",
)
@click.option(
    "--retention-hours",
    type=click.FloatRange(min=0),
    help="Hours that counted events stay in the log; default: as the settings say.",
)
@click.option(
    "--shard-gb",
    type=click.FloatRange(min=0, min_open=True),
    default=64.0,
    show_default=True,
    help="Memory of one Redis server.",
)
@click.option(
    "--busy",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.6,
    show_default=True,
    help="Share of a core that a process may have; the rest catches up after a fault.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
def plan(
    rate: float,
    features: int,
    categorical: int,
    segments: int,
    labels: float,
    models: int,
    retention_hours: float | None,
    shard_gb: float,
    busy: float,
    *,
    as_json: bool,
) -> None:
    """Compute the cores, memory, Redis servers and network that a load needs, from measured costs.

    docs/capacity.md has the formula.
    """
    import msgspec
    from rich.console import Console

    from driftgauge.shared.planning.costs import Shape
    from driftgauge.shared.planning.plan import Load
    from driftgauge.shared.planning.plan import plan as planned
    from driftgauge.shared.settings import read_settings

    if categorical > features:
        raise click.UsageError(
            f"--categorical {categorical} is more than --features {features}, of which they are."
        )
    if segments > categorical:
        raise click.UsageError(
            f"--segments {segments} is more than --categorical {categorical}: segments are "
            f"defined by categorical features."
        )
    settings = read_settings()
    load = Load(
        rate,
        Shape(features - categorical, categorical, segments, labels),
        models,
        settings.log_retention_hours if retention_hours is None else retention_hours,
        settings.pane_retention_hours,
        settings.label_wait_hours,
        settings.label_pending_max,
        busy,
        shard_gb,
    )
    found = planned(load, measured())
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    Console().print(_table(found))
    for remark in _remarks(found, load):
        click.echo(f"- {remark}")


def measured() -> "Costs":
    """Read what `python -m benchmarks.scale.capacity --write` wrote."""
    import msgspec

    from driftgauge.shared.planning.costs import Costs

    found = resources.files("driftgauge.shared.planning").joinpath("costs.json").read_bytes()
    return msgspec.json.decode(found, type=Costs)


def _table(found: "Plan") -> "Table":
    from rich.table import Table

    table = Table(show_edge=False)
    for column in ("", "processes", "busy cores", "memory"):
        table.add_column(column, justify="left" if not column else "right")
    for name, part in (("API", found.api), ("worker", found.workers), ("Redis", found.redis)):
        table.add_row(name, f"{part.processes:,}", f"{part.cores:.2g}", f"{part.memory_gb:,.3g} GB")
    return table


def _remarks(found: "Plan", load: "Load") -> list[str]:
    memory = f"log {found.log_gb:,.3g} GB, panes {found.panes_gb:,.3g} GB"
    if load.shape.labels:
        memory += f", predictions that wait for labels {found.waiting_gb:,.3g} GB"
    network = f"clients to API {found.in_mbit:,.3g} Mbit/s, Redis {found.redis_mbit:,.3g} Mbit/s"
    remarks = [
        f"partitions of each model: {found.partitions:,} (models register --partitions)",
        f"of Redis's memory: {memory}",
        f"network: {network}",
        f"append-only files grow by {found.disk_gb_hour:,.3g} GB an hour until rewritten",
    ]
    if found.redis.processes > 1:
        remarks.append("more than one Redis is a Redis Cluster: redis+cluster://…")
    if found.fitting_hours < load.retention_hours:
        hours = f"={found.fitting_hours:.2g}" if found.fitting_hours else ""
        remarks.append(
            f"it is memory that needs most of them; a shorter log needs fewer: "
            f"DRIFTGAUGE_LOG_RETENTION_HOURS{hours}"
        )
    if found.waiting_share < 1:
        remarks.append(
            f"only {found.waiting_share:.2%} of the predictions can wait for a label as long as "
            f"they may: raise DRIFTGAUGE_LABEL_PENDING_MAX, or lower DRIFTGAUGE_LABEL_WAIT_HOURS"
        )
    return remarks
