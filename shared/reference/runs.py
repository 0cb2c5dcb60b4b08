"""Runs of one value: how often and for how long a column's values stay the same in time.

Values are told apart exactly, by their bits, not by the cells of the reference: a column that moves
slowly stays in a cell for long, and in a wide one for longer.
"""

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from driftgauge.shared.arrays import Ints
from driftgauge.shared.reference.profile import Column, ColumnReference

LONG: Final = 0.25
"""Share of the longest run from which one is long."""


class Runs(msgspec.Struct, frozen=True, array_like=True):
    """Runs of one value in a column, one row after another in time.

    Parameters
    ----------
    rows
        Rows with a value.
    number, longest
        Of the runs, and the length of the longest.
    long
        Runs that are longer than a quarter of the longest.
    """

    rows: int
    number: int
    longest: int
    long: int


def marks(reference: ColumnReference, values: Column, cells: Ints) -> Ints:
    """Return a number for each value, equal for equal values: the bits of a number, the cell of a
    category.

    Parameters
    ----------
    cells
        Of the values, from the column's first.
    """
    if reference.kind == "categorical":
        return cells
    plain = np.asarray(values, dtype=np.float64) + 0.0  # -0.0 is 0.0
    found: Ints = plain.view(np.int64)
    return found


def repeatable(reference: ColumnReference) -> NDArray[np.bool_]:
    """Tell of each cell of a column whether its values can make a run: not the missing ones, nor
    categories that the reference does not have, which share a cell.
    """
    found = np.ones(len(reference.counts), dtype=np.bool_)
    found[-1] = False
    if reference.kind == "categorical":
        found[-2] = False
    return found


def runs_of(reference: ColumnReference, values: Column, cells: Ints) -> Runs | None:
    """Return the runs of one value in rows in order; a missing value ends a run and makes none.
    None without any value.

    Examples
    --------
    >>> from driftgauge.shared.reference.profile import NumericReference
    >>> column = NumericReference.build("x", np.arange(10.0))
    >>> values = np.array([4.0, 4.0, 4.0, np.nan, 4.0, np.nan, np.nan, 5.0])
    >>> runs_of(column, values, column.cells(values))
    Runs(rows=5, number=3, longest=3, long=3)
    """
    known = repeatable(reference)[cells]
    marked = marks(reference, values, cells)
    begins = np.ones(len(cells), dtype=np.bool_)
    begins[1:] = (marked[1:] != marked[:-1]) | (known[1:] != known[:-1])
    starts = np.flatnonzero(begins)
    lengths = np.diff(starts, append=len(cells))[known[starts]]
    if not len(lengths):
        return None
    longest = int(lengths.max())
    return Runs(int(lengths.sum()), len(lengths), longest, int((lengths > LONG * longest).sum()))
