import numpy as np
import pandas as pd

from driftgauge.models.steel.features import (
    ELECTRICAL,
    EXCLUDED,
    LAGGING,
    LAGGING_FACTOR,
    RAW,
    TARGET,
    engineer,
)
from driftgauge.models.steel.simulate import DRIFTING_FEATURE, SteelPlant


def test_columns_are_those_of_the_file() -> None:
    """Simulated rows have the columns of the UCI file, then the time."""
    assert tuple(SteelPlant(0).rows(2).columns) == (*RAW, "time")


def test_rows_are_not_autocorrelated() -> None:
    """Rows are exchangeable: neighbours are unrelated."""
    rows = SteelPlant(1).rows(4000)[TARGET]
    assert abs(rows.autocorr(1)) < 4 / np.sqrt(4000)


def test_power_factor_follows_the_power_triangle() -> None:
    """Active, reactive power and power factor agree as P / sqrt(P^2 + Q^2), but for the meter's
    error.
    """
    rows = SteelPlant(1).rows(4000)
    factor: pd.Series = 100 * rows[TARGET] / np.hypot(rows[TARGET], rows[LAGGING])
    error = rows[LAGGING_FACTOR] - factor
    assert rows[LAGGING_FACTOR].between(0, 100).all()
    assert 0 < error.std() < 2


def test_day_and_week_have_a_cycle() -> None:
    """A working day draws more than a night, and more than a weekend's day."""
    rows = SteelPlant(1).rows(20_000)
    day = rows["time"].dt.hour.between(9, 16)
    weekend = rows["time"].dt.day_of_week >= 5
    usage = rows[TARGET]
    assert usage[day & ~weekend].mean() > 3 * usage[rows["time"].dt.hour < 7].mean()
    assert usage[day & ~weekend].mean() > 1.5 * usage[day & weekend].mean()


def test_at_least_six_watched_features_are_continuous() -> None:
    """Six watched features or more have no value twice: statistics of ranks see no ties in them."""
    features = engineer(SteelPlant(1).rows(4000))
    continuous = [name for name in ELECTRICAL if name not in EXCLUDED and features[name].is_unique]
    assert len(continuous) >= 6
    assert DRIFTING_FEATURE in continuous
