"""Interface of the online detectors: they see events, raise alarms, and pack their state as bytes.

A detector watches all columns of one (partition, version). Instead of values it gets the cells of
the reference that they fall into, and their ranks u = F_ref(x), so that its delay does not depend
on a feature's unit.
"""

from binascii import crc32
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Protocol, Self, TypeVar

import msgspec

from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.contract.severity import AlertSeverity
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.profile import ReferenceProfile
from driftgauge.shared.reference.runs import Runs


@dataclass(frozen=True)
class Observed:
    """New events, as detectors see them.

    Parameters
    ----------
    cells
        Cell of each value as position in the vector of all cells, shape (all columns, events).
    cell_ranks
        Rank of each cell, 0 to 1, shape (all cells,); NaN for MISSING.
    ids
        Of the events; their hashes break ties, so that a replay breaks them alike.
    marks
        A number for each value, equal for equal values, as the cells; None where no runs are known.
    runs
        Runs of one value in the reference, of all columns; None where they are not known.
    """

    cells: Ints
    cell_ranks: Floats
    ids: Sequence[str]
    marks: Ints | None = None
    runs: Sequence[Runs | None] = ()

    @cached_property
    def ranks(self) -> Floats:
        """The rank of each value, shape (all columns, events), NaN where missing."""
        return self.cell_ranks.take(self.cells)

    def cells_of(self, columns: Sequence[int]) -> Ints:
        """Return the cells of some columns, in ascending order; of all of them without a copy."""
        return self.cells if len(columns) == len(self.cells) else self.cells[columns]


@dataclass(frozen=True, slots=True)
class Detection:
    """An alarm of a detector: the row of the batch, the column, and the evidence as in
    `driftgauge.shared.contract.pane.Alarm`.
    """

    row: int
    column: int
    delay: int
    statistic: str
    value: float
    expected: float | None
    width: int
    effect: str
    threshold: float | None = None
    severity: AlertSeverity = "warning"
    mean_rank: float | None = None
    """Mean reference rank of the values since the change; None if the detector does not estimate
    it.
    """


class Detector(Protocol):
    """An online detector of one model version."""

    name: ClassVar[str]
    share: ClassVar[float]
    """Share of the false-alarm budget for the columns."""
    errors_share: ClassVar[float]
    """Share of the false-alarm budget for the errors of labelled predictions."""
    needs_exchangeable: ClassVar[bool]
    """Whether its false-alarm rate holds only for exchangeable events, so that it must not watch
    ordered columns.
    """

    @property
    def alpha(self) -> float:
        """False alarms allowed per event, over all columns together."""

    @property
    def columns(self) -> list[int]:
        """Positions of the columns of the reference that it watches."""

    @classmethod
    def start(
        cls, reference: ReferenceProfile, columns: list[int], ranks: Floats, alpha: float
    ) -> Self:
        """Start from the reference alone.

        Parameters
        ----------
        reference
            Reference profile of the version.
        columns
            Positions of the columns to watch.
        ranks
            Rank of each cell of the reference, 0 to 1.
        alpha
            False alarms allowed per event, of all columns together.
        """

    def update(self, observed: Observed) -> list[Detection]:
        """Take new events, and return the alarms in order."""

    def pack(self) -> bytes:
        """Return the state as framed bytes."""

    @classmethod
    def unpack(cls, frame: bytes, reference: ReferenceProfile, ranks: Floats) -> Self:
        """Unpack what `pack` returned."""


DETECTORS: dict[str, type[Detector]] = {}
"""Detectors of columns, by name."""
ERROR_DETECTORS: dict[str, type[Detector]] = {}
"""Detectors of the errors of labelled predictions, by name; their profile has one column."""

_T = TypeVar("_T", bound=type[Detector])


def detector(
    name: str,
    *,
    share: float | None = None,
    errors_share: float | None = None,
    needs_exchangeable: bool = True,
) -> Callable[[_T], _T]:
    """Register a detector under its name, with its shares of the false-alarm budget.

    Parameters
    ----------
    share, errors_share
        Shares of the budget for the columns and for the errors of labelled predictions; None if the
        detector does not watch them.
    needs_exchangeable
        Whether it must not watch ordered columns, see `Detector`.
    """

    def register(kind: _T) -> _T:
        kind.name, kind.share, kind.errors_share = name, share or 0.0, errors_share or 0.0
        kind.needs_exchangeable = needs_exchangeable
        DETECTORS.update({name: kind} if share is not None else {})
        ERROR_DETECTORS.update({name: kind} if errors_share is not None else {})
        return kind

    return register


MAGIC = b"DGF1"


def frame(state: msgspec.Struct) -> bytes:
    """Encode a detector's state with format and checksum, so that damaged bytes are recognised."""
    body = msgspec.msgpack.encode(state)
    return MAGIC + crc32(body).to_bytes(4, "big") + body


_S = TypeVar("_S", bound=msgspec.Struct)


def unframe(framed: bytes, kind: type[_S]) -> _S:
    """Decode what `frame` returned.

    Raises
    ------
    BadData
        If the bytes are damaged or of another format.
    """
    body = framed[8:]
    if framed[:4] != MAGIC or crc32(body).to_bytes(4, "big") != framed[4:8]:
        raise BadData(
            "The state of a detector in the checkpoint is damaged or of another format. Restore "
            "Redis from a sound copy; do not delete the field, or the checkpoint cannot be read."
        )
    return msgspec.msgpack.decode(body, type=kind)
