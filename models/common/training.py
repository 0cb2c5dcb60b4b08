"""What the demo models' training has in common: evaluation on held-out rows, registration, and the
command.

    python -m models.NAME.train [--data FILE] [--seed S] [--registry DIR] [--name NAME] [--version
    V]

The reference profile is made of rows that the model was not trained on. Features would be alike on
both, but predictions of training rows are closer to the truth than those of any later row: a
reference of them would be drift from the first event on.
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

from driftgauge.models.common.simulation import Labelled, Labels, Simulator
from driftgauge.shared.errors import DriftgaugeError
from driftgauge.shared.performance import PerformanceReference
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.frames import columns_of
from driftgauge.shared.reference.profile import Column
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry import promotion
from driftgauge.shared.registry.creation import new_manifest, utc_now
from driftgauge.shared.registry.provenance import file_digest, git_revision, library_versions
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import read_settings
from driftgauge.shared.versions import prediction, scores
from driftgauge.shared.versions.gates import GateFailed, Gates
from driftgauge.shared.versions.manifest import PublishedVersion, Task

PATIENCE_MS: Final = 10_000.0
"""Bound of one row's time of a model that is patient."""


@dataclass(frozen=True)
class DemoModel:
    """What there is to know of a demo model before it is trained.

    Parameters
    ----------
    name
        Of the model, and of its folder.
    summary
        What it predicts, in a few words.
    schema, task, gates
        As they stand in the schema and manifest of its versions.
    metrics
        Those that are measured on held-out rows (shared/versions/scores.py).
    drifting_feature
        The feature that a demo shifts.
    simulator
        Makes the source of rows of a seed.
    train
        Trains on a file, or on simulated rows, by a seed.
    fit
        Trains on given rows, by a seed; the text names where they are from.
    keeps_stream
        Whether a part of a file is kept for later traffic.
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
        """The same with a latency gate that a busy machine passes: where it is the monitor that is
        shown, or tested.
        """
        return replace(self, gates=msgspec.structs.replace(self.gates, max_latency_ms=PATIENCE_MS))


@dataclass(frozen=True)
class Trained:
    """A fitted model and the rows around it; each row is in one of the frames only.

    Parameters
    ----------
    estimator
        Takes rows as `driftgauge.shared.versions.prediction.model_inputs` gives them.
    features
        Engineered rows that it was trained on.
    holdout
        Engineered rows that it was not trained on: measured by `metrics`, and the rows of the
        reference profile.
    truth, predictions
        Of the holdout.
    metrics
        Metric to its value on the holdout.
    stream
        Labelled rows for later traffic, in random order; None for a simulator, which has no end of
        rows.
    source
        The file; None for a simulator.
    remarks
        What else there is to say of the training.
    finished
        When, ISO 8601 in UTC.
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


def evaluate(
    estimator: Any, schema: Schema, holdout: Labelled, metrics: Sequence[str]
) -> tuple[Labels, dict[str, float]]:
    """Predict held-out rows and compare.

    Returns
    -------
    predictions, metrics
        Of the rows; metric to its value.
    """
    columns = columns_of(holdout.features, schema)
    predicted = prediction.predict(schema, estimator, columns)
    outcomes = scores.Outcomes(
        holdout.labels.tolist() if schema.prediction == "categorical" else holdout.labels,
        predicted,
        prediction.probabilities(schema, estimator, columns),
        prediction.class_labels(estimator),
    )
    kind = object if schema.prediction == "categorical" else np.float64
    return np.asarray(predicted, dtype=kind), {
        metric: scores.score(metric, outcomes) for metric in metrics
    }


def store(
    model: DemoModel,
    trained: Trained,
    registry: ModelRegistry,
    name: str | None = None,
    version: str | None = None,
    gates: Gates | None = None,
) -> Path:
    """Store a trained model with its schema and reference, in stage none.

    Parameters
    ----------
    name
        None for the demo model's own.
    version
        None for the one after the newest.
    gates
        None for the demo model's own.

    Returns
    -------
    Path
        The version's folder.

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
        feature_engineering=f"models.{model.name}.features",
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
        return registry.register(
            PublishedVersion(manifest, schema, reference, performance=performance), artifact
        )


def register(
    model: DemoModel,
    trained: Trained,
    registry: ModelRegistry,
    name: str | None = None,
    version: str | None = None,
) -> Path:
    """Store a trained model, and put it into production if it passes its gates.

    Raises
    ------
    BadData
        As `store` does.
    GateFailed
        If a gate fails: the version is stored then, but not in production.
    """
    stored = store(model, trained, registry, name, version)
    actor = f"models.{model.name}.train"
    rows = promotion.ValidationData(held_out(model, trained))
    promotion.promote(
        registry, name or model.name, stored.name, actor=actor, reason="newly trained", data=rows
    )
    return stored


def held_out(model: DemoModel, trained: Trained) -> pd.DataFrame:
    """Give the rows that a version is measured on: features, and the true values under the target's
    name.
    """
    return trained.holdout.assign(**{model.schema.target: trained.truth})


def _column(values: Labels) -> Column:
    return values.tolist() if values.dtype == object else values


def command(model: DemoModel) -> click.Command:
    """Make the command that trains a demo model and registers it."""

    @click.command(
        help=f"Train the {model.name} model ({model.summary}), register it, and put it into production."
    )
    @click.option(
        "--data",
        type=click.Path(path_type=Path),
        help="The public file; without it, simulated rows.",
    )
    @click.option(
        "--seed",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        help="Of simulator, split and model.",
    )
    @click.option(
        "--registry",
        type=click.Path(path_type=Path),
        help="Registry folder; without it, that of the settings.",
    )
    @click.option("--name", default=model.name, show_default=True, help="Name of the model.")
    @click.option("--version", help="Such as 1.0.0; without it, the one after the newest.")
    def train(
        data: Path | None, seed: int, registry: Path | None, name: str, version: str | None
    ) -> None:
        try:
            trained = model.train(data, seed)
            click.echo("\n".join((*trained.remarks, _listed(trained.metrics))))
            folder = register(
                model,
                trained,
                ModelRegistry(registry or read_settings().registry_dir),
                name,
                version,
            )
        except DriftgaugeError as error:
            click.echo(f"Error: {error}", err=True)
            if isinstance(error, GateFailed):
                click.echo("The version is stored, in stage none.", err=True)
            raise SystemExit(error.exit_code) from error
        click.echo(f"Stored in {folder}, now in production.")

    return train


def _listed(metrics: dict[str, float]) -> str:
    return "  ".join(f"{metric} {value:.4g}" for metric, value in metrics.items())
