"""An example of a retraining hook: it trains a demo model on the rows since an incident opened,
validates the new version, and puts it into staging.

    DRIFTGAUGE_RETRAIN_COMMAND='["python", "-m", "driftgauge.models.demo.retrain",
                                 "--rows", "recent.csv"]'

The worker runs the hook on a critical incident whose action is `retrain` and writes the incident to
its standard input as CloudEvents JSON. The hook puts nothing into production: a person promotes
from staging.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import msgspec

from driftgauge.models.catalogue import MODELS
from driftgauge.models.common.training import DemoModel, Trained, held_out, store
from driftgauge.models.demo.recent_rows import wait_for_rows
from driftgauge.shared.contract.alert import CloudEvent
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.errors import BadData, DriftgaugeError
from driftgauge.shared.registry.opening import registry_of
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import read_settings

ACTOR = "driftgauge.models.demo.retrain"


@click.command(
    help="Train on the rows since the incident on standard input, validate the new version, and "
    "put it into staging."
)
@click.option(
    "--rows",
    "path",
    required=True,
    type=click.Path(path_type=Path),
    help="CSV of recent rows with their labels.",
)
@click.option(
    "--at-least",
    type=click.IntRange(min=1),
    default=2200,
    show_default=True,
    help="Rows to wait for.",
)
@click.option(
    "--patience",
    type=click.FloatRange(min=0),
    default=90,
    show_default=True,
    help="Seconds to wait for them.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of split and model."
)
def main(path: Path, at_least: int, patience: float, seed: int) -> None:
    """Retrain once, for one incident."""
    try:
        incident = _incident(sys.stdin.buffer.read())
        registry = registry_of(read_settings())
        model = _model(registry, incident)
        click.echo(
            f"{incident.model} {incident.version}: {incident.headline} Waiting for {at_least:,} "
            "rows since it was opened."
        )
        rows = wait_for_rows(path, model.schema, incident.opened, at_least, patience)
        trained = model.fit(rows, seed, str(path))
        gates = registry.manifest(incident.model, incident.version).gates
        version = store(model, trained, registry, incident.model, gates=gates)
        click.echo(f"Trained {incident.model} {version} on {len(rows.labels):,} rows.")
        _validate(model, trained, incident.model, version)
        _driftgauge(
            [
                "models",
                "promote",
                incident.model,
                version,
                "--to",
                "staging",
                "--reason",
                f"incident {incident.id}",
            ]
        )
    except DriftgaugeError as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(error.exit_code) from error


def _incident(event: bytes) -> Incident:
    try:
        return msgspec.json.decode(msgspec.json.decode(event, type=CloudEvent).data, type=Incident)
    except msgspec.MsgspecError as error:
        raise BadData(f"Standard input holds no incident as CloudEvents JSON ({error}).") from error


def _model(registry: ModelRegistry, incident: Incident) -> DemoModel:
    """Find the demo model of a version by its feature engineering, whatever its name."""
    engineering = registry.manifest(incident.model, incident.version).feature_engineering
    for model in MODELS.values():
        if engineering == f"driftgauge.models.{model.name}.features":
            return model
    raise BadData(
        f"{incident.model} {incident.version} is none of the demo models: train it by a command "
        "of its own."
    )


def _validate(model: DemoModel, trained: Trained, name: str, version: str) -> None:
    with TemporaryDirectory() as folder:
        data = Path(folder) / "held-out.csv"
        held_out(model, trained).to_csv(data, index=False)
        _driftgauge(["models", "validate", name, version, "--data", str(data)])


def _driftgauge(arguments: Sequence[str]) -> None:
    """Run a `driftgauge` command; if it fails, end with its exit code."""
    sys.stdout.flush()
    done = subprocess.run(
        [sys.executable, "-m", "driftgauge", *arguments, "--actor", ACTOR], check=False
    )
    if done.returncode:
        raise SystemExit(done.returncode)


if __name__ == "__main__":
    main()
