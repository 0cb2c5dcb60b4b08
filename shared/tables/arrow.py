"""Parquet and Arrow files, by PyArrow (extra `parquet`)."""

from collections.abc import Iterator
from io import BufferedIOBase
from typing import TYPE_CHECKING, Any

import numpy as np

from driftgauge.shared.errors import BadData
from driftgauge.shared.extras import needs
from driftgauge.shared.tables.recognising import FileKind, header_fault

if TYPE_CHECKING:
    from driftgauge.shared.tables.table import Table

BATCH_ROWS = 10_000
_INDEX = "__index_level_"
"""How pandas names the columns of an index without a name."""


def read_arrow(file: BufferedIOBase, kind: FileKind, source: str) -> "Table":
    """Read a whole file.

    Raises
    ------
    BadData
        If it cannot be read, has no rows, or has names that cannot be used.
    NotInstalled
        If PyArrow is absent.
    """
    with needs("parquet"):
        import pyarrow as pa
    batches = list(_batches(file, kind))
    found = pa.Table.from_batches(batches) if batches else None
    if found is None or not found.num_rows:
        raise BadData("it has no rows")
    fault = header_fault(found.column_names)
    if fault:
        raise BadData(fault)
    kept = [name for name in found.column_names if not name.startswith(_INDEX)]
    frame = found.select(kept).to_pandas(ignore_metadata=True, integer_object_nulls=True)
    columns = {name: frame[name] for name in kept}
    from driftgauge.shared.tables.table import Table  # with pandas, which the API starts without

    return Table(source, columns, np.arange(1, found.num_rows + 1), "row")


def objects(file: BufferedIOBase, kind: FileKind) -> Iterator[dict[str, Any]]:
    """Read the rows one by one, as Python's values; the file may be larger than memory.

    Raises
    ------
    BadData
        If it cannot be read.
    """
    for batch in _batches(file, kind):
        yield from batch.to_pylist()


MOST_UNPACKED = 64 << 20
"""Bytes of a Parquet file's first row group, as the file states them, beyond which no row of it is
shown.
"""


def first_rows(
    file: BufferedIOBase, kind: FileKind, most: int, *, whole: bool
) -> tuple[list[str], list[dict[str, Any]]]:
    """Read the names of the columns and the first rows of a file that may be cut.

    Parameters
    ----------
    most
        Most rows.
    whole
        Whether it is all of the file; else it is the beginning of an Arrow file, or the end of a
        Parquet file, where its columns stand: then no row is read.

    Raises
    ------
    BadData
        If it is no such file.
    NotInstalled
        If PyArrow is absent.
    """
    with needs("parquet"):
        import pyarrow as pa
        from pyarrow import ipc, parquet
    try:
        if kind == "parquet":
            found = parquet.ParquetFile(file)
            names, groups = found.schema_arrow.names, found.metadata.num_row_groups
            if (
                not whole
                or not groups
                or found.metadata.row_group(0).total_byte_size > MOST_UNPACKED
            ):
                return names, []
            batch = next(found.iter_batches(most), None)
            return names, [] if batch is None else batch.to_pylist()
        if file.read(8) != b"ARROW1\0\0":  # behind it a file goes on as a stream does
            file.seek(0)
        stream = ipc.open_stream(file)
    except (pa.ArrowException, OSError) as error:
        raise BadData(f"it cannot be read as {kind.title()}: {error}") from error
    try:
        rows = stream.read_next_batch().slice(0, most).to_pylist()
    except (StopIteration, pa.ArrowException, OSError):  # it has none, or is cut within the first
        rows = []
    return stream.schema.names, rows


def _batches(file: BufferedIOBase, kind: FileKind) -> Iterator[Any]:
    with needs("parquet"):
        import pyarrow as pa
        from pyarrow import ipc, parquet
    try:
        if kind == "parquet":
            yield from parquet.ParquetFile(file).iter_batches(BATCH_ROWS)
        elif file.read(6) == b"ARROW1":
            file.seek(0)
            reader = ipc.open_file(file)
            yield from (reader.get_batch(place) for place in range(reader.num_record_batches))
        else:
            file.seek(0)
            yield from ipc.open_stream(file)
    except (pa.ArrowException, OSError) as error:
        raise BadData(f"it cannot be read as {kind.title()}: {error}") from error
