"""Rows of an archive as CSV, JSON lines or Parquet, batch by batch."""

from collections.abc import Callable, Iterable
from typing import Any, BinaryIO, Final, Literal, get_args

import msgspec
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from driftgauge.shared.wording.harmless import harmless

Form = Literal["csv", "jsonl", "parquet"]
FORMS: Final[tuple[Form, ...]] = get_args(Form)

_encode = msgspec.json.Encoder().encode


def export(batches: Iterable[Any], form: Form, out: BinaryIO) -> int:
    """Write record batches of the same columns; return the number of rows.

    Raises
    ------
    OSError
        If `out` cannot be written to.
    """
    return _WRITERS[form](batches, out)


def _write_parquet(batches: Iterable[Any], out: BinaryIO) -> int:
    writer, rows = None, 0
    try:
        for batch in batches:
            writer = writer or pq.ParquetWriter(out, batch.schema, compression="zstd")
            writer.write_batch(batch)
            rows += batch.num_rows
    finally:
        if writer is not None:
            writer.close()
    return rows


def _write_json_lines(batches: Iterable[Any], out: BinaryIO) -> int:
    rows = 0
    for batch in batches:
        out.write(b"".join(_encode(row) + b"\n" for row in batch.to_pylist()))
        rows += batch.num_rows
    return rows


def _write_csv(batches: Iterable[Any], out: BinaryIO) -> int:
    """Write a table that no spreadsheet runs; times are ISO 8601 in UTC, lists are JSON."""
    writer, rows = None, 0
    try:
        for batch in batches:
            names = [harmless(name) for name in batch.schema.names]
            cells = pa.record_batch([_cells(column) for column in batch.columns], names)
            writer = writer or pa_csv.CSVWriter(out, cells.schema)
            writer.write_batch(cells)
            rows += batch.num_rows
    finally:
        if writer is not None:
            writer.close()
    return rows


def _cells(column: Any) -> Any:
    """Return a column as CSV has it."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return pa.DictionaryArray.from_arrays(column.indices, _harmless(column.dictionary)).cast(
            pa.string()
        )
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _harmless(column)
    if pa.types.is_nested(kind):
        values = column.to_pylist()
        texts = [None if one is None else harmless(_encode(one).decode()) for one in values]
        return pa.array(texts, pa.string())
    plain = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    return column if plain else column.cast(pa.string())


def _harmless(texts: Any) -> Any:
    values = texts.to_pylist()
    return pa.array([None if one is None else harmless(one) for one in values], pa.string())


_WRITERS: Final[dict[Form, Callable[[Iterable[Any], BinaryIO], int]]] = {
    "csv": _write_csv,
    "jsonl": _write_json_lines,
    "parquet": _write_parquet,
}
