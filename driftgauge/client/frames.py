"""Tables of batch jobs: their rows, whatever library holds them, and how far the job is."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

PIECE: Final = 1000
"""Rows that are converted at a time."""
TOLD_S: Final = 1.0
"""Pause between two lines of progress."""

Column = str | Sequence[Any] | None
"""Name of a column of a table, or values of its rows in their order."""


def rows_of(frame: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of a frame of pandas or polars, a table of pyarrow, or of anything that yields
    mappings.

    Examples
    --------
    >>> list(rows_of([{"x": 1}, {"x": 2}]))
    [{'x': 1}, {'x': 2}]
    """
    if hasattr(frame, "iloc"):
        for start in range(0, len(frame), PIECE):
            yield from frame.iloc[start : start + PIECE].to_dict("records")
    elif hasattr(frame, "iter_slices"):
        for piece in frame.iter_slices(PIECE):
            yield from piece.to_dicts()
    elif hasattr(frame, "to_batches"):
        for piece in frame.to_batches(PIECE):
            yield from piece.to_pylist()
    else:
        yield from frame


def size_of(frame: Any) -> int | None:
    """Return the number of rows; None if nobody knows."""
    return len(frame) if hasattr(frame, "__len__") else None


class Columns:
    """Values of a table's rows that are no features: each is a column of it, or comes beside it.

    Parameters
    ----------
    given
        Columns by what they mean.

    Examples
    --------
    >>> columns = Columns({"prediction": "p", "id": ["a", "b"], "time": None})
    >>> columns.split({"x": 1, "p": 2}, 1)
    ({'x': 1}, {'prediction': 2, 'id': 'b'})
    """

    def __init__(self, given: Mapping[str, Column]) -> None:
        self._names = {what: one for what, one in given.items() if isinstance(one, str)}
        self._beside = {
            what: one for what, one in given.items() if one is not None and not isinstance(one, str)
        }

    def split(self, row: Mapping[str, Any], place: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the features of a row, and what is known beside them."""
        rest = dict(row)
        found = {what: rest.pop(name) for what, name in self._names.items()}
        for what, values in self._beside.items():
            positions = getattr(values, "iloc", values)  # a series of pandas has labels of its own
            found[what] = positions[place]
        return rest, found


class Progress:
    """Tells how far a job is.

    Parameters
    ----------
    wanted
        True for a line on standard error each second, or a function of the rows that are done and
        all of them (None if nobody knows); false for neither.
    """

    def __init__(
        self, wanted: "bool | Callable[[int, int | None], object]", total: int | None
    ) -> None:
        self._tell: Callable[[int, int | None], object] | None = (
            wanted if callable(wanted) else self._print if wanted else None
        )
        self._total = total
        self._begun = self._told = time.monotonic()

    def reach(self, done: int, *, end: bool = False) -> None:
        """Note that so many rows are done."""
        if self._tell is None or (done % PIECE and not end):
            return
        now = time.monotonic()
        if end or now - self._told >= TOLD_S:
            self._told = now
            self._tell(done, self._total)

    def _print(self, done: int, total: int | None) -> None:
        rate = done / max(time.monotonic() - self._begun, 1e-9)
        of_all = "" if total is None else f" of {total:,}"
        sys.stderr.write(f"{done:,}{of_all} rows, {rate:,.0f} a second\n")
