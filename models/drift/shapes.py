"""The growth of a drift over time: for each event the probability and the strength of drift."""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from driftgauge.models.drift.plan import DriftShape
from driftgauge.shared.arrays import Floats

RAMP: Final = 0.5
"""Share of the events after the start in which a gradual or incremental drift reaches full size."""
EPISODES: Final = 4
"""Blocks of equal length in a recurring drift; the first drifts, and every second one after it."""


class Amount(NamedTuple):
    """The amount of drift of each event.

    Parameters
    ----------
    share
        Probability that the event drifts, 0 to 1.
    strength
        Size of the drift if it does, as a share of its full size, 0 to 1.
    """

    share: Floats
    strength: Floats


def amount(shape: DriftShape, places: NDArray[np.int64], start: int, length: int) -> Amount:
    """Compute how much each of some events drifts.

    Parameters
    ----------
    places
        Positions of the events in the traffic, from 0.
    start
        Position of the first event that may drift.
    length
        Number of events from `start` to the end of the traffic.

    Examples
    --------
    >>> places = np.array([9, 10, 11, 15, 18])
    >>> amount("abrupt", places, 10, 10).share.tolist()
    [0.0, 1.0, 1.0, 1.0, 1.0]
    >>> amount("gradual", places, 10, 10).share.tolist()
    [0.0, 0.2, 0.4, 1.0, 1.0]
    >>> amount("incremental", places, 10, 10).strength.tolist()
    [0.0, 0.2, 0.4, 1.0, 1.0]
    >>> amount("recurring", places, 10, 10).share.tolist()
    [0.0, 1.0, 1.0, 1.0, 0.0]
    """
    along = (places - start) / max(length, 1)
    after = (places >= start).astype(np.float64)
    return _SHAPES[shape](after, np.clip((along + 1 / max(length, 1)) / RAMP, 0.0, 1.0), along)


def _recurring(after: Floats, _: Floats, along: Floats) -> Amount:
    block = np.floor(np.clip(along, 0.0, None) * EPISODES)
    return Amount(after * (block % 2 == 0), after)


_SHAPES: Final[dict[DriftShape, Callable[[Floats, Floats, Floats], Amount]]] = {
    "abrupt": lambda after, _ramp, _along: Amount(after, after),
    "gradual": lambda after, ramp, _along: Amount(after * ramp, after),
    "incremental": lambda after, ramp, _along: Amount(after, after * ramp),
    "recurring": _recurring,
}
