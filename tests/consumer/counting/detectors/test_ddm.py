"""DDM: river's alarms at river's threshold; ours holds the chance that the budget gives it; it
finds what it is for.
"""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river.drift.binary import DDM
from scipy import stats

from driftgauge.consumer.counting.detectors import ERROR_DETECTORS, Detection, Observed
from driftgauge.consumer.counting.detectors.ddm import CHANCE, Counts, Ddm, ErrorDdm, threshold
from driftgauge.shared.reference.profile import NumericReference, ReferenceProfile

ALPHA = CHANCE / 20_000
"""A budget of one false alarm of the whole model in 20,000 labels."""


def profile(values: np.ndarray) -> ReferenceProfile:
    return ReferenceProfile(len(values), (NumericReference.build("error", values.astype(float)),))


def wrong(random: np.random.Generator, share: float, rows: int) -> np.ndarray:
    return (random.random(rows) < share).astype(float)


def shown(reference: ReferenceProfile, values: np.ndarray) -> Observed:
    return Observed(reference.columns[0].cells(values)[None], np.empty(0), [])


def alarms(
    reference: ReferenceProfile, values: np.ndarray, alpha: float = ALPHA
) -> list[Detection]:
    return ErrorDdm.start(reference, [0], np.empty(0), alpha).update(shown(reference, values))


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.5])
@pytest.mark.parametrize("seed", range(5))
def test_alarms_are_rivers(share: float, seed: int) -> None:
    """With river's threshold and warm start, and no reference, the alarms are those of
    river.drift.binary.DDM, event by event; also where the share rises, and after alarms.
    """
    random = np.random.default_rng(seed)
    values = np.concatenate((wrong(random, share, 3000), wrong(random, share + 0.2, 4000))).astype(
        np.int64
    )
    yardstick, expected = DDM(), []
    for row, value in enumerate(values.tolist()):
        yardstick.update(value)
        if yardstick.drift_detected:
            expected.append(row)
    test, counts, found, done = Ddm(3.0, warm_start=30), Counts(), [], 0
    while done < len(values):
        counts, row = test.advance(counts, values[done:])
        if row is None:
            break
        found.append(done + row)
        counts, done = Counts(), done + row + 1
    assert found == expected
    assert found


@pytest.mark.long
def test_false_alarms_stay_within_the_budget() -> None:
    """In 20,000 labels after a start the chance of a false alarm is at most 1 %, for rare errors
    and frequent ones, and for a reference that is itself a sample: of 400 runs of each, no more
    alarm than of such a chance do in 99.9 % of all tests.
    """
    most = stats.binom.ppf(0.999, 400, CHANCE)

    def alarmed(random: np.random.Generator, share: float, rows: int) -> bool:
        values = wrong(random, share, rows + 20_000)
        return bool(alarms(profile(np.append(values[: rows - 1], 1)), values[rows:]))

    for place, (share, rows) in enumerate(itertools.product((0.02, 0.1, 0.3), (250, 1000))):
        random = np.random.default_rng(place)
        assert sum(alarmed(random, share, rows) for _ in range(400)) <= most, (share, rows)


def test_rivers_threshold_would_not_hold_it() -> None:
    """With Gama's k = 3 from the same reference more than one run in twenty alarms: the test above
    can fail.
    """
    random, found = np.random.default_rng(1), 0
    for _ in range(200):
        _, row = Ddm(3.0, 1001, 100.5).advance(
            Counts(), wrong(random, 0.1, 20_000).astype(np.int64)
        )
        found += row is not None
    assert found > 10


@pytest.mark.parametrize("cuts", [range(1, 900), [1, 2, 450], [333, 666]])
def test_cuts_change_nothing(cuts: list[int]) -> None:
    """However the errors are cut, through packed states: the same alarms and the same bytes."""
    random = np.random.default_rng(3)
    reference, values = profile(wrong(random, 0.1, 1000)), wrong(random, 0.35, 900)
    whole = ErrorDdm.start(reference, [0], np.empty(0), ALPHA)
    expected = whole.update(shown(reference, values))
    parts, found = ErrorDdm.start(reference, [0], np.empty(0), ALPHA), []
    for first, last in itertools.pairwise([0, *cuts, 900]):
        parts = ErrorDdm.unpack(parts.pack(), reference, np.empty(0))
        found += [
            (first + one.row, one.delay, one.value)
            for one in parts.update(shown(reference, values[first:last]))
        ]
    assert found == [(one.row, one.delay, one.value) for one in expected]
    assert parts.pack() == whole.pack()
    assert len(expected) >= 2


@settings(max_examples=30)
@given(st.lists(st.integers(0, 1), max_size=200), st.integers(0, 200))
def test_nothing_is_a_cut_too(values: list[int], cut: int) -> None:
    """An empty part changes nothing, and any two parts are the whole."""
    test, drawn = Ddm(3.0, warm_start=30), np.array(values, dtype=np.int64)
    whole = test.advance(Counts(), drawn)
    before = test.advance(Counts(), drawn[:cut])
    if before[1] is None:
        counts, row = test.advance(test.advance(before[0], drawn[:0])[0], drawn[cut:])
        assert (counts, None if row is None else row + min(cut, len(values))) == whole
    else:
        assert before == whole


def test_it_finds_a_rise_and_no_fall() -> None:
    """Twice as many errors are found within 1,500 labels, half as many never are: DDM sees
    degradation alone.
    """
    random = np.random.default_rng(5)
    reference = profile(wrong(random, 0.1, 2000))
    calm = wrong(random, 0.1, 2000)
    found = alarms(reference, np.concatenate((calm, wrong(random, 0.2, 1500))))
    assert found[0].row > 2000
    assert "errors instead of 10." in found[0].effect
    assert found[0].threshold is not None
    assert found[0].value > found[0].threshold
    assert alarms(reference, np.concatenate((calm, wrong(random, 0.05, 20_000)))) == []


def test_of_numbers_it_counts_the_large_errors() -> None:
    """An error of a number counts if it is larger than 9 in 10 of the reference's; errors that grow
    by half are found.
    """
    random = np.random.default_rng(6)
    errors = np.abs(random.normal(size=2000))
    reference = profile(errors)
    calm = np.abs(random.normal(size=3000))
    found = alarms(reference, np.concatenate((calm, np.abs(random.normal(0, 1.5, 2000)))))
    assert found[0].row > 3000
    limit = float(found[0].effect.split("above ")[1].split()[0])
    assert limit == pytest.approx(np.quantile(errors, 0.9), rel=0.03)


@pytest.mark.parametrize("errors", [0, 3, 1000])
def test_references_without_errors_or_right_predictions_work(errors: int) -> None:
    """A reference without a single error, with three, or with nothing else gives no alarm at its
    own kind of rows.
    """
    values = np.array([1.0] * errors + [0.0] * (1000 - errors))
    assert alarms(profile(values), np.random.default_rng(0).permutation(values)) == []
    assert bool(alarms(profile(values), np.ones(500))) == (errors < 1000)


def test_the_fit_is_for_its_share() -> None:
    """The threshold is fitted for the share that the detector has; it grows with rareness, and with
    the horizon.
    """
    assert ERROR_DETECTORS["ddm"].errors_share == CHANCE
    assert threshold(20, 1000, 1e6) > threshold(100, 1000, 1e6) > threshold(100, 1000, 1e4)
