"""Rows of the drift page: a version's columns over time, each with its severity, and one of them
in detail. Pure.

A model may have thousands of columns. Only those of one page get a row, so that neither the server
nor the browser does anything for each column at each moment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from driftgauge.producer.dashboard.views.series import StatisticSeries
from driftgauge.shared.contract.severity import rank
from driftgauge.shared.contract.snapshot import FeatureReport, Snapshot, Statistic
from driftgauge.shared.reporting.lines import Mark
from driftgauge.shared.statistics import STATISTICS
from driftgauge.shared.statistics.psi import PSI

ROWS: Final = 25
"""Rows of a page."""
MOST_MOMENTS: Final = 64
HEAT: Final = (0.25, 0.5, 1.0, 1.75, 2.5)
"""Shares of the threshold at which a cell's colour changes: up to 1 blue, then yellow, then red."""
ORDERED: Final = ("ordered in time", "of the last 7 whole days")
"""Beginnings of the note of an ordered column's PSI."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One feature at one time: the statistic's value, and its colour class from 0 to 6; None
    without a value.
    """

    time: int
    value: float | None
    heat: int | None


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """A feature on the drift page.

    Parameters
    ----------
    place
        Position in the stream's order; ids in the page are made from it, since names are untrusted.
    shown
        Current value of the chosen statistic; None if the feature does not have it.
    psi
        PSI that the feature is judged by.
    values
        Chosen statistic over time.
    """

    place: int
    feature: FeatureReport
    shown: Statistic | None
    psi: Statistic | None
    values: list[float | None]
    cells: list[Cell]

    @property
    def ordered(self) -> bool:
        """Whether it is judged on whole days, since its rows are ordered in time."""
        return self.psi is not None and self.psi.note.startswith(ORDERED)


class Chosen(NamedTuple):
    """What the reader wants to see.

    Parameters
    ----------
    text
        Part of the name, of whatever case; empty for all.
    everything
        Whether columns are shown that did not change.
    page
        Number of the page, from 1.
    """

    text: str = ""
    everything: bool = False
    page: int = 1

    def matches(self, feature: FeatureReport) -> bool:
        """Return whether a column has the name that is looked for."""
        return self.text.casefold() in feature.name.casefold()


@dataclass(frozen=True, slots=True)
class DriftView:
    """A version's drift.

    Parameters
    ----------
    rows
        Rows of one page, the worst first.
    page, pages
        Number of the page, from 1, and of all pages.
    first
        Place of the first row among the shown ones, from 1.
    shown
        Number of the columns on all pages.
    judged, changed
        Number of the columns that are watched, and of those that changed.
    matching, changed_matching
        The same of those with the name that is looked for.
    excluded
        Columns that are not watched, with that name.
    times
        Logical times (ms) of the heat map's columns.
    statistics
        Names of the statistics that can be chosen.
    """

    snapshot: Snapshot
    statistic: str
    statistics: list[str]
    times: list[int]
    rows: list[FeatureRow]
    page: int
    pages: int
    first: int
    shown: int
    judged: int
    changed: int
    matching: int
    changed_matching: int
    excluded: list[FeatureReport]


def drift_view(
    snapshot: Snapshot, series: StatisticSeries, statistic: str, chosen: Chosen
) -> DriftView:
    """Put together what the page shows of a current window and its series."""
    columns = columns_of(snapshot)
    judged = [pair for pair in enumerate(columns) if pair[1].severity != "excluded"]
    matching = [pair for pair in judged if chosen.matches(pair[1])]
    changed = [pair for pair in matching if is_changed(pair[1])]
    wanted = sorted(matching if chosen.everything else changed, key=_urgency)
    pages = max(1, -(-len(wanted) // ROWS))
    page = min(chosen.page, pages)
    first = (page - 1) * ROWS
    return DriftView(
        snapshot=snapshot,
        statistic=statistic,
        statistics=statistics_of(columns),
        times=series.times[-MOST_MOMENTS:],
        rows=[row_of(place, one, series, statistic) for place, one in wanted[first : first + ROWS]],
        page=page,
        pages=pages,
        first=first + 1,
        shown=len(wanted),
        judged=len(judged),
        changed=sum(is_changed(one) for _, one in judged),
        matching=len(matching),
        changed_matching=len(changed),
        excluded=[one for one in columns if one.severity == "excluded" and chosen.matches(one)],
    )


def columns_of(snapshot: Snapshot) -> list[FeatureReport]:
    """Return the features in stream order, then the prediction."""
    return [*snapshot.features, *([snapshot.prediction] if snapshot.prediction else [])]


def is_changed(feature: FeatureReport) -> bool:
    """Return whether a column is not as it was: it drifts, its values are broken, or an alert of it
    fires.
    """
    return rank(feature.severity) < rank("ok")


def statistics_of(columns: Sequence[FeatureReport]) -> list[str]:
    """Name the statistics that the features have, PSI first."""
    names = dict.fromkeys(one.name for feature in columns for one in feature.statistics)
    return sorted(names, key=lambda name: name != PSI)


def marks_of(snapshot: Snapshot, feature: str) -> list[Mark]:
    """Return the open alerts of a feature to mark in its chart over time. The chart shows all rows,
    so alerts of segments are left out.
    """
    alerts = [one for one in snapshot.alerts if one.feature == feature and not one.segment]
    return [Mark(one.started, one.severity, one.summary) for one in alerts]


def heat_of(value: float | None, threshold: float | None) -> int | None:
    """Return the colour of a value, from far below its threshold (0) to far above it (6); None
    without a value.

    Examples
    --------
    >>> [heat_of(value, 0.1) for value in (0.0, 0.04, 0.07, 0.12, 0.2, 0.4, None)]
    [0, 1, 2, 3, 4, 5, None]
    >>> heat_of(0.3, None)
    1
    """
    if value is None:
        return None
    if not threshold:
        return 1 if value else 0
    return sum(value > share * threshold for share in HEAT)


def row_of(
    place: int, feature: FeatureReport, series: StatisticSeries, statistic: str
) -> FeatureRow:
    """Return a column's row, with its statistic at each moment."""
    shown, psi = (
        next((one for one in feature.statistics if one.name == name), None)
        for name in (statistic, PSI)
    )
    known = STATISTICS.get(statistic)
    usual = known.usual_limit if known is not None else None
    threshold = shown.warning if shown is not None and shown.warning else usual
    values = series.values.get(feature.name, [None] * len(series.times))[-MOST_MOMENTS:]
    cells = [
        Cell(time, value, heat_of(value, threshold))
        for time, value in zip(series.times[-MOST_MOMENTS:], values, strict=True)
    ]
    return FeatureRow(place, feature, shown, psi, values, cells)


def _urgency(placed: tuple[int, FeatureReport]) -> tuple[int, float, int]:
    place, feature = placed
    psi = next((one.value for one in feature.statistics if one.name == PSI), None)
    return rank(feature.severity), -(psi or 0.0), place
