"""The one reader of users' files: CSV, JSON lines, Parquet and Arrow, plain or compressed.

What a file is, is recognised by its content, never by its name. A file that cannot be used is
refused with its line, and with what to do.
"""

import gzip
import io
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final

import pandas as pd

from driftgauge.shared.errors import BadData
from driftgauge.shared.extras import needs
from driftgauge.shared.tables import arrow, json_lines
from driftgauge.shared.tables.delimited import Record, checked_header, read_delimited, records
from driftgauge.shared.tables.format import TableFormat
from driftgauge.shared.tables.recognising import (
    BINARY,
    HEAD_BYTES,
    HEAD_LINES,
    SEPARATOR_NAMES,
    UTF_8,
    Compression,
    FileKind,
    compression_of,
    encoding_named,
    is_utf_8,
    is_wide,
    kind_of_file,
    separator_of,
)
from driftgauge.shared.tables.table import Table

KIND_NAMES: Final = {"json_lines": "JSON lines", "parquet": "Parquet", "arrow": "Arrow"}


def read_table(
    path: Path,
    form: TableFormat | None = None,
    kinds: Mapping[str, str] | None = None,
    tell: Callable[[str], object] | None = None,
) -> pd.DataFrame:
    """Read a file, with types.

    Parameters
    ----------
    form
        How its cells are written; None for the usual way.
    kinds
        Kinds of the columns that are known, as for `Table.typed`; a fault of another column does
        not count then.
    tell
        Called with each sentence on what was recognised of the file.

    Raises
    ------
    BadData
        If the file is missing, cannot be read, has no rows, or a column is not of its kind.
    """
    table = open_table(path, form)
    if tell is not None:
        for remark in table.remarks:
            tell(remark)
    return table.typed(kinds).checked(str(path), kinds)


def open_table(path: Path, form: TableFormat | None = None) -> Table:
    """Read a file, without types yet.

    Raises
    ------
    BadData
        If the file is missing, cannot be read, or has no rows.
    """
    form = form or TableFormat()
    with _named(path, form), ExitStack() as open_files:
        file = _recognised(path, form, open_files)
        if file.kind == "csv":
            table = read_delimited(file.text(), file.separator, str(path))
        elif file.kind == "json_lines":
            table = json_lines.read_json_lines(file.text(), str(path))
        else:
            table = arrow.read_arrow(file.seekable(), file.kind, str(path))
        return replace(table, form=form, remarks=file.remarks())


@dataclass
class Cells:
    """A file as records of texts, that is read as it goes: it may be larger than memory.

    Parameters
    ----------
    header
        Names of its columns.
    records
        The place of each record (its line, or its row), and its cells: as many as the header has,
        but in CSV, where it may be more or fewer.
    remarks
        What was recognised, to be said.
    """

    header: list[str]
    records: Iterator[Record]
    remarks: tuple[str, ...] = ()


@contextmanager
def cells_of(path: Path, form: TableFormat | None = None) -> Iterator[Cells]:
    """Read a file as texts, record by record; values of other formats are written as in JSON.

    Raises
    ------
    BadData
        If the file is missing or cannot be read.
    """
    form = form or TableFormat()
    with ExitStack() as open_files:
        with _named(path, form):
            file = _recognised(path, form, open_files)
            if file.kind == "csv":
                found = records(file.text(), file.separator)
                header = checked_header(found)
            else:
                header = list(dict.fromkeys(name for _, one in file.objects() for name in one))
                found = (
                    (place, [_text(one.get(name), form) for name in header])
                    for place, one in file.objects()
                )
            remarks = file.remarks()
        yield Cells(header, _named_records(found, path, form), remarks)


def _text(value: Any, form: TableFormat) -> str:
    """Write a value as a cell of a format."""
    if value is None or value != value:  # noqa: PLR0124  NaN
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value).replace(".", form.decimal)
    return str(value)


@dataclass
class _File:
    """A file of a known kind; each look at it begins at its start."""

    path: Path
    content: Path
    form: TableFormat
    compression: Compression
    kind: FileKind
    open_files: ExitStack
    encoding: str

    def binary(self) -> io.BufferedReader:
        return self.open_files.enter_context(_uncompressed(self.content, self.compression))

    def seekable(self) -> io.BufferedIOBase:
        return io.BytesIO(self.binary().read()) if self.compression else self.binary()

    def text(self) -> IO[str]:
        text = io.TextIOWrapper(self.binary(), self.encoding, newline="")
        return self.open_files.enter_context(text)

    def objects(self) -> Iterator[tuple[int, dict[str, Any]]]:
        if self.kind in {"parquet", "arrow"}:
            return enumerate(arrow.objects(self.seekable(), self.kind), start=1)
        return json_lines.objects(self.text())

    @cached_property
    def separator(self) -> str:
        if self.form.separator is not None:
            return self.form.separator
        lines = list(islice(self.text(), HEAD_LINES + 1))
        return separator_of(lines[:HEAD_LINES], whole=len(lines) <= HEAD_LINES)

    def remarks(self) -> tuple[str, ...]:
        if self.kind != "csv":
            told = [f"{self.path} is read as {KIND_NAMES[self.kind]}."]
        elif self.separator == "," or self.form.separator is not None:
            told = []
        else:
            told = [f"{self.path}: {SEPARATOR_NAMES[self.separator]} stand between the cells."]
        if self.kind in {"csv", "json_lines"} and self.encoding == UTF_8 != encoding_named(
            self.form.encoding
        ):
            told.append(f"{self.path} is utf-8, and not {self.form.encoding}: it is read as utf-8.")
        return tuple(told)


def _recognised(path: Path, form: TableFormat, open_files: ExitStack) -> _File:
    content = _kept(path, open_files)
    with content.open("rb") as raw:
        compression = compression_of(raw.read(4))
    with _uncompressed(content, compression) as binary:
        head = binary.read(HEAD_BYTES)
    if not head:
        raise BadData("it is empty")
    encoding = encoding_named(form.encoding)
    if encoding != UTF_8 and not head.startswith((*BINARY,)):
        with _uncompressed(content, compression) as binary:
            encoding = UTF_8 if is_utf_8(binary, encoding) else encoding
    kind = kind_of_file(head, encoding)
    return _File(path, content, form, compression, kind, open_files, encoding)


def _kept(path: Path, open_files: ExitStack) -> Path:
    """Return where a file's bytes can be read more than once: those of a pipe are kept."""
    if not path.is_fifo():
        return path
    kept = open_files.enter_context(tempfile.NamedTemporaryFile())  # noqa: SIM115  it is entered
    with path.open("rb") as pipe:
        shutil.copyfileobj(pipe, kept)
    kept.flush()
    return Path(kept.name)


@contextmanager
def _named(path: Path, form: TableFormat) -> Iterator[None]:
    """Tell the file of whatever is wrong with it."""
    try:
        yield
    except BadData as error:
        raise BadData(f"{path}: {str(error).rstrip('.')}.") from error
    except FileNotFoundError:
        raise BadData(f"There is no file {path}.") from None
    except UnicodeError as error:
        raise BadData(f"{path}: {_undecoded(path, form)}.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise BadData(f"{path} cannot be read: {error}.") from error


def _named_records(found: Iterator[Record], path: Path, form: TableFormat) -> Iterator[Record]:
    with _named(path, form):
        yield from found


def _uncompressed(path: Path, compression: Compression) -> io.BufferedReader:
    if compression == "gz":
        return io.BufferedReader(gzip.open(path))
    if compression == "zstd":
        with needs("parquet"):
            import pyarrow as pa
        return io.BufferedReader(pa.CompressedInputStream(pa.OSFile(str(path)), "zstd"))
    return path.open("rb")


def _undecoded(path: Path, form: TableFormat) -> str:
    """Say where a file cannot be decoded, by a second look at it if it allows one."""
    other = "; if it is of Windows, say --encoding cp1252" if form.encoding != "cp1252" else ""
    if path.is_file() and not is_wide(form.encoding):
        with path.open("rb") as raw:
            compression = compression_of(raw.read(4))
        with _uncompressed(path, compression) as binary:
            passed = 0
            for number, line in enumerate(binary, start=1):
                try:
                    line.decode(form.encoding)
                except UnicodeDecodeError as error:
                    byte = passed + error.start
                    return f"line {number}, byte {byte:,} of the file is not {form.encoding}{other}"
                passed += len(line)
    return f"it is not {form.encoding}{other}"
