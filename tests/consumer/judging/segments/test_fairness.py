"""Fairness of a window's segments: fairlearn's measures on the same rows, from the counts that
segments have anyway.
"""

import dataclasses

import numpy as np
import pytest
from fairlearn import metrics as fl

from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.segments.report import report
from driftgauge.consumer.judging.segments.window import SegmentWindow
from driftgauge.shared.contract.snapshot import SegmentFeature
from driftgauge.shared.reference.profile import Column
from tests.consumer.judging.segments.test_window import Rows, rows, version_of, window_of

POLICY = JudgingPolicy()
FAIRLEARN = {
    "selection_rate_ratio": fl.demographic_parity_ratio,
    "equal_opportunity": fl.equal_opportunity_difference,
    "equalised_odds": fl.equalized_odds_difference,
}


def measured(window: SegmentWindow) -> tuple[str, list[SegmentFeature]]:
    found = report(window)
    return found.outcome, found.features


def expected(found: Rows, column: Column, outcome: str = "yes") -> dict[str, float]:
    """Compute what fairlearn says of rows."""
    _, said, true = found
    sides = {
        "y_true": np.array(true) == outcome,
        "y_pred": np.array(said) == outcome,
        "sensitive_features": np.array(column),
    }
    return {name: compute(**sides) for name, compute in FAIRLEARN.items()}


def test_measures_are_fairlearns_of_window_and_reference() -> None:
    """Of every segment feature, measured on the window's predictions and labels and on the
    reference's; no policy is needed for that, and nothing is judged.
    """
    random = np.random.default_rng(3)
    before, now = rows(random, 6000, 6), rows(random, 4000, 6)
    outcome, features = measured(window_of(version_of(before), now, POLICY))
    assert outcome == "yes"
    for place, feature in enumerate(features):
        truth, usual = expected(now, now[0][place]), expected(before, before[0][place])
        assert {one.name: one.value for one in feature.fairness} == pytest.approx(truth)
        assert {one.name: one.baseline for one in feature.fairness} == pytest.approx(usual)
        assert {one.severity for one in feature.fairness} == {None}
        for one in feature.fairness:
            rates = {
                segment.value: rate.value
                for segment in feature.segments
                for rate in segment.rates
                if rate.name == one.rate and rate.rows
            }
            least, most = rates[one.least], rates[one.most]
            assert (least, most) == (min(rates.values()), max(rates.values()))
            assert one.value == pytest.approx(
                least / most if one.name == "selection_rate_ratio" else most - least
            )


def test_rates_without_labels_are_of_the_predictions_alone() -> None:
    """Before any label, the selection rates are known, and the other measures say what is
    lacking.
    """
    random = np.random.default_rng(4)
    now = rows(random, 3000, 6)
    window = window_of(version_of(rows(random, 6000, 6)), now, POLICY)
    _, (feature, *_) = measured(dataclasses.replace(window, labelled=None))
    ratio, opportunity, odds = feature.fairness
    assert ratio.value == pytest.approx(expected(now, now[0][0])["selection_rate_ratio"])
    assert opportunity.note == odds.note == "no labels, or of too many classes"
    assert [rate.name for rate in feature.segments[0].rates] == ["selection_rate"]


def outcome_of(version: JudgedVersion, found: Rows, stated: str) -> tuple[str, str]:
    """Return the favourable outcome of a window, and why there is none."""
    fairness = window_of(version, found, dataclasses.replace(POLICY, outcome=stated)).fairness
    return fairness.outcome, fairness.lacking


def test_the_favourable_outcome_is_stated_or_the_second_of_two() -> None:
    """A policy may state either class; a name that is no class measures nothing."""
    random = np.random.default_rng(5)
    found = rows(random, 2000, 3)
    version = version_of(found)
    assert outcome_of(version, found, "") == ("yes", "")
    assert outcome_of(version, found, "no") == ("no", "")
    assert outcome_of(version, found, "approved") == (
        "",
        "no class of the version is the policy's favourable outcome",
    )
    policy = dataclasses.replace(POLICY, outcome="no")
    _, features = measured(window_of(version, found, policy))
    truth = expected(found, found[0][1], "no")
    assert {one.name: one.value for one in features[1].fairness} == pytest.approx(truth)
    unknown = dataclasses.replace(POLICY, outcome="approved")
    outcome, features = measured(window_of(version, found, unknown))
    assert (outcome, [one.fairness for one in features]) == ("", [[], [], []])


def test_rare_values_are_one_group() -> None:
    """What is beyond the 20 most frequent values is OTHER, one group, as fairlearn has it of rows
    whose rare values are renamed.
    """
    random = np.random.default_rng(6)
    found = rows(random, 12_000, 24)
    window = window_of(version_of(found), found, POLICY)
    kept = window.reference.layout.values[0]
    renamed: Column = [value if value in kept else "OTHER" for value in found[0][0]]
    _, (feature, *_) = measured(window)
    truth = expected(found, renamed)
    assert {one.name: one.value for one in feature.fairness} == pytest.approx(truth)
