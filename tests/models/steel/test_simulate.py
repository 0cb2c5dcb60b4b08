import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

from models.steel.features import (
    ELECTRICAL,
    EXCLUDED,
    FEATURES,
    LAGGING,
    LAGGING_FACTOR,
    RAW,
    TARGET,
    engineer,
)
from models.steel.simulate import DRIFTING_FEATURE, Plant, shift
from models.steel.train import SCHEMA
from shared.errors import BadData
from shared.schema import rows_of


def test_columns_are_those_of_the_file() -> None:
    """Simulated rows have the columns of the UCI file, then the time."""
    assert tuple(Plant(0).rows(2).columns) == (*RAW, "time")
    assert tuple(Plant(0).series(pd.Timestamp("2024-01-01"), 2).columns) == (*RAW, "time")


def test_one_seed_one_sample_and_calls_go_on() -> None:
    """A seed fixes the sequence of draws; a second call continues it with new rows."""
    first, again = Plant(3), Plant(3)
    one, two = first.rows(100), first.rows(100)
    pd.testing.assert_frame_equal(one, again.rows(100))
    assert not set(one[TARGET]) & set(two[TARGET])


def test_two_seeds_share_one_law() -> None:
    """Samples of two seeds differ, but no feature's distribution does (Kolmogorov-Smirnov, at level 1e-4 each)."""
    one, two = engineer(Plant(1).rows(4000)), engineer(Plant(2).rows(4000))
    assert not one.equals(two)
    assert all(ks_2samp(one[name], two[name], method="asymp").pvalue > 1e-4 for name in FEATURES)


def test_rows_are_not_autocorrelated_but_a_series_is() -> None:
    """Rows are exchangeable: neighbours are unrelated. A series is a plant whose state lasts."""
    rows = Plant(1).rows(4000)[TARGET]
    series = Plant(1).series(pd.Timestamp("2018-01-01"), 4000)[TARGET]
    assert abs(rows.autocorr(1)) < 4 / np.sqrt(4000)
    assert series.autocorr(1) > 0.5


def test_series_is_in_time_order() -> None:
    """A series has a row for every quarter of an hour from its start on."""
    time = Plant(1).series(pd.Timestamp("2024-02-29 23:45"), 3)["time"]
    assert time.tolist() == list(pd.date_range("2024-02-29 23:45", periods=3, freq="15min"))


def test_power_factor_follows_the_power_triangle() -> None:
    """Active, reactive power and power factor agree as P / sqrt(P^2 + Q^2), but for the meter's error."""
    rows = Plant(1).rows(4000)
    factor: pd.Series = 100 * rows[TARGET] / np.hypot(rows[TARGET], rows[LAGGING])
    error = rows[LAGGING_FACTOR] - factor
    assert rows[LAGGING_FACTOR].between(0, 100).all()
    assert 0 < error.std() < 2


def test_day_and_week_have_a_cycle() -> None:
    """A working day draws more than a night, and more than a weekend's day."""
    rows = Plant(1).rows(20_000)
    day = rows["time"].dt.hour.between(9, 16)
    weekend = rows["time"].dt.day_of_week >= 5
    usage = rows[TARGET]
    assert usage[day & ~weekend].mean() > 3 * usage[rows["time"].dt.hour < 7].mean()
    assert usage[day & ~weekend].mean() > 1.5 * usage[day & weekend].mean()


def test_at_least_six_watched_features_are_continuous() -> None:
    """Six watched features or more have no value twice: statistics of ranks see no ties in them."""
    features = engineer(Plant(1).rows(4000))
    continuous = [name for name in ELECTRICAL if name not in EXCLUDED and features[name].is_unique]
    assert len(continuous) >= 6
    assert DRIFTING_FEATURE in continuous


def test_simulated_rows_are_accepted_by_the_schema() -> None:
    """Every simulated row, shifted or not, is a request that the API takes."""
    rows = engineer(Plant(1).rows(2000))
    shifted = shift(rows, DRIFTING_FEATURE, sd=2.0, scale=float(rows[DRIFTING_FEATURE].std()))
    assert not any(SCHEMA.positional(row)[1] for frame in (rows, shifted) for row in rows_of(frame, SCHEMA))


def test_shift_moves_one_feature_only() -> None:
    """A shift adds sd times scale to one feature, leaves the others, and leaves its argument alone."""
    rows = engineer(Plant(1).rows(10))
    before = rows.copy()
    shifted = shift(rows, DRIFTING_FEATURE, sd=0.5, scale=2.0)
    pd.testing.assert_frame_equal(rows, before)
    assert np.allclose(shifted[DRIFTING_FEATURE] - rows[DRIFTING_FEATURE], 1.0)
    pd.testing.assert_frame_equal(shifted.drop(columns=DRIFTING_FEATURE), rows.drop(columns=DRIFTING_FEATURE))


def test_shift_of_an_unknown_feature_is_refused() -> None:
    """A mistyped feature is an error, not a shift of nothing."""
    with pytest.raises(BadData, match="no_such"):
        shift(engineer(Plant(1).rows(1)), "no_such", sd=1, scale=1)
