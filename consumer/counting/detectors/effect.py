"""What an alarm says happened: since when, how much, in words. Estimates for people; no guarantee
rests on them.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, xlogy

from driftgauge.consumer.counting.detectors.bets import bets
from driftgauge.consumer.counting.detectors.rank_cells import CELLS, MISSING
from driftgauge.shared.arrays import Floats

RECENT = 512
"""Latest values of a column from which an alarm estimates the effect."""
LATEST = (32, 128, RECENT)
"""Latest values of which a change may have the histogram."""

LEAST = 1e-9
"""Stands for the share of a cell that no value can fall into, so that its logarithm is a number."""


class Effect(NamedTuple):
    """Events since the change, values among them that are not missing, what changed, and the mean
    rank of those values (None if there are none, or they have no order).
    """

    delay: int
    width: int
    words: str
    mean_rank: float | None = None


def estimate(cells: NDArray[np.signedinteger], law: Floats, *, ordered: bool) -> Effect:
    """Estimate when and how a column left its law.

    Parameters
    ----------
    cells
        The latest rank cells, oldest first.
    law
        Shape (cells,): what cells come without drift.
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
    delay = _since(cells, law)
    counts = np.bincount(cells[-delay:], minlength=CELLS).astype(np.float64)
    gain = xlogy(counts, counts / (delay * law))
    lost, width = counts[MISSING] / delay, int(counts[:MISSING].sum())
    if not width or (lost > law[MISSING] and gain[MISSING] > gain.sum() / 2):
        words = f"{lost:.1%} missing instead of {law[MISSING]:.1%} over {delay} events"
        return Effect(delay, width, words.replace("%", " %"))
    present, law = counts[:MISSING], law[:MISSING] / law[:MISSING].sum()
    if not ordered:
        return Effect(delay, width, _exchange(present, law))
    return Effect(delay, width, _movement(present, law), _mean_rank(present, law))


def _since(cells: NDArray[np.signedinteger], law: Floats) -> int:
    """Return the events since when one of the experts would have gained most, among them histograms
    of the latest events.
    """
    histograms = [
        np.bincount(cells[-events:], minlength=CELLS) / len(cells[-events:]) for events in LATEST
    ]
    gains = np.log(bets(law, np.stack(histograms, axis=1)) / law[:, None])
    return int(np.cumsum(gains[cells[::-1]], axis=0).max(axis=1).argmax()) + 1


def _movement(counts: Floats, law: Floats) -> str:
    """Describe the cells of a numeric column by what would make a normal one of them: a shift, or
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
    """Describe the cells of a categorical column, which have no order: how many events must have
    changed their category.
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
    """Say what a mean rank means.

    Examples
    --------
    >>> describe_shift(0.638, 200)
    'mean rank 0.638 instead of 0.500 over 200 events, as after a shift of +0.50 standard deviations'
    """  # noqa: E501  a table, or what an example prints
    return (
        f"mean rank {mean_rank:.3f} instead of 0.500 over {events} events, "
        f"as after a shift of {normal_shift(mean_rank):+.2f} standard deviations"
    )
