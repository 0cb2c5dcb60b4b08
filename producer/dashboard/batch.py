"""Preview of a file on the Batch page before it is sent: its columns checked against the schema,
and its first rows.
"""

import codecs
import io
from itertools import islice
from typing import Final, Literal

import msgspec

from driftgauge.producer.http.problems import Problem
from driftgauge.producer.intake.csv_rows import CsvRows, header_faults, records
from driftgauge.producer.intake.rows import MAX_ROW, NO_COLUMNS, checked_row
from driftgauge.producer.scoring.batch import Form
from driftgauge.shared.errors import BadData, NotInstalled
from driftgauge.shared.reference.schema import FieldError, Schema
from driftgauge.shared.tables import arrow, json_lines

MOST_BYTES: Final = 2 * MAX_ROW
"""Bytes of a file that are read for the preview: the header and some rows, each at most a
megabyte.
"""
PREVIEW: Final = 10
LONGEST: Final = 200
"""Most characters of a cell that is no text in the file."""


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


def beginning(body: bytes, schema: Schema, form: Form = "csv", *, whole: bool) -> Beginning:
    r"""Check the beginning of a file as POST /predict_batch will.

    Parameters
    ----------
    whole
        Whether `body` is the whole file; else its last row may be cut off, and is left out. Of
        Parquet it is the end then, where the columns stand, and no row is checked.

    Raises
    ------
    Problem
        400 if it is not of that form, 501 if the API lacks what reads it.

    Examples
    --------
    >>> from driftgauge.shared.reference.feature import Feature
    >>> found = beginning(b"x\n1\nz\n", Schema((Feature("x", "numeric"),)), whole=True)
    >>> found.faults, [(row.line, row.cells, len(row.errors)) for row in found.rows]
    ([], [(2, ['1'], 0), (3, ['z'], 1)])
    """
    if form == "json":
        raise Problem(415, "A JSON document is checked when it is sent, to POST /predict_batch.")
    if form != "csv":
        try:
            return _of_objects(body, schema, form, whole=whole)
        except NotInstalled as error:
            raise Problem(501, str(error)) from error
        except BadData as error:
            raise Problem(400, f"The file cannot be read: {error}.") from error
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


def _of_objects(
    body: bytes, schema: Schema, form: Literal["json_lines", "parquet", "arrow"], *, whole: bool
) -> Beginning:
    """Check a file whose rows are objects. JSON lines have no header: each row is checked."""
    if form == "json_lines":
        lines = _text(body, whole=whole).splitlines(keepends=True)
        given = lines if whole else lines[:-1]
        objects = list(islice(json_lines.objects(given), PREVIEW))
        names = list(dict.fromkeys(name for _, found in objects for name in found))
        faults: list[FieldError] = []
    else:
        names, rows = arrow.first_rows(io.BytesIO(body), form, PREVIEW, whole=whole)
        objects, faults = list(enumerate(rows, start=1)), header_faults(names, schema)
    absent = [one.name for one in schema.features if one.name not in names and one.nullable]
    checked = [
        PreviewRow(
            line,
            [_cell(found.get(name)) for name in names],
            list(checked_row(number, line, dict(found), schema, NO_COLUMNS).faults),
        )
        for number, (line, found) in enumerate(objects if not faults else [], start=1)
    ]
    return Beginning(names, faults, absent, checked)


def _cell(value: object) -> str:
    """Return a value as text, cut to what a cell of the page may show."""
    text = "" if value is None else str(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _text(body: bytes, *, whole: bool) -> str:
    """Decode UTF-8; a character that is cut off at the end is left out."""
    try:
        return codecs.getincrementaldecoder("utf-8-sig")().decode(body, final=whole)
    except UnicodeDecodeError as error:
        raise Problem(
            400, f"The file is not UTF-8 text, from byte {error.start} on. Save it in UTF-8."
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
