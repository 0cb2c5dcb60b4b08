"""Frames of polars are compared as the same rows in pandas are, column by column."""

import decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest

from driftgauge.consumer.offline.comparison import compare

ROWS = 2000


def polars_rows(seed: int, *, shift: float = 0.0) -> pl.DataFrame:
    """One column of each kind that polars has and a model may get, each with missing values but
    the first.
    """
    random = np.random.default_rng(seed)
    numbers = random.normal(size=ROWS) + shift
    missing = random.random(ROWS) < 0.1
    names = random.choice(
        ["a", "b", "c"], ROWS, p=[0.5, 0.3, 0.2] if not shift else [0.1, 0.1, 0.8]
    )

    def holed(values: list[object]) -> list[object]:
        return [None if gone else value for value, gone in zip(values, missing, strict=True)]

    hours = [1_750_000_000 + int(3600 * number) for number in 1000 * numbers]
    return pl.DataFrame(
        {
            "float": numbers,
            "holed float": pl.Series(holed(numbers.tolist())),
            "single": pl.Series(numbers).cast(pl.Float32),
            "integer": pl.Series(holed(np.round(10 * numbers).astype(int).tolist())),
            "small": pl.Series(np.clip(np.round(10 * numbers), -100, 100)).cast(pl.Int8),
            "decimal": pl.Series(
                holed([decimal.Decimal(f"{number:.2f}") for number in numbers]),
                dtype=pl.Decimal(12, 2),
            ),
            "text": pl.Series(holed(names.tolist())),
            "category": pl.Series(holed(names.tolist())).cast(pl.Categorical),
            "enum": pl.Series(names.tolist(), dtype=pl.Enum(["a", "b", "c"])),
            "boolean": pl.Series(holed((numbers > 0).tolist())),
            "duration": pl.Series((1000 * numbers).astype(int)).cast(pl.Duration("ms")),
            "moment": pl.from_epoch(pl.Series(hours), "s"),
            "zoned": pl.from_epoch(pl.Series(hours), "s").dt.replace_time_zone("Europe/Berlin"),
        }
    )


def as_pandas(frame: pl.DataFrame) -> pd.DataFrame:
    """The same rows, made without the code under test."""
    return pd.DataFrame({name: frame[name].to_list() for name in frame.columns})


@pytest.mark.parametrize("lazy", [False, True])
def test_frames_of_polars_are_compared_as_pandas_are(lazy: bool) -> None:  # noqa: FBT001  pytest passes it by name
    """Every kind of column, eager or lazy: the same rows in pandas give the same statistics, no
    column is lost, and a drift is found in each of them. Times are recognised as such: without a
    time of the rows they have no age, and are not judged, here as there.
    """
    before, same, moved = polars_rows(1), polars_rows(2), polars_rows(3, shift=1.0)
    given = [frame.lazy() if lazy else frame for frame in (before, same, moved)]
    calm, drifted = compare(given[0], given[1]), compare(given[0], given[2])
    assert [one.name for one in calm.features] == before.columns
    judged = {one.name for one in calm.features if one.severity == "ok"}
    assert judged == {*before.columns} - {"moment", "zoned"}
    assert {one.name for one in drifted.features if one.severity == "critical"} == judged
    expected = compare(as_pandas(before), as_pandas(moved))
    for one, other in zip(drifted.features, expected.features, strict=True):
        assert (one.name, one.kind, one.reason) == (other.name, other.kind, other.reason)
        found = {statistic.name: statistic.value for statistic in one.statistics}
        assert found == pytest.approx(
            {statistic.name: statistic.value for statistic in other.statistics}, nan_ok=True
        ), one.name
