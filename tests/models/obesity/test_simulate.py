import numpy as np

from driftgauge.models.obesity.features import CLASSES, TARGET, with_bmi
from driftgauge.models.obesity.simulate import LEVELS, LIMITS, People


def test_classes_follow_the_limits_of_the_body_mass_index() -> None:
    """But for what people report wrongly, a class holds the index between its limits, and every
    class occurs often.
    """
    rows = with_bmi(People(1).rows(4000))
    expected = np.array(LEVELS)[np.searchsorted(LIMITS, rows["bmi"], side="right")]
    assert 0.9 < (expected == rows[TARGET]).mean() < 0.99
    assert set(LEVELS) == set(CLASSES)
    assert rows[TARGET].value_counts(normalize=True).min() > 0.03


def test_features_depend_on_each_other_and_on_the_class() -> None:
    """Men are taller; overweight relatives and little care for food go with a higher index."""
    rows = with_bmi(People(1).rows(8000))
    assert rows.groupby("Gender")["Height"].mean().diff().iloc[-1] > 0.08
    for name in ("family_history_with_overweight", "FAVC"):
        assert rows.groupby(name)["bmi"].mean().diff().iloc[-1] > 2
    assert rows["FAF"].corr(rows["bmi"]) < -0.1
    assert rows["FAF"].corr(rows["FCVC"]) > 0.08


def test_half_of_the_answers_are_whole_numbers() -> None:
    """As in the file, a scale has atoms at its whole numbers and values between them."""
    water = People(1).rows(4000)["CH2O"]
    assert 0.4 < (water == water.round()).mean() < 0.75
