"""An archive of any length, made by a script: a day after the other, as workers and
`driftgauge archive compact` leave it.

The rows are made as columns, and written by the archive's own writer with its manifests. A day of a
million rows takes some seconds.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa

from driftgauge.shared.archive.columns import CATEGORY, TIME, label_columns, prediction_columns
from driftgauge.shared.archive.rows import NUMBERS, Group
from driftgauge.shared.archive.store import Store
from driftgauge.shared.archive.writing import write_groups, write_head
from driftgauge.shared.arrays import Ints
from driftgauge.shared.reference.schema import Schema

DAY_MS: Final = 86_400_000
FILE_ROWS: Final = 1_000_000
"""Most rows of a file, as joining leaves it."""
CITIES: Final = [f"city{number}" for number in range(50)]
LABELLED: Final = 10
"""One prediction of so many gets a label."""
LABEL_MS: Final = 3_600_000
"""Longest time from a prediction to its label."""
VERSION: Final = "1.0.0"
HEX: Final = np.frombuffer(b"".join(b"%02x" % byte for byte in range(256)), "S2")
DASHES: Final = ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))
"""Digits of an id between its dashes."""


def make(
    store: Store,
    model: str,
    schema: Schema,
    rows: int,
    days: int,
    end_ms: int,
    told: Callable[[int], None],
) -> int:
    """Write as many days that end at a time; return the number of predictions.

    Parameters
    ----------
    told
        Function that is told how many rows there are, after each day.
    """
    first = end_ms - days * DAY_MS
    each = rows // days
    done = 0
    for day in range(days):
        begin = first + day * DAY_MS
        files = max(1, -(-each // FILE_ROWS))
        for part in range(files):
            span = (begin + part * DAY_MS // files, begin + (part + 1) * DAY_MS // files)
            number = each * (part + 1) // files - each * part // files
            groups = _groups(schema, np.random.default_rng((day, part)), number, span)
            ids = (f"{span[0]}-0", f"{span[1]}-0")
            write_groups(store, model, 0, ids, groups, lambda: None)
            done += number
        told(done)
    write_head(store, model, "p0", f"{end_ms}-0")
    return done


def _groups(
    schema: Schema, random: np.random.Generator, number: int, span: tuple[int, int]
) -> Iterator[Group]:
    start, end = span
    times = np.sort(random.integers(start + 1, end, number))
    ids = ids_at(times, random)
    columns = prediction_columns(schema)
    given = {
        "id": ids,
        "version": _all(VERSION, number),
        "time": pa.array(times).cast(TIME),
        "source": _all("online", number),
        "latency_ms": pa.array(random.gamma(2, 1, number).round(3)),
        "trace": pa.nulls(number, pa.string()),
        "prediction": pa.array(random.normal(size=number).round(6)),
        **_place(times, 0),
    }
    kinds = {feature.name: feature.kind for feature in schema.features}
    for name in columns.names:
        if kinds.get(name) == "numeric":
            given[name] = pa.array(random.normal(size=number).round(4))
        elif kinds.get(name) == "categorical":
            codes = pa.array(random.integers(0, len(CITIES), number, np.int32))
            given[name] = pa.DictionaryArray.from_arrays(codes, pa.array(CITIES))
    table = pa.table([given[name] for name in columns.names], schema=columns)
    yield from _by_day("predictions", VERSION, table, times)
    late = np.minimum(
        times[::LABELLED] + random.integers(1, LABEL_MS, len(ids[::LABELLED])), end - 1
    )
    order = np.argsort(late, kind="stable")
    late = late[order]
    labels = {
        "id": ids[::LABELLED].take(pa.array(order)),
        "label": pa.array(random.normal(size=len(late)).round(6)),
        "time": pa.array(late).cast(TIME),
        **_place(late, 1),
    }
    named = label_columns(numbers=True)
    table = pa.table([labels[name] for name in named.names], schema=named)
    yield from _by_day("labels", NUMBERS, table, late)


def _by_day(kind: Any, version: str, table: Any, times: Ints) -> Iterator[Group]:
    days = times // DAY_MS
    for day in np.unique(days).tolist():
        chosen = np.flatnonzero(days == day)
        part = table.slice(chosen[0], len(chosen))
        date = str(np.datetime64(day, "D"))
        yield Group(kind, version, date, part, int(times[chosen[0]]), int(times[chosen[-1]]))


def _place(times: Ints, number: int) -> dict[str, Any]:
    return {
        "entry_time": pa.array(times).cast(TIME),
        "entry_number": pa.array(np.arange(len(times)) * 2 + number),
        "partition": pa.array(np.zeros(len(times), np.int32)),
    }


def _all(text: str, number: int) -> Any:
    codes = pa.array(np.zeros(number, np.int32))
    return pa.DictionaryArray.from_arrays(codes, pa.array([text])).cast(CATEGORY)


def ids_at(times: Ints, random: np.random.Generator) -> Any:
    """Return ids of version 7, of the moments at which predictions were made.

    >>> ids_at(np.array([1763640000000]), np.random.default_rng(0))[0].as_py()[:14]
    '019aa122-be00-'
    """
    number = len(times)
    drawn = random.integers(0, 256, (number, 16), np.uint8)
    drawn[:, :6] = times.astype(">u8").view(np.uint8).reshape(number, 8)[:, 2:]
    drawn[:, 6] = drawn[:, 6] & 0x0F | 0x70
    drawn[:, 8] = drawn[:, 8] & 0x3F | 0x80
    digits = HEX[drawn].view("S1").reshape(number, 32)
    text = np.full((number, 36), b"-", "S1")
    for place, (start, end) in enumerate(DASHES):
        text[:, start + place : end + place] = digits[:, start:end]
    offsets = pa.py_buffer(np.arange(number + 1, dtype=np.int32) * 36)
    return pa.StringArray.from_buffers(number, offsets, pa.py_buffer(text.tobytes()))
