from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from driftgauge.models.steel.features import (
    CO2,
    ELECTRICAL,
    EXCLUDED,
    FEATURES,
    LAGGING,
    LEADING,
    LEADING_FACTOR,
    RAW,
    TARGET,
    engineer,
    read_raw,
)
from driftgauge.models.steel.simulate import SteelPlant
from driftgauge.shared.errors import BadData


def test_there_are_eighteen_numeric_features_in_a_fixed_order() -> None:
    """Stream order is FEATURES; every feature is a number, and clock features are excluded with a
    reason.
    """
    features = engineer(SteelPlant(0).rows(50))
    assert tuple(features.columns) == FEATURES
    assert len(set(FEATURES)) == 18
    assert (features.dtypes == np.float64).all()
    assert set(EXCLUDED) < set(FEATURES)
    assert all(EXCLUDED.values())


def test_target_and_co2_are_never_read() -> None:
    """No feature leaks the target: rows without usage and CO2 give the same features."""
    raw = SteelPlant(0).rows(50)
    pd.testing.assert_frame_equal(engineer(raw), engineer(raw.drop(columns=[TARGET, CO2])))


def test_rows_are_engineered_independently() -> None:
    """A row's features are a function of that row alone: a client that sends one row gets what
    training computed.
    """
    raw = SteelPlant(0).rows(20)
    one_by_one = pd.concat([engineer(raw.iloc[[i]]) for i in range(len(raw))])
    pd.testing.assert_frame_equal(engineer(raw), one_by_one)


def test_missing_sensor_is_missing_in_what_needs_it_and_nowhere_else() -> None:
    """A silent sensor gives NaN, never a number made up, and leaves the other features alone."""
    raw = SteelPlant(0).rows(5)
    raw[LEADING] = np.nan
    missing = engineer(raw).isna().all()
    assert set(missing[missing].index) == {
        "leading_kvarh",
        "net_kvarh",
        "log_total_kvarh",
        "log_kvarh_ratio",
    }


def test_phase_of_a_known_triangle() -> None:
    """The phase angle is that of the power triangle: equal active and reactive power are half a
    right angle.
    """
    raw = (
        SteelPlant(0)
        .rows(1)
        .assign(**{"Lagging_Current_Power_Factor": 100 / np.sqrt(2), LEADING_FACTOR: 100.0})
    )
    features = engineer(raw).iloc[0]
    assert features["net_phase_angle"] == pytest.approx(45)
    assert features["phase_log_odds"] == pytest.approx(0, abs=1e-12)


def test_power_factor_of_a_standing_plant_stays_finite() -> None:
    """The outage row of the real file (both factors 0) has finite features."""
    raw = SteelPlant(0).rows(1).assign(**{"Lagging_Current_Power_Factor": 0.0, LEADING_FACTOR: 0.0})
    assert np.isfinite(engineer(raw).to_numpy()).all()


def test_reading_gives_back_what_was_written(tmp_path: Path) -> None:
    """read_raw mends the midnight stamp of the file's convention: simulated rows survive the way
    through a file.
    """
    path = tmp_path / "steel.csv"
    written = SteelPlant(0).rows(2000)
    assert (written["time"] == written["time"].dt.normalize()).any()  # there are midnights
    written[list(RAW)].to_csv(path, index=False)
    back = read_raw(path)
    assert (back["time"] == written["time"]).all()
    pd.testing.assert_frame_equal(engineer(back), engineer(written))


def test_missing_columns_are_named(tmp_path: Path) -> None:
    """A file that lacks columns is refused, and the message names each of them."""
    path = tmp_path / "steel.csv"
    SteelPlant(0).rows(3)[list(RAW)].drop(columns=["NSM", LAGGING]).to_csv(path, index=False)
    with pytest.raises(BadData, match=r"Lagging_Current_Reactive\.Power_kVarh, NSM"):
        read_raw(path)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("date", "2018-31-01", "date must look like"),
        (LAGGING, "high", "must be numeric"),
        ("Load_Type", "Huge", "Huge"),
    ],
)
def test_unusable_values_are_refused(tmp_path: Path, column: str, value: str, message: str) -> None:
    """A value of another kind is refused with its column, not read as something else."""
    path = tmp_path / "steel.csv"
    SteelPlant(0).rows(3)[list(RAW)].assign(**{column: value}).to_csv(path, index=False)
    with pytest.raises(BadData, match=message):
        read_raw(path)


def test_file_that_is_not_there_is_bad_data(tmp_path: Path) -> None:
    """A path that cannot be read is the user's error with the path in it, not a traceback of
    pandas.
    """
    with pytest.raises(BadData, match=r"absent\.csv"):
        read_raw(tmp_path / "absent.csv")


def test_real_time_runs_forward(real: pd.DataFrame) -> None:
    """In the mended file every row is a quarter of an hour after the row before it."""
    assert (real["time"].diff().iloc[1:] == pd.Timedelta(minutes=15)).all()
    assert ((real["time"] - real["time"].dt.normalize()).dt.total_seconds() == real["NSM"]).all()


def test_real_features_are_finite(real: pd.DataFrame) -> None:
    """All rows of the real file give finite features within the physical ranges of angle and
    factor.
    """
    features = engineer(real)
    assert np.isfinite(features.to_numpy()).all()
    assert features["net_phase_angle"].abs().max() <= 90
    assert set(ELECTRICAL) <= set(features.columns)
