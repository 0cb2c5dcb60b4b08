"""How a change comes over time: for each event, how likely it is of the new world, and how strong
the change is there.
"""

from collections.abc import Callable
from typing import Final, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from driftgauge.shared.arrays import Floats

Shape = Literal["abrupt", "gradual", "incremental", "recurring"]
SHAPES: Final[tuple[Shape, ...]] = get_args(Shape)
RAMP: Final = 0.5
"""Share of the changed part in which a gradual or incremental change grows to its full size."""
EPISODES: Final = 4
"""Blocks of a recurring change, of which every second one, from the first on, is of the new world.
"""


class Amount(NamedTuple):
    """Of each event: the probability of the new world, and the strength of the change in it; both
    from 0 to 1.
    """

    share: Floats
    strength: Floats


def amount(shape: Shape, places: NDArray[np.int64], start: int, length: int) -> Amount:
    """Give how much of a change applies to events.

    Parameters
    ----------
    places
        Of the events, from 0.
    start
        Place of the first event that may be changed.
    length
        Events from `start` to the end.

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


_SHAPES: Final[dict[Shape, Callable[[Floats, Floats, Floats], Amount]]] = {
    "abrupt": lambda after, _ramp, _along: Amount(after, after),
    "gradual": lambda after, ramp, _along: Amount(after * ramp, after),
    "incremental": lambda after, ramp, _along: Amount(after, after * ramp),
    "recurring": _recurring,
}
