"""Shapley values by sampling permutations, for models that can only be asked.

A walk goes from a row of the reference to the row that is explained, one feature at a time in a
random order; what the prediction changes by at a step is a sample of that feature's contribution
(Castro, Gómez and Tejada 2009). Each order is walked in reverse too, from the same row of the
reference: the two err in opposite directions where features act together (antithetic pairs,
Mitchell et al. 2022). Pairs are independent of each other, so their spread gives the standard
error. What a walk adds up to is known, so base and contributions add up to the prediction exactly,
and the base is an estimate too. Pure: the randomness is seeded.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.contract.events import Value
from driftgauge.shared.explaining.background import background
from driftgauge.shared.explaining.explanation import Explanation, Scale, Unexplained
from driftgauge.shared.reference.profile import ReferenceProfile
from driftgauge.shared.reference.schema import Schema

SEED: Final = 20_260_101
"""Of every estimate: the same row of the same version gets the same answer."""
MOST_ROWS: Final = 2048
"""Rows that a model is asked with for one estimate, unless it has so many features that
`LEAST_PAIRS` need more.
"""
LEAST_PAIRS: Final = 8
MOST_PAIRS: Final = 64
MOST_FEATURES: Final = 256
"""Most features of a model that is explained by an estimate: then 4,097 rows are asked."""


class Walks(NamedTuple):
    """What a model is to be asked for an estimate.

    Parameters
    ----------
    rows
        The row that is explained, and then of each pair a row of the reference and the rows
        between: those of an order, and those of its reverse.
    orders
        The order of each pair, shape (pairs, features).
    """

    rows: list[list[Value]]
    orders: Ints


def pairs_of(features: int) -> int:
    """Return how many pairs of walks a model of so many features is asked by.

    Examples
    --------
    >>> pairs_of(3), pairs_of(18), pairs_of(100), pairs_of(256)
    (64, 58, 10, 8)
    """
    return min(max(MOST_ROWS // rows_of_pair(features), LEAST_PAIRS), MOST_PAIRS)


def rows_of_pair(features: int) -> int:
    """Return how many rows a pair of walks asks the model with."""
    return 2 * (features - 1) + 1


def walks(row: Sequence[Value], schema: Schema, reference: ReferenceProfile) -> Walks:
    """Plan the walks to a row.

    Parameters
    ----------
    row
        The row in the schema's order.

    Raises
    ------
    Unexplained
        If there are too many features, or the reference does not have the values of one.
    """
    count = len(row)
    if count > MOST_FEATURES:
        raise Unexplained(
            f"has {count} features, and an estimate is made of {MOST_FEATURES} at most"
        )
    random = np.random.default_rng(SEED)
    pairs = pairs_of(count)
    begins = background(schema, reference, pairs, random)
    orders = np.argsort(random.random((pairs, count)), axis=1)
    rows = [list(row)]
    for begin, order in zip(begins, orders.tolist(), strict=True):
        rows.append(begin)
        for way in (order, order[::-1]):
            here = begin
            for place in way[:-1]:
                here = [*here[:place], row[place], *here[place + 1 :]]
                rows.append(here)
    return Walks(rows, orders)


def estimated(orders: Ints, values: Floats, scale: Scale, about: str | None = None) -> Explanation:
    """Make an explanation of what the model answered.

    Parameters
    ----------
    orders
        As planned.
    values
        What the model gives for each row of the walks: numbers, or probabilities of `about`.

    Raises
    ------
    Unexplained
        If the numbers are too large.

    Examples
    --------
    >>> estimated(np.array([[0, 1], [1, 0]]), np.array([5.0, 1, 3, 3, 0, 3, 2]), "prediction")
    ... # doctest: +NORMALIZE_WHITESPACE
    Explanation(contributions=[2.0, 2.5], base=0.5, scale='prediction', about=None,
                standard_errors=[0.0, 0.5])
    """
    pairs, count = orders.shape
    end, walked = values[0], values[1:].reshape(pairs, rows_of_pair(count))
    begin, between = walked[:, :1], walked[:, 1:].reshape(pairs, 2, count - 1)
    ends = np.full((pairs, 1), end)
    with np.errstate(over="ignore"):
        steps = [
            np.diff(np.concatenate((begin, between[:, way], ends), axis=1), axis=1)
            for way in (0, 1)
        ]
    samples = np.empty((pairs, count))
    with np.errstate(over="ignore", invalid="ignore"):
        np.put_along_axis(samples, orders, (steps[0] + steps[1][:, ::-1]) / 2, axis=1)
        errors = samples.std(axis=0, ddof=1) / np.sqrt(pairs)
    if not np.isfinite(errors).all():
        raise Unexplained("gives numbers that are too large for an estimate")
    return Explanation(
        samples.mean(axis=0).tolist(), float(begin.mean()), scale, about, errors.tolist()
    )
