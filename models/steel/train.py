"""Training of the steel model, from the UCI file or the simulator, and its registration.

    python -m models.steel.train [--data FILE] [--seed S] [--registry DIR] [--name NAME] [--version V]

The reference profile is made of rows that the model was not trained on. Features would be alike on both, but
predictions of training rows are closer to their targets than those of any later row: a reference of them would be drift
from the first event on.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import click
import joblib
import numpy as np
import pandas as pd
from lightgbm import LGBMRegressor
from numpy.typing import NDArray
from sklearn.ensemble import StackingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from models.steel.features import CALENDAR, ELECTRICAL, EXCLUDED, FEATURES, LOAD, TARGET, engineer, read_raw
from models.steel.simulate import Plant
from shared.errors import BadData, DriftgaugeError
from shared.model_registry import ModelRegistry, PublishedVersion, new_manifest
from shared.reference import ReferenceProfile
from shared.schema import Feature, Schema, columns_of
from shared.settings import read_settings

MIN_ROWS = 400
"""Rows below which the folds and parts of the data are too small to train on."""

_RANGES: dict[str, tuple[float | None, float | None]] = {
    "lagging_kvarh": (0, None),
    "leading_kvarh": (0, None),
    "lagging_power_factor": (0, 100),
    "leading_power_factor": (0, 100),
    "log_total_kvarh": (0, None),
    "power_factor_gap": (-100, 100),
    "net_phase_angle": (-90, 90),
    **dict.fromkeys(CALENDAR, (-1, 1)),
    **dict.fromkeys(("is_weekend", *LOAD), (0, 1)),
}
"""Physical ranges, of the features that have one."""

SCHEMA = Schema(
    tuple(
        Feature(
            name,
            "numeric",
            nullable=name in ELECTRICAL,  # a sensor that falls silent is to be counted, not refused
            minimum=_RANGES.get(name, (None, None))[0],
            maximum=_RANGES.get(name, (None, None))[1],
            excluded=EXCLUDED.get(name, ""),
        )
        for name in FEATURES
    ),
    prediction="numeric",
    target=TARGET,
)


@dataclass(frozen=True)
class Trained:
    """A fitted model and the rows around it; each row is in one of the frames only.

    Parameters
    ----------
    estimator
        Takes arrays of 18 columns, NaN for missing.
    features
        Engineered rows that it was trained on.
    holdout
        Engineered rows that it was not trained on: measured by `metrics`, and the rows of the reference profile.
    predictions
        Of the holdout, in kWh.
    metrics
        r2, rmse and mae (kWh), and wape: the sum of absolute errors over the sum of usage, since the percentage error
        of single rows means nothing where usage is near 0.
    stream
        Engineered rows for later traffic, in random order; None for the simulator, which has no end of rows.
    """

    estimator: StackingRegressor
    features: pd.DataFrame
    holdout: pd.DataFrame
    predictions: NDArray[np.float64]
    metrics: dict[str, float]
    stream: pd.DataFrame | None


def train(data: Path | None, seed: int = 0, rows: int = 20_000) -> Trained:
    """Train on a random half of the rows.

    Parameters
    ----------
    data
        The UCI file: a quarter of it is held out and a quarter kept for the stream. None for the simulator: half of its
        rows are held out.
    seed
        Of simulator, split and model.
    rows
        Rows to simulate; not used with a file.

    Raises
    ------
    BadData
        If the file does not fit, lacks a target, or has too few rows.
    """
    raw = Plant((seed, 1)).rows(rows) if data is None else read_raw(data)
    source = data or "the simulator"
    if len(raw) < MIN_ROWS:
        raise BadData(f"{source} gives {len(raw)} rows, too few to train on; give at least {MIN_ROWS}.")
    if raw[TARGET].isna().any():
        raise BadData(f"{source}: {TARGET} is missing in {int(raw[TARGET].isna().sum())} rows; remove them to train.")
    order = np.random.default_rng(seed).permutation(len(raw))
    half, end = len(raw) // 2, len(raw) if data is None else len(raw) * 3 // 4
    features, usage = engineer(raw).iloc[order], raw[TARGET].to_numpy()[order]
    estimator = _stack(seed).fit(features[:half].to_numpy(), usage[:half])
    holdout = features[half:end]
    predictions = np.asarray(estimator.predict(holdout.to_numpy()), dtype=np.float64)
    return Trained(
        estimator=estimator,
        features=features[:half],
        holdout=holdout,
        predictions=predictions,
        metrics=_metrics(usage[half:end], predictions),
        stream=None if data is None else features[end:],
    )


def register(trained: Trained, registry: ModelRegistry, name: str = "steel", version: str | None = None) -> Path:
    """Store a trained model with its schema and reference, and put it into production.

    Parameters
    ----------
    version
        None for the one after the newest.

    Returns
    -------
    Path
        The version's folder.

    Raises
    ------
    BadData
        If the name or version is malformed, or the version exists.
    """
    manifest = new_manifest(
        name,
        version or registry.next_version(name),
        task="regression",
        metrics=trained.metrics,
        feature_engineering="models.steel.features",
    )
    reference = ReferenceProfile.build(SCHEMA, columns_of(trained.holdout, SCHEMA), trained.predictions)
    with tempfile.TemporaryDirectory() as folder:
        artifact = Path(folder) / "model.joblib"
        joblib.dump(trained.estimator, artifact)
        stored = registry.register(PublishedVersion(manifest, SCHEMA, reference), artifact)
    registry.promote(name, manifest.version, actor="models.steel.train", reason="newly trained")
    return stored


def _stack(seed: int) -> StackingRegressor:
    """Stack small trees of different depth and loss, so that one request costs little."""
    models = [
        ("deep", _trees(seed, leaves=31, rate=0.1, objective="regression")),
        ("shallow", _trees(seed, leaves=8, rate=0.2, objective="regression")),
        ("robust", _trees(seed, leaves=15, rate=0.15, objective="regression_l1")),
    ]
    # the final model sees predictions only, so that missing features never reach it
    return StackingRegressor(models, final_estimator=LinearRegression(), cv=3)


def _trees(seed: int, *, leaves: int, rate: float, objective: str) -> LGBMRegressor:
    return LGBMRegressor(
        n_estimators=120,
        num_leaves=leaves,
        learning_rate=rate,
        objective=objective,
        random_state=seed,
        n_jobs=1,  # threads cost more than they give for a few rows
        deterministic=True,
        force_row_wise=True,
        verbose=-1,
    )


def _metrics(usage: NDArray[np.float64], predictions: NDArray[np.float64]) -> dict[str, float]:
    return {
        "r2": float(r2_score(usage, predictions)),
        "rmse": float(root_mean_squared_error(usage, predictions)),
        "mae": float(mean_absolute_error(usage, predictions)),
        "wape": float(np.abs(usage - predictions).sum() / usage.sum()),
    }


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="The UCI file; without it, simulated rows.")
@click.option("--seed", default=0, show_default=True, help="Of simulator, split and model.")
@click.option("--registry", type=click.Path(path_type=Path), help="Registry folder; without it, that of the settings.")
@click.option("--name", default="steel", show_default=True, help="Name of the model.")
@click.option("--version", help="Such as 1.0.0; without it, the one after the newest.")
def main(data: Path | None, seed: int, registry: Path | None, name: str, version: str | None) -> None:
    """Train the steel model and register it."""
    try:
        trained = train(data, seed)
        folder = register(trained, ModelRegistry(registry or read_settings().registry_dir), name, version)
    except DriftgaugeError as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(error.exit_code) from error
    click.echo("  ".join(f"{metric} {value:.4g}" for metric, value in trained.metrics.items()))
    click.echo(f"Stored in {folder}, now in production.")


if __name__ == "__main__":
    main()
