"""Rows of an archive become events of the log again, each with the names of its features."""

from typing import Any, NamedTuple

import pyarrow as pa

from driftgauge.shared.archive.columns import FEATURE
from driftgauge.shared.contract.entry_id import Place
from driftgauge.shared.contract.events import Prediction


class Row(NamedTuple):
    """A prediction of the archive.

    Parameters
    ----------
    names
        Names of its features, in their order.
    """

    place: Place
    names: tuple[str, ...]
    event: Prediction


def rows_of(table: Any, places: list[Place]) -> list[Row]:
    """Return the rows of a table, with the places that they had in the log."""
    features = [one.name for one in table.schema if one.metadata and FEATURE in one.metadata]
    names = tuple(table.schema.field(name).metadata[FEATURE].decode() for name in features)
    columns = {name: _values(table[name]) for name in table.column_names}
    missing = [None] * table.num_rows
    return [
        Row(
            place,
            names,
            Prediction(
                id=columns["id"][at],
                version=columns["version"][at],
                time=columns["time"][at],
                features=[columns[name][at] for name in features],
                prediction=columns.get("prediction", missing)[at],
                latency_ms=columns["latency_ms"][at],
                source=columns["source"][at],
                probabilities=columns.get("probabilities", missing)[at],
                trace=columns["trace"][at],
            ),
        )
        for at, place in enumerate(places)
    ]


def _values(column: Any) -> list[Any]:
    """Return a column's values as a log has them."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.float64())
    found: list[Any] = column.to_pylist()
    return found
