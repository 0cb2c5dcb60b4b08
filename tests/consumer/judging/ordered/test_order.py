"""Which columns are ordered, and what a calibration says of them."""

import msgspec
import numpy as np
import pytest

from driftgauge.consumer.judging.ordered.day_bins import DayBins
from driftgauge.consumer.judging.ordered.days import timeline_of
from driftgauge.consumer.judging.ordered.order import STEPS, calibrated, overdispersion
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.calibration import Calibration
from driftgauge.shared.reference.schema import Feature, Schema
from tests.consumer.judging.weeks import calibration_of, cells_of, profile_of, rows, times

COLUMNS = rows(np.random.default_rng(0), 112)
PROFILE = profile_of(COLUMNS)
MADE = calibration_of(PROFILE, COLUMNS)


def test_orders() -> None:
    """A feature with weekly levels is ordered, an independent one exchangeable, the hour the clock;
    each with a reason.
    """
    assert [feature.order for feature in MADE.features] == [
        "ordered",
        "exchangeable",
        "clock",
        "ordered",
    ]
    assert "a week varies" in MADE.features[0].reason
    assert MADE.exchangeable("noise")
    assert not MADE.exchangeable("slow")


def test_thresholds_are_what_was_replayed() -> None:
    """Ordered columns have thresholds above what is usual; the model has rate and share; the rest
    has none.
    """
    for feature in MADE.features:
        assert (feature.threshold is not None) == (feature.order == "ordered")
    slow = MADE.features[0]
    assert slow.threshold is not None
    assert slow.expected is not None
    assert slow.threshold > slow.expected > 0
    assert slow.detectable is not None
    assert MADE.realised is not None
    assert 0.5 < MADE.realised < 1.5
    assert MADE.alarm_share is not None
    assert 0 < MADE.alarm_share < 0.5


def test_overdispersion_of_independent_rows_is_one() -> None:
    """Independent rows have overdispersion near 1: over 100 columns its mean is 1 within a few
    percent.
    """
    random = np.random.default_rng(1)
    columns = [random.normal(size=96 * 112) for _ in range(30)]
    schema = Schema(tuple(Feature(f"x{place}", "numeric") for place in range(30)))
    profile = build_profile(schema, [*columns], None)
    cells = [column.cells(values) for column, values in zip(profile.columns, columns, strict=True)]
    timeline = timeline_of(profile, [*cells], times(112))
    found = overdispersion(DayBins.of(profile, 672), timeline)
    assert found.mean() == pytest.approx(1, abs=0.06)
    made = calibrated(profile, timeline)
    assert {feature.order for feature in made.features} == {"exchangeable"}
    assert made.realised is None


@pytest.mark.parametrize("days", [1, 6, 10, 14, 35, 55])
def test_a_short_reference_is_uncalibrated_or_unknown(days: int) -> None:
    """Whatever the length below 8 weeks, no threshold is set, nothing fails, and an independent
    feature is not blamed.
    """
    columns = rows(np.random.default_rng(2), days)
    profile = profile_of(columns)
    made = calibration_of(profile, columns)
    assert {feature.order for feature in made.features} <= {"exchangeable", "clock", "uncalibrated"}
    assert made.features[1].order == "exchangeable"
    assert not [feature for feature in made.features if feature.threshold is not None]


def test_the_clock_can_be_overruled() -> None:
    """A function of the clock that the user wants judged is judged as what it is beside that."""
    made = calibration_of(PROFILE, COLUMNS, watch=["hour"])
    assert made.features[2].order == "ordered"
    assert made.watch == ("hour",)


def test_a_calibration_can_be_made_again_from_its_days() -> None:
    """The days that it keeps are enough: stored and read back, they give the same calibration."""
    stored = msgspec.json.decode(msgspec.json.encode(MADE), type=Calibration)
    assert calibrated(PROFILE, stored.timeline) == MADE


def test_a_stricter_budget_gives_higher_thresholds() -> None:
    """Fewer false episodes cost higher thresholds, and a larger smallest shift."""
    strict = calibration_of(PROFILE, COLUMNS, target=0.2)
    for one, other in zip(strict.features, MADE.features, strict=True):
        assert (one.threshold or 0) >= (other.threshold or 0)
    assert strict.realised is not None
    assert MADE.realised is not None
    assert strict.realised < MADE.realised


def test_progress_has_as_many_steps_as_it_says() -> None:
    """The progress bar ends, with and without ordered columns."""
    for columns in (COLUMNS, rows(np.random.default_rng(3), 14)):
        steps: list[None] = []
        calibration_of(
            profile_of(columns), columns, progress=lambda steps=steps: steps.append(None)
        )
        assert len(steps) == STEPS


def test_a_prediction_without_times_beside_ordered_features() -> None:
    """If the file has no predictions, but ordered features, the prediction is uncalibrated, not
    taken as exchangeable.
    """
    schema = Schema((Feature("slow", "numeric"),))
    profile = build_profile(schema, [COLUMNS[0]], COLUMNS[1])
    timeline = timeline_of(profile, [cells_of(profile, COLUMNS[:2])[0], None], times(112))
    made = calibrated(profile, timeline)
    assert [feature.order for feature in made.features] == ["ordered", "uncalibrated"]
