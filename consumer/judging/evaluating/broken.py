"""What is wrong with the values of a column, for an alert of broken values: how many of each kind,
the range that they should have, and the worst that came.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from driftgauge.shared.arrays import Ints
from driftgauge.shared.contract.alert import BrokenValues
from driftgauge.shared.contract.pane import Alarm, OddValues
from driftgauge.shared.reference.profile import CategoricalReference, ColumnReference

KINDS: Final[Mapping[str, str]] = {
    "missing": "missing",
    "out_of_range": "outside",
    "unseen": "unseen",
}
"""Field of the kind that an online test is about, by its statistic."""


def broken_values(column: ColumnReference, cells: Ints, odd: OddValues) -> BrokenValues:
    """Sum up a window.

    Parameters
    ----------
    cells
        Rows of the window in each cell of the column.
    odd
        The worst values of the window.

    Examples
    --------
    >>> import numpy as np
    >>> from driftgauge.shared.reference.profile import NumericReference
    >>> column = NumericReference.build("x", np.arange(1.0, 100.0))
    >>> cells = np.bincount(column.cells(np.array([5.0, 200.0, np.nan])), minlength=200)
    >>> found = broken_values(column, cells[: len(column.counts)], OddValues(200.0, 200.0))
    >>> found.missing, found.outside, found.smallest, found.largest, found.lowest, found.highest
    (1, 1, 1.0, 99.0, None, 200.0)
    """
    rows, missing = int(cells.sum()), int(cells[column.missing])
    if isinstance(column, CategoricalReference):
        unseen = int(cells[column.unseen : column.missing].sum())
        return BrokenValues(rows, missing, unseen=unseen, names=odd.names)
    outside = int(cells[0] + cells[column.missing - 1]) if column.cuts else 0
    return _in_range(BrokenValues(rows, missing, outside), column, odd)


def broken_since(column: ColumnReference, alarm: Alarm, odd: OddValues) -> BrokenValues | None:
    """Sum up what an online test found since the change; None for a test of something else, such as
    a value that is stuck.
    """
    kind = KINDS.get(alarm.statistic)
    if kind is None:
        return None
    rows = {kind: round(alarm.value * alarm.width)}
    found = msgspec.structs.replace(BrokenValues(alarm.width, names=odd.names), **rows)
    return found if kind != "outside" else _in_range(found, column, odd)


def traces_of(broken: BrokenValues, odd: OddValues) -> tuple[str, ...]:
    """Return traces of predictions with the broken values, of the kind that most of them are.

    Examples
    --------
    >>> traces_of(BrokenValues(100, missing=60), OddValues(traces=("a",), missing=("b",)))
    ('b',)
    """
    if broken.missing > broken.outside + broken.unseen:
        return odd.missing or odd.traces
    return odd.traces or odd.missing


def _in_range(found: BrokenValues, column: ColumnReference, odd: OddValues) -> BrokenValues:
    """Add the range of a number, and the worst values below and above it."""
    if isinstance(column, CategoricalReference) or not column.cuts:
        return found
    smallest, largest = column.cuts[0], column.cuts[-1]
    lowest = odd.lowest if odd.lowest is not None and odd.lowest < smallest else None
    highest = odd.highest if odd.highest is not None and odd.highest > largest else None
    return BrokenValues(
        found.rows,
        found.missing,
        found.outside,
        smallest=smallest,
        largest=largest,
        lowest=lowest,
        highest=highest,
    )
