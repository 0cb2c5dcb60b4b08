"""The drift test: simulated drifts against a deployment of its own on this machine.

Each drift has to raise the expected alerts, and none may come before the drift.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from driftgauge.models.common.training import DemoModel, register
from driftgauge.models.drift.plan import DriftKind, SimulationPlan
from driftgauge.models.drift.report import Record
from driftgauge.models.drift.terminal import keep, run_shown
from driftgauge.shared.local.deployment import Deployment
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings

ROWS = 8000
"""Simulated rows that the model is trained and measured on."""
TRAINING_SEED = 1_000_000
"""Added to the seed for the training, so that the traffic repeats no row of it."""


@dataclass(frozen=True)
class DriftTestbed:
    """A temporary folder with a registered model, against which deployments can be started.

    Parameters
    ----------
    settings
        Settings with the folder's registry, without a configured Redis.
    """

    folder: Path
    settings: Settings

    @contextmanager
    def deployed(self, name: str, **more: object) -> Iterator[Deployment]:
        """Start Redis, API and worker with a data folder of this name.

        Parameters
        ----------
        more
            Further settings by name.
        """
        folder = self.folder / name
        own = {
            "data_dir": folder,
            "reports_dir": folder / "reports",
            "keys_file": None,  # the API is open, on loopback, whatever the environment names
            **more,
        }
        with Deployment(self.settings.model_copy(update=own), "drift-test") as running:
            yield running


@contextmanager
def prepared(model: DemoModel, seed: int, settings: Settings) -> Iterator[DriftTestbed]:
    """Train a model and register it in a temporary folder, which is deleted at the end."""
    with tempfile.TemporaryDirectory(prefix="driftgauge-drift-") as name:
        folder = Path(name)
        own = {
            "registry_dir": folder / "registry",
            "redis_url": None,
            "default_model": model.name,
            "api_key": None,
        }
        rows = model.simulator(seed + TRAINING_SEED).labelled(ROWS)
        register(
            model.patient,
            model.fit(rows, seed, "the simulator"),
            ModelRegistry(folder / "registry"),
        )
        yield DriftTestbed(folder, settings.model_copy(update=own))


def run_all(
    model: DemoModel,
    kinds: Sequence[DriftKind],
    plan: SimulationPlan,
    settings: Settings,
    output: Path,
    console: Console,
) -> list[Record]:
    """Simulate one kind of drift after the other, each against a fresh deployment.

    Parameters
    ----------
    plan
        The simulation; its kind is replaced by each of `kinds`.
    output
        Folder of the records and pictures.
    """
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
    """Return the results as a table with one row per drift."""
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
