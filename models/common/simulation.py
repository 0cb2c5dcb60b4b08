"""What the demo models' simulators have in common: rows with labels, and the ways in which the
world can change.

Every simulator gives `Labelled` rows by its seed. A change takes such rows and gives what a broken
sensor, an upstream fault or another world would have given instead; `traffic` applies changes to a
simulator's rows and hands them out one by one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from driftgauge.shared.contract.events import Value
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.frames import json_values, rows_of
from driftgauge.shared.reference.schema import Schema

BATCH_ROWS = 500

Labels = NDArray[Any]
"""True values of rows: float64 for a regression, object (str) for classes."""


class Labelled(NamedTuple):
    """Engineered rows in stream order, and the true value of each."""

    features: pd.DataFrame
    labels: Labels


class Simulator(Protocol):
    """A source of rows of one law; each call continues the random sequence of its seed."""

    def labelled(self, n: int) -> Labelled:
        """Draw n exchangeable rows."""
        ...


class Perturbation(Protocol):
    """A change of the world, applied to rows that it leaves as they are."""

    def __call__(self, rows: Labelled, random: np.random.Generator) -> Labelled:
        """Give the rows as they would have come."""
        ...


@dataclass(frozen=True)
class Shift:
    """A feature is off by a fixed amount, in the feature's unit: a biased sensor."""

    feature: str
    by: float

    def __call__(self, rows: Labelled, random: np.random.Generator) -> Labelled:  # noqa: ARG002  every perturbation has it
        return rows._replace(features=shift(rows.features, self.feature, self.by, 1.0))


@dataclass(frozen=True)
class Missing:
    """A share of a feature's values is missing: a sensor or an upstream service that fails now and
    then.
    """

    feature: str
    share: float

    def __call__(self, rows: Labelled, random: np.random.Generator) -> Labelled:
        column = _column(rows.features, self.feature)
        return rows._replace(
            features=rows.features.assign(
                **{self.feature: column.mask(_drawn(rows, self.share, random))}
            )
        )


@dataclass(frozen=True)
class NewCategory:
    """A share of a categorical feature's values is a category that there was not before.

    A model whose schema declares the feature's categories refuses such rows; one that leaves them
    open counts them as unseen.
    """

    feature: str
    category: str
    share: float

    def __call__(self, rows: Labelled, random: np.random.Generator) -> Labelled:
        column = _column(rows.features, self.feature).astype(object)
        changed = column.mask(_drawn(rows, self.share, random), self.category)
        return rows._replace(features=rows.features.assign(**{self.feature: changed}))


@dataclass(frozen=True)
class FlipLabels:
    """A share of the labels is another class, drawn at random: the label's source became
    unreliable.
    """

    share: float
    classes: tuple[str, ...]

    def __call__(self, rows: Labelled, random: np.random.Generator) -> Labelled:
        codes = _codes(rows.labels, self.classes)
        other = random.integers(1, len(self.classes), size=len(codes))
        flipped = (codes + np.where(_drawn(rows, self.share, random), other, 0)) % len(self.classes)
        return rows._replace(labels=np.array(self.classes, dtype=object)[flipped])


@dataclass(frozen=True)
class ConceptChange:
    """Rows with a feature above a value have other labels than before, at the same features: P(y |
    x) changed.

    Parameters
    ----------
    relabel
        Gives the new labels of those rows, from the old ones: `scaled` for numbers, `next_class`
        for classes.
    """

    feature: str
    above: float
    relabel: Callable[[Labels], Labels]

    def __call__(self, rows: Labelled, random: np.random.Generator) -> Labelled:  # noqa: ARG002  every perturbation has it
        affected = (_column(rows.features, self.feature) > self.above).to_numpy()
        return rows._replace(labels=np.where(affected, self.relabel(rows.labels), rows.labels))


def scaled(factor: float) -> Callable[[Labels], Labels]:
    """Give a relabelling that multiplies numbers.

    Examples
    --------
    >>> scaled(1.5)(np.array([2.0])).tolist()
    [3.0]
    """
    return lambda labels: labels * factor


def next_class(classes: Sequence[str]) -> Callable[[Labels], Labels]:
    """Give a relabelling that makes each class the next one, and the last the first.

    Examples
    --------
    >>> next_class(("low", "high"))(np.array(["low", "high"], dtype=object)).tolist()
    ['high', 'low']
    """
    return lambda labels: np.roll(np.array(classes, dtype=object), -1)[_codes(labels, classes)]


def shift(frame: pd.DataFrame, feature: str, sd: float, scale: float) -> pd.DataFrame:
    """Give engineered rows as a biased sensor would: one feature shifted, nothing else.

    Parameters
    ----------
    frame
        Engineered rows, left as they are.
    sd
        The shift, in standard deviations of the reference.
    scale
        Standard deviation of the feature in the reference.

    Raises
    ------
    BadData
        If there is no such feature, or it is not numeric.

    Examples
    --------
    >>> shift(pd.DataFrame({"net_kvarh": [1.0, 2.0]}), "net_kvarh", sd=0.5, scale=4.0)["net_kvarh"].tolist()
    [3.0, 4.0]
    """
    column = _column(frame, feature)
    if not pd.api.types.is_numeric_dtype(column):
        raise BadData(
            f"Cannot shift {feature!r}: it is categorical; only a number can be off by an amount."
        )
    return frame.assign(**{feature: column + sd * scale})


def traffic(
    simulator: Simulator, schema: Schema, perturbations: Sequence[Perturbation] = (), seed: int = 0
) -> Iterator[tuple[dict[str, Value], Value]]:
    """Give row after row without end: the features of a request by name, and the label that comes
    later.

    Parameters
    ----------
    perturbations
        Applied to the rows in this order.
    seed
        Of the changes' own randomness.

    Examples
    --------
    >>> from driftgauge.models.steel.simulate import SteelPlant
    >>> from driftgauge.models.steel.train import SCHEMA
    >>> features, usage = next(traffic(SteelPlant(1), SCHEMA, [Missing("net_kvarh", share=1.0)]))
    >>> features["net_kvarh"], usage > 0
    (None, True)
    """
    random = np.random.default_rng(seed)
    while True:
        rows = simulator.labelled(BATCH_ROWS)
        for perturbation in perturbations:
            rows = perturbation(rows, random)
        yield from zip(rows_of(rows.features, schema), json_values(rows.labels), strict=True)


def _drawn(rows: Labelled, share: float, random: np.random.Generator) -> NDArray[np.bool_]:
    if not 0 <= share <= 1:
        raise BadData(f"A share of {share} is impossible; give one from 0 to 1.")
    return random.random(len(rows.labels)) < share


def _column(frame: pd.DataFrame, feature: str) -> "pd.Series[Any]":
    if feature not in frame.columns:
        raise BadData(
            f"Cannot change {feature!r}: the rows have {', '.join(map(str, frame.columns))}."
        )
    return frame[feature]


def _codes(labels: Labels, classes: Sequence[str]) -> NDArray[np.int64]:
    place = {name: code for code, name in enumerate(classes)}
    unknown = sorted({str(label) for label in labels.tolist()} - place.keys())
    if unknown:
        raise BadData(
            f"Some labels are no class of {', '.join(classes)}: {', '.join(unknown[:5])}."
        )
    return np.array([place[label] for label in labels.tolist()], dtype=np.int64)
