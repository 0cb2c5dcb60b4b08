"""How a table's cells are written: what is kept in a version, so that nothing is guessed again."""

from typing import Final, Literal, get_args

import msgspec

from driftgauge.shared.errors import BadData

SEPARATORS: Final = (",", ";", "\t", "|")
"""What may stand between two cells of a CSV file."""
THOUSANDS: Final = ("", ",", ".", " ", "'", "\N{NO-BREAK SPACE}", "\N{NARROW NO-BREAK SPACE}")
"""What may stand between the thousands of a number."""
TimeUnit = Literal["s", "ms", "us", "ns"]
ColumnType = Literal[
    "numeric", "categorical", "boolean", "timestamp", "hour_of_week", "identifier", "constant"
]
"""What a column can be taken as. An hour of the week is what is judged of a timestamp; identifiers
and constants are left out of drift.
"""
COLUMN_TYPES: Final[tuple[ColumnType, ...]] = get_args(ColumnType)


class TableFormat(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the cells of a table are written. Pure.

    Parameters
    ----------
    separator
        What stands between two cells of a CSV file; None recognises it in each file.
    decimal
        The decimal mark of numbers that are written as text.
    thousands
        What stands between their thousands; empty if nothing does.
    missing
        Texts that mean a missing value. The empty text always does; spaces around do not count.
    encoding
        Of text files, by the name that Python has for it; a byte order mark is skipped.

    Raises
    ------
    BadData
        If a mark is none of those that are known, or two are the same.

    Examples
    --------
    >>> TableFormat(decimal=",", thousands=".", missing=("?",)).is_missing(" ? ")
    True
    """

    separator: str | None = None
    decimal: Literal[".", ","] = "."
    thousands: str = ""
    missing: tuple[str, ...] = ()
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        if self.separator is not None and self.separator not in SEPARATORS:
            raise BadData(
                f"{self.separator!r} cannot separate cells; use one of "
                f"{', '.join(map(repr, SEPARATORS))}."
            )
        if self.thousands not in THOUSANDS:
            raise BadData(
                f"{self.thousands!r} cannot separate thousands; use a comma, a point, a space or "
                f"an apostrophe."
            )
        if self.decimal == self.thousands:
            raise BadData(
                f"{self.decimal!r} cannot be both the decimal mark and between the thousands."
            )
        try:
            "".encode(self.encoding)
        except LookupError:
            raise BadData(
                f"{self.encoding!r} is no encoding; use a name such as utf-8, latin-1 or cp1252."
            ) from None

    def is_missing(self, text: str) -> bool:
        """Tell whether a cell's text means a missing value."""
        bare = text.strip()
        return not bare or bare in self.missing


class TimeFormat(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the times of a column are written. Pure.

    Parameters
    ----------
    unit
        Of numbers: since 1970. None if the times are texts.
    pattern
        Of texts, as of `strptime`; empty is ISO 8601.
    timezone
        IANA name of the zone of times that name none.
    """

    unit: TimeUnit | None = None
    pattern: str = ""
    timezone: str = "UTC"
