"""The e-detector: its false-alarm rate, its delays, what its alarms say."""

import re
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from driftgauge.consumer.counting.detectors import Detection, Observed
from driftgauge.consumer.counting.detectors.e_detector import REST, STEP, EDetector
from driftgauge.shared.reference.profile import (
    CategoricalReference,
    Column,
    NumericReference,
    ReferenceProfile,
)


def profile(columns: list[Column], label: str = "") -> ReferenceProfile:
    built = tuple(
        NumericReference.build(f"x{place}{label}", column) for place, column in enumerate(columns)
    )
    return ReferenceProfile(len(columns[0]), built)


def observed(reference: ReferenceProfile, columns: list[Column], label: str = "") -> Observed:
    cells = np.stack(
        [one.cells(column) for one, column in zip(reference.columns, columns, strict=True)]
    )
    ids = [f"{label}{place}" for place in range(cells.shape[1])]
    return Observed(cells + reference.offsets[:-1, None], np.empty(0), ids)


def started(reference: ReferenceProfile, c: float) -> EDetector:
    return EDetector.start(reference, list(range(len(reference.columns))), np.empty(0), 1 / c)


def normal(
    seed: int, features: int, clean: int, shift: float, after: int = 1500
) -> list[Detection]:
    """Run on normal features, of which the last one shifts."""
    random = np.random.default_rng(seed)
    reference = profile(list(random.normal(size=(features, 5000))))
    values = random.normal(size=(features, clean + after))
    values[-1, clean:] += shift
    return started(reference, 100_000).update(observed(reference, list(values)))


def test_the_false_alarm_rate_is_kept() -> None:
    """R has a mean of at most t after t events, so an alarm within m events has chance m / c at
    most, whatever the columns: here dependent ones, with ties, a constant, missing values, and a
    reference of only 60 rows.

    600 runs with m = 200, c = 1,000; a rate just at the bound fails in one of 10,000 seeds
    (measured: .03).
    """
    alarms, runs, m, c = 0, 600, 200, 1000
    for run in range(runs):
        random = np.random.default_rng(run)
        smooth = random.normal(size=60 + m)
        lost = np.where(random.random(60 + m) < 0.1, np.nan, random.normal(size=60 + m))
        columns = [smooth, np.round(smooth), np.full(60 + m, 3.0), lost]
        reference = profile([column[:60] for column in columns], str(run))
        alarms += bool(
            started(reference, c).update(
                observed(reference, [column[60:] for column in columns], f"{run}-")
            )
        )
    assert alarms <= stats.binom.isf(1e-4, runs, m / c)
    assert alarms > 0  # or nothing was tested


@pytest.mark.parametrize(("shift", "bound"), [(0.25, 560), (0.5, 150), (1.0, 50)])
def test_a_shift_of_one_of_18_features_is_found(shift: float, bound: int) -> None:
    """The median delay of 11 runs at c = 100,000 after 1,000 events without drift (measured: 388,
    112, 36).
    """
    alarms = [normal(seed, 18, 1000, shift)[0] for seed in range(11)]
    assert np.median([alarm.row - 999 for alarm in alarms]) < bound
    assert [alarm.column for alarm in alarms].count(17) >= 10


def test_an_alarm_says_what_happened() -> None:
    """The column, R and c, the events since the change and the size of a shift stand in the
    alarm.
    """
    every = [normal(seed, 3, 1000, 0.8)[0] for seed in range(15)]
    alarms = [alarm for alarm in every if alarm.column == 2]
    assert len(alarms) >= 13  # with chance .15 there is a false alarm in the 15,000 events before
    assert {(alarm.statistic, alarm.severity) for alarm in alarms} == {
        ("shiryaev_roberts", "warning")
    }
    assert alarms[0].threshold == pytest.approx(100_000)
    assert all(alarm.value >= 100_000 for alarm in alarms)
    shifts = [float(re.search(r"about ([+][\d.]+) sd", alarm.effect).group(1)) for alarm in alarms]  # type: ignore[union-attr]
    assert np.mean(shifts) == pytest.approx(
        0.8, abs=0.35
    )  # an alarm picks its moment, so it overstates
    assert np.median([alarm.delay - (alarm.row - 999) for alarm in alarms]) == pytest.approx(
        0, abs=15
    )


def test_a_column_that_moved_does_not_hide_another() -> None:
    """While one column stays shifted by far, a second one that starts to shift is found as if it
    were alone.
    """
    random = np.random.default_rng(0)
    reference = profile(list(random.normal(size=(4, 5000))))
    values = random.normal(size=(4, 6000))
    values[0] += 3
    values[1, 3000:] += 1
    found = started(reference, 100_000).update(observed(reference, list(values)))
    first, second = ([one.row for one in found if one.column == column] for column in (0, 1))
    assert second[0] - 3000 < 100
    assert len(first) == 6000 // (REST + 32) + 1
    assert all(row % STEP == STEP - 1 for row in first + second)


def test_what_came_since_does_not_become_normal() -> None:
    """After an alarm the reference alone is the measure: a shift that stays is found again as fast
    as at first.
    """
    rows = [one.row for one in normal(1, 1, 0, 1.0, after=6000)]
    rests = np.diff(rows)
    assert len(rows) >= 5
    assert max(rests) < REST + 150


def test_a_constant_never_alarms() -> None:
    """A value that never moves raises nothing at one false alarm in ten events, however long; when
    it moves it is found, and told as what it is.
    """
    reference = profile([np.full(1000, 7.0)])
    detector = started(reference, 10)
    assert detector.update(observed(reference, [np.full(50_000, 7.0)])) == []
    detector = started(reference, 1e7)
    moved = detector.update(observed(reference, [np.full(300, 8.0)]))[0]
    assert moved.row < 200
    assert moved.effect.startswith("100.0 % of the values are not the usual one, instead of 0.")


def test_rare_categories_keep_the_false_alarm_rate() -> None:
    """The 50 most frequent of 2,000 equally frequent categories have had luck in the reference, and
    have none afterwards: no more alarms than promised, within 10,000 events of each of 10
    references at c = 10,000, but for a chance of 1 in 10,000.
    """
    alarms = 0
    for seed in range(10):
        random = np.random.default_rng(seed)
        names = [f"c{place}" for place in random.integers(0, 2000, 12_000).tolist()]
        reference = ReferenceProfile(2000, (CategoricalReference.build("c", names[:2000]),))
        alarms += len(started(reference, 10_000).update(observed(reference, [names[2000:]])))
    assert alarms <= stats.poisson.isf(1e-4, 10)


@pytest.mark.parametrize(("share", "most"), [(0.2, 480), (0.4, 80)])
def test_errors_of_a_class_are_found(share: float, most: int) -> None:
    """A share of errors that rises from .1 is found as soon as an exact count of right and wrong
    allows: the median of 20 runs at one false alarm in 100,000,000 labels (measured: 400 and 62;
    when ties were broken at random it was 868 and 100).
    """
    delays = []
    for seed in range(20):
        random = np.random.default_rng(seed)
        wrong = [
            (random.random(rows) < chance).astype(float)
            for rows, chance in ((2000, 0.1), (2000, 0.1), (4000, share))
        ]
        reference = profile([wrong[0]], f"of {seed}")
        detector = started(reference, 1e8)
        assert detector.update(observed(reference, [wrong[1]], "calm")) == []
        found = detector.update(observed(reference, [wrong[2]]))
        delays.append(found[0].row + 1 if found else 4000)
    assert np.median(delays) <= most


def test_a_state_of_other_rank_cells_starts_again() -> None:
    """Counts by other rank cells, as those of another release, are no evidence: the detector begins
    with the reference, and raises nothing by them.
    """
    random = np.random.default_rng(4)
    before, after = (profile([random.normal(size=rows)]) for rows in (2000, 3000))
    detector = started(before, 1e6)
    detector.update(observed(before, [random.normal(size=900)]))
    again = EDetector.unpack(detector.pack(), before, np.empty(0))
    assert again.pack() == detector.pack()
    other = EDetector.unpack(detector.pack(), after, np.empty(0))
    assert other.pack() == started(after, 1e6).pack()


def test_what_comes_at_once_is_what_comes_step_by_step() -> None:
    """Events that are processed in long stretches and parts give the alarms and the state of every
    step alone, also where R grows beyond all floats before a part ends.
    """
    random = np.random.default_rng(5)
    reference = profile(list(random.normal(size=(3, 20_000))))
    values = random.normal(size=(3, 4100))
    values[0, 1000:1400], values[2, 3000:] = np.nan, values[2, 3000:] + 2
    whole, steps = (started(reference, 1e6) for _ in range(2))
    at_once = observed(reference, list(values))
    found = whole.update(at_once)
    singly = []
    for first in range(0, 4100, STEP):
        part = Observed(
            at_once.cells[:, first : first + STEP], np.empty(0), at_once.ids[first : first + STEP]
        )
        singly += [replace(one, row=one.row + first) for one in steps.update(part)]
    assert found == singly
    assert {one.column for one in found} == {0, 2}
    assert whole.pack() == steps.pack()
