"""Metrics by segment equal scikit-learn on the rows of each group, with the intervals of the
version's own metrics.
"""

import numpy as np
import pytest
from sklearn import metrics as sk

from driftgauge.shared.performance import Layout, Measures, Sums, metrics
from driftgauge.shared.performance.by_segment import by_segment

SEGMENTS = 7


def drawn(
    random: np.random.Generator, classes: tuple[str, ...], rows: int
) -> tuple[list[str], list[str], np.ndarray]:
    """Draw predictions, labels, and two features of segments (4 and 3); segment 2 stays empty."""
    names = np.array([*classes, "strange"])
    labels = random.choice(len(names), rows, p=[*np.full(len(classes), 0.99 / len(classes)), 0.01])
    said = np.where(random.random(rows) < 0.7, labels, random.integers(0, len(classes), rows))
    said = np.where(said == len(classes), 0, said)
    codes = np.stack(
        [random.choice([0, 1, 3], rows, p=[0.6, 0.39, 0.01]), 4 + random.integers(0, 3, rows)]
    )
    return names[said].tolist(), names[labels].tolist(), codes


@pytest.mark.parametrize("classes", [("a", "b"), ("a", "b", "c", "d")])
def test_classes_equal_scikit_learn(classes: tuple[str, ...]) -> None:
    """Accuracy and macro F1 of every segment are scikit-learn's on its rows; one without rows has
    none.
    """
    random = np.random.default_rng(1)
    layout = Layout("categorical", classes)
    said, labels, codes = drawn(random, classes, 3000)
    known = [label if label in classes else "OTHER" for label in labels]
    measures = Measures(layout, 1.0)
    found = by_segment(measures, measures.of(said, labels, codes, SEGMENTS))
    for segment in range(SEGMENTS):
        chosen = np.flatnonzero((codes == segment).any(axis=0))
        truth, predicted = [known[row] for row in chosen], [said[row] for row in chosen]
        accuracy, f1 = found["accuracy"].of(segment), found["f1_macro"].of(segment)
        assert accuracy.n == len(chosen)
        if segment == 2:
            assert (accuracy.value, f1.value, accuracy.note) == (None, None, "no rows")
            continue
        assert accuracy.value == pytest.approx(sk.accuracy_score(truth, predicted))
        assert f1.value == pytest.approx(
            sk.f1_score(truth, predicted, average="macro", zero_division=0)
        )


@pytest.mark.parametrize("classes", [("a", "b"), ("a", "b", "c", "d")])
def test_intervals_are_those_of_the_model_or_wider(classes: tuple[str, ...]) -> None:
    """A segment of all rows has the intervals of the version's own metrics; with more than two
    classes that of F1 may be wider by up to two fifths, never narrower.
    """
    random = np.random.default_rng(2)
    layout = Layout("categorical", classes)
    for rows in (30, 400, 3000):
        said, labels, _ = drawn(random, classes, rows)
        if len(classes) == 2:
            labels = [label if label in classes else "a" for label in labels]
        measures = Measures(layout, 1.0)
        found = by_segment(
            measures, measures.of(said, labels, np.zeros((1, rows), dtype=np.int64), 1), 0.99
        )
        whole = metrics(Sums.of(layout, said, labels), 0.99)
        accuracy, f1 = found["accuracy"].of(0), found["f1_macro"].of(0)
        assert accuracy.low == pytest.approx(whole["accuracy"].low)
        assert accuracy.high == pytest.approx(whole["accuracy"].high)
        assert f1.value == pytest.approx(whole["f1_macro"].value)
        assert f1.low is not None
        assert whole["f1_macro"].low is not None
        assert f1.value is not None
        ratio = (f1.value - f1.low) / (f1.value - whole["f1_macro"].low)
        assert ratio == pytest.approx(1.0) if len(classes) == 2 else 1 - 1e-9 <= ratio < 1.42


def test_numbers_equal_scikit_learn() -> None:
    """MAE and RMSE of every segment are scikit-learn's on its rows, within the step of the sums;
    the interval of MAE is that of the version's own metric.
    """
    random = np.random.default_rng(3)
    labels = random.normal(50, 10, 2000)
    said = labels + random.standard_t(4, 2000) * 3
    codes = random.choice([0, 1, 3], 2000)[None]
    measures = Measures(Layout("numeric"), 2.0)
    found = by_segment(measures, measures.of(said, labels, codes, SEGMENTS), 0.99)
    for segment in (0, 1, 3):
        chosen = codes[0] == segment
        whole = metrics(Sums.of(Layout("numeric"), said[chosen], labels[chosen]), 0.99)
        mae, rmse = found["mae"].of(segment), found["rmse"].of(segment)
        assert mae.value == pytest.approx(
            sk.mean_absolute_error(labels[chosen], said[chosen]), abs=2.0 / 2**16
        )
        assert rmse.value == pytest.approx(
            sk.root_mean_squared_error(labels[chosen], said[chosen]), rel=1e-4
        )
        assert mae.high == pytest.approx(whole["mae"].high, abs=1e-3)
        assert rmse.low is None
    assert found["mae"].of(2).value is None


def test_a_model_of_many_classes_has_accuracy_alone() -> None:
    """With more than 20 classes nothing is summed by class, and the accuracy is there all the
    same.
    """
    classes = tuple(f"c{place}" for place in range(30))
    measures = Measures(Layout("categorical", classes), 1.0)
    found = by_segment(measures, measures.of(["c1", "c2"], ["c1", "c3"], np.array([[0, 0]]), 1))
    assert {name: metric.value.tolist() for name, metric in found.items()} == {"accuracy": [0.5]}
