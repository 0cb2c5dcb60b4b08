"""Rows that a version's model must be able to predict: values of its own reference."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from driftgauge.shared.contract.events import Value
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.profile import CategoricalReference, ColumnReference
from driftgauge.shared.reference.times import converted
from driftgauge.shared.versions.manifest import PublishedVersion

WARM_UP_ROWS: Final = 32
SOME_TIME_MS: Final = 1_760_000_000_000.0
"""A time of 2025."""

Row = list[Value]


def reference_rows(published: PublishedVersion) -> list[Row]:
    """Return some rows of values that the reference has: of each feature from its smallest to its
    largest.

    None if there are personal features, which the reference does not have, or has as hashes.
    """
    if published.schema.personal:
        return []
    features = published.schema.features
    columns = [
        [_time(feature)] * WARM_UP_ROWS if feature.kind == "timestamp" else _values(column)
        for feature, column in zip(features, published.reference.columns, strict=False)
    ]
    return [list(row) for row in zip(*columns, strict=True)]


def _time(feature: Feature) -> float:
    """Return a time as a request may have it: the reference has only what is judged of times."""
    unit = feature.time.unit if feature.time is not None else None
    return float(converted(np.array([SOME_TIME_MS]), "ms", unit or "ms")[0])


def typical(column: ColumnReference) -> Value:
    """Return a value from the middle of a column's reference; None if the reference has only
    missing ones.
    """
    return _values(column)[WARM_UP_ROWS // 2]


def _values(column: ColumnReference) -> list[Value]:
    """Return values evenly over a column's range; missing if the reference has no other."""
    known: Sequence[Value] = (
        column.categories if isinstance(column, CategoricalReference) else column.cuts
    )
    places = np.linspace(0, len(known) - 1, WARM_UP_ROWS).astype(int).tolist() if known else []
    return [known[place] for place in places] or [None] * WARM_UP_ROWS
