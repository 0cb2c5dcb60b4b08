"""Perturbations: what a broken sensor, a failing service or a changed population makes of rows.

A perturbation takes rows and returns altered copies. The rows that it was given stay as they are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from driftgauge.models.common.simulation import Labelled, Labels
from driftgauge.shared.errors import BadData


class Perturbation(Protocol):
    """A way to alter rows; what is random in it comes from the generator that it is called with."""

    def __call__(self, rows: Labelled, random: np.random.Generator) -> Labelled:
        """Return an altered copy of the rows."""
        ...


@dataclass(frozen=True)
class Shift:
    """A biased sensor: a feature is off by `sd` times `scale`.

    Parameters
    ----------
    sd, scale
        The shift in standard deviations, and one standard deviation in the feature's unit.
    low, high
        The feature's declared range, in its unit. Shifted values are clipped to it, because the API
        refuses values outside of it.
    """

    feature: str
    sd: float
    scale: float
    low: float = -np.inf
    high: float = np.inf

    def __call__(self, rows: Labelled, random: np.random.Generator) -> Labelled:  # noqa: ARG002  every perturbation has it
        frame = shift(rows.features, self.feature, self.sd, self.scale)
        clipped = frame[self.feature].clip(self.low, self.high)
        return rows._replace(features=frame.assign(**{self.feature: clipped}))


@dataclass(frozen=True)
class Missing:
    """A sensor or service that fails now and then: a random share of a feature's values is missing.

    Parameters
    ----------
    share
        Share of the rows, from 0 to 1.
    """

    feature: str
    share: float

    def __call__(self, rows: Labelled, random: np.random.Generator) -> Labelled:
        column = _column(rows.features, self.feature)
        left = column.mask(_drawn(rows, self.share, random))
        return rows._replace(features=rows.features.assign(**{self.feature: left}))


@dataclass(frozen=True)
class NewCategory:
    """A random share of a categorical feature's values becomes a category that was never seen.

    A model whose schema declares the feature's categories refuses such rows; a model whose schema
    leaves them open counts them as unseen.

    Parameters
    ----------
    share
        Share of the rows, from 0 to 1.
    """

    feature: str
    category: str
    share: float

    def __call__(self, rows: Labelled, random: np.random.Generator) -> Labelled:
        column = _column(rows.features, self.feature).astype(object)
        replaced = column.mask(_drawn(rows, self.share, random), self.category)
        return rows._replace(features=rows.features.assign(**{self.feature: replaced}))


@dataclass(frozen=True)
class PriorShift:
    """A random share of the rows is replaced by rows of a pool: P(y) changes, P(x | y) does not.

    Parameters
    ----------
    share
        Share of the rows, from 0 to 1.
    pool
        Rows with the labels that become more frequent.
    """

    share: float
    pool: Labelled

    def __call__(self, rows: Labelled, random: np.random.Generator) -> Labelled:
        drawn = _drawn(rows, self.share, random)
        chosen = random.integers(len(self.pool.labels), size=int(drawn.sum()))
        features, labels = rows.features.reset_index(drop=True).copy(), rows.labels.copy()
        features.loc[drawn] = self.pool.features.iloc[chosen].to_numpy()
        labels[drawn] = self.pool.labels[chosen]
        return Labelled(features.astype(rows.features.dtypes.to_dict()), labels)


@dataclass(frozen=True)
class ConceptChange:
    """Rows in which a feature is above a value get other labels: P(y | x) changes, P(x) does not.

    Parameters
    ----------
    above
        Limit in the feature's unit.
    relabel
        Computes the new labels from the old ones: `scaled` for numbers, `next_class` for classes.
    """

    feature: str
    above: float
    relabel: Callable[[Labels], Labels]

    def __call__(self, rows: Labelled, random: np.random.Generator) -> Labelled:  # noqa: ARG002  every perturbation has it
        affected = (_column(rows.features, self.feature) > self.above).to_numpy()
        return rows._replace(labels=np.where(affected, self.relabel(rows.labels), rows.labels))


def perturbed(
    perturbations: Sequence[Perturbation], rows: Labelled, random: np.random.Generator
) -> Labelled:
    """Apply perturbations one after the other, each to what the one before returned."""
    for perturbation in perturbations:
        rows = perturbation(rows, random)
    return rows


def shift(frame: pd.DataFrame, feature: str, sd: float, scale: float) -> pd.DataFrame:
    """Return a copy of engineered rows in which one feature is shifted by `sd * scale`.

    Parameters
    ----------
    sd
        The shift, in standard deviations of the reference.
    scale
        Standard deviation of the feature in the reference, in the feature's unit.

    Raises
    ------
    BadData
        If there is no such feature, or it is not numeric.

    Examples
    --------
    >>> rows = pd.DataFrame({"net_kvarh": [1.0, 2.0]})
    >>> shift(rows, "net_kvarh", sd=0.5, scale=4.0)["net_kvarh"].tolist()
    [3.0, 4.0]
    """
    column = _column(frame, feature)
    if not pd.api.types.is_numeric_dtype(column):
        raise BadData(
            f"Cannot shift {feature!r}: it is categorical; only a number can be off by an amount."
        )
    return frame.assign(**{feature: column + sd * scale})


def scaled(factor: float) -> Callable[[Labels], Labels]:
    """Return a relabelling for `ConceptChange` that multiplies numbers by a factor.

    Examples
    --------
    >>> scaled(1.5)(np.array([2.0])).tolist()
    [3.0]
    """
    return lambda labels: labels * factor


def next_class(classes: Sequence[str]) -> Callable[[Labels], Labels]:
    """Return a relabelling for `ConceptChange` that replaces each class by the one after it.

    The last class is replaced by the first. The relabelling raises BadData if a label is none of
    the classes.

    Examples
    --------
    >>> next_class(("low", "high"))(np.array(["low", "high"], dtype=object)).tolist()
    ['high', 'low']
    """
    return lambda labels: np.roll(np.array(classes, dtype=object), -1)[_codes(labels, classes)]


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
