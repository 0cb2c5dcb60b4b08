"""Online integrity: its false-alarm rate, its delays, what its alarms say."""

import numpy as np
import pytest
from scipy import stats

from driftgauge.consumer.counting.detectors import Detection, Observed
from driftgauge.consumer.counting.detectors.integrity import BLOCK, REST, OnlineIntegrity
from driftgauge.shared.reference.profile import (
    CategoricalReference,
    Column,
    NumericReference,
    ReferenceProfile,
)


def run(reference: list[Column], columns: list[Column], c: float) -> list[Detection]:
    built = tuple(
        CategoricalReference.build("x", column)
        if isinstance(column, list)
        else NumericReference.build("x", column)
        for column in reference
    )
    profile = ReferenceProfile(len(reference[0]), built)
    cells = np.stack([one.cells(column) for one, column in zip(built, columns, strict=True)])
    detector = OnlineIntegrity.start(profile, list(range(len(built))), np.empty(0), 1 / c)
    return detector.update(Observed(cells + profile.offsets[:-1, None], np.empty(0), []))


def lossy(random: np.random.Generator, rows: int, share: float) -> np.ndarray:
    return np.where(random.random(rows) < share, np.nan, random.normal(size=rows))


def test_the_false_alarm_rate_is_kept() -> None:
    """Within m events an alarm has chance m / c at most, though the reference has only 80 rows,
    some missing.

    500 runs with m = 640, c = 3,200; a rate just at the bound fails in one of 10,000 seeds.
    """
    alarms, runs, m, c = 0, 500, 640, 800
    for seed in range(runs):
        random = np.random.default_rng(seed)
        columns = [
            lossy(random, 80 + m, 0.05),
            lossy(random, 80 + m, 0.0),
            np.round(lossy(random, 80 + m, 0.3)),
        ]
        alarms += bool(
            run([column[:80] for column in columns], [column[80:] for column in columns], c)
        )
    assert 0 < alarms <= stats.binom.isf(1e-4, runs, m / c)


@pytest.mark.parametrize("c", [100_000, 10_000_000])
def test_lost_values_of_one_of_18_features_are_found(c: float) -> None:
    """5 % missing in one of 18 features are found in under 200 events: the median of 20 runs
    (measured: 80 and 112).
    """
    delays = []
    for seed in range(20):
        random = np.random.default_rng(seed)
        columns = list(random.normal(size=(18, 1500)))
        columns[4][500:] = lossy(random, 1000, 0.05)
        alarm = run(list(random.normal(size=(18, 5000))), columns, c)[0]
        assert (alarm.column, alarm.statistic, alarm.severity) == (4, "missing", "critical")
        delays.append(alarm.row - 499)
    assert np.median(delays) < 200


def test_each_kind_is_named() -> None:
    """Missing, unseen and out-of-range values are told apart, with their share and what was
    expected.
    """
    random = np.random.default_rng(0)
    reference: list[Column] = [random.normal(size=2000), ["a", "b"] * 1000]
    good: list[Column] = [random.normal(size=256) / 2, ["a", "b"] * 128]
    beyond = [np.where(np.arange(256) % 4 == 0, 50.0, good[0]), good[1]]
    unseen = [good[0], ["a", "b", "c", "a"] * 64]
    nothing = [good[0], ["a", None] * 128]
    for columns, column, rule, share in (
        (beyond, 0, "out_of_range", 0.25),
        (unseen, 1, "unseen", 0.25),
        (nothing, 1, "missing", 0.5),
    ):
        alarm = run(reference, columns, 1e6)[0]
        assert (alarm.column, alarm.statistic, alarm.value, alarm.expected) == (
            column,
            rule,
            share,
            0.0,
        )
        assert alarm.row % BLOCK == BLOCK - 1
    assert run(reference, good, 1e6) == []


def test_a_reference_that_loses_values_too_is_the_measure() -> None:
    """A tenth missing is no alarm where a tenth of the reference is missing, and three tenths are
    one.
    """
    random = np.random.default_rng(1)
    reference: list[Column] = [lossy(random, 5000, 0.1)]
    assert run(reference, [lossy(random, 20_000, 0.1)], 1e5) == []
    assert run(reference, [lossy(random, 500, 0.3)], 1e5)[0].expected == pytest.approx(
        0.1, abs=0.02
    )


def test_a_column_that_broke_does_not_hide_another() -> None:
    """While one column is dead, another that begins to lose values is found; the dead one is not
    alarmed at each block.
    """
    random = np.random.default_rng(2)
    columns = [np.full(6400, np.nan), lossy(random, 6400, 0.0)]
    columns[1][3200:] = lossy(random, 3200, 0.2)
    found = run(list(random.normal(size=(2, 5000))), columns, 1e6)
    assert [one.row for one in found if one.column == 0][:3] == [
        63,
        63 + REST + BLOCK,
        63 + 2 * (REST + BLOCK),
    ]
    assert next(one.row for one in found if one.column == 1) < 3200 + 3 * BLOCK


@pytest.mark.parametrize("columns", [127, 128, 129, 256, 1000])
def test_any_number_of_columns_is_watched(columns: int) -> None:
    """With 127 columns, 128 and a thousand, values beyond the range of the last one are found, and
    none of another.
    """
    random = np.random.default_rng(columns)
    reference = [random.random(50) for _ in range(columns)]
    window = [random.choice(reference[place], 256) for place in range(columns - 1)]
    found = run(reference, [*window, np.full(256, 2.0)], 1e5)
    assert {(alarm.column, alarm.statistic) for alarm in found} == {(columns - 1, "out_of_range")}


def test_unseen_categories_of_a_long_tail_are_expected() -> None:
    """Of Zipf's 2,000 names most are rare, and every window brings some that the reference lacks:
    no more alarms than promised, within 20,000 events of each of 10 references at c = 10,000.
    """
    shares = 1 / np.arange(1, 2001)
    alarms = 0
    for seed in range(10):
        random = np.random.default_rng(seed)
        drawn = random.choice(2000, 21_000, p=shares / shares.sum())
        names = [f"c{place}" for place in drawn.tolist()]
        alarms += len(run([names[:1000]], [names[1000:]], 10_000))
    assert alarms <= stats.poisson.isf(1e-4, 20)
