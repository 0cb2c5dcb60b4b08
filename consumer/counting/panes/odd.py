"""Values that the reference does not have, in the rows of a run: they are few, so that each is kept
until its pane is known. A pane keeps the worst of them, and tells so what is wrong with a broken
feed; how many there are, its cells say.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driftgauge.shared.arrays import Ints
from driftgauge.shared.contract.pane import LONGEST_NAME, MOST_NAMES, OddValues
from driftgauge.shared.reference.profile import Column


@dataclass(frozen=True, slots=True)
class OddRows:
    """The rows of a run, ascending, in which each column has a value that the reference does not
    have, and these values: numbers, or names.
    """

    columns: dict[int, tuple[Ints, NDArray[np.float64] | list[str]]]

    @classmethod
    def of(cls, columns: Sequence[Column], beyond: NDArray[np.bool_]) -> "OddRows":
        """Take them from the columns of a run; `beyond` tells where they are, shape (columns,
        rows).

        Examples
        --------
        >>> found = OddRows.of([np.array([1.0, 99.0, -5.0])], np.array([[False, True, True]]))
        >>> found.values(slice(0, 3)), found.values(slice(0, 1))
        ({0: OddValues(lowest=-5.0, highest=99.0, names=())}, {})
        """
        found: dict[int, tuple[Ints, NDArray[np.float64] | list[str]]] = {}
        for column in np.flatnonzero(beyond.any(axis=1)).tolist():
            rows = np.flatnonzero(beyond[column])
            values = columns[column]
            if isinstance(values, np.ndarray):
                found[column] = rows, values[rows]
            else:
                found[column] = rows, [values[row] for row in rows.tolist()]
        return cls(found)

    def values(self, part: slice, counted: NDArray[np.bool_] | None = None) -> dict[int, OddValues]:
        """Return the odd values of a part of the rows, by column.

        Parameters
        ----------
        counted
            Which rows of the run count; None for all.
        """
        found = {}
        for column, (rows, values) in self.columns.items():
            first, last = np.searchsorted(rows, (part.start, part.stop)).tolist()
            chosen = np.arange(first, last)
            if counted is not None:
                chosen = chosen[counted[rows[first:last]]]
            if len(chosen):
                found[column] = _worst(values, chosen)
        return found


def _worst(values: NDArray[np.float64] | list[str], chosen: Ints) -> OddValues:
    """Return the most extreme of some numbers, or the first different ones of some names."""
    if isinstance(values, np.ndarray):
        numbers = values[chosen]
        return OddValues(float(numbers.min()), float(numbers.max()))
    names = dict.fromkeys(values[place][:LONGEST_NAME] for place in chosen.tolist())
    return OddValues(names=tuple(names)[:MOST_NAMES])
