"""The demo of the retraining hook: the concept changes, an alert fires, the hook trains, validates,
and stages a version.
"""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
import redis
from rich.console import Console
from rich.markup import escape

from driftgauge.models.common.training import DemoModel
from driftgauge.models.drift.recent_rows import RecentRows
from driftgauge.models.drift.report import Record
from driftgauge.models.drift.run import Plan
from driftgauge.models.drift.show import keep, run_shown
from driftgauge.models.drift.trial import prepared
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.local.deployment import Deployment
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from driftgauge.shared.versions.stages import Change

CLEAN, DRIFTED = 1500, 4500
ROWS = 2200
"""Rows of the new world that the hook waits for; half of them are the reference, which needs 1,000.
"""
PATIENCE_S = 90.0


class Outcome(msgspec.Struct, frozen=True):
    """What stands at the end.

    Parameters
    ----------
    staged
        The versions in staging.
    history
        Changes of the model's stages.
    """

    staged: tuple[str, ...]
    history: tuple[Change, ...]
    record: Record


class _Ended(msgspec.Struct):
    """What is looked at of the hook's state: whether a run has ended."""

    runs: int


@dataclass(frozen=True)
class Show:
    """What the command line asks for."""

    model: DemoModel
    seed: int
    output: Path


def run(show: Show, settings: Settings, console: Console) -> Outcome:
    """Run the demo; nothing of it is left running, whatever happens."""
    name = show.model.name
    console.print(f"Training the {name} model …")
    with prepared(show.model, show.seed, settings) as ground:
        path = ground.folder / "recent.csv"
        rows = RecentRows(path, show.model.schema)
        hook = (
            sys.executable,
            "-m",
            "driftgauge.models.demo.retrain",
            "--rows",
            str(path),
            "--at-least",
            str(ROWS),
        )
        plan = Plan(
            name, "concept", 0.3, "abrupt", CLEAN + DRIFTED, show.seed, 0.0, 0.2, clean_events=CLEAN
        )
        with ground.deployed("demo", retrain_command=hook, retrain_webhook=None) as running:
            console.print(f"The hook: {escape(' '.join(hook[1:]))}")
            simulated = run_shown(plan, running.settings, running.url, console, rows.add)
            _wait(running, name)
            _tell_log(running, console)
        registry = ModelRegistry(ground.settings.registry_dir)
        stages = registry.stages(name)
        keep(simulated, show.output, console)
        return Outcome(stages.staging, registry.history(name), simulated.record)


def _wait(running: Deployment, model: str) -> None:
    """Wait until the hook's run has ended."""
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
    """Print what the worker logged of the retraining."""
    for line in (running.settings.data_dir / "worker.log").read_text(errors="replace").splitlines():
        if '"driftgauge.retraining"' in line:
            console.print(f"  [dim]{escape(msgspec.json.decode(line)['event'])}[/]", soft_wrap=True)
