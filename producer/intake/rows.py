"""The rows of a batch, read one by one from a file that may be larger than memory: CSV or JSON.

A file is read twice: `count` finds what makes it unusable as a whole, before anything is scored;
then each row is checked against the schema by itself, so that one that does not fit harms no other.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, Protocol

from driftgauge.shared.contract.events import Value
from driftgauge.shared.reference.schema import FieldError, Schema

MOST_FAULTS: Final = 20
"""Faults that are told of one row."""
MAX_ROW: Final = 1 << 20
"""Longest row, in characters."""


class Row(NamedTuple):
    """A row of a batch.

    Parameters
    ----------
    number
        From 1.
    line
        Where it begins in a CSV file, from 1; None in JSON.
    values
        In stream order; of use only without faults.
    """

    number: int
    line: int | None
    values: list[Value]
    faults: Sequence[FieldError]


class Rows(Protocol):
    """A file of rows. Each method reads it from its beginning."""

    def count(self, most: int) -> int:
        """Count the rows, to one more than `most`; raises a Problem if the file cannot be read to
        its end.
        """

    def model(self) -> tuple[str | None, str | None]:
        """Give the model and the version that the file names; known when it has been counted."""

    def read(self, schema: Schema) -> Iterator[Row]:
        """Read the rows; raises a Problem if none of them can fit."""
