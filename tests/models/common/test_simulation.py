"""The demo models' simulators: reproducible, of one distribution, and what the API accepts."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency, ks_2samp

from driftgauge.models.catalogue import MODELS
from driftgauge.models.common.perturbations import Missing, Shift, perturbed
from driftgauge.models.common.training import DemoModel
from driftgauge.shared.reference.frames import json_values, rows_of

RANDOM_SHARE = 0.3
every_model = pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))


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
def test_simulated_rows_are_what_the_api_accepts(model: DemoModel) -> None:
    """Every simulated row, shifted or with missing values, is a request that fits the schema;
    labels are of its kind.
    """
    nullable = next(feature.name for feature in model.schema.features if feature.nullable)
    scale = float(model.simulator(0).labelled(1000).features[model.drifting_feature].std())
    perturbations = [Shift(model.drifting_feature, 0.5, scale), Missing(nullable, RANDOM_SHARE)]
    drawn = model.simulator(1).labelled(1200)
    after = perturbed(perturbations, drawn, np.random.default_rng(0))
    rows = rows_of(after.features, model.schema)
    assert not any(model.schema.positional(features)[1] for features in rows)
    assert not any(model.schema.read_prediction(label)[1] for label in json_values(after.labels))
    missing = np.mean([features[nullable] is None for features in rows])
    assert missing == pytest.approx(RANDOM_SHARE, abs=0.06)
