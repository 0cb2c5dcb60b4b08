"""The table of all metrics, and their computation from the sums of joined rows.

A new metric is a function of sums, in the file of its kind, and a row here.
"""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Final, Literal

from driftgauge.shared.performance.classification import (
    F1,
    PRECISION,
    RECALL,
    Compute,
    ComputeEach,
    accuracy,
    averaged,
    f1_of_each,
    lift_of_each,
    precision_of_each,
    recall_of_each,
    specificity_of_each,
)
from driftgauge.shared.performance.layout import Layout
from driftgauge.shared.performance.metric import Confidence, Metric
from driftgauge.shared.performance.probabilities import (
    average_precision,
    brier,
    ece,
    log_loss,
    roc_auc,
)
from driftgauge.shared.performance.regression import mae, mape, mean_error, r2, rmse
from driftgauge.shared.performance.sums import Sums
from driftgauge.shared.performance.value import PREDICTIONS, VALUE, Worth, value

Better = Literal["larger", "smaller", "neither"]
Basis = Literal["numbers", "classes", "probabilities", "score"]
"""Output that a model must publish for the metric: numbers, classes, a probability of each class,
or of exactly two classes.
"""


@dataclass(frozen=True, slots=True)
class Definition:
    """The definition of a metric.

    Parameters
    ----------
    name
        Name in snapshots, manifests and alerts. `NAME:LABEL` is that of one class.
    title
        Name that people read.
    better
        Direction in which the metric is better.
    compute
        Computes it from sums; None if it exists only by class, on the rows of a validation, or by
        what a policy states.
    each
        Computes it for each class that there is; None if it is none of a class.
    in_gates
        Whether a gate before production can bound it.
    in_units
        Whether its values have the unit of the labels.
    """

    name: str
    title: str
    better: Better
    basis: Basis
    compute: Compute | None
    each: ComputeEach | None = None
    in_gates: bool = False
    in_units: bool = False


TABLE: Final = (
    Definition("mae", "MAE", "smaller", "numbers", mae, in_gates=True, in_units=True),
    Definition("rmse", "RMSE", "smaller", "numbers", rmse, in_gates=True, in_units=True),
    Definition("r2", "R²", "larger", "numbers", r2, in_gates=True),
    Definition("mean_error", "mean error", "neither", "numbers", mean_error, in_units=True),
    Definition("mape", "MAPE", "smaller", "numbers", mape),
    Definition("wape", "WAPE", "smaller", "numbers", None, in_gates=True),
    Definition("accuracy", "accuracy", "larger", "classes", accuracy, in_gates=True),
    *(
        Definition(
            f"{name}_{average}",
            f"{average} {title}",
            "larger",
            "classes",
            averaged(ratio, average),
            in_gates=True,
        )
        for name, title, ratio in (
            ("f1", "F1", F1),
            ("precision", "precision", PRECISION),
            ("recall", "recall", RECALL),
        )
        for average in ("macro", "weighted")
    ),
    Definition(
        "balanced_accuracy",
        "balanced accuracy",
        "larger",
        "classes",
        averaged(RECALL, "labelled"),
        in_gates=True,
    ),
    Definition("f1", "F1", "larger", "classes", None, f1_of_each, in_gates=True),
    Definition(
        "precision", "precision", "larger", "classes", None, precision_of_each, in_gates=True
    ),
    Definition("recall", "recall", "larger", "classes", None, recall_of_each, in_gates=True),
    Definition(
        "specificity", "specificity", "larger", "classes", None, specificity_of_each, in_gates=True
    ),
    Definition("lift", "lift", "larger", "classes", None, lift_of_each, in_gates=True),
    Definition("log_loss", "log loss", "smaller", "probabilities", log_loss, in_gates=True),
    Definition("brier", "Brier score", "smaller", "probabilities", brier),
    Definition("roc_auc", "ROC AUC", "larger", "score", roc_auc, in_gates=True),
    Definition(
        "average_precision",
        "average precision",
        "larger",
        "score",
        average_precision,
        in_gates=True,
    ),
    Definition("ece", "calibration error", "smaller", "score", ece),
    Definition(VALUE, f"value per {PREDICTIONS:,} predictions", "larger", "classes", None),
)
METRICS: Final = {metric.name: metric for metric in TABLE}
LOSSES: Final = frozenset(metric.name for metric in TABLE if metric.better == "smaller")
"""The metrics of which a smaller value is better."""


def definition(name: str) -> Definition | None:
    """Return the definition of a metric; None if there is none of this name.

    Examples
    --------
    >>> definition("f1_macro").title, definition("f1:late").title, definition("mae:late")
    ('macro F1', 'F1', None)
    """
    family, of_class, _ = name.partition(":")
    found = METRICS.get(family)
    return None if found is None or (of_class and found.each is None) else found


def unit_of(name: str, of_labels: str, worth: Worth | None = None) -> str:
    """Return the unit of a metric; empty if it has none.

    Parameters
    ----------
    of_labels
        Unit of the labels.
    worth
        What predictions are worth, if a policy states it.

    Examples
    --------
    >>> unit_of("mae", "kWh"), unit_of("r2", "kWh")
    ('kWh', '')
    """
    if name == VALUE and worth is not None:
        return worth.unit
    known = definition(name)
    return of_labels if known is not None and known.in_units else ""


def metrics(
    sums: Sums,
    confidence: float = 0.95,
    names: Collection[str] = METRICS,
    worth: Worth | None = None,
) -> dict[str, Metric]:
    """Compute the metrics of joined rows, by name; those of a class by `NAME:LABEL`.

    Parameters
    ----------
    sums
        Sums of a window's rows, or of those of a validation.
    confidence
        Share of the intervals that hold the true value, between 0 and 1.
    names
        Names in the table; those that the model does not have are left out.
    worth
        What predictions are worth; without it `value` is left out.

    Examples
    --------
    >>> metrics(Sums.zero(Layout("numeric")), names=["mae"])["mae"].note
    'no rows'
    """
    sure, published = Confidence(confidence), _published(sums.layout)
    wanted = [each for each in TABLE if each.basis in published and each.name in names]
    found: dict[str, Metric] = {}
    for _, group in groupby(wanted, attrgetter("basis")):
        rows = list(group)
        found |= {each.name: each.compute(sums, sure) for each in rows if each.compute is not None}
        by_class = {each.name: each.each(sums, sure) for each in rows if each.each is not None}
        for label in next(iter(by_class.values()), ()):
            found |= {f"{name}:{label}": of[label] for name, of in by_class.items()}
    if worth is not None and VALUE in names:
        found[VALUE] = value(sums, worth, sure)
    return found


def _published(layout: Layout) -> set[Basis]:
    if layout.kind == "numeric":
        return {"numbers"}
    found: set[Basis] = {"classes"}
    if layout.scored:
        found.add("probabilities")
    if layout.binary:
        found.add("score")
    return found
