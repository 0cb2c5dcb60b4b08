"""The losses of two versions are those of other libraries, and never farther apart than is said."""

import numpy as np
import pytest
from sklearn import metrics as sk

from driftgauge.shared.paired.losses import Answers, Pairs, losses_of, pairs_of
from driftgauge.shared.performance import Layout, Worth

CLASSES = ("high", "low", "mid")
LAYOUT = Layout("categorical", CLASSES, scored=True)
ROWS = 400
MATRIX = {
    label: {said: 10.0 if said == label else -3.0 * len(label) for said in CLASSES}
    for label in CLASSES
}


def drawn(seed: int) -> Answers:
    shares = np.random.default_rng(seed).dirichlet([1, 1, 1], ROWS)
    return Answers([CLASSES[place] for place in shares.argmax(axis=1)], shares)


def test_three_classes() -> None:
    """Brier score by its definition, wrong predictions and values, also of a label that is none of
    the classes: it has no value, and is far from all probabilities.
    """
    worth = Worth("EUR", MATRIX)
    labels = [*np.random.default_rng(0).choice(CLASSES, ROWS - 1).tolist(), "new"]
    sides = drawn(1), drawn(2)
    wanted = losses_of(LAYOUT, "", worth, scored=True)
    assert [loss.name for loss in wanted] == ["value", "error", "brier"]
    made = pairs_of(LAYOUT, wanted, worth, labels, *sides)
    for place, side in enumerate(sides):
        assert side.shares is not None
        brier, error, value = (
            (pairs.first, pairs.second)[place]
            for pairs in (made["brier"], made["error"], made["value"])
        )
        truth = (np.array(labels)[:, None] == np.array(CLASSES)).astype(float)
        assert brier == pytest.approx(((side.shares - truth) ** 2).sum(axis=1))
        assert error.mean() == pytest.approx(
            100 * (1 - sk.accuracy_score(labels, side.predictions))
        )
        known = [-1000 * MATRIX[one][said] for one, said in zip(labels[:-1], side.predictions)]  # noqa: B905  the last label is left out
        assert value[:-1] == pytest.approx(known)
        assert np.isnan(value[-1])


def test_losses_are_never_farther_apart_than_is_said() -> None:
    """Whatever the label is, and for one of the labels they are just so far apart."""
    worth = Worth("EUR", MATRIX)
    sides = drawn(1), drawn(2)
    wanted = losses_of(LAYOUT, "", worth, scored=True)
    made = [pairs_of(LAYOUT, wanted, worth, [label] * ROWS, *sides) for label in (*CLASSES, "new")]
    for loss in wanted:
        gains = np.array([np.nan_to_num(np.abs(one[loss.name].gains)) for one in made])
        assert gains.max(axis=0) == pytest.approx(made[0][loss.name].apart)


def test_numbers() -> None:
    """Absolute errors and their cost; both are at most as far apart as the predictions."""
    random = np.random.default_rng(4)
    labels, one, other = random.normal(0, 1, (3, ROWS))
    worth = Worth("EUR", cost_per_unit_of_error=0.25)
    layout = Layout("numeric")
    wanted = losses_of(layout, "kWh", worth, scored=False)
    made = pairs_of(layout, wanted, worth, labels, Answers(one), Answers(other))
    error, value = made["error"], made["value"]
    assert error.first.mean() == pytest.approx(sk.mean_absolute_error(labels, one))
    assert error.second.mean() == pytest.approx(sk.mean_absolute_error(labels, other))
    assert value.gains == pytest.approx(250 * error.gains)
    assert value.apart == pytest.approx(250 * np.abs(one - other))
    assert (np.abs(error.gains) <= error.apart + 1e-12).all()


def test_parts_make_a_whole() -> None:
    """Pairs that are put together and chosen from are those of the rows."""
    whole = Pairs(np.array([1.0, np.nan, 3.0]), np.array([2.0, 1.0, 0.5]), np.array([1.0, 2, 3]))
    parts = Pairs.together([whole[np.array([0])], whole[np.array([1, 2])]])
    assert parts.known().gains.tolist() == [-1.0, 2.5]
    assert parts.known().apart.tolist() == [1.0, 3.0]
