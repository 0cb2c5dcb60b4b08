"""What a file is, by its first bytes and lines; what cannot be read is named. Pure."""

import codecs
import csv
import re
from collections import Counter
from collections.abc import Sequence
from typing import IO, Final, Literal

from driftgauge.shared.errors import BadData
from driftgauge.shared.tables.format import SEPARATORS

FileKind = Literal["csv", "json_lines", "parquet", "arrow"]
Compression = Literal["", "gz", "zstd"]

UTF_8: Final = "utf-8-sig"
HEAD_BYTES: Final = 1 << 16
"""Bytes by which a file is recognised."""
HEAD_LINES: Final = 200
"""Lines by which a separator is recognised."""
MOST_COLUMNS: Final = 20_000
SEPARATOR_NAMES: Final = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
COMPRESSED: Final[dict[bytes, Compression]] = {b"\x1f\x8b": "gz", b"\x28\xb5\x2f\xfd": "zstd"}
BINARY: Final[dict[bytes, FileKind]] = {
    b"PAR1": "parquet",
    b"ARROW1": "arrow",
    b"\xff\xff\xff\xff": "arrow",
}
UNREAD: Final = {
    b"PK\x03\x04": "an Excel workbook or a ZIP archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"BZh91AY": "compressed by bzip2",
    b"\xfd7zXZ": "compressed by xz",
    b"SQLite format 3": "an SQLite database",
    b"%PDF-": "a PDF",
    b"<?xml": "XML",
    b"<!DOCTYPE": "HTML",
    b"<html": "HTML",
}
"""First bytes of what is not read, and its name."""
COMPRESSED_NAMES: Final = {"gz": "compressed by gzip", "zstd": "compressed by zstd"}
BYTE_ORDER_MARKS: Final = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_EXCEL: Final = re.compile(r"\ufeff?\"?sep=.\"?\s*$", re.IGNORECASE)
_VALUE: Final = re.compile(
    r"[+-]?(?:\d{1,30}(?:[.,]\d{0,30})?|[.,]\d{1,30})"
    r"|\d{1,4}[-./]\d{1,2}[-./]\d{1,4}(?:[ T].{0,30})?"
)
"""A number, or a date."""
LIKELY: Final = 0.9
"""Share of the records that have as many cells as the header, for a separator to be likely."""


def compression_of(head: bytes) -> Compression:
    """Tell how a file is compressed, by its first bytes."""
    return next((name for magic, name in COMPRESSED.items() if head.startswith(magic)), "")


def is_wide(encoding: str) -> bool:
    """Tell whether an encoding has more than one byte for each character of ASCII."""
    return codecs.lookup(encoding).name.startswith(("utf-16", "utf-32"))


def encoding_named(name: str) -> str:
    """Return the encoding of a name; UTF-8 may begin with a byte order mark."""
    return UTF_8 if name.lower().replace("_", "-") in {"utf-8", "utf8"} else name


def is_utf_8(content: IO[bytes], encoding: str) -> bool:
    """Tell whether a file is UTF-8, although it is said to have another encoding.

    Of an encoding that has one byte for each character it is, if it has others than ASCII and all
    are right in UTF-8, which happens to no text of the other one; of UTF-16 and its like, if it is
    text without a byte 0. Of other encodings that cannot be told.

    Examples
    --------
    >>> import io
    >>> is_utf_8(io.BytesIO("é".encode()), "cp1252"), is_utf_8(io.BytesIO(b"x"), "utf-16")
    (True, True)
    >>> is_utf_8(io.BytesIO("é".encode("cp1252")), "cp1252"), is_utf_8(io.BytesIO(b"x"), "cp1252")
    (False, False)
    """
    wide = is_wide(encoding)
    if not wide and len(bytes(range(128, 256)).decode(encoding, "replace")) != 128:
        return False
    decoder = codecs.getincrementaldecoder("utf-8")()
    plain = True
    try:
        while piece := content.read(HEAD_BYTES):
            if b"\0" in piece:
                return False
            decoder.decode(piece)
            plain = plain and piece.isascii()
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return wide or not plain


def kind_of_file(head: bytes, encoding: str) -> FileKind:
    """Tell what a file is.

    Parameters
    ----------
    head
        Its first bytes, uncompressed.
    encoding
        Of its text, if it is text.

    Raises
    ------
    BadData
        If it is something that is not read.

    Examples
    --------
    >>> kind_of_file(b'{"x": 1}', "utf-8"), kind_of_file(b"x,y", "utf-8")
    ('json_lines', 'csv')
    """
    compression = compression_of(head)
    if compression:
        raise BadData(f"this looks like it is {COMPRESSED_NAMES[compression]}; unpack it first")
    for magic, kind in BINARY.items():
        if head.startswith(magic):
            return kind
    for magic, name in UNREAD.items():
        if head.lstrip().startswith(magic):
            raise BadData(
                f"this looks like {name}; write it as CSV, JSON lines, Parquet or Arrow instead"
            )
    wide = is_wide(encoding)
    for mark, name in BYTE_ORDER_MARKS.items():
        if head.startswith(mark) and not wide:
            raise BadData(f"this looks like {name}; say --encoding {name}")
    if b"\0" in head and not wide:
        raise BadData("this is no text: there is a byte 0 in it")
    text = head.decode(encoding, errors="replace").lstrip("\ufeff \t\r\n")
    if re.match(r"\[\s*(\{\s*[\"}]|\])", text):
        raise BadData(
            "this looks like one JSON document; write JSON lines instead, an object on each line "
            "(jq -c '.[]')"
        )
    return "json_lines" if re.match(r"\{\s*[\"}]", text) else "csv"


def separator_of(lines: Sequence[str], *, whole: bool) -> str:
    r"""Recognise the separator of a CSV file.

    It is the one by which the header has two cells at least, and the records below have as many.
    A file with one column has none; then it is one that stands in no record.

    Parameters
    ----------
    lines
        The first lines, with their ends.
    whole
        True if these are all lines; else the last record may be torn.

    Raises
    ------
    BadData
        If more than one may be meant.

    Examples
    --------
    >>> separator_of(["a;b\n", "1,5;2,5\n"], whole=True)
    ';'
    >>> separator_of(["a,b;c\n", "1,5;2\n"], whole=True)
    Traceback (most recent call last):
    driftgauge.shared.errors.BadData: the separator may be ',' or ';'; say which by --separator
    """
    if lines and _EXCEL.match(lines[0]):
        raise BadData(
            "line 1 is Excel's mark of the separator, no header; remove it (the separator is "
            "recognised)"
        )
    widths = {one: _widths(lines, one, whole=whole) for one in SEPARATORS}
    named = {one: found for one, found in widths.items() if found and found[0] > 1}
    fitting = [one for one, found in named.items() if len(set(found)) == 1]
    if not fitting:
        fitting = [one for one, (first, *rest) in named.items() if _share(first, rest) >= LIKELY]
    if not named:  # one column, which may have decimal commas
        return next((one for one, found in widths.items() if set(found) == {1}), SEPARATORS[0])
    fitting = fitting or list(named)
    if len(fitting) > 1:
        raise BadData(
            f"the separator may be {' or '.join(map(repr, fitting))}; say which by --separator"
        )
    return fitting[0]


def _widths(lines: Sequence[str], separator: str, *, whole: bool) -> list[int]:
    """Count the cells of each record; none after the first that cannot be read."""
    found: list[int] = []
    try:
        found.extend(len(one) for one in csv.reader(lines, delimiter=separator) if one)
    except csv.Error:
        return found
    return found if whole or len(found) < 2 else found[:-1]


def _share(width: int, widths: Sequence[int]) -> float:
    return Counter(widths)[width] / len(widths) if widths else 0.0


def other_separator(header: Sequence[str]) -> str:
    """Return the name of the separator that a header of one cell seems to have; empty if none.

    Examples
    --------
    >>> other_separator(["temp;load"]), other_separator(["temp"])
    ('semicolons', '')
    """
    if len(header) != 1:
        return ""
    return next((name for mark, name in SEPARATOR_NAMES.items() if mark in header[0]), "")


def looks_like_values(header: Sequence[str]) -> bool:
    """Tell whether a first line is hardly a header: it holds an e-mail address, or half of it are
    numbers or dates, but no plain count. Then none of it is quoted: it may be a person's row.

    Examples
    --------
    >>> [looks_like_values(line.split(",")) for line in ("Ann,1970-01-02,44", "x,7,y", "0,1,2")]
    [True, False, False]
    """
    if len(header) < 2:
        return False
    if any("@" in name for name in header):
        return True
    if [*header] in ([*map(str, range(len(header)))], [*map(str, range(1, len(header) + 1))]):
        return False
    return 2 * sum(_VALUE.fullmatch(name.strip()) is not None for name in header) >= len(header)


def header_fault(header: Sequence[str]) -> str:
    """Return what is wrong with the names of columns; empty if nothing is.

    Examples
    --------
    >>> header_fault(["temp", "load", "", ""])
    'columns 3 and 4 have no name'
    >>> header_fault(["x", "y", "x"])
    "'x' is the name of columns 1 and 3"
    """
    if not header:
        return "there is no header"
    if len(header) > MOST_COLUMNS:
        return f"it has {len(header):,} columns; at most {MOST_COLUMNS:,} are read"
    places: dict[str, list[int]] = {}
    for place, name in enumerate(header, start=1):
        places.setdefault(name.strip(), []).append(place)
    faults = []
    empty = places.pop("", [])
    if empty == [1] and len(header) > 1:
        faults.append("column 1 has no name (pandas writes its index so; use index=False)")
    elif empty:
        have = "columns {} have" if len(empty) > 1 else "column {} has"
        faults.append(f"{have.format(_listed(empty))} no name")
    faults += [
        f"{name!r} is the name of columns {_listed(found)}"
        for name, found in places.items()
        if len(found) > 1
    ]
    return "; ".join(faults)


def _listed(places: Sequence[int]) -> str:
    *others, last = map(str, places)
    return f"{', '.join(others)} and {last}" if others else last
