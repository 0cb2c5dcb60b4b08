"""Parts of a snapshot, for readers that need little of it: a snapshot may have some hundred kB.

Each struct names fields of `Snapshot` as snapshot.py describes them, and is decoded from the same
JSON; msgspec passes over the rest. Whoever reads a part of a snapshot reads one of these. Pure.
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
    """Which snapshot it is."""

    id: str
    model: str
    version: str


class SnapshotSummary(SnapshotName, frozen=True):
    """What a list shows of a snapshot."""

    trigger: str
    created: int
    severity: Severity
    verdict: str
    window: Window


class CurrentState(msgspec.Struct, frozen=True):
    """How a version stands: its severity and its open alerts, as of its current window."""

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
    """What is drawn over time: statistics of the features, and the performance."""

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
        If it is no such event: another release or somebody's hand wrote it.

    Examples
    --------
    >>> part_of(b'{"id": "a", "data": {"id": "s1", "model": "m", "version": "1"}}', SnapshotName)
    SnapshotName(id='s1', model='m', version='1')
    """
    return msgspec.json.decode(msgspec.json.decode(event, type=_Event).data, type=form)
