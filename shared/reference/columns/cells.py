"""The cells of one column, as texts and as numbers."""

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd

from driftgauge.shared.arrays import Flags, Floats
from driftgauge.shared.reference.columns.choices import Choices
from driftgauge.shared.reference.pii import decide, text_of
from driftgauge.shared.tables.format import TableFormat
from driftgauge.shared.tables.frames import plain
from driftgauge.shared.tables.values import absent, number, numbers, texts_of

EXACT: Final = 2**53
"""Whole numbers below it are exact as float64."""


class ColumnCells:
    """The cells of a column as texts, and what they are as numbers.

    Numbers of a data frame become texts only where a text is asked for: that takes far longer than
    all else.
    """

    def __init__(self, name: str, cells: Any, choices: Choices) -> None:
        self.name = name
        self.choices = choices
        self.rows = len(cells)
        self.typed: pd.Series | None = plain(cells) if isinstance(cells, pd.Series) else None
        self.shows = decide(name, None) == "keep"
        self._cells = cells
        self._numbers = None if self.typed is None else _numbers(self.typed, choices.table)

    @cached_property
    def texts(self) -> list[str]:
        """Texts that are not missing, in the order of the rows."""
        cells = self._cells
        if self.typed is not None:
            there = self.typed[self.typed.notna().to_numpy()]
            cells = texts_of([text_of(value) for value in there.astype(object)])
        elif isinstance(cells, list):
            cells = texts_of(cells)
        found: list[str] = cells[~absent(cells, self.choices.table)].tolist()
        return found

    @cached_property
    def counts(self) -> Counter[str]:
        """Number of cells of each text."""
        return Counter(self.texts)

    @cached_property
    def present(self) -> int:
        """Number of cells that are not missing."""
        return len(self.texts if self._numbers is None else self._numbers)

    @cached_property
    def distinct(self) -> int:
        """Number of different values."""
        return len(self.counts if self._numbers is None else np.unique(self._numbers))

    @cached_property
    def _read(self) -> tuple[Floats, Flags]:
        """Each text as a number, and which are no finite ones."""
        if self._numbers is not None:
            return self._numbers, ~np.isfinite(self._numbers)
        form = self.choices.table if self.typed is None else TableFormat()
        values, bad = numbers(texts_of(self.texts), form)
        return values, bad | ~np.isfinite(values)

    @cached_property
    def odd(self) -> Counter[str]:
        """Number of cells of each text that is no finite number."""
        bad = self._read[1]
        if not bad.any():
            return Counter()
        return Counter(np.array(self.texts, dtype=object)[bad].tolist())

    @cached_property
    def numeric(self) -> Floats:
        """The numbers in the order of the rows, without what is none."""
        values, odd = self._read
        return values[~odd]

    def marked(self, marks: Sequence[str]) -> list[str]:
        """Return the texts that mean missing values."""
        return [text for text in self.counts if text.strip() in marks] if marks else []

    def share(self, cells: int) -> float:
        return cells / max(self.present, 1)

    def option(self, kind: str) -> str:
        return f"--type {self.name}={kind}"


def _numbers(series: pd.Series, table: TableFormat) -> Floats | None:
    """Return what is not missing of a column of numbers; None of any other column, and where a
    number can mean missing, or has more digits than a float is exact to.
    """
    dtype = series.dtype
    is_real = pd.api.types.is_numeric_dtype(dtype) and not (
        pd.api.types.is_bool_dtype(dtype) or pd.api.types.is_complex_dtype(dtype)
    )
    if not is_real or any(number(mark, TableFormat()) is not None for mark in table.missing):
        return None
    values = np.asarray(series[series.notna().to_numpy()].to_numpy(dtype=np.float64))
    is_whole = pd.api.types.is_integer_dtype(dtype)
    return None if is_whole and np.abs(values).max(initial=0) > EXACT else values
