"""The demo of the retraining hook (`driftgauge demo-retrain`).

Simulated labels begin to depend on the features in another way, an incident opens, and the
hook (retrain.py) trains and validates a new version and puts it into staging.
"""

import sys
import time
from pathlib import Path

import msgspec
import redis
from rich.console import Console
from rich.markup import escape

from driftgauge.models.common.training import DemoModel
from driftgauge.models.demo.recent_rows import RecentRows
from driftgauge.models.drift.plan import SimulationPlan
from driftgauge.models.drift.report import Record
from driftgauge.models.drift.terminal import keep, run_shown
from driftgauge.models.drift.testbed import prepared
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.local.deployment import Deployment
from driftgauge.shared.registry.opening import registry_of
from driftgauge.shared.settings import Settings
from driftgauge.shared.versions.stages import StageChange

CLEAN, DRIFTED = 1500, 4500
"""Rows that are posted before and after the beginning of the drift."""
ROWS = 2200
"""Drifted rows that the hook waits for. Half of them become the reference, which needs 1,000."""
PATIENCE_S = 90.0
"""Longest wait for the end of the hook's run, in seconds."""


class RetrainingResult(msgspec.Struct, frozen=True):
    """The state of the registry after the demo.

    Parameters
    ----------
    staged
        The versions in staging.
    history
        All changes of the model's stages, oldest first.
    record
        The record of the simulation.
    """

    staged: tuple[str, ...]
    history: tuple[StageChange, ...]
    record: Record


class _Ended(msgspec.Struct):
    """The part of the retraining stage's state in Redis that tells how many runs have ended."""

    runs: int


def run(
    model: DemoModel, seed: int, output: Path, settings: Settings, console: Console
) -> RetrainingResult:
    """Run the demo; every process is stopped at the end, whatever happens.

    Parameters
    ----------
    output
        Folder of the simulation's record and picture.
    """
    name = model.name
    console.print(f"Training the {name} model …")
    with prepared(model, seed, settings) as testbed:
        path = testbed.folder / "recent.csv"
        rows = RecentRows(path, model.schema)
        hook = (
            sys.executable,
            "-m",
            "driftgauge.models.demo.retrain",
            "--rows",
            str(path),
            "--at-least",
            str(ROWS),
        )
        plan = SimulationPlan(
            name,
            "concept",
            0.3,
            "abrupt",
            CLEAN + DRIFTED,
            seed,
            rate=0.0,
            label_delay_s=0.2,
            clean_events=CLEAN,
        )
        with testbed.deployed("demo", retrain_command=hook, retrain_webhook=None) as running:
            console.print(f"The hook: {escape(' '.join(hook[1:]))}")
            simulated = run_shown(plan, running.settings, running.url, console, rows.add)
            _wait(running, name)
            _tell_log(running, console)
        registry = registry_of(testbed.settings)
        stages = registry.stages(name)
        keep(simulated, output, console)
        return RetrainingResult(stages.staging, registry.history(name), simulated.record)


def _wait(running: Deployment, model: str) -> None:
    """Wait until the hook's run has ended, but not longer than `PATIENCE_S`."""
    client, deadline = connect(running.settings.redis_url), time.monotonic() + PATIENCE_S
    try:
        while (
            not _ended(client, Keys(running.settings.key_prefix).follower(model, "retraining"))
            and time.monotonic() < deadline
        ):
            time.sleep(0.2)
    finally:
        client.close()


def _ended(client: redis.Redis, key: str) -> bool:
    packed: bytes | None = client.hget(key, "state")  # type: ignore[assignment]  # bytes, not str
    return packed is not None and msgspec.json.decode(packed, type=_Ended).runs > 0


def _tell_log(running: Deployment, console: Console) -> None:
    """Print the worker's log lines about the retraining."""
    for line in (running.settings.data_dir / "worker.log").read_text(errors="replace").splitlines():
        if '"driftgauge.retraining"' in line:
            console.print(f"  [dim]{escape(msgspec.json.decode(line)['event'])}[/]", soft_wrap=True)
