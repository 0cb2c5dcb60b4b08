"""Values that the reference does not have, in the rows of a run: they are few, so that each is kept
until its pane is known. A pane keeps the worst of them, and tells so what is wrong with a broken
feed; how many there are, its cells say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from driftgauge.shared.arrays import Ints
from driftgauge.shared.contract.pane import (
    LONGEST_NAME,
    MOST_NAMES,
    MOST_TRACES,
    OddValues,
    first_of,
)
from driftgauge.shared.reference.profile import Column


@dataclass(frozen=True, slots=True)
class OddRows:
    """The rows of a run, ascending, in which each column has a value that the reference does not
    have, and these values: numbers, or names.

    Parameters
    ----------
    traces
        The trace of each row, None for one without; None if no row of the run has any.
    absent
        The rows with a trace, ascending, in which each column has no value.
    """

    columns: dict[int, tuple[Ints, NDArray[np.float64] | list[str]]]
    traces: Sequence[str | None] | None = None
    absent: Mapping[int, Ints] = field(default_factory=dict)

    @classmethod
    def of(cls, columns: Sequence[Column], beyond: NDArray[np.bool_]) -> "OddRows":
        """Take them from the columns of a run; `beyond` tells where they are, shape (columns,
        rows).

        Examples
        --------
        >>> found = OddRows.of([np.array([1.0, 99.0, -5.0])], np.array([[False, True, True]]))
        >>> found.values(slice(0, 3)), found.values(slice(0, 1))
        ({0: OddValues(lowest=-5.0, highest=99.0, names=(), traces=(), missing=())}, {})
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

    def traced(self, traces: Sequence[str | None], missing: NDArray[np.bool_]) -> Self:
        """Return them with the traces of the rows.

        Parameters
        ----------
        missing
            Where a column has no value, shape (columns, rows).
        """
        kept = missing & np.array([trace is not None for trace in traces])
        absent = {
            column: np.flatnonzero(kept[column])
            for column in np.flatnonzero(kept.any(axis=1)).tolist()
        }
        return replace(self, traces=traces, absent=absent)

    def values(self, part: slice, counted: NDArray[np.bool_] | None = None) -> dict[int, OddValues]:
        """Return the odd values of a part of the rows, by column.

        Parameters
        ----------
        counted
            Which rows of the run count; None for all.
        """
        found = {}
        for column, (rows, values) in self.columns.items():
            chosen = _chosen(rows, part, counted)
            if len(chosen):
                worst = _worst(values, chosen)
                named = self._traces_of(rows[chosen])
                found[column] = msgspec.structs.replace(worst, traces=named) if named else worst
        for column, rows in self.absent.items():
            named = self._traces_of(rows[_chosen(rows, part, counted)])
            if named:
                found[column] = msgspec.structs.replace(
                    found.get(column, OddValues()), missing=named
                )
        return found

    def _traces_of(self, rows: Ints) -> tuple[str, ...]:
        """Return the first traces of some rows."""
        if self.traces is None:
            return ()
        named = (self.traces[row] for row in rows.tolist())
        return first_of((trace for trace in named if trace is not None), MOST_TRACES)


def _chosen(rows: Ints, part: slice, counted: NDArray[np.bool_] | None) -> Ints:
    """Return the places of those of some rows that are in a part, and count."""
    first, last = np.searchsorted(rows, (part.start, part.stop)).tolist()
    chosen = np.arange(first, last)
    return chosen if counted is None else chosen[counted[rows[first:last]]]


def _worst(values: NDArray[np.float64] | list[str], chosen: Ints) -> OddValues:
    """Return the most extreme of some numbers, or the first different ones of some names."""
    if isinstance(values, np.ndarray):
        numbers = values[chosen]
        return OddValues(float(numbers.min()), float(numbers.max()))
    names = (values[place][:LONGEST_NAME] for place in chosen.tolist())
    return OddValues(names=first_of(names, MOST_NAMES))
