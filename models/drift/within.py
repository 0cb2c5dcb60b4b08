"""A drift within one segment: of all other rows nothing changes, and the alert has to say where it
is.
"""

from dataclasses import dataclass, replace
from typing import Final

import msgspec
import numpy as np
import pandas as pd

from driftgauge.models.common.simulation import Labelled, Perturbation
from driftgauge.models.drift.kinds import Injection, InjectionTarget, Kind, injection
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.frames import as_column
from driftgauge.shared.reference.schema import Schema

MIN_ROWS: Final = 100
"""Rows of a segment in the sample below which nothing can be measured by them."""


@dataclass(frozen=True)
class Segment:
    """The rows with one value of a feature.

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
        """Tell which rows are of it."""
        return np.array(
            [value == self.value for value in as_column(rows.features[self.feature], "categorical")]
        )


@dataclass(frozen=True)
class WithinSegment:
    """A change of a segment's rows."""

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


def injection_within(text: str, kind: Kind, target: InjectionTarget, intensity: float) -> Injection:
    """Make a drift of one segment.

    Parameters
    ----------
    text
        The segment, as `region=north`.
    target
        Of all rows; the drift is measured by those of the segment.

    Raises
    ------
    BadData
        If there is no such segment, or too few rows of it, or it cannot drift so.
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
    """Read a segment; it must be one that the model's schema names."""
    feature, equals, value = text.partition("=")
    if feature not in target.schema.segments or not equals:
        known = ", ".join(target.schema.segments) or "none"
        raise BadData(
            f"{text!r} is no segment: write FEATURE=VALUE; features that this model has segments "
            f"of: {known}."
        )
    return Segment(feature, value)


def _without(schema: Schema, feature: str) -> Schema:
    """Leave out a feature: rows whose value of it changes are of another segment then."""
    features = tuple(
        msgspec.structs.replace(one, excluded="the segment") if one.name == feature else one
        for one in schema.features
    )
    return msgspec.structs.replace(schema, features=features)
