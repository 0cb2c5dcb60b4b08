"""The kinds of drift: how each perturbs rows, and which alerts a monitor has to raise for it.

What the intensity, from 0 to 1, measures depends on the kind:

- `feature_shift`: the shift of a numeric feature, in its standard deviations;
- `missing_values`, `new_category`: the share of a feature's values;
- `label_imbalance`: the share of rows that are replaced by rows of one class, or of large values;
- `concept`: the share of rows whose label follows another law, those where a feature is largest;
- `combined`: a shift, missing values of another feature, and a concept, each of this intensity.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from driftgauge.models.common.perturbations import (
    ConceptChange,
    Missing,
    NewCategory,
    Perturbation,
    PriorShift,
    Shift,
    next_class,
    scaled,
)
from driftgauge.models.common.simulation import Labelled
from driftgauge.models.drift.plan import DriftKind
from driftgauge.shared.errors import BadData
from driftgauge.shared.performance import LABEL
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.rules import rule_of
from driftgauge.shared.rules.base import Kind

CATEGORY: Final = "driftgauge-simulated"
"""The category that `new_category` injects."""
FACTOR: Final = 1.5
"""Factor by which `concept` multiplies the labels of a regression."""
TOP: Final = 0.75
"""Quantile of a regression's labels above which `label_imbalance` makes rows more frequent."""
MIN_POOL: Final = 20
"""Rows that a class must have in the sample for `label_imbalance` to make it more frequent."""


@dataclass(frozen=True)
class Expectation:
    """An alert that a monitor has to raise for an injection.

    Parameters
    ----------
    name
        Expected alert in words, for the report.
    feature
        The feature that the alert must name; None accepts any.
    kind
        The kind of rule that the alert must be of; None accepts any.
    segment
        The segment that the alert must name, such as `region=north`. Feature and rule do not
        matter then, because one alert speaks for all columns of a segment.
    """

    name: str
    feature: str | None = None
    kind: Kind | None = None
    segment: str = ""

    def is_met_by(self, feature: str, rule: str, segment: str = "") -> bool:
        """Return whether an alert of this feature, rule and segment is the expected one.

        Examples
        --------
        >>> Expectation("x drifts", feature="x").is_met_by("x", "psi")
        True
        >>> Expectation("performance falls", kind="performance").is_met_by("x", "psi")
        False
        """
        if self.segment:
            return segment == self.segment
        return self.feature in {None, feature} and self.kind in {None, rule_of(rule).kind}


@dataclass(frozen=True)
class Injection:
    """A drift that is ready to be injected into rows.

    Parameters
    ----------
    description
        Description of the drift in words.
    features
        Names of the features whose values drift.
    expected
        Alerts that the monitor has to raise.
    perturbations
        Returns the perturbations of a strength from 0 to 1, where 1 is the full size.
    """

    description: str
    features: tuple[str, ...]
    expected: tuple[Expectation, ...]
    perturbations: Callable[[float], list[Perturbation]]


@dataclass(frozen=True)
class InjectionTarget:
    """The model that a drift is injected into, and rows of it without drift.

    Parameters
    ----------
    schema
        Schema of the model.
    sample
        Rows without drift; sizes such as a standard deviation are measured on them.
    preferred
        The feature that drifts if the kind of drift suits it.
    chosen
        The feature that the user named, or None.
    """

    schema: Schema
    sample: Labelled
    preferred: str
    chosen: str | None = None

    def feature(self, suits: Callable[[Feature], bool], what: str) -> str:
        """Choose the feature that drifts: the chosen one, the preferred one, or the first to suit.

        Parameters
        ----------
        suits
            Returns whether a feature can drift so.
        what
            Why a feature may not suit, for the error.

        Raises
        ------
        BadData
            If the chosen feature does not suit, or no feature does.
        """
        offered = {one.name: one for one in self.schema.stream.features if not one.excluded}
        if self.chosen is not None and self.chosen not in offered:
            raise BadData(
                f"{self.chosen!r} is no feature that is watched; there are {', '.join(offered)}."
            )
        wanted = [self.chosen] if self.chosen is not None else [self.preferred, *offered]
        for name in wanted:
            if name in offered and suits(offered[name]):
                return name
        raise BadData(
            f"{'It' if self.chosen is None else repr(self.chosen)} cannot be simulated: {what}."
        )

    @property
    def has_labels(self) -> bool:
        """True if the rows have true values; rows drawn from a reference profile have none."""
        return not any(label is None for label in self.sample.labels[:1])


def injection(kind: DriftKind, target: InjectionTarget, intensity: float) -> Injection:
    """Make a drift of a kind for a model.

    Parameters
    ----------
    intensity
        Size of the drift, above 0 and at most 1; its meaning stands at the top of this file.

    Raises
    ------
    BadData
        If the model has no feature that can drift so, or the kind needs labels and there are none.
    """
    return _MAKERS[kind](target, intensity)


def _feature_shift(target: InjectionTarget, intensity: float) -> Injection:
    name = target.feature(
        lambda one: one.kind == "numeric", "only a number can be off by an amount"
    )
    feature = next(one for one in target.schema.features if one.name == name)
    scale = float(np.nanstd(target.sample.features[name].to_numpy(dtype=np.float64)))
    low = -np.inf if feature.minimum is None else feature.minimum
    high = np.inf if feature.maximum is None else feature.maximum
    return Injection(
        f"{name} is off by {intensity:g} standard deviations ({intensity * scale:.4g})",
        (name,),
        (Expectation(f"{name} drifts", name),),
        lambda strength: [Shift(name, intensity * strength, scale, low, high)],
    )


def _missing_values(target: InjectionTarget, intensity: float) -> Injection:
    name = target.feature(
        lambda one: one.nullable,
        "the schema lets no feature be missing, so the API refuses such requests",
    )
    return Injection(
        f"{intensity:.0%} of the values of {name} are missing",
        (name,),
        (Expectation(f"{name} is missing", name),),
        lambda strength: [Missing(name, intensity * strength)],
    )


def _new_category(target: InjectionTarget, intensity: float) -> Injection:
    name = target.feature(
        lambda one: one.kind == "categorical" and one.categories is None and one.pii != "hash",
        "every categorical feature declares its categories (or there is none), so the API refuses "
        "new ones",
    )
    return Injection(
        f"{intensity:.0%} of the values of {name} are {CATEGORY!r}, a category that the reference "
        f"does not have",
        (name,),
        (Expectation(f"{name} has unseen values", name),),
        lambda strength: [NewCategory(name, CATEGORY, intensity * strength)],
    )


def _label_imbalance(target: InjectionTarget, intensity: float) -> Injection:
    _require_labels(target)
    labels = target.sample.labels
    expected = Expectation("the labels drift", LABEL)
    if target.schema.prediction == "numeric":
        # numeric labels are often ordered in time, and then their drift raises no alert of its own
        expected = Expectation("any alert")
        bound = float(np.quantile(labels.astype(np.float64), TOP))
        members, which = labels.astype(np.float64) > bound, f"have a true value above {bound:.4g}"
    else:
        values, counts = np.unique(labels.astype(str), return_counts=True)
        rare = values[counts >= MIN_POOL][np.argmin(counts[counts >= MIN_POOL])]
        members, which = labels == rare, f"are of the class {rare}"
    pool = Labelled(target.sample.features[members], labels[members])
    return Injection(
        f"{intensity:.0%} of the rows are replaced by rows that {which}",
        (),
        (expected,),
        lambda strength: [PriorShift(intensity * strength, pool)],
    )


def _concept(target: InjectionTarget, intensity: float) -> Injection:
    _require_labels(target)
    name = target.feature(
        lambda one: one.kind == "numeric", "the concept changes where a number is large"
    )
    values = target.sample.features[name].to_numpy(dtype=np.float64)
    classes = target.schema.classes or tuple(sorted({str(label) for label in target.sample.labels}))
    numeric = target.schema.prediction == "numeric"
    relabel = scaled(FACTOR) if numeric else next_class(classes)
    after = f"{FACTOR:g} times as large" if numeric else "the next class"
    bound = float(np.nanquantile(values, 1 - intensity))
    return Injection(
        f"where {name} is above {bound:.4g} ({intensity:.0%} of the rows) the true value is "
        f"{after}; no feature changes",
        (),
        (Expectation("the performance falls", kind="performance"),),
        lambda strength: [
            ConceptChange(name, float(np.nanquantile(values, 1 - intensity * strength)), relabel)
        ],
    )


def _combined(target: InjectionTarget, intensity: float) -> Injection:
    parts = [_feature_shift(target, intensity)]
    shifted = parts[0].features[0]
    others = [
        one
        for one in target.schema.stream.features
        if one.nullable and not one.excluded and one.name != shifted
    ]
    if others:
        parts.append(
            _missing_values(
                InjectionTarget(target.schema, target.sample, others[0].name), intensity
            )
        )
    if target.has_labels:  # first, because labels follow from the features before their shift
        parts.insert(0, _concept(target, intensity))
    return Injection(
        "; ".join(part.description for part in parts).replace("; no feature changes", ""),
        tuple(name for part in parts for name in part.features),
        tuple(expected for part in parts for expected in part.expected),
        lambda strength: [
            perturbation for part in parts for perturbation in part.perturbations(strength)
        ],
    )


def _require_labels(target: InjectionTarget) -> None:
    if not target.has_labels:
        raise BadData(
            "Rows that are drawn from a reference have no true values; this drift needs a model "
            "with a simulator."
        )


_MAKERS: Final[dict[DriftKind, Callable[[InjectionTarget, float], Injection]]] = {
    "feature_shift": _feature_shift,
    "missing_values": _missing_values,
    "label_imbalance": _label_imbalance,
    "concept": _concept,
    "new_category": _new_category,
    "combined": _combined,
}
