"""The drift test: real drifts against a deployment of its own. Each has to be found, and nothing
before it.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from driftgauge.models.common.training import DemoModel, register
from driftgauge.models.drift.kinds import Kind
from driftgauge.models.drift.report import Record
from driftgauge.models.drift.run import Plan
from driftgauge.models.drift.terminal import keep, run_shown
from driftgauge.shared.local.deployment import Deployment
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings

ROWS = 8000
"""Rows that the model is trained and measured on."""
ELSEWHERE = 1_000_000
"""Added to the seed, so that no row of the training comes again."""


@dataclass(frozen=True)
class DriftTestbed:
    """A folder with a registered model, for deployments that leave nothing behind."""

    folder: Path
    settings: Settings

    @contextmanager
    def deployed(self, name: str, **more: object) -> Iterator[Deployment]:
        """Start Redis, API and worker with a data folder of their own."""
        folder = self.folder / name
        own = {
            "data_dir": folder,
            "reports_dir": folder / "reports",
            "keys_file": folder / "keys.json",
            **more,
        }
        with Deployment(self.settings.model_copy(update=own)) as running:
            yield running


@contextmanager
def prepared(model: DemoModel, seed: int, settings: Settings) -> Iterator[DriftTestbed]:
    """Train and register a model in a temporary folder; its Redis is private, whatever is
    configured.
    """
    with tempfile.TemporaryDirectory(prefix="driftgauge-drift-") as name:
        folder = Path(name)
        own = {
            "registry_dir": folder / "registry",
            "redis_url": None,
            "default_model": model.name,
            "api_key": None,
        }
        rows = model.simulator(seed + ELSEWHERE).labelled(ROWS)
        register(
            model.patient,
            model.fit(rows, seed, "the simulator"),
            ModelRegistry(folder / "registry"),
        )
        yield DriftTestbed(folder, settings.model_copy(update=own))


def run_all(
    model: DemoModel,
    kinds: Sequence[Kind],
    plan: Plan,
    settings: Settings,
    output: Path,
    console: Console,
) -> list[Record]:
    """Run one drift after the other, each against a deployment without a past."""
    console.print(f"Training the {model.name} model …")
    records = []
    with prepared(model, plan.seed, settings) as testbed:
        for kind in kinds:
            console.print(f"[bold]{kind}[/]")
            with testbed.deployed(kind) as running:
                simulated = run_shown(
                    replace(plan, kind=kind), running.settings, running.url, console
                )
            keep(simulated, output, console)
            records.append(simulated.record)
    return records


def table(records: Sequence[Record]) -> Table:
    """Give a row for each drift."""
    shown = Table(title="drift test", title_justify="left")
    for head in ("drift", "found", "after events", "first alert", "false alarms", ""):
        shown.add_column(head)
    for record in records:
        delays = ["-" if one.after is None else f"{one.after:,}" for one in record.verdict.met]
        first = record.verdict.first
        shown.add_row(
            record.drift,
            "yes" if record.found else "NO",
            ", ".join(delays),
            "-" if first is None else f"{first.subject} ({first.rule})",
            str(len(record.verdict.false_alarms)),
            "[green]passed[/]" if record.passed else "[red]FAILED[/]",
        )
    return shown
