"""The effect that an alarm reports: since when, how much, in words. These are estimates for people
without a statistical guarantee.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, xlogy

from driftgauge.consumer.counting.detectors.bets import LOST, SCALES, SHIFTS
from driftgauge.consumer.counting.detectors.rank_cells import CELLS, MISSING
from driftgauge.shared.arrays import Floats
from driftgauge.shared.wording.numbers import signed_figure

RECENT = 1024
"""Latest values of a column from which an alarm estimates the effect."""
LATEST = (32, 128, 512, RECENT)
"""Latest values of which a change may have the histogram."""
SURE = 5.0
"""Logarithm of how many times likelier the latest values must be with a change than without one, at
its likeliest moment, for it to be described. Without a change they are in one case of ten at most:
each of the ten kinds of a change that are known beforehand has a chance of e^-5 of that.
"""
FITTED = 5.0
"""What a histogram of the latest values themselves gains by fitting them: so much more it must
gain.
"""
UNKNOWN = "how, the latest values do not tell"
CONSTANT = 0.98
"""Share of the reference from which on a value is called its usual one."""
LEAST = 1e-9
"""Replaces a share of 0 in logarithms."""


class Effect(NamedTuple):
    """Events since the change, values among them that are not missing, what changed, and the mean
    rank of those values (None if there are none, or they do not tell).
    """

    delay: int
    width: int
    words: str
    mean_rank: float | None = None


def estimate(cells: NDArray[np.signedinteger], law: Floats, *, ordered: bool) -> Effect:
    """Estimate when and how the distribution of a column changed.

    Parameters
    ----------
    cells
        The latest values as groups of ranks, or MISSING, oldest first (history.py).
    law
        Shape (cells,): what comes without drift.
    ordered
        Whether the cells have an order, as those of a numeric column have.

    Examples
    --------
    >>> law = np.array([1 / 12] * 12 + [0.001])
    >>> usual = np.random.default_rng(0).integers(0, 12, 300)
    >>> estimate(np.append(usual, [12] * 40), law, ordered=True)
    Effect(delay=40, width=0, words='100.0 % missing instead of 0.1 % over 40 events', mean_rank=None)
    """  # noqa: E501  a table, or what an example prints
    law = np.maximum(law, LEAST)
    delay, sure = _since(cells, law)
    if not sure:
        return Effect(delay, 0, UNKNOWN)
    counts = np.bincount(cells[-delay:], minlength=CELLS).astype(np.float64)
    gain = xlogy(counts, counts / (delay * law))
    lost, width = counts[MISSING] / delay, int(counts[:MISSING].sum())
    if not width or (lost > law[MISSING] and gain[MISSING] > gain.sum() / 2):
        words = f"{lost:.1%} missing instead of {law[MISSING]:.1%} over {delay} events"
        return Effect(delay, width, words.replace("%", " %"))
    present, law = counts[:MISSING], law[:MISSING] / law[:MISSING].sum()
    if not ordered:
        return Effect(delay, width, _exchange(present, law), _mean_rank(present, law))
    usual = int(law.argmax())
    if law[usual] >= CONSTANT:
        words = f"{1 - present[usual] / width:.1%} of the values are not the usual one"
        words += f", instead of {1 - law[usual]:.1%}, over {width} events"
        return Effect(delay, width, words.replace("%", " %"), _mean_rank(present, law))
    return Effect(delay, width, _movement(present, law), _mean_rank(present, law))


def _since(cells: NDArray[np.signedinteger], law: Floats) -> tuple[int, bool]:
    """Return the events since when one of the experts would have gained most, among them histograms
    of the latest events; and whether it would have gained enough.
    """
    if not len(cells):
        return 0, False
    histograms = [
        np.bincount(cells[-events:], minlength=CELLS) / len(cells[-events:]) for events in LATEST
    ]
    laws = [*((law + histogram) / 2 for histogram in histograms), *_moved(law)]
    gains = np.log(np.stack(laws, axis=1) / law[:, None])
    gained = np.cumsum(gains[cells[::-1]], axis=0)
    gained[:, : len(LATEST)] -= FITTED
    best = gained.max(axis=1)
    return int(best.argmax()) + 1, bool(best.max() >= SURE)


def _moved(law: Floats) -> Iterator[Floats]:
    """Yield what would come if a normal feature had moved, or was spread, or values were lost."""
    present = law[:MISSING].sum()
    edges = ndtri(np.concatenate(([0.0], np.cumsum(law[:MISSING])[:-1] / present, [1.0])))
    for shift, scale in (
        *((shift, 1.0) for shift in SHIFTS),
        *((0.0, scale) for scale in SCALES),
    ):
        tilted = np.diff(ndtr((edges - shift) / scale)) * present
        yield np.maximum(np.append(tilted, law[MISSING]), LEAST)
    yield np.append(law[:MISSING] * (1 - LOST), law[MISSING] * (1 - LOST) + LOST)


def _movement(counts: Floats, law: Floats) -> str:
    """Describe the change of a numeric column's cells as that of a normal variable: a shift, or
    another spread.
    """
    scores = ndtri(np.cumsum(law) - law / 2)
    events = counts.sum()
    mean = _mean_rank(counts, law)
    shift = normal_shift(mean)
    ratio = float((counts @ scores**2 + law @ scores**2) / (events + 1) / (law @ scores**2))
    if ratio - 1 - math.log(ratio) > shift**2:
        return f"values spread {math.sqrt(ratio):.2f} times as widely over {int(events)} events"
    return describe_shift(mean, int(events))


def _mean_rank(counts: Floats, law: Floats) -> float:
    return float(counts @ (np.cumsum(law) - law / 2) / counts.sum())


def _exchange(counts: Floats, law: Floats) -> str:
    """Describe the change of a categorical column's cells, which have no order, by the share of
    events that changed their category.
    """
    moved = float(np.abs(counts / counts.sum() - law).sum() / 2)
    return f"{moved:.0%} of the categories' shares moved over {int(counts.sum())} events".replace(
        "%", " %"
    )


def normal_shift(mean_rank: float) -> float:
    """Return how far a normal variable must have moved to have this mean rank: P(X' > X) =
    Phi(shift / sqrt 2).

    Examples
    --------
    >>> round(normal_shift(0.638), 2)
    0.5
    """
    return math.sqrt(2) * float(ndtri(min(max(mean_rank, 1e-6), 1 - 1e-6)))


def describe_shift(mean_rank: float, events: int) -> str:
    """Describe a mean rank in words.

    Examples
    --------
    >>> describe_shift(0.638, 200)
    'shifted by about +0.5 sd over 200 events (mean rank 0.638 instead of 0.500)'
    """
    shift = signed_figure(normal_shift(mean_rank))
    return (
        f"shifted by about {shift} sd over {events:,} events "
        f"(mean rank {mean_rank:.3f} instead of 0.500)"
    )
