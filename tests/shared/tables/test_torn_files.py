"""Whatever a file holds, it is read or refused by name: no other error, and no wait."""

import contextlib
import gzip
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from driftgauge.shared.errors import BadData
from driftgauge.shared.tables.format import TableFormat
from driftgauge.shared.tables.reading import cells_of, open_table

FRAME = pd.DataFrame({"x": [1.5, None, 3.0], "c": ["a", "007", None], "b": [True, False, True]})


def _arrow() -> bytes:
    sink = io.BytesIO()
    table = pa.Table.from_pandas(FRAME)
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


CSV = FRAME.to_csv(index=False).encode()
WHOLE = (
    CSV,
    FRAME.to_csv(index=False, sep=";", decimal=",").encode("utf-16"),
    FRAME.to_json(orient="records", lines=True).encode(),
    FRAME.to_parquet(),
    _arrow(),
    gzip.compress(CSV, mtime=0),
    pa.compress(CSV, codec="zstd", asbytes=True),
)


@st.composite
def torn(draw: Any) -> bytes:
    """A good file in which some bytes were changed, left out or put in."""
    content = bytearray(draw(st.sampled_from(WHOLE)))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, max(len(content) - 1, 0)))
        length = draw(st.integers(0, 5))
        content[place : place + length] = draw(st.binary(max_size=6))
    return bytes(content[: draw(st.integers(0, len(content)))] if draw(st.booleans()) else content)


@contextlib.contextmanager
def refused(path: Path) -> Iterator[None]:
    """Let a refusal pass that names the file."""
    told = ""
    try:
        yield
    except BadData as error:
        told = str(error)
    assert not told or str(path) in told


@settings(max_examples=300, deadline=5000, suppress_health_check=[HealthCheck.too_slow])
@given(content=torn() | st.binary(max_size=200), encoding=st.sampled_from(["utf-8", "utf-16"]))
@example(content=b"\xff\xfe", encoding="utf-16")
@example(content=b'{"x": ' + b"[" * 100_000, encoding="utf-8")
def test_a_torn_file_is_read_or_refused(content: bytes, encoding: str) -> None:
    """Cut, changed or made of chance: the answer is a table or a sentence that names the file."""
    form = TableFormat(encoding=encoding)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data"
        path.write_bytes(content)
        with contextlib.suppress(BadData):
            open_table(path, form).typed()
        with contextlib.suppress(BadData), cells_of(path, form) as cells:
            assert all(place > 0 for place, _ in cells.records)
        with refused(path):
            open_table(path, form).typed({"x": "numeric", "b": "boolean", "c": "categorical"})
