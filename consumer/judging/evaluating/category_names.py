"""Which categories of the reference a window lacks, by their names."""

import numpy as np

from driftgauge.shared.contract.snapshot import CategoryRows
from driftgauge.shared.reference.profile import CategoricalReference, bucket
from driftgauge.shared.statistics import ColumnCounts
from driftgauge.shared.statistics.counts import MIN_EXPECTED

MOST_NAMES = 10


def vanished(counts: ColumnCounts) -> list[CategoryRows]:
    """Return categories that are expected to have some rows of the window and have none, the most
    expected first, with the rows expected.

    A category without a cell of its own is known to be absent if its whole bucket is; then its
    rows are those of its bucket, shared among all that are in it.

    Examples
    --------
    >>> column = CategoricalReference.build("c", [*"aaaab" * 20])
    >>> [(one.name, one.rows) for one in vanished(ColumnCounts(column, np.array([50, 0, 0, 0, 0])))]
    [('b', 10.0)]
    """
    column = counts.reference
    if not isinstance(column, CategoricalReference) or not counts.n:
        return []
    expected = counts.reference_cells * (counts.m / counts.n)
    absent = (counts.window == 0) & (expected >= MIN_EXPECTED)
    top = len(column.categories)
    found = [
        CategoryRows(column.categories[cell], round(float(expected[cell]), 3))
        for cell in np.flatnonzero(absent[:top]).tolist()
    ]
    whole = absent[top : column.unseen] & (counts.window[column.unseen : column.missing] == 0)
    if whole.any():
        places = [bucket(name, column.buckets) for name in column.other]
        sizes = np.bincount(places, minlength=column.buckets)
        found += [
            CategoryRows(name, round(float(expected[top + place] / sizes[place]), 3))
            for name, place in zip(column.other, places, strict=True)
            if whole[place]
        ]
    return sorted(found, key=lambda one: -one.rows)[:MOST_NAMES]
