"""Content of the drift page and the performance page: read from Redis, arranged by
views/drift.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from markupsafe import Markup

from driftgauge.producer.dashboard.past import past_snapshots
from driftgauge.producer.dashboard.views.drift import (
    Chosen,
    DriftView,
    FeatureRow,
    columns_of,
    drift_view,
    marks_of,
    row_of,
)
from driftgauge.producer.dashboard.views.series import StatisticSeries, series_of
from driftgauge.producer.dashboard.views.standings import sorted_incidents
from driftgauge.producer.http.problems import Problem
from driftgauge.producer.parts import Parts
from driftgauge.producer.reading.history import readable
from driftgauge.producer.reading.incidents import open_incidents
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.contract.snapshot import Snapshot
from driftgauge.shared.contract.snapshot_parts import WindowSummary
from driftgauge.shared.reporting.lines import over_time
from driftgauge.shared.statistics.psi import PSI
from driftgauge.shared.unpacking import UNREADABLE
from driftgauge.shared.wording.filters import title_of

OTHER_RELEASE = (
    "Another release of Driftgauge judged it; this one reads the next window that its own worker "
    "judges."
)


@dataclass(frozen=True, slots=True)
class Detail:
    """One feature: its row, its statistic over time for the chart, and the same as a picture for
    browsers without scripts.
    """

    row: FeatureRow
    series: dict[str, Any]
    line: Markup


class Windows:
    """The current windows of a model's versions, of which the one that is shown is read whole.

    Parameters
    ----------
    model
        Name of the model.
    packed
        The windows as they stand in Redis.
    """

    def __init__(self, model: str, packed: Sequence[bytes]) -> None:
        self.model = model
        found = [(summary, one) for one in packed if (summary := _summary(one)) is not None]
        self._found = sorted(found, key=lambda pair: pair[0].created, reverse=True)
        self.fault = OTHER_RELEASE if packed and not found else ""

    @classmethod
    async def read(cls, parts: Parts, model: str) -> "Windows":
        """Read the windows of a model."""
        packed: Any = await parts.reader.hvals(parts.keys.current(model))
        return cls(model, packed)

    @property
    def versions(self) -> list[str]:
        """Versions with a window that can be read, the one that was judged last first."""
        return [summary.version for summary, _ in self._found]

    def of(self, version: str | None) -> Snapshot | None:
        """Return the window of a version; without one that of the version that was judged last, and
        has rows if any has. None if there is no window that can be read.

        Raises
        ------
        Problem
            404 if there are windows, and none of the version.
        """
        found = [pair for pair in self._found if version in {None, "", pair[0].version}]
        if version and not found and self._found:
            raise Problem(
                404,
                f"No window of {self.model} {version[:64]} is kept; versions with one: "
                f"{', '.join(name[:40] for name in self.versions[:8])}.",
            )
        with_rows = [pair for pair in found if pair[0].window.rows]
        for _, packed in with_rows or found:
            try:
                return msgspec.json.decode(packed, type=Snapshot)
            except UNREADABLE:  # another release wrote it; the next one may be ours
                self.fault = OTHER_RELEASE
        return None


def _summary(packed: bytes) -> WindowSummary | None:
    try:
        return msgspec.json.decode(packed, type=WindowSummary)
    except UNREADABLE:  # another release wrote it: the page says so
        return None


async def drift_shown(
    parts: Parts,
    model: str,
    version: str | None,
    statistic: str,
    feature: str | None,
    chosen: Chosen,
) -> dict[str, Any]:
    """Read what the page shows.

    Raises
    ------
    Problem
        404 if there is no such feature, or no window of the version.
    """
    windows = await Windows.read(parts, model)
    now = windows.of(version)
    series = None if now is None else await _series(parts, now, statistic)
    view = None if now is None or series is None else drift_view(now, series, statistic, chosen)
    asked = {
        "model": model,
        "version": version,
        "statistic": statistic if view and statistic != PSI else None,
        "show": "all" if chosen.everything else None,
        "find": chosen.text,
    }
    return {
        "view": view,
        "chosen": chosen,
        "fault": windows.fault,
        "models": sorted({*await parts.pipeline.models(), *parts.serving.production}),
        "versions": windows.versions,
        "version": now.version if now else "",
        "asked_version": version,
        "incidents": [] if now is None else await _about(parts, now),
        "statistic": view.statistic if view else PSI,
        "asked": asked,
        "page_number": view.page if view and view.page > 1 else None,
        "detail": None
        if view is None or series is None or feature is None
        else _detail(view, series, feature),
    }


async def _about(parts: Parts, now: Snapshot) -> list[Incident]:
    """Return the open incidents of the model that are about the version, the worst first."""
    found = await open_incidents(parts.reader, parts.keys, [now.model])
    return [
        one
        for one in sorted_incidents(readable(found, Incident))
        if one.kind == "model" and any(alert.version == now.version for alert in one.alerts)
    ]


async def _series(parts: Parts, now: Snapshot, statistic: str) -> StatisticSeries:
    """Return a statistic over time; of PSI the window itself has it."""
    stream = parts.keys.snapshots(now.model)
    is_kept = statistic == PSI and now.history_times
    earlier = [] if is_kept else await past_snapshots(parts.reader, stream, now.version)
    return series_of(now, earlier, statistic)


def _detail(view: DriftView, series_of_all: StatisticSeries, feature: str) -> Detail:
    found = next(
        (
            pair
            for pair in enumerate(columns_of(view.snapshot))
            if pair[1].name == feature and pair[1].severity != "excluded"
        ),
        None,
    )
    if found is None:
        raise Problem(
            404, f"{view.snapshot.model} has no feature {feature[:80]!r} that is judged for drift."
        )
    row = row_of(*found, series_of_all, view.statistic)
    limits = (row.shown.warning, row.shown.critical) if row.shown else (None, None)
    marks = marks_of(view.snapshot, feature)
    series = {
        "name": title_of(view.statistic),
        "times": view.times,
        "values": row.values,
        "warning": limits[0],
        "critical": limits[1],
        "marks": [mark._asdict() for mark in marks],
    }
    return Detail(row, series, over_time(view.times, row.values, *limits, marks))


async def performance_shown(parts: Parts, model: str, version: str | None) -> dict[str, Any]:
    """Read what the page shows.

    Raises
    ------
    Problem
        404 if no window of the version is kept.
    """
    windows = await Windows.read(parts, model)
    return {
        "snapshot": windows.of(version),
        "fault": windows.fault,
        "models": sorted({*await parts.pipeline.models(), *parts.serving.production}),
        "versions": windows.versions,
        "asked_version": version,
        "too_late": sum(one.labels_too_late for one in await parts.pipeline.read([model], most=1)),
        "labelled_days": parts.settings.labelled_days,
    }
