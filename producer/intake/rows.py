"""Decoded rows of a batch file, CSV or JSON, read one by one since the file may be larger than
memory.

A file is read twice: `count` finds what makes it unusable as a whole, before anything is scored;
then each row is checked against the schema by itself, so that a bad row does not affect the others.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, Protocol

from driftgauge.shared.contract.events import Value
from driftgauge.shared.reference.schema import FieldError, Schema

MOST_FAULTS: Final = 20
"""Most faults of one row that are named in its answer."""
MAX_ROW: Final = 1 << 20
"""Longest row, in characters."""


class InputRow(NamedTuple):
    """One decoded row of a batch, checked against the schema.

    Parameters
    ----------
    number
        Number of the row, from 1.
    line
        The line of the CSV file where it begins, from 1; None in JSON.
    values
        Value of each feature in stream order; meaningless if there are faults.
    faults
        Faults of the row, at most `MOST_FAULTS`; empty for a row that can be scored.
    """

    number: int
    line: int | None
    values: list[Value]
    faults: Sequence[FieldError]


class InputRows(Protocol):
    """The rows of one file. Each method reads the file from its beginning."""

    def count(self, most: int) -> int:
        """Count the rows, up to one more than `most`.

        Raises
        ------
        Problem
            If the file cannot be read to its end.
        """

    def model(self) -> tuple[str | None, str | None]:
        """Return the model and the version that the file names; known after `count`."""

    def read(self, schema: Schema) -> Iterator[InputRow]:
        """Decode and check the rows.

        Raises
        ------
        Problem
            If no row of the file can fit the schema.
        """
