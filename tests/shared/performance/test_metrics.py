"""The table of metrics is the one place where a metric's facts stand."""

import numpy as np
import pytest

from driftgauge.shared.performance import (
    LOSSES,
    METRICS,
    Layout,
    Measures,
    Sums,
    by_segment,
    definition,
    metrics,
)

LAYOUTS = (
    Layout("numeric"),
    Layout("categorical", ("a", "b", "c")),
    Layout("categorical", ("a", "b"), scored=True),
    Layout("categorical", ("a", "b", "c"), scored=True),
)


def summed(layout: Layout) -> Sums:
    if layout.kind == "numeric":
        return Sums.of(layout, np.array([1.0, 3.0]), np.array([1.0, 2.0]))
    labels = list(layout.classes)
    return Sums.of(layout, labels, labels, np.eye(len(labels)))


def test_every_computed_metric_is_defined_and_every_defined_one_is_computed() -> None:
    """What is computed of some model stands in the table, and nothing else stands there but WAPE,
    which needs the rows of a validation, and the value, which needs what a policy states.
    """
    names = {name for layout in LAYOUTS for name in metrics(summed(layout))}
    assert all(definition(name) is not None for name in names)
    assert {name.partition(":")[0] for name in names} == METRICS.keys() - {"wape", "value"}
    assert by_segment(Measures(LAYOUTS[0], 1.0), np.zeros(3, np.int64)).keys() <= METRICS.keys()
    assert by_segment(Measures(LAYOUTS[1], 1.0), np.zeros(14, np.int64)).keys() <= METRICS.keys()


def test_a_choice_of_metrics_is_computed_alone() -> None:
    """Asked for some metrics, those that the model has are computed, with the same values."""
    sums = summed(LAYOUTS[2])
    every = metrics(sums, 0.9)
    chosen = metrics(sums, 0.9, ["mae", "f1", "f1_macro", "roc_auc"])
    assert chosen == {name: every[name] for name in ("f1_macro", "f1:a", "f1:b", "roc_auc")}


@pytest.mark.parametrize(
    ("name", "better"),
    [("rmse", "smaller"), ("ece", "smaller"), ("r2", "larger"), ("mean_error", "neither")],
)
def test_directions(name: str, better: str) -> None:
    """Errors and losses are better when smaller, shares when larger; a bias has no direction."""
    assert METRICS[name].better == better
    assert (name in LOSSES) == (better == "smaller")
