"""Training of the steel model on the UCI file or simulated rows: see models/common/training.py."""

from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from sklearn.ensemble import StackingRegressor
from sklearn.linear_model import LinearRegression

from driftgauge.models.common import trees
from driftgauge.models.common.simulation import Labelled
from driftgauge.models.common.training import DemoModel, Trained, command, evaluate, require_rows
from driftgauge.models.steel.features import (
    CALENDAR,
    ELECTRICAL,
    EXCLUDED,
    FEATURES,
    LOAD,
    TARGET,
    engineer,
    read_raw,
)
from driftgauge.models.steel.simulate import DRIFTING_FEATURE, SteelPlant
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.versions.gates import Gates

METRICS: Final = ("r2", "rmse", "mae", "wape")
"""RMSE and MAE are in kWh. WAPE is the sum of the absolute errors divided by the sum of the usage;
the percentage error of single rows means nothing where usage is near 0.
"""
MIN_ROWS = 400
"""Least rows to train on; with fewer, the folds and parts are too small."""

_UNITS: dict[str, str] = {
    **dict.fromkeys(("lagging_kvarh", "leading_kvarh", "net_kvarh"), "kvarh"),
    **dict.fromkeys(("lagging_power_factor", "leading_power_factor", "power_factor_gap"), "%"),
    "net_phase_angle": "°",
}
"""Unit of each feature that has one."""
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
"""Physical range of each feature that has one."""

SCHEMA = Schema(
    tuple(
        Feature(
            name,
            "numeric",
            nullable=name in ELECTRICAL,  # a sensor that falls silent is to be counted, not refused
            minimum=_RANGES.get(name, (None, None))[0],
            maximum=_RANGES.get(name, (None, None))[1],
            excluded=EXCLUDED.get(name, ""),
            unit=_UNITS.get(name, ""),
        )
        for name in FEATURES
    ),
    prediction="numeric",
    target=TARGET,
    unit="kWh",
)


def train(data: Path | None, seed: int = 0, rows: int = 20_000) -> Trained:
    """Train on a random half of the rows.

    Parameters
    ----------
    data
        The UCI file: a quarter of it is held out, and a quarter is kept for later traffic. None
        trains on simulated rows, of which the other half is held out.
    seed
        Seed of simulator, split and model.
    rows
        Number of rows to simulate; unused with a file.

    Raises
    ------
    BadData
        If the file does not fit, lacks a target, or has too few rows.
    """
    raw = SteelPlant((seed, 1)).rows(rows) if data is None else read_raw(data)
    source = data or "the simulator"
    require_rows(len(raw), MIN_ROWS, source)
    if raw[TARGET].isna().any():
        raise BadData(
            f"{source}: {TARGET} is missing in {int(raw[TARGET].isna().sum())} rows; remove them "
            f"to train."
        )
    order = np.random.default_rng(seed).permutation(len(raw))
    features, usage = engineer(raw).iloc[order], raw[TARGET].to_numpy()[order]
    if data is None:
        return _fit(Labelled(features, usage), seed, len(raw))
    end = len(raw) * 3 // 4
    return replace(
        _fit(Labelled(features, usage), seed, end),
        stream=Labelled(features[end:], usage[end:]),
        source=data,
    )


def fit(rows: Labelled, seed: int, source: str) -> Trained:
    """Train on a random half of given rows; the other half is held out.

    Parameters
    ----------
    seed
        Seed of split and model.
    source
        Name of the rows' origin, for errors.

    Raises
    ------
    BadData
        If there are too few rows.
    """
    require_rows(len(rows.labels), MIN_ROWS, source)
    order = np.random.default_rng(seed).permutation(len(rows.labels))
    return _fit(Labelled(rows.features.iloc[order], rows.labels[order]), seed, len(order))


def _fit(rows: Labelled, seed: int, end: int) -> Trained:
    """Train on the first half of shuffled rows; the rows from there to `end` are held out."""
    features, usage = rows
    half = len(features) // 2
    estimator = _stack(seed).fit(features[:half].to_numpy(), usage[:half])
    holdout = features[half:end]
    predictions, metrics = evaluate(estimator, SCHEMA, Labelled(holdout, usage[half:end]), METRICS)
    return Trained(estimator, features[:half], holdout, usage[half:end], predictions, metrics)


def _stack(seed: int) -> StackingRegressor:
    """Stack small ensembles of trees that differ in depth and loss, so that requests are fast."""
    models = [
        ("deep", trees.regressor(seed, num_leaves=31, learning_rate=0.1, n_estimators=120)),
        ("shallow", trees.regressor(seed, num_leaves=8, learning_rate=0.2, n_estimators=120)),
        (
            "robust",
            trees.regressor(
                seed, num_leaves=15, learning_rate=0.15, n_estimators=120, objective="regression_l1"
            ),
        ),
    ]
    # the final model sees predictions only, so that missing features never reach it
    return StackingRegressor(models, final_estimator=LinearRegression(), cv=3)


MODEL = DemoModel(
    name="steel",
    summary="energy use of a steel plant",
    schema=SCHEMA,
    task="regression",
    gates=Gates(minimum={"r2": 0.97}, maximum={"wape": 0.1}, tolerance=0.1),
    metrics=METRICS,
    drifting_feature=DRIFTING_FEATURE,
    simulator=SteelPlant,
    train=train,
    fit=fit,
    keeps_stream=True,
)

main = command(MODEL)

if __name__ == "__main__":
    main()
