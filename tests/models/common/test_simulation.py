from itertools import islice

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency, ks_2samp

from driftgauge.models.catalogue import MODELS
from driftgauge.models.common.simulation import (
    ConceptChange,
    FlipLabels,
    Labelled,
    Missing,
    NewCategory,
    Perturbation,
    Shift,
    next_class,
    scaled,
    shift,
    traffic,
)
from driftgauge.models.common.training import DemoModel
from driftgauge.shared.errors import BadData

RANDOM_SHARE = 0.3
every_model = pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))


def rows_of_two() -> Labelled:
    frame = pd.DataFrame({"x": np.arange(1000.0), "c": np.array(["a", "b"] * 500, dtype=object)})
    return Labelled(frame, np.array(["no", "yes"] * 500, dtype=object))


def perturbed(perturbation: Perturbation, rows: Labelled) -> Labelled:
    return perturbation(rows, np.random.default_rng(0))


@every_model
def test_one_seed_one_sample_and_calls_go_on(model: DemoModel) -> None:
    """A seed fixes the sequence of draws; a second call continues it with new rows."""
    first, again = model.simulator(3), model.simulator(3)
    one, two = first.labelled(50), first.labelled(50)
    same = again.labelled(50)
    pd.testing.assert_frame_equal(one.features, same.features)
    assert one.labels.tolist() == same.labels.tolist()
    assert not one.features.equals(two.features)


@every_model
def test_two_seeds_share_one_law(model: DemoModel) -> None:
    """Samples of two seeds differ, but no feature's and no label's distribution does, at level 1e-4
    each.
    """
    one, two = model.simulator(1).labelled(3000), model.simulator(2).labelled(3000)
    assert not one.features.equals(two.features)
    for feature in model.schema.features:
        a, b = one.features[feature.name], two.features[feature.name]
        if feature.kind == "numeric":
            assert ks_2samp(a, b, method="asymp").pvalue > 1e-4, feature.name
        else:
            assert alike(a, b), feature.name
    if model.task != "regression":
        assert alike(pd.Series(one.labels), pd.Series(two.labels))


def alike(a: "pd.Series[str]", b: "pd.Series[str]") -> bool:
    counts = pd.DataFrame({"a": a.value_counts(), "b": b.value_counts()}).fillna(0)
    return bool(chi2_contingency(counts[counts.sum(axis=1) >= 10]).pvalue > 1e-4)


@every_model
def test_traffic_is_what_the_api_takes(model: DemoModel) -> None:
    """Every simulated row, shifted or with missing values, is a request that fits the schema;
    labels are of its kind.
    """
    nullable = next(feature.name for feature in model.schema.features if feature.nullable)
    scale = float(model.simulator(0).labelled(1000).features[model.drifting_feature].std())
    perturbations = [Shift(model.drifting_feature, scale / 2), Missing(nullable, RANDOM_SHARE)]
    rows = list(islice(traffic(model.simulator(1), model.schema, perturbations), 1200))
    assert not any(model.schema.positional(features)[1] for features, _ in rows)
    assert not any(model.schema.prediction_fault(label) for _, label in rows)
    missing = np.mean([features[nullable] is None for features, _ in rows])
    assert missing == pytest.approx(RANDOM_SHARE, abs=0.06)


@every_model
def test_traffic_is_reproducible(model: DemoModel) -> None:
    """Simulator's seed and changes' seed fix the traffic, whatever its batches."""
    perturbations = [Missing(model.schema.names[-1], RANDOM_SHARE)]
    one, two = (
        list(islice(traffic(model.simulator(5), model.schema, perturbations, seed=9), 600))
        for _ in range(2)
    )
    assert one == two


def test_shift_moves_one_feature_and_leaves_its_argument_alone() -> None:
    """A biased sensor changes its own feature by a fixed amount, and nothing else."""
    rows = rows_of_two()
    before = rows.features.copy()
    shifted = perturbed(Shift("x", 2.5), rows)
    pd.testing.assert_frame_equal(rows.features, before)
    assert (shifted.features["x"] - before["x"] == 2.5).all()
    assert shifted.features["c"].equals(before["c"])
    assert shifted.labels is rows.labels


def test_missing_values_are_of_the_stated_share() -> None:
    """About the stated share of one feature goes missing; the rest keeps its values."""
    after = perturbed(Missing("x", RANDOM_SHARE), rows_of_two()).features
    assert after["x"].isna().mean() == pytest.approx(RANDOM_SHARE, abs=0.05)
    kept = after["x"].dropna()
    assert (kept == kept.index).all()


def test_a_new_category_is_of_the_stated_share() -> None:
    """About the stated share of rows has the new category, and the others their own."""
    after = perturbed(NewCategory("c", "z", RANDOM_SHARE), rows_of_two()).features["c"]
    assert (after == "z").mean() == pytest.approx(RANDOM_SHARE, abs=0.05)
    assert set(after) == {"a", "b", "z"}


def test_a_flipped_label_is_another_class() -> None:
    """The stated share of labels changes, none of them to itself, and features stay."""
    rows = rows_of_two()
    after = perturbed(FlipLabels(RANDOM_SHARE, ("no", "yes", "never")), rows)
    assert (after.labels != rows.labels).mean() == pytest.approx(RANDOM_SHARE, abs=0.05)
    assert set(after.labels) == {"no", "yes", "never"}
    assert after.features is rows.features


def test_a_concept_change_is_where_the_feature_says() -> None:
    """Only rows above the value have new labels: the law of labels given features changes, that of
    features does not.
    """
    rows = rows_of_two()
    after = perturbed(ConceptChange("x", 499.5, next_class(("no", "yes"))), rows)
    assert (after.labels[:500] == rows.labels[:500]).all()
    assert (after.labels[500:] != rows.labels[500:]).all()
    numbers = perturbed(
        ConceptChange("x", 499.5, scaled(1.5)), Labelled(rows.features, np.ones(1000))
    )
    assert numbers.labels.tolist() == [1.0] * 500 + [1.5] * 500


@pytest.mark.parametrize(
    ("perturbation", "message"),
    [
        (Shift("none", 1), "'none'.*x, c"),
        (Shift("c", 1), "categorical"),
        (Missing("x", 1.5), "0 to 1"),
        (FlipLabels(0.1, ("no", "maybe")), "no class of no, maybe: yes"),
    ],
)
def test_an_impossible_perturbation_is_refused(perturbation: Perturbation, message: str) -> None:
    """A mistyped feature, share or class is an error, not a change of nothing."""
    with pytest.raises(BadData, match=message):
        perturbed(perturbation, rows_of_two())


def test_shift_is_in_standard_deviations_of_the_reference() -> None:
    """The shift is sd times scale."""
    frame = pd.DataFrame({"x": [1.0, 2.0]})
    assert shift(frame, "x", sd=0.5, scale=2.0)["x"].tolist() == [2.0, 3.0]
