"""What is said about a table by whoever registers it, and what is said of each column in return."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from driftgauge.shared.errors import BadData
from driftgauge.shared.tables.format import (
    COLUMN_TYPES,
    ColumnType,
    TableFormat,
    TimeFormat,
    TimeUnit,
)
from driftgauge.shared.tables.options import form_of


class Choices(msgspec.Struct, frozen=True):
    """What was said about a table, beside what its cells say.

    Parameters
    ----------
    types
        Name of a column to what it is taken as.
    table
        How the cells are written.
    date_format
        How times are written as text, as of `strptime`; empty is recognised.
    time_unit
        Of times that are numbers; None is recognised by their size.
    timezone
        Of times that name none.
    units
        Name of a column to the unit of its numbers.
    """

    types: Mapping[str, ColumnType] = {}
    table: TableFormat = TableFormat()
    date_format: str = ""
    time_unit: TimeUnit | None = None
    timezone: str = "UTC"
    units: Mapping[str, str] = {}

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "Choices":
        """Read the options of a command or of a request, by name.

        Raises
        ------
        BadData
            If a type is none, a unit is of nothing, or a mark cannot be one.

        Examples
        --------
        >>> Choices.of({"types": ("code=categorical",), "missing": ("?",)}).types
        {'code': 'categorical'}
        >>> Choices.of({"types": (), "units": ("load=kWh",)}).units
        {'load': 'kWh'}
        """
        types: dict[str, Any] = {}
        for text in given["types"]:
            name, _, kind = text.rpartition("=")
            if not name or kind not in COLUMN_TYPES:
                raise BadData(
                    f"--type {text}: write COLUMN=TYPE, with a type of {', '.join(COLUMN_TYPES)}."
                )
            types[name] = kind
        units: dict[str, str] = {}
        for text in given.get("units", ()):
            name, _, unit = text.rpartition("=")
            if not name:
                raise BadData(f"--unit {text}: write COLUMN=UNIT, such as load=kWh.")
            units[name] = unit
        return cls(
            types,
            form_of(given),
            given.get("date_format") or "",
            given.get("time_unit"),
            given.get("timezone") or "UTC",
            units,
        )

    @property
    def time(self) -> TimeFormat:
        """What was said of times."""
        return TimeFormat(self.time_unit, self.date_format, self.timezone)


class Circumstances(NamedTuple):
    """What the rows of a table are used for.

    Parameters
    ----------
    timed
        True if the time of each row is known, so that times have an age.
    fitted
        True if a model gets the columns as they are.
    in_hand
        True if two samples are compared, and no version is made: a constant is judged like any
        other column then, and a time that is written as text stays one.
    """

    timed: bool = False
    fitted: bool = False
    in_hand: bool = False


IN_HAND: Final = Circumstances(in_hand=True)
"""Two samples in hand."""


class ColumnRow(msgspec.Struct, frozen=True):
    """One line of the table that a registration shows.

    Parameters
    ----------
    kind
        What the column is taken as.
    why
        What that was told by.
    missing
        Share of missing values.
    distinct
        Number of different values.
    shown
        The range, or the most frequent values; nothing of a personal column.
    warnings
        What may be wrong, and the option that changes it.
    unit
        Unit of its numbers; empty if none is known.
    """

    column: str
    kind: str
    why: str
    missing: float
    distinct: int
    shown: str
    warnings: tuple[str, ...] = ()
    unit: str = ""
