"""Code that all demo models share: evaluation on held-out rows, registration, training command.

    python -m driftgauge.models.NAME.train [--data FILE] [--seed S] [--registry DIR]
                                           [--name NAME] [--version V]

The reference profile is built from rows that the model was not trained on. On its training rows a
model predicts better than on any later row, so with a reference of training rows the predictions
would seem to drift from the first event on.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import click
import joblib
import msgspec
import numpy as np
import pandas as pd
from rich.console import Console

from driftgauge.models.common.simulation import Labelled, Labels, Simulator
from driftgauge.models.common.steps import step
from driftgauge.shared.errors import BadData, DriftgaugeError
from driftgauge.shared.local.finding import located_settings
from driftgauge.shared.performance import PerformanceReference
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.frames import columns_of
from driftgauge.shared.reference.profile import Column
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry import promotion
from driftgauge.shared.registry.creation import new_manifest, utc_now
from driftgauge.shared.registry.opening import registry_of
from driftgauge.shared.registry.provenance import file_digest, git_revision, library_versions
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.versions import prediction, scores
from driftgauge.shared.versions.gates import GateFailed, Gates
from driftgauge.shared.versions.manifest import PublishedVersion, Task

PATIENCE_MS: Final = 10_000.0
"""Latency gate, in ms, of a model that is `patient`."""


@dataclass(frozen=True)
class DemoModel:
    """A demo model before it is trained.

    Parameters
    ----------
    name
        Name of the model and of its folder.
    summary
        Description of the prediction in a few words.
    schema, task, gates
        Schema, task and gates of the versions that are registered of it.
    metrics
        Names of the metrics that are computed on held-out rows (shared/versions/scores.py).
    drifting_feature
        The feature that the demo shifts.
    simulator
        Function that makes a simulator of the model's rows from a seed.
    train
        Function that trains the model on a file, or on simulated rows if the path is None, with a
        seed.
    fit
        Trains the model on given rows with a seed. The text says where the rows come from, for
        errors.
    keeps_stream
        True if training on a file keeps a part of its rows for later traffic.
    """

    name: str
    summary: str
    schema: Schema
    task: Task
    gates: Gates
    metrics: tuple[str, ...]
    drifting_feature: str
    simulator: Callable[[int], Simulator]
    train: Callable[[Path | None, int], "Trained"]
    fit: Callable[[Labelled, int, str], "Trained"]
    keeps_stream: bool = False

    @property
    def patient(self) -> "DemoModel":
        """Return the same model with a latency gate that a busy machine passes, too.

        Demos and tests of the monitor use it: the model's speed is not their subject.
        """
        return replace(self, gates=msgspec.structs.replace(self.gates, max_latency_ms=PATIENCE_MS))


@dataclass(frozen=True)
class Trained:
    """A fitted model with the rows of its training; each row is in one of the frames only.

    Parameters
    ----------
    estimator
        The fitted model, with scikit-learn's methods.
    features
        Engineered rows that it was trained on.
    holdout
        Engineered rows that it was not trained on. The metrics are computed on them and the
        reference profile is built from them.
    truth, predictions
        True value and prediction of each row of the holdout.
    metrics
        Metric to its value on the holdout.
    stream
        Labelled rows for later traffic, in random order; None if a simulator draws them.
    source
        The file that was trained on; None for simulated or given rows.
    remarks
        Lines about the training for the user.
    finished
        Time at which the training ended, ISO 8601 in UTC.
    """

    estimator: Any
    features: pd.DataFrame
    holdout: pd.DataFrame
    truth: Labels
    predictions: Labels
    metrics: dict[str, float]
    stream: Labelled | None = None
    source: Path | None = None
    remarks: tuple[str, ...] = ()
    finished: str = field(default_factory=utc_now)


def require_rows(rows: int, least: int, source: object) -> None:
    """Raise BadData if there are too few rows to train on.

    Parameters
    ----------
    source
        Name of the rows' origin, for the error.
    """
    if rows < least:
        raise BadData(f"{source} gives {rows} rows, too few to train on; give at least {least}.")


def evaluate(
    estimator: Any, schema: Schema, holdout: Labelled, metrics: Sequence[str]
) -> tuple[Labels, dict[str, float]]:
    """Predict held-out rows and compute metrics.

    Returns
    -------
    predictions
        The prediction of each row.
    metrics
        Metric to its value.
    """
    columns = columns_of(holdout.features, schema)
    predicted = prediction.predict(schema, estimator, columns)
    labelled = scores.Outcomes(
        holdout.labels.tolist() if schema.prediction == "categorical" else holdout.labels,
        predicted,
        prediction.probabilities(schema, estimator, columns),
        prediction.class_labels(estimator),
    )
    kind = object if schema.prediction == "categorical" else np.float64
    return np.asarray(predicted, dtype=kind), {
        metric: scores.score(metric, labelled) for metric in metrics
    }


def store(
    model: DemoModel,
    trained: Trained,
    registry: ModelRegistry,
    name: str | None = None,
    version: str | None = None,
    gates: Gates | None = None,
) -> str:
    """Store a trained model with its schema and reference as a version in stage none.

    Parameters
    ----------
    name
        Name to register it under; None uses the demo model's own.
    version
        Number of the version; None uses the one after the newest.
    gates
        Gates of the version; None uses the demo model's own.

    Returns
    -------
    str
        The version.

    Raises
    ------
    BadData
        If the name or version is malformed, or the version exists.
    """
    schema, name = model.schema, name or model.name
    manifest = new_manifest(
        name,
        version or registry.next_version(name),
        model.task,
        metrics=trained.metrics,
        gates=gates or model.gates,
        labels=True,
        feature_engineering=f"driftgauge.models.{model.name}.features",
        trained=trained.finished,
        git_revision=git_revision(Path(__file__).parent),
        libraries=library_versions(trained.estimator),
        data_digest="" if trained.source is None else file_digest(trained.source),
    )
    columns = columns_of(trained.holdout, schema)
    predictions, truth = _column(trained.predictions), _column(trained.truth)
    reference = build_profile(schema, columns, predictions)
    given = prediction.probabilities(schema, trained.estimator, columns)
    performance = PerformanceReference.of_version(
        schema, reference, [*columns, predictions], truth, given
    )
    with tempfile.TemporaryDirectory() as folder:
        artifact = Path(folder) / "model.joblib"
        joblib.dump(trained.estimator, artifact)
        registry.register(
            PublishedVersion(manifest, schema, reference, performance=performance), artifact
        )
    return manifest.version


def register(
    model: DemoModel,
    trained: Trained,
    registry: ModelRegistry,
    name: str | None = None,
    version: str | None = None,
) -> str:
    """Store a trained model as `store` does, and put it into production if it passes its gates.

    Raises
    ------
    BadData
        If the name or version is malformed, or the version exists.
    GateFailed
        If a gate fails. The version is stored, but not in production.
    """
    stored = store(model, trained, registry, name, version)
    actor = f"models.{model.name}.train"
    rows = promotion.ValidationData(held_out(model, trained))
    promotion.promote(
        registry,
        name or model.name,
        stored,
        actor=actor,
        reason="newly trained",
        data=rows,
    )
    return stored


def held_out(model: DemoModel, trained: Trained) -> pd.DataFrame:
    """Return the held-out rows as a table: the features, and the true values as the target."""
    return trained.holdout.assign(**{model.schema.target: trained.truth})


def _column(values: Labels) -> Column:
    return values.tolist() if values.dtype == object else values


def command(model: DemoModel) -> click.Command:
    """Make the command line that trains a demo model, registers it and puts it into production."""

    @click.command(
        help=f"Train the {model.name} model ({model.summary}), register it, and put it into "
        f"production."
    )
    @click.option(
        "--data",
        type=click.Path(path_type=Path),
        help="The public data file; without it, simulated rows.",
    )
    @click.option(
        "--seed",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        help="Seed of simulator, split and model.",
    )
    @click.option(
        "--registry",
        type=click.Path(path_type=Path),
        help="Registry folder; without it, the folder of the settings.",
    )
    @click.option("--name", default=model.name, show_default=True, help="Name of the model.")
    @click.option("--version", help="Such as 1.0.0; without it, the one after the newest.")
    def train(
        data: Path | None, seed: int, registry: Path | None, name: str, version: str | None
    ) -> None:
        try:
            console = Console(stderr=True, highlight=False)
            with step(console, f"Training the {model.name} model"):
                trained = model.train(data, seed)
            click.echo("\n".join((*trained.remarks, _listed(trained.metrics))))
            settings = located_settings()
            chosen = ModelRegistry(registry) if registry else registry_of(settings)
            with step(console, "Registering it: its reference, its checks"):
                stored = register(model, trained, chosen, name, version)
        except DriftgaugeError as error:
            click.echo(f"Error: {error}", err=True)
            if isinstance(error, GateFailed):
                click.echo("The version is stored, in stage none.", err=True)
            raise SystemExit(error.exit_code) from error
        place = chosen.storage.where(f"{name or model.name}/{stored}")
        click.echo(f"Stored in {place}, now in production.")

    return train


def _listed(metrics: dict[str, float]) -> str:
    return "  ".join(f"{metric} {value:.4g}" for metric, value in metrics.items())
