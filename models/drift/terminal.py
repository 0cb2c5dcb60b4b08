"""Shows a simulation on a terminal while it runs, and writes its record and picture."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from driftgauge.models.drift.plan import SimulationPlan
from driftgauge.models.drift.posting import Posted
from driftgauge.models.drift.report import Record, write
from driftgauge.models.drift.run import SimulationListener, SimulationResult, simulate
from driftgauge.models.drift.verdict import FiredAlert
from driftgauge.shared.errors import NotInstalled
from driftgauge.shared.settings import Settings

COLOURS = {"critical": "red", "warning": "yellow"}


def run_shown(
    plan: SimulationPlan,
    settings: Settings,
    url: str,
    console: Console,
    posted: Callable[[Sequence[Posted]], None] = lambda _: None,
) -> SimulationResult:
    """Run a simulation with a progress bar; alerts are printed as they fire.

    Parameters
    ----------
    url
        Address of the API.
    posted
        Function that is called with the rows that were just answered.
    """
    bar = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("events"),
        TimeElapsedColumn(),
    )
    with Progress(*bar, console=console) as progress:
        task = progress.add_task("clean traffic  ", total=plan.events)

        def injected(description: str) -> None:
            progress.update(task, description="drifting traffic")
            progress.console.print(
                f"[bold]Injected after {plan.clean:,} events:[/] {escape(description)}."
            )

        def alerted(found: FiredAlert) -> None:
            progress.console.print(_line(found))

        listener = SimulationListener(
            injected, lambda events: progress.advance(task, events), alerted, posted
        )
        return asyncio.run(simulate(plan, settings, url, listener))


def keep(simulated: SimulationResult, folder: Path, console: Console) -> list[Path]:
    """Write the record, and the picture if matplotlib is installed; return the files' paths."""
    paths = [write(simulated.record, folder)]
    try:
        from driftgauge.models.drift.picture import draw

        picture = paths[0].with_suffix(".png")
        draw(simulated.record, simulated.posted, simulated.features, picture)
        paths.append(picture)
    except NotInstalled as error:
        console.print(f"No picture: {escape(str(error))}")
    return paths


def conclude(record: Record, console: Console) -> None:
    """Print which expected alerts came, after how many events, and all others."""
    judged = record.verdict
    for one in judged.met:
        text = (
            "not found" if one.after is None else f"found {one.after:,} events after the injection"
        )
        console.print(f"[{'red' if one.after is None else 'green'}]{escape(one.name)}: {text}[/]")
    if judged.first is not None:
        console.print(f"First alert: {_line(judged.first)}")
    rules = sorted({f"{one.subject} ({one.rule})" for one in judged.findings})
    console.print(
        f"Alerts after it: {len(judged.findings)}"
        + (f": {escape(', '.join(rules))}" if rules else "")
    )
    console.print(f"False alarms before it: {len(judged.false_alarms)}")
    for name, value in record.before.items():
        after = record.after.get(name)
        console.print(
            f"{name}: {value:.4g} before, {'-' if after is None else f'{after:.4g}'} after"
        )
    for reason, count in record.rejected_labels.items():
        console.print(f"[yellow]{count:,} labels were rejected:[/] {escape(reason)}")
    for other in judged.operational:
        console.print(f"Of the machine, not of the model: {_line(other)}")


def _line(found: FiredAlert) -> str:
    name = escape(found.subject)
    colour = COLOURS[found.severity]
    severity = f"[{colour}]{found.severity.upper()}[/]"
    return f"{severity} at event {found.event:,}: {name}: {escape(found.summary)}"
