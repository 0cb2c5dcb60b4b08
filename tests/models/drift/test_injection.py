"""The kinds of drift, and what is expected of each."""

import numpy as np
import pytest

from driftgauge.models.common.perturbations import perturbed
from driftgauge.models.common.simulation import Labelled
from driftgauge.models.drift.injection import CATEGORY, InjectionTarget, injection
from driftgauge.models.drift.plan import DRIFT_KINDS, DriftKind
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.frames import rows_of
from tests.models.drift.builders import SCHEMA, Coins

RANDOM = np.random.default_rng(0)


def target(chosen: str | None = None) -> InjectionTarget:
    return InjectionTarget(SCHEMA, Coins().labelled(4000), "x", chosen)


def changed(
    kind: DriftKind, intensity: float = 0.3, strength: float = 1.0, chosen: str | None = None
) -> tuple[Labelled, Labelled]:
    rows = Coins(2).labelled(4000)
    return rows, perturbed(
        injection(kind, target(chosen), intensity).perturbations(strength), rows, RANDOM
    )


@pytest.mark.parametrize("kind", DRIFT_KINDS)
def test_changed_rows_still_fit_the_schema(kind: DriftKind) -> None:
    """The API would refuse others with 422, and nothing would be measured; ranges and kinds
    hold.
    """
    _, after = changed(kind, 1.0)
    faults = [
        fault for row in rows_of(after.features, SCHEMA) for fault in SCHEMA.positional(row)[1]
    ]
    assert faults == []


@pytest.mark.parametrize("kind", DRIFT_KINDS)
def test_only_what_is_said_to_change_changes(kind: DriftKind) -> None:
    """Features that the injection does not name are as they were; labels change by concept and
    imbalance only.
    """
    before, after = changed(kind)
    names = injection(kind, target(), 0.3).features
    if kind != "label_imbalance":  # that one replaces whole rows
        same = [name for name in before.features.columns if name not in names]
        assert before.features[same].equals(after.features[same])
    labels_differ = bool((before.labels != after.labels).any())
    assert labels_differ == (kind in {"concept", "label_imbalance", "combined"})


def test_the_intensity_is_the_size() -> None:
    """Standard deviations of a shift, shares of rows otherwise, within sampling error; half the
    strength is half of it.
    """
    before, after = changed("feature_shift", 0.5)
    assert np.mean(after.features["x"] - before.features["x"]) == pytest.approx(0.5, abs=0.02)
    assert changed("missing_values", 0.4)[1].features["x"].isna().mean() == pytest.approx(
        0.4, abs=0.03
    )
    assert changed("missing_values", 0.4, 0.5)[1].features["x"].isna().mean() == pytest.approx(
        0.2, abs=0.03
    )
    assert (changed("new_category", 0.2)[1].features["c"] == CATEGORY).mean() == pytest.approx(
        0.2, abs=0.03
    )
    before, after = changed("concept", 0.25)
    assert (before.labels != after.labels).mean() == pytest.approx(0.25, abs=0.03)
    before, after = changed("label_imbalance", 0.5)
    rare = (before.labels == "yes").mean()
    assert (after.labels == "yes").mean() == pytest.approx(0.5 + 0.5 * rare, abs=0.03)


def test_other_classes_are_expected_as_target_drift() -> None:
    """What has to come is an alert of the labels; one of a feature, or of the errors, does not
    stand for it.
    """
    (expected,) = injection(
        "label_imbalance", InjectionTarget(SCHEMA, Coins().labelled(2000), "x"), 0.5
    ).expected
    assert expected.is_met_by("label", "psi")
    assert not expected.is_met_by("x", "psi")
    assert not expected.is_met_by("", "performance.accuracy")


def test_a_regression_drifts_too() -> None:
    """Its concept multiplies, its imbalance brings more of the large values."""
    sample = Coins().labelled(2000)
    schema = type(SCHEMA)(SCHEMA.features, "numeric")
    numbers = Labelled(sample.features, sample.features["x"].to_numpy() + 5.0)
    regression = InjectionTarget(schema, numbers, "y")
    after = perturbed(injection("concept", regression, 0.5).perturbations(1.0), numbers, RANDOM)
    assert set(np.round(after.labels / numbers.labels, 6)) == {1.0, 1.5}
    after = perturbed(
        injection("label_imbalance", regression, 0.8).perturbations(1.0), numbers, RANDOM
    )
    assert after.labels.mean() > numbers.labels.mean() + 0.5
    assert after.features.dtypes.equals(numbers.features.dtypes)


@pytest.mark.parametrize(
    ("kind", "chosen", "message"),
    [
        ("feature_shift", "c", "only a number"),
        ("new_category", "closed", "declares its categories"),
        ("missing_values", "c", "no feature be missing"),
        ("feature_shift", "hidden", "no feature that is watched"),
        ("feature_shift", "nonsense", "no feature that is watched; there are x, y, c, closed"),
    ],
)
def test_a_drift_that_cannot_reach_the_stream_is_refused(
    kind: DriftKind, chosen: str, message: str
) -> None:
    """Who asks for it is told why, before anything is posted."""
    with pytest.raises(BadData, match=message):
        injection(kind, target(chosen), 0.3)


def test_a_drift_of_labels_needs_labels() -> None:
    """Rows drawn from a reference have none: a concept cannot change there, a feature can."""
    rows = Coins().labelled(100)
    blind = InjectionTarget(SCHEMA, Labelled(rows.features, np.full(100, None, dtype=object)), "x")
    for kind in ("concept", "label_imbalance"):
        with pytest.raises(BadData, match="no true values"):
            injection(kind, blind, 0.3)
    assert injection("combined", blind, 0.3).features == ("x", "y")
