"""An example of a retraining hook: it trains a demo model on the rows since an alert, validates the
new version, and puts it into staging.

    DRIFTGAUGE_RETRAIN_COMMAND='["python", "-m", "driftgauge.models.demo.retrain",
                                 "--rows", "recent.csv"]'

The worker runs the hook on a critical performance alert and writes the alert to its standard input
as CloudEvents JSON. The hook puts nothing into production: a person promotes from staging.
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
from driftgauge.shared.contract.alert import Alert, CloudEvent
from driftgauge.shared.errors import BadData, DriftgaugeError
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import read_settings

ACTOR = "driftgauge.models.demo.retrain"


@click.command(
    help="Train on the rows since the alert on standard input, validate the new version, and put "
    "it into staging."
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
    """Retrain once, for one alert."""
    try:
        alert = _alert(sys.stdin.buffer.read())
        registry = ModelRegistry(read_settings().registry_dir)
        model = _model(registry, alert)
        click.echo(
            f"{alert.model} {alert.version}: {alert.summary}. Waiting for {at_least:,} rows since "
            f"then."
        )
        rows = wait_for_rows(path, model.schema, alert.started, at_least, patience)
        trained = model.fit(rows, seed, str(path))
        gates = registry.manifest(alert.model, alert.version).gates
        version = store(model, trained, registry, alert.model, gates=gates).name
        click.echo(f"Trained {alert.model} {version} on {len(rows.labels):,} rows.")
        _validate(model, trained, alert.model, version)
        _driftgauge(
            [
                "models",
                "promote",
                alert.model,
                version,
                "--to",
                "staging",
                "--reason",
                f"alert {alert.fingerprint}",
            ]
        )
    except DriftgaugeError as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(error.exit_code) from error


def _alert(event: bytes) -> Alert:
    try:
        return msgspec.json.decode(msgspec.json.decode(event, type=CloudEvent).data, type=Alert)
    except msgspec.MsgspecError as error:
        raise BadData(f"Standard input holds no alert as CloudEvents JSON ({error}).") from error


def _model(registry: ModelRegistry, alert: Alert) -> DemoModel:
    """Find the demo model of a version by its feature engineering, whatever its name."""
    engineering = registry.manifest(alert.model, alert.version).feature_engineering
    for model in MODELS.values():
        if engineering == f"driftgauge.models.{model.name}.features":
            return model
    raise BadData(
        f"{alert.model} {alert.version} is none of the demo models: train it by a command of its "
        f"own."
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
