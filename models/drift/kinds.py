"""What can change: each kind of drift as changes of rows, and what a monitor ought to say of it.

An intensity from 0 to 1 means, by kind: `feature_shift`, the shift in standard deviations of the
feature; `missing_values`, `new_category` and `label_imbalance`, the share of the rows; `concept`,
the share of the rows whose label follows another law, those where a feature is largest; `combined`
is a shift, missing values of another feature, and a concept at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np

from driftgauge.models.common.simulation import (
    ConceptChange,
    Labelled,
    Missing,
    NewCategory,
    Perturbation,
    next_class,
    scaled,
    shift,
)
from driftgauge.shared.contract.alerts import PERFORMANCE
from driftgauge.shared.errors import BadData
from driftgauge.shared.performance import LABEL
from driftgauge.shared.reference.schema import Feature, Schema

Kind = Literal[
    "feature_shift", "missing_values", "label_imbalance", "concept", "new_category", "combined"
]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
CATEGORY: Final = "driftgauge-simulated"
FACTOR: Final = 1.5
"""What a regression's labels are multiplied by where the concept changes."""
TOP: Final = 0.75
"""Quantile of a regression's labels above which a row counts as of the class that becomes more
frequent.
"""
MIN_POOL: Final = 20


@dataclass(frozen=True)
class Expectation:
    """An alert that has to come.

    Parameters
    ----------
    name
        Of what is expected, for the report.
    feature
        Of the alert; any if None.
    rule
        Prefix of the alert's rule.
    segment
        Of the alert, as `region=north`; then neither feature nor rule matters, since one alert
        speaks for a segment's columns, and one for its performance.
    """

    name: str
    feature: str | None = None
    rule: str = ""
    segment: str = ""

    def is_met_by(self, feature: str, rule: str, segment: str = "") -> bool:
        """Tell whether an alert is the one.

        Examples
        --------
        >>> Expectation("x drifts", "x").is_met_by("x", "psi"), Expectation("errors", None, "perf").is_met_by("x", "psi")
        (True, False)
        """
        if self.segment:
            return segment == self.segment
        return self.feature in {None, feature} and rule.startswith(self.rule)


@dataclass(frozen=True)
class Injection:
    """A drift of full size.

    Parameters
    ----------
    description
        What changes, in words.
    features
        Those whose values change.
    expected
        Alerts that have to come.
    perturbations
        Gives the changes at a strength from 0 to 1.
    """

    description: str
    features: tuple[str, ...]
    expected: tuple[Expectation, ...]
    perturbations: Callable[[float], list[Perturbation]]


@dataclass(frozen=True)
class InjectionTarget:
    """What a drift is made for.

    Parameters
    ----------
    schema
        Of the model.
    sample
        Rows without drift, to measure by.
    preferred
        The feature that changes where the kind allows it.
    chosen
        The feature that the user named; None leaves the choice to the kind.
    """

    schema: Schema
    sample: Labelled
    preferred: str
    chosen: str | None = None

    def feature(self, suits: Callable[[Feature], bool], what: str) -> str:
        """Choose a feature of the stream: the one that was named, the preferred one, or the first
        that suits.

        Raises
        ------
        BadData
            If the named one does not suit, or none does.
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
        """Whether the source knows the truth."""
        return not any(label is None for label in self.sample.labels[:1])


@dataclass(frozen=True)
class Shifted:
    """A feature is off by some standard deviations, within its declared range: beyond it the API
    refuses a request.
    """

    feature: str
    sd: float
    scale: float
    low: float
    high: float

    def __call__(self, rows: Labelled, random: np.random.Generator) -> Labelled:  # noqa: ARG002  every perturbation has it
        frame = shift(rows.features, self.feature, self.sd, self.scale)
        return rows._replace(
            features=frame.assign(**{self.feature: frame[self.feature].clip(self.low, self.high)})
        )


@dataclass(frozen=True)
class Replaced:
    """A share of the rows is replaced by rows of a pool: P(y) changes, P(x | y) does not."""

    share: float
    pool: Labelled

    def __call__(self, rows: Labelled, random: np.random.Generator) -> Labelled:
        drawn = random.random(len(rows.labels)) < self.share
        other = random.integers(len(self.pool.labels), size=int(drawn.sum()))
        features, labels = rows.features.reset_index(drop=True).copy(), rows.labels.copy()
        features.loc[drawn] = self.pool.features.iloc[other].to_numpy()
        labels[drawn] = self.pool.labels[other]
        return Labelled(features.astype(rows.features.dtypes.to_dict()), labels)


def injection(kind: Kind, target: InjectionTarget, intensity: float) -> Injection:
    """Make a drift.

    Parameters
    ----------
    intensity
        Above 0, at most 1.

    Raises
    ------
    BadData
        If the model has no feature, or no labels, for it.
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
        lambda strength: [Shifted(name, intensity * strength, scale, low, high)],
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
        expected = Expectation(
            "any alert"
        )  # numbers are often ordered in time, and then their labels are only shown
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
        lambda strength: [Replaced(intensity * strength, pool)],
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
        (Expectation("the performance falls", rule=PERFORMANCE),),
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
    if target.has_labels:  # first, since the concept is one of the features as they truly are
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


_MAKERS: Final[dict[Kind, Callable[[InjectionTarget, float], Injection]]] = {
    "feature_shift": _feature_shift,
    "missing_values": _missing_values,
    "label_imbalance": _label_imbalance,
    "concept": _concept,
    "new_category": _new_category,
    "combined": _combined,
}


def apply(
    perturbations: Sequence[Perturbation], rows: Labelled, random: np.random.Generator
) -> Labelled:
    """Apply changes one after the other."""
    for perturbation in perturbations:
        rows = perturbation(rows, random)
    return rows
