"""Parts of a snapshot, for readers that need only a few fields: a snapshot may have some hundred
kB.

Each struct has some fields of `Snapshot`, described in snapshot.py, and is decoded from the same
JSON; msgspec skips the others. Pure.
"""

from typing import TypeVar

import msgspec

from driftgauge.shared.contract.severity import ALERT_SEVERITIES, AlertSeverity, Severity
from driftgauge.shared.contract.snapshot import (
    ActiveAlert,
    Performance,
    Snapshot,
    Window,
)
from driftgauge.shared.moments import Moment

Form = TypeVar("Form")


class SnapshotName(msgspec.Struct, frozen=True):
    """Identity of a snapshot."""

    id: str
    model: str
    version: str


class SnapshotSummary(SnapshotName, frozen=True):
    """A snapshot as a list shows it."""

    trigger: str
    created: Moment
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
    created: Moment
    severity: str
    alerts: list[ActiveAlert]


class MetricBrief(msgspec.Struct, frozen=True, omit_defaults=True):
    """The first metric of a version: its latest value by labels with its baseline, or, without
    labels, as it is estimated; and by labels its values at some logical times (ms) of the last day.
    """

    name: str
    value: float
    baseline: float | None = None
    change: float | None = None
    severity: Severity = "ok"
    is_estimated: bool = False
    times: list[int] = []
    values: list[float | None] = []
    unit: str = ""

    @classmethod
    def of(cls, performance: Performance | None) -> "MetricBrief | None":
        """Return the first metric of a performance; None without one that has a value."""
        if performance is None:
            return None
        for found, is_estimated in ((performance.metrics, False), (performance.estimated, True)):
            first = found[0] if found else None
            if first is not None and first.value is not None:
                return cls(
                    first.name,
                    first.value,
                    first.baseline,
                    first.change,
                    first.severity,
                    is_estimated,
                    [] if is_estimated else performance.history_times,
                    [] if is_estimated else performance.history,
                    first.unit,
                )
        return None


class Brief(msgspec.Struct, frozen=True):
    """A version's current window in a few hundred bytes, as a list of a thousand models shows it.
    It is stored beside the window, so that nobody reads a thousand whole ones.

    Parameters
    ----------
    firing
        Number of its firing alerts by severity.
    metric
        The metric that it is watched by; None without labels and without probabilities.
    """

    model: str
    version: str
    created: int
    severity: Severity
    verdict: str
    rows: int
    firing: dict[AlertSeverity, int]
    metric: MetricBrief | None = None

    @classmethod
    def of(cls, snapshot: Snapshot) -> "Brief":
        """Return a window in brief."""
        firing = [one.severity for one in snapshot.alerts if one.state == "firing"]
        return cls(
            snapshot.model,
            snapshot.version,
            snapshot.created,
            snapshot.severity,
            snapshot.verdict,
            snapshot.window.rows,
            {severity: firing.count(severity) for severity in ALERT_SEVERITIES},
            MetricBrief.of(snapshot.performance),
        )


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
    created: Moment
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
