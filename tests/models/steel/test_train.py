from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from driftgauge.models.common.perturbations import shift
from driftgauge.models.common.training import Trained
from driftgauge.models.steel.features import (
    CALENDAR,
    EXCLUDED,
    FEATURES,
    LAGGING,
    RAW,
    TARGET,
    engineer,
)
from driftgauge.models.steel.simulate import DRIFTING_FEATURE, SteelPlant
from driftgauge.models.steel.train import SCHEMA, train
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.frames import columns_of, rows_of
from driftgauge.shared.reference.profile import NumericReference, ReferenceProfile

STREAM_ROWS = 2000


def psi(reference: NumericReference, values: NDArray[np.float64]) -> tuple[float, int]:
    """PSI on the bins without the one of missing values, half a row added to each; and the number
    of bins.
    """
    bins = np.array(reference.bin_of_cell)
    expected = np.bincount(bins, weights=reference.counts)[:-1] + 0.5
    seen = np.bincount(bins[reference.cells(values)], minlength=len(expected) + 1)[:-1] + 0.5
    p, q = expected / expected.sum(), seen / seen.sum()
    return float(((p - q) * np.log(p / q)).sum()), len(expected)


def profile_of(trained: Trained) -> ReferenceProfile:
    return build_profile(SCHEMA, columns_of(trained.holdout, SCHEMA), trained.predictions)


def null_ratios(trained: Trained, stream: pd.DataFrame) -> list[float]:
    """PSI of each watched column over its mean under no drift, (B - 1)(1/n + 1/m)."""
    values = {**dict(stream.items()), "prediction": trained.estimator.predict(stream.to_numpy())}
    ratios = []
    for column in profile_of(trained).columns:
        assert isinstance(column, NumericReference)
        if column.name not in EXCLUDED:
            found, bins = psi(column, np.asarray(values[column.name]))
            ratios.append(found / ((bins - 1) * (1 / len(stream) + 1 / len(trained.holdout))))
    return ratios


def check_shift(trained: Trained, stream: pd.DataFrame) -> None:
    column = profile_of(trained).columns[FEATURES.index(DRIFTING_FEATURE)]
    assert isinstance(column, NumericReference)
    assert column.sd is not None
    shifted = shift(stream, DRIFTING_FEATURE, sd=0.5, scale=column.sd)[DRIFTING_FEATURE].to_numpy()
    rank = np.searchsorted(np.sort(trained.holdout[DRIFTING_FEATURE]), shifted).mean() / len(
        trained.holdout
    )
    assert psi(column, shifted)[0] >= 0.2
    assert rank == pytest.approx(0.64, abs=0.02)


@pytest.fixture(scope="module")
def from_file(real_path: Path) -> Trained:
    return train(real_path)


def test_same_seed_same_model(trained: Trained) -> None:
    """Training is reproducible: one seed gives identical metrics and predictions on one machine."""
    again = train(None, seed=0, rows=8000)
    assert again.metrics == trained.metrics
    assert np.array_equal(again.predictions, trained.predictions)


def test_model_is_good_on_rows_that_it_never_saw(trained: Trained) -> None:
    """The holdout's metrics are those of a useful model."""
    assert trained.metrics["r2"] > 0.97
    assert trained.metrics["mae"] < trained.metrics["rmse"] < 6


def test_parts_do_not_overlap(trained: Trained) -> None:
    """No row is both trained on and held out, and none is lost."""
    assert not set(trained.features.index) & set(trained.holdout.index)
    assert len(trained.features) + len(trained.holdout) == 8000
    assert trained.stream is None


def test_traffic_of_the_same_seed_is_not_the_training_sample(trained: Trained) -> None:
    """A demo that simulates with the training's seed still sends rows that the model was not
    trained on.
    """
    traffic = engineer(SteelPlant(0).rows(8000))
    assert not set(traffic[DRIFTING_FEATURE]) & set(trained.features[DRIFTING_FEATURE])


def test_missing_values_are_predicted_with(trained: Trained) -> None:
    """Rows with missing sensors, even with all of them missing, get a finite prediction."""
    rows = trained.holdout[:20].to_numpy(copy=True)
    rows[:10, 0] = np.nan
    rows[10:] = np.nan
    assert np.isfinite(trained.estimator.predict(rows)).all()


def test_simulated_traffic_is_exchangeable_with_the_reference(trained: Trained) -> None:
    """Without drift, PSI of features and predictions lies about its mean under no drift."""
    ratios = [
        null_ratios(trained, engineer(SteelPlant(seed).rows(STREAM_ROWS))) for seed in range(1, 6)
    ]
    assert 0.6 < np.mean(ratios) < 1.6


def test_shift_of_simulated_traffic_is_drift(trained: Trained) -> None:
    """Half a standard deviation of bias is drift by the usual rule (PSI 0.2), of the normal's rank
    .64.
    """
    check_shift(trained, engineer(SteelPlant(1).rows(STREAM_ROWS)))


def test_clock_features_are_excluded_and_sensors_nullable() -> None:
    """The schema leaves the clock out of drift with its reason, and takes a request whose sensors
    are silent.
    """
    assert {f.name for f in SCHEMA.features if f.excluded} == set(CALENDAR)
    row = rows_of(engineer(SteelPlant(0).rows(1).assign(**{LAGGING: np.nan})), SCHEMA)[0]
    assert row["lagging_kvarh"] is None
    assert SCHEMA.positional(row)[1] == []


def test_rows_without_target_or_too_few_are_refused(tmp_path: Path) -> None:
    """A file that cannot be trained on is refused with the reason."""
    file = tmp_path / "steel.csv"
    rows = SteelPlant(0).rows(500)[list(RAW)]
    rows.assign(**{TARGET: np.nan}).to_csv(file, index=False)
    with pytest.raises(BadData, match="Usage_kWh is missing in 500 rows"):
        train(file)
    rows[:50].to_csv(file, index=False)
    with pytest.raises(BadData, match="50 rows"):
        train(file)


def test_real_parts_are_disjoint_and_fit_the_schema(from_file: Trained) -> None:
    """Half of the file is trained on, a quarter held out, a quarter kept for the stream; every row
    is a valid request.
    """
    assert from_file.stream is not None
    parts = [from_file.features, from_file.holdout, from_file.stream.features]
    assert [len(part) for part in parts] == [17520, 8760, 8760]
    assert pd.concat(parts).index.is_unique
    shifted = shift(
        from_file.stream.features,
        DRIFTING_FEATURE,
        sd=0.5,
        scale=float(from_file.holdout[DRIFTING_FEATURE].std()),
    )
    assert not any(SCHEMA.positional(row)[1] for row in rows_of(shifted, SCHEMA))
    assert from_file.metrics["r2"] > 0.99


def test_real_stream_is_exchangeable_with_the_reference(from_file: Trained) -> None:
    """Rows of the file that were kept for the stream show no drift, and half a standard deviation
    of bias does.
    """
    assert from_file.stream is not None
    rows = from_file.stream.features
    chunks = [rows[start : start + STREAM_ROWS] for start in range(0, 4 * STREAM_ROWS, STREAM_ROWS)]
    assert 0.6 < np.mean([null_ratios(from_file, chunk) for chunk in chunks]) < 1.6
    check_shift(from_file, chunks[0])
