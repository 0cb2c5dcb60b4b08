"""Every metric equals scikit-learn's on the same rows: exactly where it is exact, within the stated
bound otherwise.
"""

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from driftgauge.shared.performance import Confidence, Layout, Metric, Sums, confusion, metrics

NUMBERS = Layout("numeric")
BINARY = Layout("categorical", ("no", "yes"), scored=True)
numbers = st.floats(-1e9, 1e9).map(lambda value: round(value, 3))
seeds = st.integers(0, 2**32)


def value(metric: Metric) -> float:
    assert metric.value is not None, metric.note
    return metric.value


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(numbers, numbers), min_size=2, max_size=40))
def test_of_numbers(rows: list[tuple[float, float]]) -> None:
    """MAE, RMSE, mean error, R2 and MAPE are scikit-learn's, from panes that were merged."""
    predictions, labels = np.array(rows).T
    sums = Sums.of(NUMBERS, predictions[:1], labels[:1]) + Sums.of(
        NUMBERS, predictions[1:], labels[1:]
    )
    found = metrics(sums)
    close = {"rel": 1e-9, "abs": 1e-9}
    assert value(found["mae"]) == pytest.approx(
        sk.mean_absolute_error(labels, predictions), **close
    )
    assert value(found["rmse"]) == pytest.approx(
        sk.root_mean_squared_error(labels, predictions), **close
    )
    assert value(found["mean_error"]) == pytest.approx(
        np.mean(predictions - labels), rel=1e-9, abs=1e-6
    )
    if np.ptp(labels) == 0:
        assert found["r2"].note == "all labels are the same"
    elif (
        np.ptp(labels) > 1e-4 * np.abs(labels).max()
    ):  # below, scikit-learn's own sum of squares has lost its digits
        assert value(found["r2"]) == pytest.approx(sk.r2_score(labels, predictions), rel=1e-6)
    some = labels != 0
    if some.any():
        expected = sk.mean_absolute_percentage_error(labels[some], predictions[some])
        assert value(found["mape"]) == pytest.approx(expected, **close)
        assert found["mape"].n == some.sum()


def test_a_spread_far_from_zero_does_not_cancel() -> None:
    """R2 of labels around a billion is right to the last digits, though it comes from sums of
    squares.
    """
    rng = np.random.default_rng(0)
    labels = 1e9 + rng.normal(size=500)
    predictions = labels + rng.normal(0, 0.5, 500)
    expected = sk.r2_score(labels - 1e9, predictions - 1e9)
    assert value(metrics(Sums.of(NUMBERS, predictions, labels))["r2"]) == pytest.approx(
        expected, rel=1e-9
    )


@pytest.mark.long
@settings(max_examples=80, deadline=None)
@given(seeds, st.integers(1, 60), st.integers(2, 5))
def test_of_classes(seed: int, rows: int, classes: int) -> None:
    """Accuracy, precision, recall and F1 are scikit-learn's, macro, weighted and of each class;
    unknown classes as OTHER. Specificity is its recall of all other classes, lift its precision by
    the share of the labels.
    """
    rng = np.random.default_rng(seed)
    names = [f"class {code}" for code in range(classes)]
    layout = Layout("categorical", tuple(names))
    labels = rng.choice([*names, "OTHER"], rows).tolist()
    predictions = [label if rng.random() < 0.6 else str(rng.choice(names)) for label in labels]
    found = metrics(Sums.of(layout, predictions, labels))
    assert value(found["accuracy"]) == pytest.approx(
        sk.accuracy_score(labels, predictions), abs=1e-12
    )
    for name, compute in (
        ("f1", sk.f1_score),
        ("precision", sk.precision_score),
        ("recall", sk.recall_score),
    ):
        for average in ("macro", "weighted"):
            expected = compute(labels, predictions, average=average, zero_division=0)
            assert value(found[f"{name}_{average}"]) == pytest.approx(expected, abs=1e-12)
        present = sorted({*labels, *predictions})
        each = compute(labels, predictions, labels=present, average=None, zero_division=0)
        for label, expected in zip(present, each, strict=True):
            metric = found[f"{name}:{label}"]
            assert (metric.value or 0) == pytest.approx(expected, abs=1e-12)
    for label in present:
        truth, said = ([each == label for each in side] for side in (labels, predictions))
        if all(truth):
            assert found[f"specificity:{label}"].note == "no other label"
        else:
            expected = sk.recall_score(truth, said, pos_label=False)
            assert value(found[f"specificity:{label}"]) == pytest.approx(expected, abs=1e-12)
        if any(truth) and any(said):
            expected = sk.precision_score(truth, said) / np.mean(truth)
            assert value(found[f"lift:{label}"]) == pytest.approx(expected, abs=1e-12)
        else:
            assert found[f"lift:{label}"].note
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # scikit-learn's, about predictions of a class without labels
        balanced = sk.balanced_accuracy_score(labels, predictions)
    assert value(found["balanced_accuracy"]) == pytest.approx(balanced, abs=1e-12)


def test_the_confusion_matrix_is_scikit_learns() -> None:
    """Labels go down, predictions across; OTHER is shown only if a row has it."""
    labels, predictions = ["b", "a", "b", "b"], ["a", "a", "b", "b"]
    shown = confusion(Sums.of(Layout("categorical", ("a", "b")), predictions, labels))
    assert shown == (["a", "b"], sk.confusion_matrix(labels, predictions).tolist())
    assert confusion(Sums.of(Layout("categorical", ("a",)), predictions, labels))[0] == [
        "a",
        "OTHER",
    ]


def probabilities(seed: int, rows: int, classes: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    given_ = rng.dirichlet(np.full(classes, 0.5), rows)
    given_ = np.round(given_, int(rng.integers(1, 12)))
    given_[:, -1] = 1 - given_[:, :-1].sum(axis=1)
    given_ = np.clip(given_, 0, 1)
    return given_, rng.integers(0, classes, rows)


@settings(max_examples=80, deadline=None)
@given(seeds, st.integers(1, 80))
def test_of_two_classes_probabilities(seed: int, rows: int) -> None:
    """Log loss and Brier score are scikit-learn's; ROC AUC and average precision lie within their
    stated bounds of its.
    """
    given_, truth = probabilities(seed, rows, 2)
    labels = [BINARY.classes[code] for code in truth]
    found = metrics(Sums.of(BINARY, labels, labels, given_))
    loss = -np.log(
        np.clip(given_[np.arange(rows), truth], np.finfo(float).eps, 1 - np.finfo(float).eps)
    ).mean()
    assert value(found["log_loss"]) == pytest.approx(loss, rel=1e-9)
    assert value(found["log_loss"]) == pytest.approx(
        sk.log_loss(truth, given_, labels=[0, 1]), rel=1e-9, abs=1e-9
    )
    assert value(found["brier"]) == pytest.approx(
        sk.brier_score_loss(truth, given_[:, 1]), rel=1e-9, abs=1e-12
    )
    auc = found["roc_auc"]
    if len(set(truth)) < 2:
        assert auc.note == "it needs labels of both classes"
    else:
        assert abs(value(auc) - sk.roc_auc_score(truth, given_[:, 1])) <= auc.bound + 1e-12
    precision = found["average_precision"]
    if not truth.any():
        assert precision.note == "it needs labels of the second class"
    else:
        expected = sk.average_precision_score(truth, given_[:, 1])
        assert abs(value(precision) - expected) <= precision.bound + 1e-12


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(1, 60))
def test_of_several_classes_probabilities(seed: int, rows: int) -> None:
    """Log loss is scikit-learn's, the Brier score the sum over the classes; rows without
    probabilities are left out.
    """
    layout = Layout("categorical", ("a", "b", "c"), scored=True)
    given_, truth = probabilities(seed, rows, 3)
    labels = [layout.classes[code] for code in truth]
    without = np.vstack([given_, np.full((2, 3), np.nan)])
    found = metrics(Sums.of(layout, [*labels, "a", "a"], [*labels, "b", "b"], without))
    assert found["log_loss"].n == rows
    assert value(found["log_loss"]) == pytest.approx(
        sk.log_loss(truth, given_, labels=[0, 1, 2]), rel=1e-9, abs=1e-9
    )
    expected = ((given_ - np.eye(3)[truth]) ** 2).sum(axis=1).mean()
    assert value(found["brier"]) == pytest.approx(expected, rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(1, 200))
def test_the_calibration_error_is_that_of_its_bins(seed: int, rows: int) -> None:
    """The calibration error is the usual one over 10 bins of equal width, computed from the
    rows.
    """
    given_, truth = probabilities(seed, rows, 2)
    labels = [BINARY.classes[code] for code in truth]
    scores = given_[:, 1]
    places = np.minimum((scores * 10).astype(int), 9)
    expected = sum(abs((scores - truth)[places == place].sum()) for place in range(10)) / rows
    assert value(metrics(Sums.of(BINARY, labels, labels, given_))["ece"]) == pytest.approx(
        expected, abs=1e-9
    )


def test_scores_of_rare_positives_keep_their_order() -> None:
    """For scores that crowd near 0 the bounds of ROC AUC and average precision stay small."""
    rng = np.random.default_rng(1)
    scores = rng.beta(0.3, 12, 20_000)
    truth = (rng.random(20_000) < scores).astype(int)
    labels = [BINARY.classes[code] for code in truth]
    found = metrics(Sums.of(BINARY, labels, labels, np.column_stack([1 - scores, scores])))
    for name, compute, most in (
        ("roc_auc", sk.roc_auc_score, 0.005),
        ("average_precision", sk.average_precision_score, 0.015),
    ):
        assert found[name].bound < most
        assert abs(value(found[name]) - compute(truth, scores)) <= found[name].bound


@pytest.mark.parametrize(
    "layout", [NUMBERS, BINARY, Layout("categorical", ("a", "b", "c"), scored=True)]
)
@pytest.mark.parametrize("rows", [0, 1, 2])
def test_degenerate_rows_have_defined_answers(layout: Layout, rows: int) -> None:
    """No rows, one row, one class, constant labels: a value or a reason, never NaN, never an
    error.
    """
    if layout.kind == "numeric":
        sums = Sums.of(layout, np.zeros(rows), np.zeros(rows))
    else:
        labels = [layout.classes[0]] * rows
        sums = Sums.of(layout, labels, labels, np.eye(len(layout.classes))[[0] * rows])
    for name, metric in metrics(sums, 0.999999).items():
        assert metric.value is not None or metric.note, name
        assert (
            metric.value is not None
            or rows < 2
            or name in {"r2", "mape", "roc_auc", "average_precision"}
            or name in {"specificity:no", "specificity:a"}
        ), name
        for number in (metric.value, metric.low, metric.high):
            assert number is None or np.isfinite(number), name
        if metric.low is not None and metric.high is not None and metric.value is not None:
            assert metric.low <= metric.value <= metric.high


def test_the_largest_numbers_have_metrics() -> None:
    """Errors whose squares are no floats have finite metrics."""
    found = metrics(
        Sums.of(NUMBERS, np.array([1.7e308, -1e200, 3.0]), np.array([-1.7e308, 1e200, 5e-324]))
    )
    assert all(np.isfinite(metric.value) for metric in found.values() if metric.value is not None)
    assert value(found["rmse"]) > 1e307


INTERVALS = (
    "accuracy",
    "f1_macro",
    "f1_weighted",
    "precision_macro",
    "recall_macro",
    "f1:yes",
    "specificity:yes",
    "lift:yes",
    "log_loss",
    "brier",
    "roc_auc",
    "average_precision",
)


@pytest.mark.long
def test_intervals_hold_the_truth() -> None:
    """About 95 % of the intervals of samples hold the metric of the population, for classes and for
    numbers.
    """
    rng = np.random.default_rng(3)
    scores = rng.beta(1.2, 3, 200_000)
    truth = rng.random(200_000) < scores
    given_ = np.column_stack([1 - scores, scores])
    hits = dict.fromkeys((*INTERVALS, "mae", "rmse", "mean_error"), 0)
    true = _population(truth, given_) | _numbers(scores)
    samples = 200
    for _ in range(samples):
        chosen = rng.integers(0, 200_000, 400)
        found = metrics(_binary(truth[chosen], given_[chosen]))
        found |= metrics(Sums.of(NUMBERS, scores[chosen], scores[chosen] + ERRORS[chosen]))
        for name in hits:
            low, high = found[name].low, found[name].high
            assert low is not None
            assert high is not None
            hits[name] += low <= true[name] <= high
    for name, count in hits.items():
        assert 0.9 <= count / samples <= 0.995, (name, count / samples)


ERRORS = np.random.default_rng(4).laplace(size=200_000)


def _binary(truth: Any, given_: Any) -> Sums:
    names = np.array(BINARY.classes)
    return Sums.of(
        BINARY,
        names[(given_[:, 1] > 0.5).astype(int)].tolist(),
        names[truth.astype(int)].tolist(),
        given_,
    )


def _population(truth: Any, given_: Any) -> dict[str, float]:
    return {
        name: value(metric)
        for name, metric in metrics(_binary(truth, given_)).items()
        if name in INTERVALS
    }


def _numbers(scores: Any) -> dict[str, float]:
    found = metrics(Sums.of(NUMBERS, scores, scores + ERRORS))
    return {name: value(found[name]) for name in ("mae", "rmse", "mean_error")}


def test_wilson_is_the_published_interval() -> None:
    """Wilson's interval of 8 in 10 is the published one, and it is one of a share at its ends."""
    low, high = Confidence(0.95).wilson(8, 10)
    assert (low, high) == pytest.approx((0.4901625, 0.9433178), abs=1e-6)
    assert Confidence(0.95).wilson(0, 10)[0] == 0
    assert Confidence(0.95).wilson(10, 10)[1] == 1
