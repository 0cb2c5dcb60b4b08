"""Rows that an estimate holds a row against: each feature drawn by itself from the reference's
cells.

The reference has no rows, so what features have in common is not in them. A value is one that the
reference has: of a cell between two cuts it is one of these. Pure: the caller gives the randomness.
"""

import numpy as np

from driftgauge.shared.contract.events import Value
from driftgauge.shared.explaining.linear import require_values
from driftgauge.shared.reference.profile import (
    CategoricalReference,
    ColumnReference,
    NumericReference,
    ReferenceProfile,
)
from driftgauge.shared.reference.schema import Schema


def background(
    schema: Schema, reference: ReferenceProfile, rows: int, random: np.random.Generator
) -> list[list[Value]]:
    """Draw rows of the reference's values.

    Raises
    ------
    Unexplained
        If the reference does not have the values of a feature.
    """
    require_values(schema)
    columns = [
        _drawn(column, rows, random)
        for _, column in zip(schema.features, reference.columns, strict=False)
    ]
    return [list(row) for row in zip(*columns, strict=True)]


def _drawn(column: ColumnReference, rows: int, random: np.random.Generator) -> list[Value]:
    """Draw values of a column, each cell as often as the reference has it."""
    counts = np.asarray(column.counts, dtype=np.float64)
    if not counts.any():
        return [None] * rows
    cells = random.choice(len(counts), rows, p=counts / counts.sum()).tolist()
    sides = random.random(rows).tolist()
    value = _category if isinstance(column, CategoricalReference) else _number
    return [
        None if cell == column.missing else value(column, cell, side)  # type: ignore[arg-type]  # `value` is the column's
        for cell, side in zip(cells, sides, strict=True)
    ]


def _number(column: NumericReference, cell: int, side: float) -> Value:
    """Return the cut of a cell, or either of those that it lies between."""
    place = cell // 2 if cell % 2 else cell // 2 - (side < 0.5)
    return column.cuts[min(max(place, 0), len(column.cuts) - 1)]


def _category(column: CategoricalReference, cell: int, side: float) -> Value:
    """Return the category of a cell, or any of the rare ones."""
    if cell < len(column.categories):
        return column.categories[cell]
    return column.other[int(side * len(column.other))] if column.other else None
