"""Decoded rows of a batch file, CSV or JSON, read one by one since the file may be larger than
memory.

A file is read twice: `count` finds what makes it unusable as a whole, before anything is scored;
then each row is checked against the schema by itself, so that a bad row does not affect the others.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple, Protocol

from driftgauge.producer.intake.documents import MAX_ID
from driftgauge.shared.contract.events import Value
from driftgauge.shared.reference.pii import text_of
from driftgauge.shared.reference.schema import FieldError, Schema, pointer
from driftgauge.shared.reference.times import event_ms
from driftgauge.shared.tables.format import TimeFormat

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
        What is wrong with it, at most `MOST_FAULTS`; empty for a row that can be scored.
    id
        The prediction's id, if the file gives one.
    time
        When it happened, in Unix milliseconds, if the file says so.
    """

    number: int
    line: int | None
    values: list[Value]
    faults: Sequence[FieldError]
    id: str | None = None
    time: int | None = None


class RowColumns(NamedTuple):
    """Names of the columns that say something of a row beside its features; None if there is
    none.
    """

    id: str | None = None
    time: str | None = None

    @property
    def names(self) -> frozenset[str]:
        """Those that are named."""
        return frozenset(name for name in self if name is not None)

    def taken(
        self, cells: dict[str, Any], form: TimeFormat | None = None
    ) -> tuple[str | None, int | None, list[FieldError]]:
        """Take id and time out of a row's cells, by name.

        Parameters
        ----------
        form
            How the version's times are written.

        Returns
        -------
        id, time, faults
            What is wrong with the two; then they have no meaning.

        Examples
        --------
        >>> cells = {"order": 7, "x": 1.5, "when": "2025-11-20 20:15"}
        >>> RowColumns("order", "when").taken(cells), cells
        (('7', 1763669700000, []), {'x': 1.5})
        """
        faults = []
        given = cells.pop(self.id, None) if self.id is not None else None
        if given is not None and not isinstance(given, str):
            given = text_of(given)
        if self.id is not None and (not given or len(given) > MAX_ID):
            fault = f"must be an id of 1 to {MAX_ID} characters"
            faults.append(FieldError(pointer("", self.id), fault))
        moment = event_ms(cells.pop(self.time, None), form) if self.time is not None else None
        if self.time is not None and moment is None:
            fault = "must be a time: a number since 1970, or ISO 8601"
            faults.append(FieldError(pointer("", self.time), fault))
        return given, moment, faults


NO_COLUMNS: Final = RowColumns()


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


def checked_row(
    number: int,
    line: int | None,
    cells: dict[str, Any],
    schema: Schema,
    beside: RowColumns,
    *,
    texts: bool = False,
) -> InputRow:
    """Check a decoded row against the schema.

    Parameters
    ----------
    texts
        True if its values are the texts of a CSV file.
    """
    given, moment, wrong = beside.taken(cells, schema.time)
    values, faults = schema.positional(cells, "", texts=texts)
    return InputRow(number, line, values, [*wrong, *faults][:MOST_FAULTS], given, moment)
