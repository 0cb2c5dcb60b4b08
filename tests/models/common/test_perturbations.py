"""What perturbations make of rows, and what they leave alone."""

import numpy as np
import pandas as pd
import pytest

from driftgauge.models.common.perturbations import (
    ConceptChange,
    Missing,
    NewCategory,
    Perturbation,
    Shift,
    next_class,
    perturbed,
    scaled,
    shift,
)
from driftgauge.models.common.simulation import Labelled
from driftgauge.shared.errors import BadData

RANDOM_SHARE = 0.3


def rows_of_two() -> Labelled:
    frame = pd.DataFrame({"x": np.arange(1000.0), "c": np.array(["a", "b"] * 500, dtype=object)})
    return Labelled(frame, np.array(["no", "yes"] * 500, dtype=object))


def applied(perturbation: Perturbation, rows: Labelled) -> Labelled:
    return perturbed([perturbation], rows, np.random.default_rng(0))


def test_shift_moves_one_feature_and_leaves_its_argument_alone() -> None:
    """A biased sensor changes its own feature by a fixed amount, and nothing else."""
    rows = rows_of_two()
    before = rows.features.copy()
    shifted = applied(Shift("x", sd=0.5, scale=5.0), rows)
    pd.testing.assert_frame_equal(rows.features, before)
    assert (shifted.features["x"] - before["x"] == 2.5).all()
    assert shifted.features["c"].equals(before["c"])
    assert shifted.labels is rows.labels


def test_missing_values_are_of_the_stated_share() -> None:
    """About the stated share of one feature goes missing; the rest keeps its values."""
    after = applied(Missing("x", RANDOM_SHARE), rows_of_two()).features
    assert after["x"].isna().mean() == pytest.approx(RANDOM_SHARE, abs=0.05)
    kept = after["x"].dropna()
    assert (kept == kept.index).all()


def test_a_new_category_is_of_the_stated_share() -> None:
    """About the stated share of rows has the new category, and the others their own."""
    after = applied(NewCategory("c", "z", RANDOM_SHARE), rows_of_two()).features["c"]
    assert (after == "z").mean() == pytest.approx(RANDOM_SHARE, abs=0.05)
    assert set(after) == {"a", "b", "z"}


def test_a_concept_change_is_where_the_feature_says() -> None:
    """Only rows above the value have new labels: the law of labels given features changes, that of
    features does not.
    """
    rows = rows_of_two()
    after = applied(ConceptChange("x", 499.5, next_class(("no", "yes"))), rows)
    assert (after.labels[:500] == rows.labels[:500]).all()
    assert (after.labels[500:] != rows.labels[500:]).all()
    numbers = applied(
        ConceptChange("x", 499.5, scaled(1.5)), Labelled(rows.features, np.ones(1000))
    )
    assert numbers.labels.tolist() == [1.0] * 500 + [1.5] * 500


@pytest.mark.parametrize(
    ("perturbation", "message"),
    [
        (Shift("none", 1, 1), "'none'.*x, c"),
        (Shift("c", 1, 1), "categorical"),
        (Missing("x", 1.5), "0 to 1"),
        (ConceptChange("x", 1, next_class(("no", "maybe"))), "no class of no, maybe: yes"),
    ],
)
def test_an_impossible_perturbation_is_refused(perturbation: Perturbation, message: str) -> None:
    """A mistyped feature, share or class is an error, not a change of nothing."""
    with pytest.raises(BadData, match=message):
        applied(perturbation, rows_of_two())


def test_shift_is_in_standard_deviations_of_the_reference() -> None:
    """The shift is sd times scale."""
    frame = pd.DataFrame({"x": [1.0, 2.0]})
    assert shift(frame, "x", sd=0.5, scale=2.0)["x"].tolist() == [2.0, 3.0]
