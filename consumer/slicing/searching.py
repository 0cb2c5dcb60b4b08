"""The search for the worst slices of up to two features.

The rows with labels are divided by chance into two halves. In the first one every slice is looked
at, and those are listed in which the errors are largest beyond chance; slices that have most of
their rows in common are listed once. The second half, which had no say in that, then gives the
figure of each listed slice and tests it: errors that are right or wrong by Fisher's exact test,
numbers by Mann and Whitney's. Holm's correction over the listed ones (1979, Scand. J. Stat. 6,
65-70) holds the probability that any slice is named that is not worse to `LEVEL`. However many
slices were looked at, the tests are of the other half, so they need no correction for these.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from driftgauge.consumer.offline.archived.sample import Sample
from driftgauge.consumer.slicing.choosing import LEAST_ROWS, listed, look
from driftgauge.consumer.slicing.held_out import HeldOut, WorstSlice, holm
from driftgauge.consumer.slicing.parts import divide
from driftgauge.consumer.slicing.rows import Columns, missing, rows_of
from driftgauge.shared.arrays import Floats
from driftgauge.shared.errors import BadData
from driftgauge.shared.performance import Layout
from driftgauge.shared.performance.layout import MAX_CLASSES
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.profile import Column

LEVEL: Final = 0.05
"""Probability that any slice is named that is not worse."""


class WorstSlices(msgspec.Struct, frozen=True):
    """What a search found.

    Parameters
    ----------
    metric
        The metric of the slices: `accuracy` or `mae`.
    rows
        Rows with a label that were searched and tested, half and half.
    features
        Features that were combined.
    looked
        Slices that were looked at.
    level
        Probability that any slice is named as worse that is not.
    slices
        The listed ones, those first that were worst in the half that chose them.
    """

    metric: str
    rows: int
    features: int
    looked: int
    level: float
    slices: list[WorstSlice]


def search(columns: Columns, side: Sample, most: int) -> WorstSlices:
    """Search the worst slices of the rows of an archive.

    Raises
    ------
    BadData
        If too few rows have a label.
    """
    if side.predictions is None or side.labels is None:
        raise BadData("The model predicts nothing, so no slice can be worse than another.")
    known = ~(missing(side.predictions) | missing(side.labels))
    classes = columns.schema.classes
    layout = Layout(columns.schema.prediction or "numeric", classes[:MAX_CLASSES])
    return worst_slices(
        columns.names,
        columns.schema.features,
        [rows_of(one, known) for one in side.columns],
        layout,
        rows_of(side.predictions, known),
        rows_of(side.labels, known),
        most=most,
    )


def worst_slices(
    names: Sequence[str],
    features: Sequence[Feature],
    columns: Sequence[Column],
    layout: Layout,
    predictions: Column,
    labels: Column,
    *,
    most: int = 5,
    seed: int = 0,
) -> WorstSlices:
    """Search the worst slices.

    Parameters
    ----------
    names
        How a condition names each feature.
    features, columns
        The features, and their values by row; times are left out.
    predictions, labels
        One a row, none missing.
    most
        Slices to list.
    seed
        Of the division into halves.

    Raises
    ------
    BadData
        If there are too few rows.
    """
    rows = len(labels)
    if rows < 4 * LEAST_ROWS:
        raise BadData(
            f"{rows:,} rows have a label; a search needs at least {4 * LEAST_ROWS}: half of them "
            f"choose, the other half tests."
        )
    first = np.zeros(rows, dtype=bool)
    first[np.random.default_rng(seed).permutation(rows)[: rows // 2]] = True
    errors = _errors(layout, predictions, labels)
    parted = [
        divide(name, feature, column, first)
        for name, feature, column in zip(names, features, columns, strict=True)
        if feature.kind != "timestamp" and not feature.excluded
    ]
    ranks = _ranked(errors[first], layout)
    chosen = [one.of(first) for one in parted]
    kept, looked, seen = look(chosen, ranks)
    slices = listed([chosen[place] for place in kept], seen, most)
    parted = [parted[place] for place in kept]
    second = ~first
    held = HeldOut(layout, rows_of(predictions, second), rows_of(labels, second), errors[second])
    insides = [one.inside(parted)[second] for one in slices]
    adjusted = holm([held.p_value(inside) for inside in insides])
    return WorstSlices(
        held.name,
        rows,
        len(kept),
        looked,
        LEVEL,
        [
            held.told(one.condition(parted), inside, p_value, LEVEL)
            for one, inside, p_value in zip(slices, insides, adjusted, strict=True)
        ],
    )


def _errors(layout: Layout, predictions: Column, labels: Column) -> Floats:
    """Return the error of each row: the absolute one of a number; 0 or 1 of a class."""
    if layout.kind == "numeric":
        with np.errstate(over="ignore"):
            return np.abs(np.asarray(predictions, np.float64) - np.asarray(labels, np.float64))
    return np.array([float(one != other) for one, other in zip(predictions, labels, strict=True)])


def _ranked(errors: Floats, layout: Layout) -> Floats:
    """Return what is averaged in the search: ranks of numbers, so that no single row decides."""
    if layout.kind != "numeric":
        return errors
    from scipy.stats import rankdata

    return np.asarray(rankdata(errors), np.float64)
