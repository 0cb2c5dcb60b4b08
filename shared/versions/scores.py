"""The metrics of a validation's rows: those that a version's gates can bound.

They are the metrics of a window's joined rows (shared/performance), computed from sums of the same
kind, so that a gate and an alert mean the same by a name. `wape`, and ROC AUC and average precision
of more than two classes, exist only here, since sums over panes do not contain them. Pure.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Final

import numpy as np

from driftgauge.shared.arrays import Flags, Floats
from driftgauge.shared.errors import BadData
from driftgauge.shared.performance import (
    LOSSES,
    METRICS,
    Confidence,
    Layout,
    Metric,
    Sums,
    definition,
    metrics,
)
from driftgauge.shared.performance.probabilities import area_under_roc, mean_precision
from driftgauge.shared.reference.profile import Column

Curve = Callable[[Floats, Floats, Confidence], Metric]
"""Computes the area under a curve from the histograms of the score of two classes."""


@dataclass(frozen=True)
class Outcomes:
    """True values and predictions of the same rows.

    Parameters
    ----------
    truth, predictions
        Arrays of finite numbers, or lists of labels.
    probabilities
        Shape (rows, classes), None without.
    classes
        Labels of the probabilities' columns.
    """

    truth: Column
    predictions: Column
    probabilities: Floats | None = None
    classes: tuple[str, ...] = ()

    @property
    def numeric(self) -> bool:
        return not isinstance(self.truth, list)

    @cached_property
    def sums(self) -> Sums:
        """Sums of the rows, in which every label that there is is a class."""
        if self.numeric:
            return Sums.of(Layout("numeric"), self.predictions, self.truth)
        labels = tuple(sorted({*self.truth, *self.predictions}))
        return Sums.of(Layout("categorical", labels), self.predictions, self.truth)

    @cached_property
    def scored(self) -> Floats:
        """The probabilities, each between 0 and 1, of classes that hold every true label.

        Raises
        ------
        BadData
            If they are not.
        """
        given = self.probabilities
        if given is None:
            raise BadData("it needs probabilities, which the model does not give")
        absent = sorted(set(self.truth) - set(self.classes))
        if absent:
            raise BadData(f"the model does not know these classes of the rows: {', '.join(absent)}")
        if not ((given >= 0) & (given <= 1)).all():
            raise BadData("the model gives probabilities that are not between 0 and 1")
        return given


def unknown_metrics(names: tuple[str, ...], *, numeric: bool) -> list[str]:
    """Return the names that are no metric of numbers, or of classes, that a gate can bound."""
    return [name for name in names if not _is_known(name, numeric=numeric)]


def usual_metrics(*, numeric: bool) -> tuple[str, ...]:
    """Return the metrics by which versions are compared if their gates name none."""
    return ("rmse", "r2") if numeric else ("accuracy", "f1_weighted")


def larger_is_better(name: str) -> bool:
    return name not in LOSSES


def score(name: str, outcomes: Outcomes) -> float:
    """Compute a metric.

    Parameters
    ----------
    name
        Name in the table of shared/performance/metrics.py; `f1`, `precision` and `recall` are means
        over the classes, with `:LABEL` they are those of one class. `specificity` and `lift` have
        no mean.

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
    if not _is_known(name, numeric=outcomes.numeric):
        known = ", ".join(_known(numeric=outcomes.numeric))
        what = "numbers" if outcomes.numeric else "classes"
        raise BadData(f"there is no metric {name!r} of {what}; there are {known}")
    family, colon, label = name.partition(":")
    if colon:
        return _of_class(family, label, outcomes)
    if name in _ON_ROWS:
        return _ON_ROWS[name](outcomes)
    return _value(f"{name}_macro" if METRICS[name].compute is None else name, outcomes.sums)


def _is_known(name: str, *, numeric: bool) -> bool:
    """Tell whether a gate can bound a metric of numbers, or of classes."""
    metric = definition(name)
    fits = metric is not None and metric.in_gates and (metric.basis == "numbers") == numeric
    return fits and (":" in name or not _of_one_class(name))


def _of_one_class(family: str) -> bool:
    """Tell whether a metric exists by class only, without a mean over the classes."""
    return METRICS[family].each is not None and f"{family}_macro" not in METRICS


def _known(*, numeric: bool) -> list[str]:
    names = [f"{each}:LABEL" if _of_one_class(each) else each for each in METRICS]
    return [name for name in names if _is_known(name, numeric=numeric)]


def _of_class(family: str, label: str, outcomes: Outcomes) -> float:
    """Compute a metric of one class; a ratio without rows counts 0, as in the averages."""
    metric = metrics(outcomes.sums, names=[family]).get(f"{family}:{label}")
    if metric is None:
        raise BadData(f"no row is or is predicted {label!r}")
    return metric.value or 0.0


def _wape(outcomes: Outcomes) -> float:
    """Compute the sum of absolute errors over that of absolute labels: two mean errors, of which
    the second is that of a model that always says 0.
    """
    zeros = Sums.of(Layout("numeric"), np.zeros(len(outcomes.truth)), outcomes.truth)
    whole = _value("mae", zeros)
    if not whole:
        raise BadData("it is not defined for these rows: every label is 0")
    return _value("mae", outcomes.sums) / whole


def _log_loss(outcomes: Outcomes) -> float:
    layout, given = Layout("categorical", outcomes.classes, scored=True), outcomes.scored
    return _value("log_loss", Sums.of(layout, outcomes.predictions, outcomes.truth, given))


def _by_score(curve: Curve, outcomes: Outcomes) -> float:
    """Compute the mean area under a curve of each class against the rest; of two classes, that of
    the second.
    """
    columns = dict(zip(outcomes.classes, outcomes.scored.T, strict=True))
    ranked = outcomes.classes[1:] if len(outcomes.classes) == 2 else outcomes.classes
    areas = {
        name: _area(curve, np.array([label == name for label in outcomes.truth]), columns[name])
        for name in ranked
    }
    single = [label for label, found in areas.items() if found is None]
    if single:
        raise BadData(
            f"it needs rows within and beyond every class, which these do not have: "
            f"{', '.join(single)}"
        )
    return float(np.mean(list(areas.values())))


def _area(curve: Curve, positive: Flags, scores: Floats) -> float | None:
    """Compute the area exactly, with a bin for each score that there is."""
    values, bins = np.unique(scores, return_inverse=True)
    positives = np.bincount(bins[positive], minlength=len(values)).astype(float)
    negatives = np.bincount(bins[~positive], minlength=len(values)).astype(float)
    return curve(positives, negatives, Confidence()).value


def _value(name: str, sums: Sums) -> float:
    metric = metrics(sums, names=[name])[name]
    if metric.value is None:
        raise BadData(f"it is not defined for these rows: {metric.note}")
    return metric.value


_ON_ROWS: Final[Mapping[str, Callable[[Outcomes], float]]] = {
    "wape": _wape,
    "log_loss": _log_loss,
    "roc_auc": partial(_by_score, area_under_roc),
    "average_precision": partial(_by_score, mean_precision),
}
"""Metrics that need more than the sums of `Outcomes`."""
