"""What the cells of a reference are, as a table beside the archived panes: it is written once for
each reference.
"""

from typing import Any

import pyarrow as pa

from driftgauge.shared.archive.columns import CELLS
from driftgauge.shared.reference.profile import (
    CategoricalReference,
    ColumnReference,
    NumericReference,
    ReferenceProfile,
)

_Cell = tuple[str, float | None, float | None, str | None]
"""Part, low, high and category."""


def cells_of(reference: ReferenceProfile, version: str, number: int) -> Any:
    """Return the table of a reference's cells.

    Parameters
    ----------
    version, number
        The version, and the number of its reference.
    """
    rows = [
        (version, number, column.name, cell, place, *said, expected)
        for column in reference.columns
        for cell, (place, said, expected) in enumerate(
            zip(column.bin_of_cell, _cells(column), column.counts, strict=True)
        )
    ]
    values = zip(*rows, strict=True)
    arrays = [pa.array(found, one.type) for found, one in zip(values, CELLS, strict=True)]
    return pa.table(arrays, schema=CELLS)


def _cells(column: ColumnReference) -> list[_Cell]:
    if isinstance(column, NumericReference):
        return _numeric_cells(column)
    return _categorical_cells(column)


def _numeric_cells(column: NumericReference) -> list[_Cell]:
    """Return the cells of numbers: below the first cut, the cut, between it and the next, ….

    Examples
    --------
    >>> import numpy as np
    >>> _numeric_cells(NumericReference.build("x", np.array([1.0, 2.0])))[:3]
    [('between', None, 1.0, None), ('value', 1.0, 1.0, None), ('between', 1.0, 2.0, None)]
    """
    found: list[_Cell] = []
    before = None
    for cut in column.cuts:
        found += [("between", before, cut, None), ("value", cut, cut, None)]
        before = cut
    return [*found, ("between", before, None, None), ("missing", None, None, None)]


def _categorical_cells(column: CategoricalReference) -> list[_Cell]:
    """Return the cells of categories.

    Examples
    --------
    >>> _categorical_cells(CategoricalReference.build("c", ["a", "b", "a"]))
    [('value', None, None, 'a'), ('value', None, None, 'b'), ('other', None, None, None), \
('unseen', None, None, None), ('missing', None, None, None)]
    """
    own: list[_Cell] = [("value", None, None, name) for name in column.categories]
    parts = ["other"] * column.buckets + ["unseen"] * column.buckets + ["missing"]
    return [*own, *((part, None, None, None) for part in parts)]
