"""The metrics that a version's checks can bound, by scikit-learn.

Pure. Names: r2, rmse, mae, wape for numbers; for classes accuracy, balanced_accuracy, log_loss,
roc_auc (of several classes the mean over one against the rest), and f1, precision, recall: the mean
over the classes, `f1_weighted` by their frequency, `f1:LABEL` of one class.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.profile import Column

NUMERIC: Final = ("r2", "rmse", "mae", "wape")
CATEGORICAL: Final = ("accuracy", "balanced_accuracy", "roc_auc", "log_loss")
_OF_CLASSES: Final = re.compile(r"(f1|precision|recall)(?:_(macro|weighted)|:(.+))?")
_SMALLER_IS_BETTER: Final = {"rmse", "mae", "wape", "log_loss"}


@dataclass(frozen=True)
class Outcomes:
    """True values and predictions of the same rows.

    Parameters
    ----------
    truth, predictions
        Arrays of numbers, or lists of labels.
    probabilities
        Shape (rows, classes), None without.
    classes
        Labels of the probabilities' columns.
    """

    truth: Column
    predictions: Column
    probabilities: NDArray[np.float64] | None = None
    classes: tuple[str, ...] = ()

    @property
    def numeric(self) -> bool:
        return not isinstance(self.truth, list)


def unknown_metrics(names: tuple[str, ...], *, numeric: bool) -> list[str]:
    """Give the names that are no metric of numbers, or of classes."""
    known = NUMERIC if numeric else CATEGORICAL
    return [
        name for name in names if name not in known and (numeric or not _OF_CLASSES.fullmatch(name))
    ]


def usual_metrics(*, numeric: bool) -> tuple[str, ...]:
    """Give the metrics by which versions are compared if their checks name none."""
    return ("rmse", "r2") if numeric else ("accuracy", "f1_weighted")


def larger_is_better(name: str) -> bool:
    return name not in _SMALLER_IS_BETTER


def score(name: str, outcomes: Outcomes) -> float:
    """Compute a metric.

    Raises
    ------
    BadData
        If there is no such metric of these values, or it is not defined for them.

    Examples
    --------
    >>> outcomes = Outcomes(["a", "b", "b", "b"], ["a", "b", "b", "a"])
    >>> score("accuracy", outcomes), score("f1:b", outcomes)
    (0.75, 0.8)
    """
    if unknown_metrics((name,), numeric=outcomes.numeric):
        what, known = (
            ("numbers", NUMERIC)
            if outcomes.numeric
            else ("classes", (*CATEGORICAL, "f1", "precision", "recall"))
        )
        raise BadData(f"there is no metric {name!r} of {what}; there are {', '.join(known)}")
    value = _of_numbers(name, outcomes) if outcomes.numeric else _of_classes(name, outcomes)
    if not np.isfinite(value):
        raise BadData("it is not defined for these rows")
    return value


def _of_numbers(name: str, outcomes: Outcomes) -> float:
    from sklearn import metrics

    truth, predictions = np.asarray(outcomes.truth), np.asarray(outcomes.predictions)
    if name == "wape":
        total = float(np.abs(truth).sum())
        return float(np.abs(truth - predictions).sum()) / total if total else np.nan
    if name == "r2":
        return float(metrics.r2_score(truth, predictions)) if len(truth) > 1 else np.nan
    compute = metrics.root_mean_squared_error if name == "rmse" else metrics.mean_absolute_error
    return float(compute(truth, predictions))


def _of_classes(name: str, outcomes: Outcomes) -> float:
    from sklearn import metrics

    truth, predictions = outcomes.truth, outcomes.predictions
    if name in {"roc_auc", "log_loss"}:
        return _of_probabilities(name, outcomes)
    if name == "accuracy":
        return float(metrics.accuracy_score(truth, predictions))
    if name == "balanced_accuracy":
        return float(
            metrics.recall_score(
                truth, predictions, labels=sorted(set(truth)), average="macro", zero_division=0
            )
        )
    return _averaged(name, truth, predictions)


def _averaged(name: str, truth: Column, predictions: Column) -> float:
    from sklearn import metrics

    found = _OF_CLASSES.fullmatch(name)
    assert found is not None  # noqa: S101  its caller has looked
    kind, average, label = found.groups()
    compute = {
        "f1": metrics.f1_score,
        "precision": metrics.precision_score,
        "recall": metrics.recall_score,
    }[kind]
    if label is not None and label not in {*truth, *predictions}:
        raise BadData(f"no row is or is predicted {label!r}")
    labels: Any = None if label is None else [label]
    return float(
        compute(truth, predictions, labels=labels, average=average or "macro", zero_division=0)
    )


def _of_probabilities(name: str, outcomes: Outcomes) -> float:
    from sklearn import metrics

    given, classes = outcomes.probabilities, outcomes.classes
    if given is None:
        raise BadData("it needs probabilities, which the model does not give")
    absent = sorted(set(outcomes.truth) - set(classes))
    if absent:
        raise BadData(f"the model does not know these classes of the rows: {', '.join(absent)}")
    codes = np.array([classes.index(label) for label in outcomes.truth])
    if name == "log_loss":
        return float(metrics.log_loss(codes, given, labels=range(len(classes))))
    single = [
        label
        for code, label in enumerate(classes)
        if (codes == code).all() or not (codes == code).any()
    ]
    if single:
        raise BadData(
            f"it needs rows within and beyond every class, which these do not have: "
            f"{', '.join(single)}"
        )
    ranked = range(1, 2) if len(classes) == 2 else range(len(classes))
    return float(np.mean([metrics.roc_auc_score(codes == code, given[:, code]) for code in ranked]))
