"""What every online detector does: see events, raise alarms, and carry its state as framed bytes.

A detector watches all columns of one (partition, version). It is fed with the cells of the
reference that the values fell into, and their ranks u = F_ref(x), not with values, so that its
delay does not depend on a feature's unit.
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


@dataclass(frozen=True)
class Observed:
    """New events, as detectors see them.

    Parameters
    ----------
    cells
        Shape (all columns, events): the cell of each value, as a place in the vector of all cells.
    cell_ranks
        The rank of each of all cells, NaN for MISSING.
    ids
        Of the events; their hashes break ties, so that a replay breaks them alike.
    """

    cells: Ints
    cell_ranks: Floats
    ids: Sequence[str]

    @cached_property
    def ranks(self) -> Floats:
        """The rank of each value, shape (all columns, events), NaN where missing."""
        return self.cell_ranks[self.cells]


@dataclass(frozen=True, slots=True)
class Detection:
    """An alarm of a detector: at which row of the batch, for which column, and what it has seen:
    see `driftgauge.shared.contract.pane.Alarm`.
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
    """Of what came since the change, among the reference; None where the detector does not estimate
    it.
    """


class Detector(Protocol):
    """The verbs of a detector of one model version."""

    name: ClassVar[str]
    share: ClassVar[float]
    """Of the false-alarm budget, for the columns."""
    errors_share: ClassVar[float]
    """Of the same, for the errors of labelled predictions."""
    needs_exchangeable: ClassVar[bool]
    """Whether its false-alarm rate holds for exchangeable events alone, so that ordered columns are
    kept from it.
    """

    @property
    def alpha(self) -> float:
        """False alarms allowed per event, as it was started with."""

    @property
    def columns(self) -> list[int]:
        """Which columns of the reference it watches."""

    @classmethod
    def start(
        cls, reference: ReferenceProfile, columns: list[int], ranks: Floats, alpha: float
    ) -> Self:
        """Start from the reference alone.

        Parameters
        ----------
        reference
            Of the version.
        columns
            Which of its columns are watched.
        ranks
            The rank of each cell of the reference.
        alpha
            False alarms allowed per event, of all columns together.
        """

    def update(self, observed: Observed) -> list[Detection]:
        """See new events; give the alarms, in order."""

    def pack(self) -> bytes:
        """Return the state as framed bytes."""

    @classmethod
    def unpack(cls, frame: bytes, reference: ReferenceProfile, ranks: Floats) -> Self:
        """Read what `pack` gave."""


DETECTORS: dict[str, type[Detector]] = {}
"""Those of columns."""
ERROR_DETECTORS: dict[str, type[Detector]] = {}
"""Those of the errors of labelled predictions: a profile of one column."""

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
        For the columns, and for the errors of labelled predictions; None if it does not watch them.
    needs_exchangeable
        See `Detector`.
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
    """Frame a detector's state with format and checksum: damaged bytes must never be taken for a
    state.
    """
    body = msgspec.msgpack.encode(state)
    return MAGIC + crc32(body).to_bytes(4, "big") + body


_S = TypeVar("_S", bound=msgspec.Struct)


def unframe(framed: bytes, kind: type[_S]) -> _S:
    """Read what `frame` gave.

    Raises
    ------
    BadData
        If the bytes are damaged or of another format.
    """
    body = framed[8:]
    if framed[:4] != MAGIC or crc32(body).to_bytes(4, "big") != framed[4:8]:
        raise BadData(
            "The detector state in the checkpoint is damaged or of another format; delete the "
            "field to restart."
        )
    return msgspec.msgpack.decode(body, type=kind)
