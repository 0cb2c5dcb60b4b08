"""A time-ordered reference as counts per day, its autocorrelation, and the clock."""

import numpy as np
import pytest
from scipy import stats

from driftgauge.consumer.judging.ordered.days import (
    DAY_MS,
    autocorrelation,
    clock_field,
    clock_fields,
    determined,
    timeline_of,
)
from driftgauge.shared.reference.profile import (
    CategoricalReference,
    NumericReference,
    ReferenceProfile,
)
from tests.consumer.judging.weeks import FIRST_DAY, PER_DAY, cells_of, profile_of, rows, times


def test_days_sum_up_to_the_reference() -> None:
    """The days of all rows add up to the reference's own counts of bins."""
    columns = rows(np.random.default_rng(0), 21)
    profile = profile_of(columns)
    timeline = timeline_of(profile, [*cells_of(profile, columns)], times(21))
    bins = [np.bincount(column.bin_of_cell, weights=column.counts) for column in profile.columns]
    assert (timeline.first_day, timeline.days, timeline.weeks) == (FIRST_DAY, 21, 3)
    assert timeline.counts.sum(axis=0).tolist() == np.concatenate(bins).tolist()
    assert (timeline.counts[:, : timeline.bins[0]].sum(axis=1) == PER_DAY).all()


@pytest.mark.parametrize(("cut", "first", "days"), [(60, 1, 13), (10, 0, 14)])
def test_a_part_of_a_day_is_left_out(cut: int, first: int, days: int) -> None:
    """A first day with less than half the usual rows is left out; one with more is a day."""
    columns = [values[cut:] for values in rows(np.random.default_rng(1), 14)]
    profile = profile_of(columns)
    timeline = timeline_of(profile, [*cells_of(profile, columns)], times(14)[cut:])
    assert (timeline.first_day - FIRST_DAY, timeline.days) == (first, days)


def test_days_without_rows_are_days() -> None:
    """A gap stays a gap, so that weeks stay weeks."""
    columns = rows(np.random.default_rng(2), 14)
    kept = np.ones(14 * PER_DAY, dtype=bool)
    kept[3 * PER_DAY : 5 * PER_DAY] = False
    columns = [np.array(values)[kept] for values in columns]
    profile = profile_of(columns)
    timeline = timeline_of(profile, [*cells_of(profile, columns)], times(14)[kept])
    assert timeline.counts[3:5].sum() == 0
    assert timeline.days == 14


def test_a_column_without_rows_counts_nothing() -> None:
    """A column that the file does not have has no rows and no order."""
    columns = rows(np.random.default_rng(3), 7)
    profile = profile_of(columns)
    timeline = timeline_of(profile, [None, *cells_of(profile, columns)[1:]], times(7))
    assert timeline.counts[:, : timeline.bins[0]].sum() == 0
    assert (timeline.autocorrelation[0], timeline.clock[0]) == (None, "")


def test_autocorrelation_is_spearmans() -> None:
    """For distinct values it is the rank correlation of neighbours, as SciPy has it; pairs with a
    missing value are out.
    """
    random = np.random.default_rng(4)
    values = np.cumsum(random.normal(size=200)) + random.normal(size=200)
    column = NumericReference.build("x", values)
    expected = stats.spearmanr(values[:-1], values[1:]).statistic
    assert autocorrelation(column, column.cells(values)) == pytest.approx(expected, abs=0.01)
    values[::7] = np.nan
    both = ~np.isnan(values[:-1]) & ~np.isnan(values[1:])
    expected = stats.spearmanr(values[:-1][both], values[1:][both]).statistic
    assert autocorrelation(column, column.cells(values)) == pytest.approx(expected, abs=0.01)


def test_autocorrelation_of_categories() -> None:
    """Runs of a category correlate, independent ones do not, one alone has none."""
    random = np.random.default_rng(5)
    column = CategoricalReference.build("c", ["a", "b", "c"])
    runs = autocorrelation(column, np.repeat(random.integers(0, 3, 300), 10))
    independent = autocorrelation(column, random.integers(0, 3, 3000))
    assert runs is not None
    assert runs > 0.8
    assert independent is not None
    assert abs(independent) < 0.06
    assert autocorrelation(column, np.zeros(50, dtype=np.int64)) is None


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0], [3.0] * 50, [np.nan] * 50])
def test_autocorrelation_without_variation_is_unknown(values: list[float]) -> None:
    """Few or equal or missing values have no autocorrelation, and no warning."""
    column = NumericReference.build("x", np.array(values))
    assert autocorrelation(column, column.cells(np.array(values))) is None


def test_functions_of_the_clock_are_known() -> None:
    """Hour, weekday, their combination, the day of the month, the month and time itself are known;
    a load curve is not.
    """
    days = 120
    moments = times(days)
    random = np.random.default_rng(6)
    hour, weekday = moments % DAY_MS // 3_600_000, (moments // DAY_MS + 3) % 7
    dates = moments.astype("datetime64[ms]").astype("datetime64[D]")
    month = dates.astype("datetime64[M]").astype(int) % 12
    columns = {
        "the time of day": np.sin(hour / 24 * 2 * np.pi),
        "the weekday": (weekday >= 5).astype(float),
        "the time of the week": (weekday * 24 + hour).astype(float),
        "the day of the month": (dates - dates.astype("datetime64[M]")).astype(float),
        "the month": month.astype(float),
        "time": moments.astype(float),
        "": hour + random.normal(0, 2, len(hour)),
    }
    fields = clock_fields(moments)
    for name, values in columns.items():
        column = NumericReference.build("x", values)
        assert clock_field(column.cells(values), moments, fields, len(column.counts)) == name


def test_a_constant_and_a_slow_feature_are_no_clock() -> None:
    """A feature that never changes, or changes each day at will, is not called a function of the
    clock.
    """
    moments = times(60)
    fields = clock_fields(moments)
    daily = np.repeat(np.random.default_rng(7).normal(size=60), PER_DAY)
    for values in (np.full(len(moments), 7.0), daily):
        column = NumericReference.build("x", values)
        assert clock_field(column.cells(values), moments, fields, len(column.counts)) == ""


def test_determined_is_zero_for_independent_fields() -> None:
    """A field that tells nothing determines nothing."""
    random = np.random.default_rng(8)
    assert determined(random.integers(0, 4, 20_000), random.integers(0, 7, 20_000), 4) < 0.02


def test_times_before_1970_are_days_like_others() -> None:
    """A reference of the 1950s has the days, the counts and the functions of the clock that the
    same rows have a thousand weeks later.
    """
    random = np.random.default_rng(6)
    hours = np.arange(28 * 24)
    values = hours % 24 + 0.0
    profile = ReferenceProfile(
        len(hours),
        (
            NumericReference.build("x", random.normal(size=len(hours))),
            NumericReference.build("h", values),
        ),
    )
    cells = [
        profile.columns[0].cells(random.normal(size=len(hours))),
        profile.columns[1].cells(values),
    ]
    weeks = 1000 * 7 * 86_400_000
    later = timeline_of(profile, cells, 4 * 86_400_000 + hours * 3_600_000)
    early = timeline_of(profile, cells, 4 * 86_400_000 + hours * 3_600_000 - weeks)
    assert early.first_day == later.first_day - 7000 < 0
    assert (early.counts == later.counts).all()
    assert early.clock == later.clock
    assert early.clock[1]
