"""How the numbers of a table are written: recognised where they can only be read in one way."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np
import pandas as pd

from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.pii import is_personal
from driftgauge.shared.tables.format import TableFormat
from driftgauge.shared.tables.values import USUAL_MARKS, number, texts_of

SAMPLE: Final = 1000
"""Texts of a column by which the notation of numbers is recognised."""


def notation_of(columns: Mapping[str, Any], form: TableFormat) -> tuple[TableFormat, str]:
    """Find out how numbers are written, if they are not in the notation of the format.

    Parameters
    ----------
    columns
        Texts of CSV columns by name; other columns have types of their own.

    Returns
    -------
    form, remark
        The format to read them by; and what is to be said of it, empty if it is the given one.

    Raises
    ------
    BadData
        With a question, if they can be read as different numbers.

    Examples
    --------
    >>> notation_of({"x": ["1.234,5", "7"]}, TableFormat())[0].decimal
    ','
    >>> notation_of({"x": ["1,234", "7"]}, TableFormat())
    Traceback (most recent call last):
    driftgauge.shared.errors.BadData: '1,234' in column 'x' can be 1.234 or 1234; say ...
    """
    if form.decimal != "." or form.thousands:
        return form, ""
    usual = {name: _sample(cells, form) for name, cells in columns.items()}
    tried = [
        msgspec.structs.replace(form, decimal=",", thousands="."),
        msgspec.structs.replace(form, thousands=","),
    ]
    fitting = {
        name: [one for one in tried if all(number(text, one) is not None for text in texts)]
        for name, texts in usual.items()
        if any("," in text for text in texts)
    }
    evidence = {name: found for name, found in fitting.items() if found}
    left = [one for one in tried if evidence and all(one in found for found in evidence.values())]
    points = (texts for texts in usual.values() if any("." in text for text in texts))
    if any(number(text, form) is not None for texts in points for text in texts[:1]):
        left = [one for one in left if one.decimal == "."]
    if len(left) > 1:
        name = next(iter(evidence))
        shown = next(text for text in usual[name] if "," in text)
        ways = " or ".join(f"{number(shown, one):.15g}" for one in left)
        said = f"{shown!r} in column {name!r}" if not is_personal(name) else f"Column {name!r}"
        raise BadData(f"{said} can be {ways}; say --decimal , or --thousands ,")
    if not left:
        return form, ""
    how = "a decimal comma" if left[0].decimal == "," else "commas between thousands"
    return left[0], f"Numbers are written with {how}."


def _sample(cells: Any, form: TableFormat) -> list[str]:
    """Return some different texts of a CSV column that have digits, those with a comma first; none
    if others are among them.
    """
    if isinstance(cells, pd.Series):
        return []
    texts = np.strings.strip(texts_of(cells) if isinstance(cells, list) else cells)
    commas = np.strings.find(texts, ",") >= 0
    found: dict[str, None] = {}
    for some in (texts[commas], texts[~commas]):
        found |= dict.fromkeys(some[:SAMPLE].tolist())
    known = [one for one in found if not form.is_missing(one) and one not in USUAL_MARKS]
    return known if all(any(map(str.isdigit, one)) for one in known) else []
