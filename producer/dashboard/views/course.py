"""How a version's statistics went: earlier reports and the current window as series over time. Pure."""

from collections.abc import Sequence

import msgspec

from driftgauge.shared.contract.snapshot import Performance, Snapshot
from driftgauge.shared.statistics.psi import PSI


class PastStatistic(msgspec.Struct):
    """A statistic's value then."""

    name: str
    value: float | None


class PastFeature(msgspec.Struct):
    """A feature then."""

    name: str
    statistics: list[PastStatistic]


class Past(msgspec.Struct):
    """What is drawn of an earlier report."""

    version: str
    created: int
    features: list[PastFeature]
    prediction: PastFeature | None = None
    performance: Performance | None = None


class Course(msgspec.Struct, frozen=True):
    """A statistic of all features over time: logical times (ms), ascending, and at each time a
    value or None.
    """

    times: list[int]
    values: dict[str, list[float | None]]


def course_of(now: Snapshot, earlier: Sequence[Past], statistic: str) -> Course:
    """Give a statistic of every feature over time, the current window last.

    The current window itself has the PSI of the last days, at more moments than there are reports;
    the other statistics are those of the reports.
    """
    if statistic == PSI and now.history_times:
        columns = [*now.features, *([now.prediction] if now.prediction else [])]
        return Course(
            now.history_times, {one.name: one.psi_history for one in columns if one.psi_history}
        )
    points = [*(one for one in earlier if one.created < now.created), _as_past(now)]
    tables = [{one.name: _value(one, statistic) for one in _columns(point)} for point in points]
    names = [one.name for one in _columns(points[-1])]
    return Course(
        [point.created for point in points],
        {name: [table.get(name) for table in tables] for name in names},
    )


def _as_past(snapshot: Snapshot) -> Past:
    return msgspec.convert(msgspec.to_builtins(snapshot), Past)


def _columns(point: Past) -> list[PastFeature]:
    return [*point.features, *([point.prediction] if point.prediction else [])]


def _value(feature: PastFeature, statistic: str) -> float | None:
    return next((one.value for one in feature.statistics if one.name == statistic), None)
