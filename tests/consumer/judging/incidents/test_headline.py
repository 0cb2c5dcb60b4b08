"""The headline and the action of every combination of cause and circumstance."""

import itertools
from typing import get_args

import pytest
from msgspec.structs import replace

from driftgauge.consumer.judging.incidents.headline import Facts, action, headline
from driftgauge.consumer.judging.incidents.state import Member
from driftgauge.shared.contract.incident import HEADLINE_LENGTH, CauseKind, Change, IncidentAlert

NARROW = Change(83_000_000, 82_990_000, 83_010_000)
LONG = "a_sensor_with_a_name_that_is_longer_than_anybody_would_want_to_read_" * 3


def facts(kind: CauseKind, name: str = "load", columns: int = 1, **more: object) -> Facts:
    """Make the facts of an incident."""
    of_feature = kind in {"broken_values", "feature"}
    told = IncidentAlert(
        "f", "1", name if of_feature or kind == "joint" else "", "psi", "critical", "", 0, 0,
        segment="region=north" if kind == "segment" else "",
    )  # fmt: skip
    effect = "reads about 0.5 (0.5 sd) too high"
    names = [name, *(f"{name}{place}" for place in range(1, columns))] if of_feature else []
    found = Facts(
        Member(told, kind, effect=effect),
        NARROW,
        [(one, effect) for one in names],
        watched=200,
    )
    return Facts(**{**{name: getattr(found, name) for name in Facts.__slots__}, **more})


@pytest.mark.parametrize("kind", get_args(CauseKind))
@pytest.mark.parametrize("name", ["x", LONG])
def test_every_combination_fits_and_says_what_to_do(kind: CauseKind, name: str) -> None:
    """At most 140 characters with whatever names and effects, a full stop or an ellipsis at the
    end, a moment at the beginning, and an action in one sentence.
    """
    effects = ("", "MAE rose from 1.09 to 4.9", f"MAE of {LONG} rose from 1.09 to 4.9")
    flags = list(itertools.product((False, True), repeat=3))
    for columns, effect, (moved, regressed, outdated) in itertools.product(
        (1, 2, 4, 60), effects, flags
    ):
        given = facts(
            kind, name, columns, effect=effect, prediction=moved, regressed=regressed,
            outdated=outdated,
        )  # fmt: skip
        said = headline(given)
        assert len(said) <= HEADLINE_LENGTH, said
        assert said.startswith("Since ")
        assert said[-1] in ".…"
        what, advice = action(given)
        assert what
        assert advice.endswith(".")
        assert len(advice) <= 200, advice


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            facts("feature", effect="MAE rose to 4.9"),
            "Since 1 Jan 23:03 UTC load reads about 0.5 (0.5 sd) too high; MAE rose to 4.9.",
        ),
        (
            facts("feature", columns=60),
            "Since 1 Jan 23:03 UTC 60 of 200 features changed, most: load, load1, load2.",
        ),
        (
            facts("broken_values", columns=3, broken=True),
            "Since 1 Jan 23:03 UTC 3 of 200 features have broken values, most: load, load1, load2.",
        ),
        (
            facts("feature", "b", columns=2),
            (
                "Since 1 Jan 23:03 UTC b reads about 0.5 (0.5 sd) too high, "
                "and b1 reads about 0.5 (0.5 sd) too high."
            ),
        ),
        (
            facts("feature", "sensor", columns=2, effect="MAE rose from 1.1 to 4.9 kWh a day"),
            (
                "Since 1 Jan 23:03 UTC 2 of 200 features changed, most: sensor, sensor1; "
                "MAE rose from 1.1 to 4.9 kWh a day."
            ),
        ),
        (
            facts("performance", effect="MAE rose from 1.1 to 4.9"),
            "Since 1 Jan 23:03 UTC MAE rose from 1.1 to 4.9, and no feature moved.",
        ),
        (
            facts("joint", "error"),
            (
                "Since 1 Jan 23:03 UTC the numeric features no longer go together as usual: "
                "error reads about 0.5 (0.5 sd) too high."
            ),
        ),
        (
            facts("joint", LONG, effect="MAE rose from 1.1 to 4.9"),
            (
                "Since 1 Jan 23:03 UTC the numeric features no longer go together as usual; "
                "MAE rose from 1.1 to 4.9."
            ),
        ),
        (
            facts("segment"),
            "Since 1 Jan 23:03 UTC region=north: reads about 0.5 (0.5 sd) too high.",
        ),
        (
            facts("operation"),
            "Since 1 Jan 23:03 UTC reads about 0.5 (0.5 sd) too high.",
        ),
    ],
)
def test_headlines(given: Facts, said: str) -> None:
    """Cause, size, since when, effect."""
    assert headline(given) == said


def test_a_long_name_leaves_room_for_the_effect() -> None:
    """A name is cut in its middle before the effect on the model is left out."""
    said = headline(facts("feature", LONG, effect="MAE rose from 1.1 to 4.9"))
    assert said.endswith("; MAE rose from 1.1 to 4.9.")
    assert "a_sensor_" in said
    assert "to_read_" in said


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (facts("operation"), "check_service"),
        (facts("broken_values", effect="x", regressed=True), "fix_feed"),
        (facts("feature", effect="x", regressed=True), "roll_back"),
        (facts("performance", effect="x", regressed=True), "roll_back"),
        (facts("prediction", effect="x", regressed=True), "roll_back"),
        (facts("feature", effect="x"), "retrain"),
        (facts("feature"), "wait"),
        (facts("feature", outdated=True), "accept_reference"),
        (facts("feature", outdated=True, effect="x"), "retrain"),
        (facts("joint"), "wait"),
        (facts("joint", outdated=True), "accept_reference"),
        (facts("joint", effect="x"), "retrain"),
        (facts("joint", effect="x", regressed=True), "roll_back"),
        (facts("segment"), "wait"),
        (facts("segment", effect="x"), "retrain"),
        (facts("prediction"), "recalibrate"),
        (facts("label"), "retrain"),
        (facts("performance", effect="x"), "retrain"),
        (facts("performance", effect="x", prediction=True), "recalibrate"),
    ],
)
def test_actions(given: Facts, what: str) -> None:
    """Each action where it helps, and not where it does not: nobody recalibrates a model whose
    prediction did not move, and no feed is mended by a roll-back.
    """
    assert action(given)[0] == what


def test_a_feed_is_repaired_before_other_features_are_looked_at() -> None:
    """Of two faults at once, the broken values are named as such, and the other feature is not."""
    what, advice = action(facts("broken_values", columns=2))
    assert what == "fix_feed"
    assert advice.startswith("Repair the feed of load, which")
    assert "load1" not in advice
    assert "and the others" in action(facts("broken_values", columns=2, broken=True))[1]


def test_a_fall_in_a_segment_is_told_beside_the_fall_of_all_rows() -> None:
    """Which segment, how far it fell, and what that did to the model."""
    given = facts("segment")
    told = replace(given.cause.alert, rule="segment.performance")
    fell = replace(given.cause, alert=told, effect="accuracy in region=north fell from 0.8 to 0.5")
    said = headline(Facts(fell, NARROW, effect="accuracy fell from 0.8 to 0.7"))
    assert said == (
        "Since 1 Jan 23:03 UTC accuracy in region=north fell from 0.8 to 0.5; "
        "over all rows accuracy fell from 0.8 to 0.7."
    )


def test_a_fall_in_a_segment_alone_asks_for_its_rows() -> None:
    """A concept that changed in one region is no matter of the model's output."""
    given = facts("segment")
    told = replace(given.cause.alert, rule="segment.performance")
    fell = replace(given.cause, alert=told, effect="accuracy in region=north fell to 0.7")
    what, advice = action(Facts(fell, NARROW))
    assert what == "retrain"
    assert "region=north" in advice
    said = headline(Facts(fell, NARROW))
    assert said == "Since 1 Jan 23:03 UTC accuracy in region=north fell to 0.7."


def test_hostile_names_are_visible() -> None:
    """What strangers named cannot hide or turn the text around it."""
    assert "\\u202e" in headline(facts("feature", "a\u202eb"))


def test_times_beyond_the_calendar() -> None:
    """A sender's clock may be anywhere."""
    change = Change(10**18, 10**18, 10**18)
    assert headline(Facts(facts("operation").cause, change)).startswith("Since 10000000")
