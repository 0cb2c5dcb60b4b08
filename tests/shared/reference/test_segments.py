"""Segments of rows: parity with pandas, on drawn rows and on real ones."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftgauge.shared.arrays import Ints
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.profile import Column, ReferenceProfile
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.reference.segments import OTHER, TOP_VALUES, SegmentLayout
from tests.places import DATA

CREDIT = DATA / "credit_default.csv"
SCHEMA = Schema(
    (
        Feature("x", "numeric", nullable=True),
        Feature("city", "categorical"),
        Feature("size", "categorical", nullable=True),
    ),
    segments=("size", "city"),
)


def drawn(seed: int, rows: int, cities: int = 35) -> list[Column]:
    """Draw the columns of `SCHEMA` and a prediction; there are more cities than segments, and
    missing sizes.
    """
    random = np.random.default_rng(seed)
    sizes = random.choice(np.array(["s", "m", OTHER, None], dtype=object), rows).tolist()
    towns = [f"city{min(int(draw), cities)}" for draw in random.exponential(8, rows)]
    numbers = np.where(random.random(rows) < 0.1, np.nan, random.normal(size=rows))
    return [numbers, towns, sizes, random.normal(size=rows)]


def layout_of(profile: ReferenceProfile) -> SegmentLayout:
    assert SegmentLayout.of(profile) is not None
    return SegmentLayout.of(profile)


def names_of(layout: SegmentLayout, feature: str) -> list[str]:
    named = [layout.name(segment) for segment in range(layout.size)]
    return [value for owner, value in named if owner == feature]


def parted(layout: SegmentLayout, feature: str, values: Column) -> pd.Categorical:
    """Return the segment of each value in plain words."""
    names = names_of(layout, feature)
    return pd.Categorical([value if value in names[:-1] else OTHER for value in values], names)


def crosstab(profile: ReferenceProfile, columns: list[Column]) -> list[list[int]]:
    """Count segments by bins with pandas, each column for itself."""
    layout, place, parts = (
        layout_of(profile),
        {one.name: at for at, one in enumerate(profile.columns)},
        [],
    )
    for feature in layout.features:
        segments, found = parted(layout, feature, columns[place[feature]]), []
        for column, values in zip(profile.columns, columns, strict=True):
            bins = np.array(column.bin_of_cell)[column.cells(values)]
            every = pd.Categorical(bins, range(max(column.bin_of_cell) + 1))
            found.append(pd.crosstab(segments, every, dropna=False).to_numpy())
        parts.append(np.hstack(found))
    return np.vstack(parts).tolist()  # type: ignore[no-any-return]  # of whole numbers


def square(layout: SegmentLayout, counts: Ints) -> list[list[int]]:
    return counts.reshape(layout.size, layout.bins).tolist()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 400), st.integers(0, 300))
def test_counts_are_the_crosstab(seed: int, rows: int, more: int) -> None:
    """Reference and later rows, with new, rare and missing values: by segment and bin they are what
    pandas counts, and counts of parts add up to those of all.
    """
    before, after = drawn(seed, rows), drawn(seed + 1, more, cities=60)
    profile = build_profile(SCHEMA, before[:3], before[3])
    layout = layout_of(profile)
    held = [bins for one in profile.segments for bins in one.counts]
    assert [list(bins) for bins in held] == crosstab(profile, before)
    found = layout.counts(profile.cells(after))
    assert square(layout, found) == crosstab(profile, after)
    assert layout.reference(layout.counts(profile.cells(before))) == profile.segments
    cut = more // 3
    parts = [
        layout.counts(profile.cells([column[part] for column in after]))
        for part in (slice(cut), slice(cut, None))
    ]
    assert (parts[0] + parts[1]).tolist() == found.tolist()
    cells = profile.cells(after)
    if more:
        assert layout.unpacked(layout.packed(cells)).tolist() == layout.codes(cells).tolist()


def test_the_most_frequent_values_are_segments_and_other_takes_the_rest() -> None:
    """Twenty values and OTHER; a value that is called OTHER is no segment beside it; a new or
    missing value is in OTHER.
    """
    columns = drawn(3, 3000)
    profile = build_profile(SCHEMA, columns[:3], columns[3])
    layout = layout_of(profile)
    ranked = pd.Series(columns[1]).value_counts()
    cities = names_of(layout, "city")
    assert len(cities) == TOP_VALUES + 1
    assert ranked[cities[:-1]].tolist() == ranked.tolist()[:TOP_VALUES]
    sizes = names_of(layout, "size")
    assert sorted(sizes[:-1]) == ["m", "s"]
    assert [sizes.count(OTHER), cities.count(OTHER)] == [1, 1]
    later: list[Column] = [
        np.zeros(3),
        ["new", "city0", cities[0]],
        [None, OTHER, "m"],
        np.zeros(3),
    ]
    size, city = layout.codes(profile.cells(later)).tolist()
    assert [layout.name(code)[1] for code in size] == [OTHER, OTHER, "m"]
    assert [layout.name(code) for code in city][0::2] == [("city", OTHER), ("city", cities[0])]


@pytest.mark.skipif(not CREDIT.exists(), reason=f"the UCI credit-default file is not at {CREDIT}")
def test_real_rows_are_counted_as_pandas_counts_them() -> None:
    """Sex, education and marriage of 30,000 card holders, against their bills and payments."""
    frame = pd.read_csv(CREDIT).drop(columns="ID")
    codes = ["SEX", "EDUCATION", "MARRIAGE"]
    numbers = ["LIMIT_BAL", "AGE", "PAY_0", "BILL_AMT1", "PAY_AMT1"]
    features = [
        Feature(name, "categorical" if name in codes else "numeric") for name in (*codes, *numbers)
    ]
    schema = Schema(tuple(features), prediction=None, segments=tuple(codes))
    columns: list[Any] = [frame[name].astype(str).tolist() for name in codes]
    columns += [frame[name].to_numpy(dtype=np.float64) for name in numbers]
    profile = build_profile(schema, [column[:20_000] for column in columns], None)
    later = [column[20_000:] for column in columns]
    layout = layout_of(profile)
    assert square(layout, layout.counts(profile.cells(later))) == crosstab(profile, later)
    rows = frame["SEX"][20_000:].astype(str).value_counts().to_dict()
    totals = np.array(square(layout, layout.counts(profile.cells(later))))[:, : len(rows)].sum(
        axis=1
    )
    assert dict(zip(names_of(layout, "SEX"), totals.tolist(), strict=False)) == {**rows, OTHER: 0}
