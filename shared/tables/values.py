"""From a column's texts to its values: numbers, booleans, categories. Pure.

A text is a number, a boolean or missing by the table's format alone, never by what stands in the
other cells of its column; so a file of one row is read as one of a million.
"""

import re
from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec
import numpy as np

from driftgauge.shared.arrays import Flags, Floats
from driftgauge.shared.tables.format import TableFormat

Texts = np.ndarray[Any, Any]
"""Texts of a column, as an array of `numpy.dtypes.StringDType`."""
BOOLEANS: Final = {"true": True, "false": False}
"""Texts that are booleans, in any case."""
ZERO_ONE: Final = {"1": True, "0": False, "1.0": True, "0.0": False}
"""Numbers that are booleans too, where a column is known to hold booleans."""
_MARKS: Final = r"""? - -- . * NA N/A n/a na #N/A #NA NULL null None none NaT nil unknown Unknown
missing Missing \N (null) <NA> #VALUE! ERR"""
USUAL_MARKS: Final = frozenset(_MARKS.split())
"""What people write for a missing value; it is one only if the format says so."""
_NUMBER: Final = re.compile(
    r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?|[+-]?(?:inf|infinity|nan)", re.IGNORECASE
)
NOTATIONS: Final[tuple[tuple[str, Literal[".", ","], str], ...]] = (
    ("--decimal .", ".", ""),
    ("--decimal ,", ",", ""),
    ("--decimal . --thousands ,", ".", ","),
    ("--decimal , --thousands .", ",", "."),
)
"""Usual ways to write numbers: what says so, decimal mark, mark of thousands."""
_CODE: Final = re.compile(r"[+-]?0\d")
SAMPLE: Final = 1000
"""Cells by which most categories are told, before all are looked at."""


class Fault(msgspec.Struct, frozen=True):
    """Cells of a column that are not what the column is.

    Parameters
    ----------
    column
        Its name.
    wanted
        What they are not: `number`, `boolean`, ….
    cells, of
        How many cells are at fault, of how many.
    place
        Index of the first.
    hint
        What to do about them. A cell is quoted if it is a usual mark for missing values or a number
        in another notation: any other may be personal.
    """

    column: str
    wanted: str
    cells: int
    of: int
    place: int
    hint: str


def texts_of(cells: Sequence[str]) -> Texts:
    """Return cells as an array of texts, 16 bytes for each and what is longer."""
    return np.array(cells, dtype=np.dtypes.StringDType())


def absent(texts: Texts, form: TableFormat) -> Flags:
    """Tell which cells are missing.

    Examples
    --------
    >>> absent(texts_of(["", " ", "?", "a"]), TableFormat(missing=("?",))).tolist()
    [True, True, True, False]
    """
    return _absent(np.strings.strip(texts), form)


def _absent(bare: Texts, form: TableFormat) -> Flags:
    """Tell which cells without spaces around are missing."""
    found: Flags = bare == ""
    for mark in form.missing:
        found |= bare == mark
    return found


def numbers(texts: Texts, form: TableFormat) -> tuple[Floats, Flags]:
    """Read numbers.

    Returns
    -------
    values, bad
        Numbers with NaN where a cell is missing or bad; and which cells are neither numbers nor
        missing.

    Examples
    --------
    >>> cells = texts_of(["1.234,5", "1,2.5", "", "x"])
    >>> values, bad = numbers(cells, TableFormat(decimal=",", thousands="."))
    >>> values.tolist(), bad.tolist()
    ([1234.5, nan, nan, nan], [False, True, False, True])
    """
    return _numbers(np.strings.strip(texts), form)


def _numbers(bare: Texts, form: TableFormat) -> tuple[Floats, Flags]:
    missing = _absent(bare, form)
    values, bad = np.full(len(bare), np.nan), np.zeros(len(bare), np.bool_)
    values[~missing], bad[~missing] = _read(bare[~missing].tolist(), form)
    return values, bad


def _read(cells: list[str], form: TableFormat) -> tuple[Floats, Flags]:
    """Read cells without spaces around, none of them missing; equal to `number` of each."""
    plain = form.decimal == "." and not form.thousands
    if plain and "_" not in "".join(cells):  # which Python would pass over
        try:
            values = np.fromiter(map(float, cells), np.float64, len(cells))
            return values, np.zeros(len(cells), np.bool_)
        except ValueError:
            pass
    found = [_plain(cell) if plain else _number(cell, form) for cell in cells]
    bad = np.array([value is None for value in found], dtype=np.bool_)
    return np.array([np.nan if value is None else value for value in found]), bad


def number(text: str, form: TableFormat) -> float | None:
    """Read one number, as `numbers` does; None if the text is none.

    Examples
    --------
    >>> (
    ...     number(" 1.5 ", TableFormat()),
    ...     number("1,5", TableFormat(decimal=",")),
    ...     number("1,5", TableFormat()),
    ... )
    (1.5, 1.5, None)
    """
    bare = text.strip()
    return _number(bare, form) if form.decimal != "." or form.thousands else _plain(bare)


def _plain(cell: str) -> float | None:
    return float(cell) if _NUMBER.fullmatch(cell) else None


def _number(cell: str, form: TableFormat) -> float | None:
    """Read a number in the notation of a format."""
    whole, mark, part = cell.partition(form.decimal)
    if form.thousands and form.thousands in whole:
        first, *groups = whole.split(form.thousands)
        if not 1 <= len(first.lstrip("+-")) <= 3 or any(len(group) != 3 for group in groups):
            return None
        whole = first + "".join(groups)
    if form.decimal == "," and "." in whole + part:
        return None
    return _plain(f"{whole}.{part}" if mark else whole)


def booleans(texts: Texts, form: TableFormat, *, known: bool = False) -> tuple[Floats, Flags]:
    """Read booleans as 1 and 0.

    Parameters
    ----------
    known
        True if the column is known to hold booleans, so that 0 and 1 are some.

    Returns
    -------
    values, bad
        1, 0, or NaN where a cell is missing or bad; and which cells are neither.

    Examples
    --------
    >>> booleans(texts_of(["True", "false", ""]), TableFormat())[0].tolist()
    [1.0, 0.0, nan]
    """
    missing = absent(texts, form)
    lower = np.strings.lower(np.strings.strip(texts))
    values = np.full(len(texts), np.nan)
    for text, value in (BOOLEANS | ZERO_ONE if known else BOOLEANS).items():
        values[lower == text] = value
    values[missing] = np.nan
    return values, np.isnan(values) & ~missing


def recognised(texts: Texts, form: TableFormat) -> tuple[str, Floats]:
    """Tell what a column of texts holds, where no schema says so, and read it.

    Codes whose numbers begin with zeros, such as `007`, are categories.

    Returns
    -------
    kind, values
        `numeric`, `boolean` or `categorical`; and the numbers or booleans, none of categories.

    Examples
    --------
    >>> recognised(texts_of(["1", "2.5", ""]), TableFormat())[0]
    'numeric'
    >>> recognised(texts_of(["007", "102"]), TableFormat())
    ('categorical', array([], dtype=float64))
    """
    found = _recognised(texts[:SAMPLE], form)
    return found if found[0] == "categorical" or len(texts) <= SAMPLE else _recognised(texts, form)


def _recognised(texts: Texts, form: TableFormat) -> tuple[str, Floats]:
    bare = np.strings.strip(texts)
    present = np.flatnonzero(~_absent(bare, form))
    kind, values, bad = "numeric", np.full(len(texts), np.nan), np.zeros(0, np.bool_)
    if len(present) and bare[present[0]].lower() in BOOLEANS:
        kind, (values, bad) = "boolean", booleans(bare, form)
    elif len(present):
        codes = np.strings.startswith(np.strings.lstrip(bare, "+-"), "0")
        if any(map(_CODE.match, bare[codes].tolist())):
            return "categorical", np.zeros(0)
        values, bad = _numbers(bare, form)
    return ("categorical", np.zeros(0)) if bad.any() else (kind, values)


def fault_at(name: str, wanted: str, texts: Texts, bad: Flags, form: TableFormat) -> Fault:
    """Describe the bad cells of a column."""
    place = int(np.argmax(bad))
    hint = _hint(str(texts[place]).strip(), form)
    return Fault(name, wanted, int(bad.sum()), len(texts), place, hint)


def _hint(text: str, form: TableFormat) -> str:
    """Say what to do about a cell that is none of its column's kind."""
    if text in USUAL_MARKS:
        return f"if {text!r} means that a value is missing, say --missing {text!r}"
    ways = [
        said.removeprefix(f"--decimal {form.decimal} ")
        for said, decimal, thousands in NOTATIONS
        if (decimal, thousands) != (form.decimal, form.thousands)
        and thousands in text
        and _number(text, TableFormat(decimal=decimal, thousands=thousands)) is not None
    ]
    if ways:
        simple = [way for way in ways if way.count("--") == 1] or ways
        return f"if {text!r} is a number, say {' or '.join(simple)}"
    return (
        "correct them, name what means a missing value with --missing, or take the column as a "
        "category"
    )
