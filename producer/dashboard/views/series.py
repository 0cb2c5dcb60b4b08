"""A version's statistics over time, from its earlier reports and its current window. Pure."""

from collections.abc import Sequence

import msgspec

from driftgauge.shared.contract.snapshot import Snapshot
from driftgauge.shared.contract.snapshot_parts import PastFeature, PastSnapshot
from driftgauge.shared.statistics.psi import PSI


class StatisticSeries(msgspec.Struct, frozen=True):
    """A statistic of all features over time: logical times (ms), ascending, and at each time a
    value or None.
    """

    times: list[int]
    values: dict[str, list[float | None]]


def series_of(now: Snapshot, earlier: Sequence[PastSnapshot], statistic: str) -> StatisticSeries:
    """Return a statistic of every feature over time, the current window last.

    The current window itself has the PSI of the last days, at more moments than there are reports;
    the other statistics are those of the reports.
    """
    if statistic == PSI and now.history_times:
        columns = [*now.features, *([now.prediction] if now.prediction else [])]
        return StatisticSeries(
            now.history_times, {one.name: one.psi_history for one in columns if one.psi_history}
        )
    points = [*(one for one in earlier if one.created < now.created), PastSnapshot.of(now)]
    tables = [{one.name: _value(one, statistic) for one in _columns(point)} for point in points]
    names = [one.name for one in _columns(points[-1])]
    return StatisticSeries(
        [point.created for point in points],
        {name: [table.get(name) for table in tables] for name in names},
    )


def _columns(point: PastSnapshot) -> list[PastFeature]:
    return [*point.features, *([point.prediction] if point.prediction else [])]


def _value(feature: PastFeature, statistic: str) -> float | None:
    return next((one.value for one in feature.statistics if one.name == statistic), None)
