"""Rows of JSON lines, Parquet and Arrow: each an object with its features by name."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from driftgauge.producer.http.problems import Problem
from driftgauge.producer.intake.rows import NO_COLUMNS, InputRow, RowColumns, checked_row
from driftgauge.shared.errors import BadData, NotInstalled
from driftgauge.shared.reference.schema import Schema

Objects = Iterator[tuple[int, dict[str, Any]]]


class ObjectRows:
    """The rows of a file that is read object by object.

    Parameters
    ----------
    begin
        Reads the file from its beginning: the line (or row) of each object, and the object.
    beside
        Columns that are no features.

    Examples
    --------
    >>> from driftgauge.shared.reference.feature import Feature
    >>> rows = ObjectRows(lambda: iter([(1, {"x": 1}), (3, {"x": "a"})]))
    >>> rows.count(10), [len(row.faults) for row in rows.read(Schema((Feature("x", "numeric"),)))]
    (2, [0, 1])
    """

    def __init__(self, begin: Callable[[], Objects], beside: RowColumns = NO_COLUMNS) -> None:
        self._begin = begin
        self._beside = beside

    def count(self, most: int) -> int:
        """Count the rows.

        Raises
        ------
        Problem
            400 if the file cannot be read to its end, 501 if the API lacks what reads it.
        """
        return sum(1 for _ in islice(self._objects(), most + 1))

    def model(self) -> tuple[str | None, str | None]:
        """Return nothing: such a file names no model."""
        return None, None

    def read(self, schema: Schema) -> Iterator[InputRow]:
        """Check the rows."""
        for number, (line, cells) in enumerate(self._objects(), start=1):
            yield checked_row(number, line, dict(cells), schema, self._beside)

    def _objects(self) -> Objects:
        try:
            yield from self._begin()
        except NotInstalled as error:
            raise Problem(501, str(error)) from error
        except (BadData, UnicodeDecodeError) as error:
            raise Problem(400, f"The file cannot be read: {error}.") from error
