"""Cells as numbers, booleans and categories, each by the format alone."""

import numpy as np
import pytest

from driftgauge.shared.errors import BadData
from driftgauge.shared.tables.format import TableFormat
from driftgauge.shared.tables.values import (
    booleans,
    fault_at,
    number,
    numbers,
    recognised,
    texts_of,
)

GERMAN = TableFormat(decimal=",", thousands=".")


@pytest.mark.parametrize(
    ("text", "form", "value"),
    [
        ("1.5", TableFormat(), 1.5),
        (" 1e-3 ", TableFormat(), 0.001),
        ("+.5", TableFormat(), 0.5),
        ("1_000", TableFormat(), None),
        ("0x10", TableFormat(), None),
        ("1,5", TableFormat(), None),
        ("1,234.56", TableFormat(thousands=","), 1234.56),
        ("1,5", TableFormat(thousands=","), None),
        ("12,34,567", TableFormat(thousands=","), None),
        (",234", TableFormat(thousands=","), None),
        ("1.234.567,8", GERMAN, 1234567.8),
        ("-1,5e3", GERMAN, -1500.0),
        ("1.5", GERMAN, None),
        ("1.5", TableFormat(decimal=","), None),
        ("1 234", TableFormat(thousands=" "), 1234.0),
    ],
)
def test_numbers_are_read_in_one_notation(
    text: str, form: TableFormat, value: float | None
) -> None:
    """A number in another notation is none: thousands stand in groups of three, and a decimal mark
    is the format's.
    """
    values, bad = numbers(texts_of([text]), form)
    assert bad.tolist() == [value is None]
    assert np.isnan(values[0]) if value is None else values[0] == value


def test_missing_numbers_are_not_bad() -> None:
    """The empty cell, the format's marks and NaN are missing, infinity is a number."""
    values, bad = numbers(texts_of(["", "NA", "nan", "inf"]), TableFormat(missing=("NA",)))
    assert np.isnan(values[:3]).all()
    assert values[3] == np.inf
    assert not bad.any()


def test_booleans_in_any_case() -> None:
    """True, TRUE and true are one; 0 and 1 are booleans where the column is known to hold them."""
    cells = texts_of(["True", "FALSE", "true", "1", "yes"])
    assert booleans(cells, TableFormat())[1].tolist() == [False, False, False, True, True]
    values, bad = booleans(cells, TableFormat(), known=True)
    assert values[:4].tolist() == [1.0, 0.0, 1.0, 1.0]
    assert bad.tolist() == [False] * 4 + [True]


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "2.5", ""], "numeric"),
        (["", ""], "numeric"),
        (["true", "False", ""], "boolean"),
        (["0", "1"], "numeric"),
        (["007", "102"], "categorical"),
        (["0.5", "-0.25", "0"], "numeric"),
        (["a", "1", "2"], "categorical"),
        (["16,7", "19,3"], "categorical"),
    ],
)
def test_what_a_column_holds(cells: list[str], kind: str) -> None:
    """Numbers and booleans are such if all cells are; codes with leading zeros are categories."""
    assert recognised(texts_of(cells), TableFormat())[0] == kind


@pytest.mark.parametrize(
    ("mark", "form", "words"),
    [
        ("NA", TableFormat(), "say --missing 'NA'"),
        ("1,234", TableFormat(), "say --decimal , or --thousands ,"),
        ("1,234.5", TableFormat(), "say --thousands ,"),
        ("1,5", TableFormat(), "say --decimal ,"),
        ("1.234,5", TableFormat(), "say --decimal , --thousands ."),
        ("1.5", TableFormat(decimal=","), "say --decimal ."),
        ("1,234.5", GERMAN, "say --decimal . --thousands ,"),
        ("1.5", GERMAN, "say --decimal ."),
        ("Ann", TableFormat(), "with --missing, or take the column as a category"),
    ],
)
def test_a_fault_says_what_to_do(mark: str, form: TableFormat, words: str) -> None:
    """The hint names the option for what the first bad cell is; a text that is no mark is not
    told.
    """
    cells = texts_of(["1", mark, "2", mark])
    fault = fault_at("x", "number", cells, numbers(cells, form)[1], form)
    assert (fault.cells, fault.of, fault.place) == (2, 4, 1)
    assert fault.hint.endswith(words)
    assert "Ann" not in fault.hint


@pytest.mark.parametrize(
    "wrong",
    [
        {"separator": "x"},
        {"thousands": "_"},
        {"decimal": ",", "thousands": ","},
        {"encoding": "klingon"},
    ],
)
def test_a_format_that_cannot_be_is_refused(wrong: dict[str, str]) -> None:
    """Marks that are unknown or the same, and unknown encodings, are named."""
    with pytest.raises(BadData):
        TableFormat(**wrong)  # type: ignore[arg-type]


def test_long_digits_take_no_longer() -> None:
    """A cell of many digits that is no number is found out at once, not by trying its parts."""
    assert number("0" * 200_000 + "z", TableFormat()) is None
    assert number("1" * 300, TableFormat()) == 1.1111111111111111e299
