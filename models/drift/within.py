"""Drift within one segment, such as `region=north`: the rows of other segments stay as they are.

The monitor has to raise an alert that names the segment.
"""

from dataclasses import dataclass, replace
from typing import Final

import msgspec
import numpy as np
import pandas as pd

from driftgauge.models.common.perturbations import Perturbation
from driftgauge.models.common.simulation import Labelled
from driftgauge.models.drift.injection import Injection, InjectionTarget, injection
from driftgauge.models.drift.plan import DriftKind
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.frames import as_column
from driftgauge.shared.reference.schema import Schema

MIN_ROWS: Final = 100
"""Least rows of a segment in the drift-free sample; the size of a drift is measured on them."""


@dataclass(frozen=True)
class Segment:
    """The rows in which a categorical feature has one value.

    Examples
    --------
    >>> str(Segment("region", "north"))
    'region=north'
    """

    feature: str
    value: str

    def __str__(self) -> str:
        return f"{self.feature}={self.value}"

    def rows(self, rows: Labelled) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
        """Return for each row whether it belongs to the segment, shape (rows,)."""
        return np.array(
            [
                value == self.value
                for value in as_column(
                    rows.features[self.feature], Feature(self.feature, "categorical")
                )
            ]
        )


@dataclass(frozen=True)
class WithinSegment:
    """A perturbation that applies to the rows of one segment only."""

    segment: Segment
    perturbation: Perturbation

    def __call__(self, rows: Labelled, random: np.random.Generator) -> Labelled:
        own = self.segment.rows(rows)
        if not own.any():
            return rows
        features, labels = rows.features.reset_index(drop=True), rows.labels.copy()
        changed = self.perturbation(Labelled(features[own], labels[own]), random)
        labels[own] = changed.labels
        part = changed.features.set_axis(np.flatnonzero(own))
        return Labelled(pd.concat([features[~own], part]).sort_index(), labels)


def injection_within(
    text: str, kind: DriftKind, target: InjectionTarget, intensity: float
) -> Injection:
    """Make a drift of one segment.

    Parameters
    ----------
    text
        The segment, such as `region=north`.
    target
        The model with rows of all segments; sizes are measured on the segment's rows among them.
    intensity
        Size of the drift, as for `injection`.

    Raises
    ------
    BadData
        If the schema names no such segment, the sample has too few rows of it, or the model cannot
        drift so.
    """
    segment = _segment(text, target)
    if kind == "label_imbalance":
        raise BadData(
            "label_imbalance replaces rows by those of other segments too; choose another drift "
            "for a segment."
        )
    own = segment.rows(target.sample)
    if own.sum() < MIN_ROWS:
        raise BadData(
            f"{own.sum()} of {len(own):,} simulated rows are of {segment}, too few to drift; give "
            f"another value."
        )
    sample = Labelled(target.sample.features[own], target.sample.labels[own])
    found = injection(
        kind,
        replace(target, sample=sample, schema=_without(target.schema, segment.feature)),
        intensity,
    )
    return Injection(
        f"only where {segment.feature} is {segment.value}: {found.description}",
        found.features,
        tuple(
            replace(one, name=f"{one.name}, in {segment}", segment=str(segment))
            for one in found.expected
        ),
        lambda strength: [
            WithinSegment(segment, perturbation) for perturbation in found.perturbations(strength)
        ],
    )


def _segment(text: str, target: InjectionTarget) -> Segment:
    """Parse `FEATURE=VALUE`; the schema must name the feature as one of its segments."""
    feature, equals, value = text.partition("=")
    if feature not in target.schema.segments or not equals:
        known = ", ".join(target.schema.segments) or "none"
        raise BadData(
            f"{text!r} is no segment: write FEATURE=VALUE; features that this model has segments "
            f"of: {known}."
        )
    return Segment(feature, value)


def _without(schema: Schema, feature: str) -> Schema:
    """Exclude the segment's feature from drift: a row with another value leaves the segment."""
    features = tuple(
        msgspec.structs.replace(one, excluded="the segment") if one.name == feature else one
        for one in schema.features
    )
    return msgspec.structs.replace(schema, features=features)
