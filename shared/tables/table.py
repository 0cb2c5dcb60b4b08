"""A file's columns as they were read, and their types by the kinds of a schema. Pure.

A column of a CSV file is texts until it is typed; one of JSON lines, Parquet or Arrow has values
of its own. Typed by the same kinds and format, all give the same columns.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from driftgauge.shared.arrays import Ints
from driftgauge.shared.errors import BadData
from driftgauge.shared.tables.format import TableFormat
from driftgauge.shared.tables.frames import REAL, as_float, plain, wrong_values
from driftgauge.shared.tables.values import (
    Fault,
    Texts,
    absent,
    booleans,
    fault_at,
    numbers,
    recognised,
    texts_of,
)

TOLD: int = 5
"""Most columns whose faults one message tells."""
EXACT = 2**53
"""Whole numbers below it are exact as float64."""
WANTED = {"numeric": "number", "boolean": "boolean"}
NO_FAULT = np.zeros(0, np.bool_)


@dataclass(frozen=True)
class Typed:
    """Columns with their types.

    Parameters
    ----------
    frame
        Numbers are int64 or float64, booleans bool (object with NaN where one is missing), texts
        object with NaN.
    faults
        Name of a column that is not what it should be, to what is wrong and what to do; the frame
        has its cells as they are.
    """

    frame: pd.DataFrame
    faults: dict[str, str] = field(default_factory=dict)

    def checked(self, source: str, names: Collection[str] | None = None) -> pd.DataFrame:
        """Return the frame.

        Parameters
        ----------
        names
            Columns whose faults count; None for all.

        Raises
        ------
        BadData
            If a column is at fault; the first are named.
        """
        found = [fault for name, fault in self.faults.items() if names is None or name in names]
        if found:
            more = f" And {len(found) - TOLD} more columns." if len(found) > TOLD else ""
            raise BadData(f"{source}: {' '.join(found[:TOLD])}{more}")
        return self.frame


@dataclass(frozen=True)
class Table:
    """What a file holds, not typed yet.

    Parameters
    ----------
    source
        Name of the file, for messages.
    columns
        Name to texts (of a CSV file) or values.
    places
        Where each row stands in the file, from 1.
    place
        What that number counts.
    form
        How the cells are written.
    remarks
        What was recognised, to be said.
    """

    source: str
    columns: Mapping[str, Texts | pd.Series]
    places: Ints
    place: Literal["line", "row"]
    form: TableFormat = field(default_factory=TableFormat)
    remarks: tuple[str, ...] = ()

    def typed(self, kinds: Mapping[str, str] | None = None) -> Typed:
        """Apply types.

        Parameters
        ----------
        kinds
            Name of a column to `numeric`, `boolean`, `categorical`, or another kind, which leaves
            the cells as they are. A column that is not named gets the type of what it holds.
        """
        known, frame, faults = kinds or {}, {}, {}
        for name, cells in self.columns.items():
            kind = known.get(name)
            frame[name], fault = (
                _typed_values(name, cells, kind, self.form)
                if isinstance(cells, pd.Series)
                else _typed_texts(name, cells, kind, self.form)
            )
            if fault is not None:
                faults[name] = self._words(fault)
        return Typed(pd.DataFrame(frame, copy=False), faults)

    def _words(self, fault: Fault) -> str:
        are = "is no" if fault.cells == 1 else "are no"
        wanted = fault.wanted if fault.cells == 1 else f"{fault.wanted}s"
        return (
            f"Column {fault.column!r}: {fault.cells:,} of {fault.of:,} cells {are} {wanted} (the "
            f"first in {self.place} {self.places[fault.place]}): {fault.hint}."
        )


def _typed_texts(
    name: str, texts: Texts, kind: str | None, form: TableFormat
) -> tuple[pd.Series, Fault | None]:
    fault, values = None, None
    if kind is None:
        kind, values = recognised(texts, form)
    if kind == "numeric":
        values, bad = numbers(texts, form) if values is None else (values, NO_FAULT)
        if not bad.any():
            return pd.Series(_whole(values, texts)), None
        fault = fault_at(name, "number", texts, bad, form)
    elif kind == "boolean":
        values, bad = booleans(texts, form, known=True) if values is None else (values, NO_FAULT)
        if not bad.any():
            return _booleans(values), None
        fault = fault_at(name, "boolean", texts, bad, form)
    cells = texts.astype(object)
    cells[absent(texts, form)] = np.nan
    return pd.Series(cells, dtype=object), fault


def _whole(values: np.ndarray[Any, Any], texts: Texts) -> np.ndarray[Any, Any]:
    """Return whole numbers as int64, if all are written so."""
    if not (values == np.floor(values)).all():  # NaN is not
        return values
    bare = np.strings.strip(texts)
    if not np.strings.isdigit(np.strings.lstrip(bare, "+-")).all():
        return values
    if np.abs(values).max(initial=0) < EXACT:
        return values.astype(np.int64)
    try:
        return np.array([int(text) for text in bare.tolist()], dtype=np.int64)
    except OverflowError:
        return values


def _booleans(values: np.ndarray[Any, Any]) -> pd.Series:
    if not np.isnan(values).any():
        return pd.Series(values.astype(np.bool_))
    cells = np.array([value if value != value else bool(value) for value in values], dtype=object)  # noqa: PLR0124  NaN
    return pd.Series(cells, dtype=object)


def _is_whole(values: pd.Series) -> bool:
    """Tell whether a column holds whole numbers as Python's own, which may be longer than float64
    is exact.
    """
    return values.dtype == np.dtype(object) and all(
        type(value) is int for value in values if value is not None
    )


def _typed_values(
    name: str, values: pd.Series, kind: str | None, form: TableFormat
) -> tuple[pd.Series, Fault | None]:
    """Type a column whose values have types of their own; texts among them are read as in CSV."""
    column = values if kind == "categorical" and _is_whole(values) else plain(values)
    if column.dtype != np.dtype(object):
        return column, None
    is_text = np.array([isinstance(value, str) for value in column], dtype=np.bool_)
    missing = column.isna().to_numpy(copy=True)
    missing[is_text] = absent(texts_of(column[is_text].tolist()), form)
    if missing.all() and kind is None:
        return pd.Series(np.full(len(column), np.nan)), None
    if kind not in {"numeric", "boolean"}:
        cells = column.to_numpy(dtype=object, copy=True)
        cells[missing] = np.nan
        column = pd.Series(cells, column.index, dtype=object)
        return column, wrong_values(name, column)
    found, bad = np.full(len(column), np.nan), np.zeros(len(column), np.bool_)
    texts = texts_of(column[is_text].tolist())
    others = ~is_text & ~missing
    native = _number if kind == "numeric" else _truth
    read = [native(value) for value in column[others]]
    found[others] = [np.nan if value is None else value for value in read]
    bad[others] = [value is None for value in read]
    found[is_text], bad[is_text] = (
        numbers(texts, form) if kind == "numeric" else booleans(texts, form, known=True)
    )
    if bad.any():
        return column, fault_at(
            name, WANTED[kind], texts_of([str(value) for value in column]), bad, form
        )
    return pd.Series(found) if kind == "numeric" else _booleans(found), None


def _number(value: object) -> float | None:
    """Return a number of any type as float64; a boolean is none."""
    is_number = isinstance(value, REAL) and not isinstance(value, bool | np.bool_)
    return as_float(value) if is_number else None


def _truth(value: object) -> float | None:
    """Return a boolean, or the number 0 or 1, as such a number."""
    is_number = isinstance(value, (*REAL, np.bool_))
    return float(value) if is_number and value in {0, 1} else None
