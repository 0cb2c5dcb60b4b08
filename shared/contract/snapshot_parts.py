"""Parts of a snapshot, for readers that need only a few fields: a snapshot may have some hundred
kB.

Each struct has some fields of `Snapshot`, described in snapshot.py, and is decoded from the same
JSON; msgspec skips the others. Pure.
"""

from typing import TypeVar

import msgspec

from driftgauge.shared.contract.severity import Severity
from driftgauge.shared.contract.snapshot import (
    ActiveAlert,
    Performance,
    Snapshot,
    Window,
)

Form = TypeVar("Form")


class SnapshotName(msgspec.Struct, frozen=True):
    """Identity of a snapshot."""

    id: str
    model: str
    version: str


class SnapshotSummary(SnapshotName, frozen=True):
    """A snapshot as a list shows it."""

    trigger: str
    created: int
    severity: Severity
    verdict: str
    window: Window


class WindowSummary(msgspec.Struct, frozen=True):
    """Which window a snapshot is of, and when it was judged."""

    version: str
    created: int
    window: Window


class CurrentState(msgspec.Struct, frozen=True):
    """Severity and open alerts of a version in its current window."""

    model: str
    version: str
    created: int
    severity: str
    alerts: list[ActiveAlert]


class PastStatistic(msgspec.Struct, frozen=True):
    """The value of a statistic, without thresholds and tests."""

    name: str
    value: float | None


class PastFeature(msgspec.Struct, frozen=True):
    """The statistics of a feature, without its histogram and quantiles."""

    name: str
    statistics: list[PastStatistic]


class PastSnapshot(msgspec.Struct, frozen=True):
    """Parts that charts over time show: statistics of the features, and the performance."""

    version: str
    created: int
    features: list[PastFeature]
    prediction: PastFeature | None = None
    performance: Performance | None = None

    @classmethod
    def of(cls, snapshot: Snapshot) -> "PastSnapshot":
        """Reduce a whole snapshot to this part."""
        return msgspec.convert(msgspec.to_builtins(snapshot), cls)


class _Event(msgspec.Struct):
    data: msgspec.Raw


def part_of(event: bytes, form: type[Form]) -> Form:
    """Decode the data of a CloudEvent around a snapshot: a part of it, or `Snapshot` itself.

    Raises
    ------
    ValueError
        If it is not such an event: another release wrote it, or a person by hand.

    Examples
    --------
    >>> part_of(b'{"id": "a", "data": {"id": "s1", "model": "m", "version": "1"}}', SnapshotName)
    SnapshotName(id='s1', model='m', version='1')
    """
    return msgspec.json.decode(msgspec.json.decode(event, type=_Event).data, type=form)
