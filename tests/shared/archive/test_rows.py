"""Events become columns of the archive's types, however many batches they come in."""

from typing import Any

import numpy as np
import pyarrow as pa

from driftgauge.shared.archive.columns import TIME
from driftgauge.shared.archive.rows import Group, Rows
from driftgauge.shared.archive.writing import parquet
from driftgauge.shared.contract.events import Prediction
from driftgauge.shared.reference.feature import Feature
from driftgauge.shared.reference.schema import Schema
from tests.shared.archive.making import DAY_MS, NOON, SCHEMA, prediction

BATCH = 2
"""Predictions that are added at a time."""


def grouped(predictions: list[Prediction], schema: Schema = SCHEMA) -> list[Group]:
    """Return the rows of the files of predictions, added in batches."""
    rows = Rows(0)
    for start in range(0, len(predictions), BATCH):
        some = predictions[start : start + BATCH]
        ms = NOON + start + np.arange(len(some))
        rows.add_predictions(schema, some, ms, np.zeros(len(some), np.int64))
    return list(rows.groups())


def city(place: int, name: str | None, **more: Any) -> Prediction:
    return prediction(place, features=[float(place), name], **more)


def test_values_get_the_types_of_their_features() -> None:
    """Numbers of a boolean, and of a time in ms, become such; without a fraction, as times have
    none. A missing value is null, of whatever kind.
    """
    kinds = ("numeric", "categorical", "boolean", "timestamp")
    schema = Schema(
        tuple(Feature(f"a {kind}", kind, nullable=True) for kind in kinds), "numeric"
    ).stream
    values = [[1.5, "north", 1.0, NOON + 0.75], [None] * 4, [-0.0, "", 0.0, float(NOON)]]
    (group,) = grouped(
        [prediction(place, features=row) for place, row in enumerate(values)], schema
    )
    found = group.table.select([f"a {kind}" for kind in kinds])
    assert found.schema.types[:3:2] + found.schema.types[3:] == [pa.float64(), pa.bool_(), TIME]
    assert [column.cast(pa.int64()).to_pylist() for column in found.columns[2:]] == [
        [1, None, 0],
        [NOON, None, NOON],
    ]
    assert [column.to_pylist() for column in found.columns[:2]] == [
        [1.5, None, -0.0],
        ["north", None, ""],
    ]


def test_what_the_event_says_of_itself_stands_beside_its_features() -> None:
    """What an event does not say is null; the version and the partition are those of all rows."""
    said = {"latency_ms": 2.5, "source": "batch", "trace": "t-s", "prediction": None}
    (group,) = grouped([prediction(1), prediction(2, **said)])
    plain, full = group.table.to_pylist()
    assert {name: full[name] for name in said} == said
    assert (plain["id"], plain["source"], plain["latency_ms"], plain["trace"]) == (
        "id1",
        "online",
        None,
        None,
    )
    assert {(one["version"], one["partition"]) for one in (plain, full)} == {("1.0.0", 0)}


def test_all_batches_of_a_file_have_one_dictionary() -> None:
    """Each category stands once in the dictionary, in the order in which the log has them."""
    names = ["north", None, "south", "north", "east", "south"]
    (group,) = grouped([city(place, name) for place, name in enumerate(names)])
    cities = group.table["city"]
    assert cities.to_pylist() == names
    assert [one.dictionary.to_pylist() for one in cities.chunks] == [["north", "south", "east"]] * 3


def test_a_cut_over_midnight_is_a_file_for_each_day() -> None:
    """Each has the rows of its day, in the order of the log, with their categories."""
    first, second = grouped(
        [city(1, "north"), city(2, "south", time_ms=NOON + DAY_MS), city(3, "east")]
    )
    assert (first.date, first.table["city"].to_pylist()) == ("2025-11-20", ["north", "east"])
    assert (second.date, second.table["city"].to_pylist()) == ("2025-11-21", ["south"])
    assert (first.first, first.last, second.first) == (NOON, NOON, NOON + DAY_MS)


def test_the_same_rows_are_the_same_bytes() -> None:
    """A cut that is written again finds the file that it would write."""
    predictions = [city(place, f"city{place % 3}") for place in range(9)]
    first, again = (parquet(grouped(predictions)[0].table) for _ in range(2))
    assert first == again
