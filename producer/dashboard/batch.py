"""Preview of a CSV file on the Batch page before it is sent: its columns checked against the
schema, and its first rows.
"""

import codecs
import io
from itertools import islice
from typing import Final

import msgspec

from driftgauge.producer.http.problems import Problem
from driftgauge.producer.intake.csv_rows import CsvRows, header_faults, records
from driftgauge.producer.intake.rows import MAX_ROW
from driftgauge.shared.reference.schema import FieldError, Schema

MOST_BYTES: Final = 2 * MAX_ROW
"""Bytes of a file that are read for the preview: the header and some rows, each at most a
megabyte.
"""
PREVIEW: Final = 10


class PreviewRow(msgspec.Struct, frozen=True):
    """A row of the file, and its faults."""

    line: int
    cells: list[str]
    errors: list[FieldError]


class Beginning(msgspec.Struct, frozen=True):
    """The beginning of a file.

    Parameters
    ----------
    faults
        Faults of the header; with any of them no row is checked.
    absent
        Features that the file lacks and the schema lets be missing.
    """

    header: list[str]
    faults: list[FieldError]
    absent: list[str]
    rows: list[PreviewRow]


def beginning(body: bytes, schema: Schema, *, whole: bool) -> Beginning:
    r"""Check the beginning of a CSV file as POST /predict_batch will.

    Parameters
    ----------
    whole
        Whether `body` is the whole file; else its last row may be cut off, and is left out.

    Raises
    ------
    Problem
        400 if it is not CSV.

    Examples
    --------
    >>> from driftgauge.shared.reference.feature import Feature
    >>> found = beginning(b"x\n1\nz\n", Schema((Feature("x", "numeric"),)), whole=True)
    >>> found.faults, [(row.line, row.cells, len(row.errors)) for row in found.rows]
    ([], [(2, ['1'], 0), (3, ['z'], 1)])
    """
    text = _text(body, whole=whole)
    found = _records(text, whole=whole)
    if not found:
        raise Problem(
            400, "The file's first line must name the model's features, and there is none."
        )
    header = found[0][1]
    faults = header_faults(header, schema)
    absent = [
        feature.name
        for feature in schema.features
        if feature.name not in header and feature.nullable
    ]
    checked = (
        []
        if faults
        else islice(CsvRows(io.StringIO(text, newline="")).read(schema), len(found) - 1)
    )
    rows = [
        PreviewRow(line, cells, list(row.faults))
        for (line, cells), row in zip(found[1:], checked, strict=not faults)
    ]
    return Beginning(header, faults, absent, rows)


def _text(body: bytes, *, whole: bool) -> str:
    """Decode UTF-8; a character that is cut off at the end is left out."""
    try:
        return codecs.getincrementaldecoder("utf-8-sig")().decode(body, final=whole)
    except UnicodeDecodeError as error:
        raise Problem(
            400, f"The file is not UTF-8 text, from byte {error.start} on. Save it as CSV in UTF-8."
        ) from None


def _records(text: str, *, whole: bool) -> list[tuple[int, list[str]]]:
    """Read the header and the first rows."""
    found: list[tuple[int, list[str]]] = []
    try:
        found.extend(islice(records(io.StringIO(text, newline="")), PREVIEW + 2))
    except Problem:
        if whole:  # else it may be the cut; if not, POST /predict_batch says so
            raise
    cut = not whole and len(found) < PREVIEW + 2
    return found[: -1 if cut else PREVIEW + 1]
