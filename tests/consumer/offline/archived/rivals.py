"""A plant with two registered versions, the archived predictions of the first one, and labels."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

from driftgauge.consumer.offline.registration import register_version
from driftgauge.consumer.offline.submission import Submission
from driftgauge.shared.archive.store import FolderStore
from driftgauge.shared.contract.events import Label, Prediction
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.versions.manifest import PublishedVersion
from tests.shared.archive.making import MODEL, NOON, write

FEATURES = ["load", "heat", "city"]
STEP_MS = 600_000
TRAINED = "2025-11-01T00:00:00+00:00"


@dataclass
class Rivals:
    """Two versions and what is archived.

    Parameters
    ----------
    models
        The fitted models of the versions 1.0.0, which answered, and 1.1.0.
    rows
        The archived rows: features, `truth`, `time` and `came`, the times of prediction and label
        in Unix ms; only some have labels.
    labelled
        Which of them are to be compared.
    """

    registry: ModelRegistry
    store: FolderStore
    models: tuple[Any, Any]
    versions: tuple[PublishedVersion, PublishedVersion]
    rows: pd.DataFrame
    labelled: pd.Series


def frame(rows: int, seed: int, *, classes: bool = False) -> pd.DataFrame:
    """Draw rows of which a straight line misses a part, in Oslo alone."""
    random = np.random.default_rng(seed)
    load, heat = random.normal(0, 1, rows), random.normal(0, 1, rows)
    city = random.choice(["oslo", "rome"], rows)
    truth = 20 + 3 * load + np.where(city == "oslo", 2 * np.abs(heat), 0)
    truth = truth + random.normal(0, 1, rows)
    found = pd.DataFrame({"load": load, "heat": heat, "city": city, "truth": truth})
    found["time"] = NOON + STEP_MS * np.arange(rows)
    found["came"] = found.time + STEP_MS * random.integers(1, 300, rows)
    if classes:
        found["truth"] = np.where(found.truth > 21, "yes", "no")
    return found


def rivals(
    folder: Path,
    rows: int = 3000,
    *,
    classes: bool = False,
    schema: Callable[[PublishedVersion], dict[str, Any]] = lambda _: {},
    **second: Any,
) -> Rivals:
    """Register a straight line and a boosting of trees, and archive what the line predicts.

    Parameters
    ----------
    schema
        Given the first version, further options of the registration of the second one.
    second
        Such options.
    """
    train = frame(2000, 1, classes=classes)
    plain = LogisticRegression() if classes else LinearRegression()
    boosted = (LGBMClassifier if classes else LGBMRegressor)(n_estimators=60, verbose=-1, n_jobs=1)
    models = tuple(
        Pipeline([*_encoded().steps, ("model", one)]).fit(train[FEATURES], train.truth)
        for one in (plain, boosted)
    )
    registry = ModelRegistry(folder / "registry")
    train[[*FEATURES, "truth"]].to_csv(folder / "train.csv", index=False)
    versions: list[PublishedVersion] = []
    for fitted, number in zip(models, ("1.0.0", "1.1.0"), strict=True):
        joblib.dump(fitted, folder / f"{number}.joblib")
        given: dict[str, Any] = {"trained": TRAINED, "segments": ("city",)}
        if versions:
            given |= second | schema(versions[0])
        asked = Submission(
            MODEL,
            folder / "train.csv",
            version=number,
            artifact=folder / f"{number}.joblib",
            target_column="truth",
            **given,
        )
        versions.append(register_version(registry, asked)[1])
    registry.promote(MODEL, "1.0.0", actor="test")
    store = FolderStore(folder / "archive")
    archived = frame(rows, 2, classes=classes)
    labelled = _archive(store, versions[0], models[0], archived)
    return Rivals(
        registry, store, (models[0], models[1]), (versions[0], versions[1]), archived, labelled
    )


def _encoded() -> Pipeline:
    cities = (OneHotEncoder(handle_unknown="ignore"), ["city"])
    return make_pipeline(make_column_transformer(cities, remainder="passthrough"))


def _archive(
    store: FolderStore, made: PublishedVersion, fitted: Any, rows: pd.DataFrame
) -> pd.Series:
    """Archive predictions in two cuts, the later rows first; one of ten rows comes in a batch, and
    one of five has no label.
    """
    said = fitted.predict(rows[FEATURES]).tolist()
    shares = (
        fitted.predict_proba(rows[FEATURES]).tolist() if made.schema.classes else [None] * len(rows)
    )
    places = np.arange(len(rows))
    batch, has_label = places % 10 == 3, places % 5 != 0
    predictions = [
        Prediction(
            id=f"id{place}",
            version="1.0.0",
            time=row.time,
            features=[row.load, row.heat, row.city],
            prediction=said[place],
            probabilities=shares[place],
            source="batch" if batch[place] else "online",
        )
        for place, row in enumerate(rows.itertuples())
    ]
    labels = [
        Label(f"id{place}", rows.truth[place], int(rows.came[place])) for place in places[has_label]
    ]
    half = len(rows) // 2
    write(store, 0, predictions[half:], schema=made.schema.stream)
    write(store, len(rows), predictions[:half], labels, schema=made.schema.stream)
    return pd.Series(has_label & ~batch)
