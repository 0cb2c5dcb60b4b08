"""The numbers of many windows at once are those of each alone."""

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.consumer.judging.reports.column_numbers import numbers_of
from driftgauge.shared.reference.profile import (
    CategoricalReference,
    ColumnReference,
    NumericReference,
)
from driftgauge.shared.statistics import ReferenceSide, statistics_of

RANDOM = np.random.default_rng(11)
COLUMNS = {
    "smooth": NumericReference.build("x", RANDOM.normal(size=2000)),
    "with missing": NumericReference.build(
        "x", np.where(RANDOM.random(800) < 0.4, np.nan, RANDOM.lognormal(size=800))
    ),
    "mostly zero": NumericReference.build(
        "x", np.where(RANDOM.random(900) < 0.8, 0.0, RANDOM.normal(size=900))
    ),
    "few values": NumericReference.build("x", RANDOM.integers(0, 4, 500).astype(float)),
    "constant": NumericReference.build("x", np.ones(300)),
    "all missing": NumericReference.build("x", np.full(300, np.nan)),
    "small": NumericReference.build("x", np.array([1.0, 2.0, 5.0])),
    "categories": CategoricalReference.build("x", [*"aaaaabbbcc" * 60, None, "d"]),
    "many categories": CategoricalReference.build(
        "x", [f"c{int(one)}" for one in RANDOM.zipf(1.4, 3000)]
    ),
    "no category": CategoricalReference.build("x", [None] * 50),
}


def windows_of(column: ColumnReference, seed: int, number: int) -> np.ndarray:
    """Draw windows of any size near the reference, of one cell, and empty ones."""
    random = np.random.default_rng(seed)
    size = len(column.counts)
    laws = (np.array(column.counts) + 0.01, np.ones(size), np.eye(size)[random.integers(size)])
    return np.array(
        [
            random.multinomial(
                random.choice([0, 1, 7, 50, 2000, 2000]),
                (law := laws[random.choice(3, p=[0.8, 0.1, 0.1])]) / law.sum(),
            )
            for _ in range(number)
        ]
    )


@given(st.sampled_from(sorted(COLUMNS)), st.integers(0, 10**6), st.integers(1, 12))
def test_many_at_once_are_each_alone(name: str, seed: int, number: int) -> None:
    """To the last bit: a worker that catches up reports what it would have reported at the time,
    however many windows it has at once.
    """
    side = ReferenceSide(COLUMNS[name])
    windows = windows_of(side.column, seed, number)
    alone = [numbers_of(ReferenceSide(side.column), window[None])[0] for window in windows]
    assert msgspec.json.encode(numbers_of(side, windows)) == msgspec.json.encode(alone)


def test_every_window_is_in_one_group() -> None:
    """Windows that are pooled alike are compared at once, whatever their rows."""
    side = ReferenceSide(COLUMNS["smooth"])
    windows = np.array([windows_of(side.column, seed, 1)[0] for seed in range(60)])
    groups = [(places.tolist(), counts) for places, counts in side.counts(windows)]
    assert sorted(place for places, _ in groups for place in places) == [*range(60)]
    assert len(groups) < 8
    for places, counts in groups:
        assert counts.windows == len(places) == len(statistics_of(counts))
        assert {len(side.pooled(int(m)).reference) for m in counts.m} == {len(counts.bins[0])}
