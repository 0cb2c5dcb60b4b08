"""The metrics of validations, by hand-computed values and by scikit-learn's."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from driftgauge.shared.errors import BadData
from driftgauge.shared.versions.scores import Outcomes, larger_is_better, score, unknown_metrics

TRUTH = ["a", "a", "a", "b", "b", "c"]
GUESS = ["a", "a", "b", "b", "c", "c"]
CHANCES = np.array(
    [
        [0.7, 0.2, 0.1],
        [0.6, 0.3, 0.1],
        [0.3, 0.5, 0.2],
        [0.2, 0.6, 0.2],
        [0.1, 0.4, 0.5],
        [0.1, 0.1, 0.8],
    ]
)
CLASSES = Outcomes(TRUTH, GUESS, CHANCES, ("a", "b", "c"))
NUMBERS = Outcomes(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 2.0, 3.0, 6.0]))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("accuracy", 4 / 6),
        ("balanced_accuracy", (2 / 3 + 1 / 2 + 1) / 3),
        ("precision", (1 + 1 / 2 + 1 / 2) / 3),
        ("recall", (2 / 3 + 1 / 2 + 1) / 3),
        ("f1:a", 0.8),
        ("f1", (0.8 + 0.5 + 2 / 3) / 3),
        ("f1_macro", (0.8 + 0.5 + 2 / 3) / 3),
        ("f1_weighted", (3 * 0.8 + 2 * 0.5 + 2 / 3) / 6),
        ("log_loss", -np.log([0.7, 0.6, 0.3, 0.6, 0.4, 0.8]).mean()),
        ("roc_auc", (1 + 7 / 8 + 1) / 3),
        ("average_precision", (1 + (1 + 2 / 3) / 2 + 1) / 3),
        ("specificity:b", 3 / 4),
        ("lift:a", 2),
    ],
)
def test_metrics_of_classes(name: str, expected: float) -> None:
    """Each is what its definition gives by hand."""
    assert score(name, CLASSES) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "expected"), [("r2", 1 - 4 / 5), ("rmse", 1.0), ("mae", 0.5), ("wape", 0.2)]
)
def test_metrics_of_numbers(name: str, expected: float) -> None:
    """The same for numbers."""
    assert score(name, NUMBERS) == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 5), st.integers(8, 60))
def test_classes_equal_scikit_learn(seed: int, classes: int, rows: int) -> None:
    """On rows with ties among the probabilities every metric of classes is scikit-learn's, ROC AUC
    and average precision too: here they have no bins.
    """
    random = np.random.default_rng(seed)
    names = tuple(f"class {code}" for code in range(classes))
    codes = np.append(np.arange(classes), random.integers(0, classes, rows))
    chances = np.round(random.dirichlet(np.full(classes, 0.5), len(codes)), 1) + 0.01
    chances /= chances.sum(axis=1, keepdims=True)
    truth = [names[code] for code in codes]
    said = [names[code] for code in chances.argmax(axis=1)]
    outcomes = Outcomes(truth, said, chances, names)
    ranked = range(1, 2) if classes == 2 else range(classes)
    expected = {
        "accuracy": sk.accuracy_score(truth, said),
        "balanced_accuracy": sk.balanced_accuracy_score(truth, said),
        "log_loss": sk.log_loss(codes, chances, labels=range(classes)),
        "roc_auc": np.mean([sk.roc_auc_score(codes == code, chances[:, code]) for code in ranked]),
        "average_precision": np.mean(
            [sk.average_precision_score(codes == code, chances[:, code]) for code in ranked]
        ),
    }
    for name, compute in (
        ("f1", sk.f1_score),
        ("precision", sk.precision_score),
        ("recall", sk.recall_score),
    ):
        for average in ("macro", "weighted"):
            expected[f"{name}_{average}"] = compute(truth, said, average=average, zero_division=0)
        each = compute(truth, said, labels=names, average=None, zero_division=0)
        expected |= {f"{name}:{label}": found for label, found in zip(names, each, strict=True)}
    assert {name: score(name, outcomes) for name in expected} == pytest.approx(expected, rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 60))
def test_numbers_equal_scikit_learn(seed: int, rows: int) -> None:
    """The metrics of numbers are scikit-learn's."""
    random = np.random.default_rng(seed)
    truth = random.normal(3, 10, rows)
    said = truth + random.standard_t(3, rows)
    expected = {
        "mae": sk.mean_absolute_error(truth, said),
        "rmse": sk.root_mean_squared_error(truth, said),
        "r2": sk.r2_score(truth, said),
        "wape": np.abs(truth - said).sum() / np.abs(truth).sum(),
    }
    outcomes = Outcomes(truth, said)
    assert {name: score(name, outcomes) for name in expected} == pytest.approx(expected, rel=1e-9)


def test_the_columns_of_probabilities_are_the_classes() -> None:
    """Classes that are not in alphabetical order are matched by name, not by place."""
    order = [2, 0, 1]
    turned = Outcomes(TRUTH, GUESS, CHANCES[:, order], ("c", "a", "b"))
    for name in ("log_loss", "roc_auc"):
        assert score(name, turned) == pytest.approx(score(name, CLASSES))
    binary = Outcomes(
        ["no", "yes", "no"],
        ["no", "yes", "no"],
        np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]),
        ("no", "yes"),
    )
    assert score("roc_auc", binary) == 1


@pytest.mark.parametrize(
    ("name", "outcomes", "message"),
    [
        ("accuracy", NUMBERS, "no metric 'accuracy' of numbers"),
        ("rmse", CLASSES, "no metric 'rmse' of classes"),
        ("f2", CLASSES, "no metric 'f2'"),
        ("f1:z", CLASSES, "no row is or is predicted 'z'"),
        ("lift", CLASSES, "no metric 'lift'.* specificity:LABEL, lift:LABEL"),
        ("roc_auc", Outcomes(TRUTH, GUESS), "needs probabilities"),
        (
            "roc_auc",
            Outcomes(["a"], ["a"], CHANCES[:1], ("a", "b", "c")),
            "rows within and beyond every class",
        ),
        (
            "log_loss",
            Outcomes(["z"], ["a"], CHANCES[:1], ("a", "b", "c")),
            "does not know these classes of the rows: z",
        ),
        (
            "log_loss",
            Outcomes(["a"], ["a"], np.array([[np.nan, 1.0]]), ("a", "b")),
            "not between 0 and 1",
        ),
        ("r2", Outcomes(np.ones(1), np.ones(1)), "not defined"),
        ("wape", Outcomes(np.zeros(2), np.ones(2)), "not defined"),
    ],
)
def test_an_undefined_metric_says_why(name: str, outcomes: Outcomes, message: str) -> None:
    """A metric that cannot be computed is an error with its reason, never a number."""
    with pytest.raises(BadData, match=message):
        score(name, outcomes)


def test_names_and_directions() -> None:
    """Unknown names are found before any data is there; errors and losses are better when
    smaller.
    """
    assert unknown_metrics(
        ("accuracy", "f1:x", "precision_weighted", "f1_micro", "rmse"), numeric=False
    ) == [
        "f1_micro",
        "rmse",
    ]
    assert unknown_metrics(("r2", "f1"), numeric=True) == ["f1"]
    assert unknown_metrics(("accuracy:x", "brier", "f1_macro:x"), numeric=False) == [
        "accuracy:x",
        "brier",
        "f1_macro:x",
    ]
    assert unknown_metrics(("specificity:x", "specificity", "recall"), numeric=False) == [
        "specificity"
    ]
    assert [larger_is_better(name) for name in ("r2", "f1:a", "rmse", "log_loss")] == [
        True,
        True,
        False,
        False,
    ]
    assert math.isclose(score("f1_weighted", Outcomes(TRUTH, TRUTH)), 1)
