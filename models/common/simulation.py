"""Simulated rows with their true values: the interface that every demo model's simulator has."""

from typing import Any, Final, NamedTuple, Protocol

import pandas as pd
from numpy.typing import NDArray

BATCH_ROWS: Final = 500
"""Rows that a demo draws from a simulator at a time."""

Labels = NDArray[Any]
"""True values of rows: float64 for a regression, object (str) for classes."""


class Labelled(NamedTuple):
    """Engineered rows, one column per feature in the schema's order, and the true value of each."""

    features: pd.DataFrame
    labels: Labels


class Simulator(Protocol):
    """A source of simulated rows, such as `SteelPlant(seed)`.

    Every call continues the random sequence of the simulator's seed, so that no row comes twice.
    """

    def labelled(self, n: int) -> Labelled:
        """Draw n independent rows with their true values."""
        ...
