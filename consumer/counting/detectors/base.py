"""What every online detector does: see ranks, raise alarms, and carry its state as framed bytes.

A detector watches all columns of one (partition, version). It is fed with ranks u = F_ref(x), not with values, so that its
delay does not depend on a feature's unit.
"""

from binascii import crc32
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self, TypeVar

import msgspec

from shared.errors import BadData
from shared.reference import Floats, ReferenceProfile


@dataclass(frozen=True, slots=True)
class Detection:
    """An alarm of a detector: at which row of the batch, for which column, and what it has seen."""

    row: int
    column: int
    delay: int
    statistic: str
    value: float
    expected: float
    width: int
    effect: str


class Detector(Protocol):
    """The verbs of a detector of one model version."""

    name: ClassVar[str]

    @property
    def alpha(self) -> float:
        """False alarms allowed per event and column, as it was started with."""

    @property
    def columns(self) -> list[int]:
        """Which columns of the reference it watches."""

    @classmethod
    def start(cls, reference: ReferenceProfile, columns: list[int], ranks: Floats, alpha: float) -> Self:
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
            False alarms allowed per event and column.
        """

    def update(self, ranks: Floats) -> list[Detection]:
        """See the ranks of new events, shape (all columns, events), NaN where missing; give the alarms, in order."""

    def pack(self) -> bytes:
        """Give the state as framed bytes."""

    @classmethod
    def unpack(cls, frame: bytes, reference: ReferenceProfile, ranks: Floats) -> Self:
        """Read what `pack` gave."""


DETECTORS: dict[str, type[Detector]] = {}

_T = TypeVar("_T", bound=type[Detector])


def detector(name: str) -> Callable[[_T], _T]:
    """Register a detector under its name."""

    def register(kind: _T) -> _T:
        kind.name = name
        DETECTORS[name] = kind
        return kind

    return register


MAGIC = b"DGF1"


def frame(state: msgspec.Struct) -> bytes:
    """Frame a detector's state with format and checksum: damaged bytes must never be taken for a state."""
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
        raise BadData("The detector state in the checkpoint is damaged or of another format; delete the field to restart.")
    return msgspec.msgpack.decode(body, type=kind)
