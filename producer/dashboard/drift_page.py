"""Content of the drift page and the performance page: read from Redis, arranged by
views/drift.py.
"""

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from driftgauge.producer.dashboard.model_page import current_windows
from driftgauge.producer.dashboard.past import past_snapshots
from driftgauge.producer.dashboard.views.drift import DriftView, FeatureRow, drift_view, marks_of
from driftgauge.producer.dashboard.views.series import series_of
from driftgauge.producer.http.problems import Problem
from driftgauge.producer.parts import Parts
from driftgauge.shared.contract.snapshot import Snapshot
from driftgauge.shared.reporting.lines import over_time
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


async def drift_shown(
    parts: Parts, model: str, version: str | None, statistic: str, feature: str | None
) -> dict[str, Any]:
    """Read what the page shows.

    Raises
    ------
    Problem
        404 if there is no such feature, or no window of the version.
    """
    windows = (await current_windows(parts, [model]))[model]
    readable = [window for window in windows if window is not None]
    now = (
        next((one for one in readable if one.version == version), None)
        if version
        else next(iter(readable), None)
    )
    if version and now is None and readable:
        raise Problem(
            404,
            f"No window of {model} {version[:64]} is kept; versions with one: "
            f"{names_of(readable)}.",
        )
    view = None if now is None else await _view(parts, now, statistic)
    asked = {
        "model": model,
        "version": version,
        "statistic": statistic if view and statistic != "psi" else None,
    }
    return {
        "view": view,
        "fault": OTHER_RELEASE if windows and not readable else "",
        "models": sorted({*await parts.pipeline.models(), *parts.serving.production}),
        "versions": [one.version for one in readable],
        "version": now.version if now else "",
        "asked_version": version,
        "statistic": view.statistic if view else "psi",
        "asked": asked,
        "detail": None if view is None or feature is None else _detail(view, feature),
    }


async def _view(parts: Parts, now: Snapshot, statistic: str) -> DriftView:
    earlier = await past_snapshots(parts.reader, parts.keys.snapshots(now.model), now.version)
    return drift_view(now, series_of(now, earlier, statistic), statistic)


def _detail(view: DriftView, feature: str) -> Detail:
    row = next((row for row in view.rows if row.feature.name == feature), None)
    if row is None:
        raise Problem(
            404, f"{view.snapshot.model} has no feature {feature[:80]!r} that is judged for drift."
        )
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


def names_of(windows: list[Snapshot]) -> str:
    """Name the versions of some windows, in a message."""
    return ", ".join(one.version[:40] for one in windows[:8])


async def performance_shown(parts: Parts, model: str, version: str | None) -> dict[str, Any]:
    """Read what the page shows.

    Raises
    ------
    Problem
        404 if no window of the version is kept.
    """
    windows = (await current_windows(parts, [model]))[model]
    readable = [window for window in windows if window is not None]
    now = next((one for one in readable if version in {None, "", one.version}), None)
    if now is None and readable:
        raise Problem(
            404,
            f"No window of {model} {(version or '')[:64]} is kept; versions with one: "
            f"{names_of(readable)}.",
        )
    return {
        "snapshot": now,
        "fault": OTHER_RELEASE if windows and not readable else "",
        "models": sorted({*await parts.pipeline.models(), *parts.serving.production}),
        "versions": [one.version for one in readable],
        "asked_version": version,
        "too_late": sum(one.labels_too_late for one in await parts.pipeline.read([model], most=1)),
        "labelled_days": parts.settings.labelled_days,
    }
