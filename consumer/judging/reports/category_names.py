"""Which categories of the reference a window lacks, by their names."""

import numpy as np

from driftgauge.shared.arrays import Flags, Floats, Ints
from driftgauge.shared.contract.snapshot import CategoryRows
from driftgauge.shared.reference.profile import CategoricalReference, bucket
from driftgauge.shared.statistics import ReferenceSide
from driftgauge.shared.statistics.counts import MIN_EXPECTED

MOST_NAMES = 10


def vanished(side: ReferenceSide, windows: Ints) -> list[list[CategoryRows]]:
    """Return, for each window, categories that are expected to have some of its rows and have none,
    the most expected first, with the rows expected.

    A category without a cell of its own is known to be absent if its whole bucket is; then its
    rows are those of its bucket, shared among all that are in it.

    Parameters
    ----------
    windows
        Rows in each cell of the column, shape (windows, cells).

    Examples
    --------
    >>> side = ReferenceSide(CategoricalReference.build("c", [*"aaaab" * 20]))
    >>> [(one.name, one.rows) for one in vanished(side, np.array([[50, 0, 0, 0, 0]]))[0]]
    [('b', 10.0)]
    """
    column = side.column
    if not isinstance(column, CategoricalReference) or not side.n:
        return [[] for _ in windows]
    expected = side.cells * (windows.sum(axis=1) / side.n)[:, None]
    absent = (windows == 0) & (expected >= MIN_EXPECTED)
    top, unseen = len(column.categories), column.unseen
    absent[:, top:unseen] &= windows[:, unseen : column.missing] == 0
    some = absent[:, :unseen].any(axis=1)
    return [
        _named(column, gone, rows) if any_gone else []
        for gone, rows, any_gone in zip(absent, expected, some.tolist(), strict=True)
    ]


def _named(column: CategoricalReference, absent: Flags, expected: Floats) -> list[CategoryRows]:
    """Name the absent categories of a window, and those of absent buckets."""
    top = len(column.categories)
    found = [
        CategoryRows(column.categories[cell], round(float(expected[cell]), 3))
        for cell in np.flatnonzero(absent[:top]).tolist()
    ]
    whole = absent[top : column.unseen]
    if whole.any():
        places = [bucket(name, column.buckets) for name in column.other]
        sizes = np.bincount(places, minlength=column.buckets)
        found += [
            CategoryRows(name, round(float(expected[top + place] / sizes[place]), 3))
            for name, place in zip(column.other, places, strict=True)
            if whole[place]
        ]
    return sorted(found, key=lambda one: -one.rows)[:MOST_NAMES]
