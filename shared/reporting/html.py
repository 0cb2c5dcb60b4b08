"""A snapshot as one HTML file: no script, nothing fetched, readable on a screen, a telephone and
paper.

Pure: the same snapshot gives the same bytes. The template holds the page's order and sentences;
`arranged` looks things up in the snapshot, `svg` and `lines` draw the charts, and the filters of
shared/wording write numbers, times, titles and other people's text.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from driftgauge.shared.contract.severity import WORST_FIRST, Severity, most_urgent_first
from driftgauge.shared.contract.snapshot import ActiveAlert, FeatureReport, Snapshot
from driftgauge.shared.performance import LOSSES
from driftgauge.shared.performance.fairness import LEAST_ROWS
from driftgauge.shared.reporting import arranged, fairness, lines, segmented, svg
from driftgauge.shared.reporting.health import PipelineHealth
from driftgauge.shared.wording import filters
from driftgauge.shared.wording.plain import clip
from driftgauge.shared.wording.times import EPOCH, moment

MOST_DRAWN: Final = 60
"""Most features with charts, the worst first; the others have their row of numbers. A thousand
would make a page of 12 MB.
"""


def render_html(snapshot: Snapshot, health: PipelineHealth | None = None) -> str:
    """Render a snapshot as a self-contained page.

    Parameters
    ----------
    snapshot
        The snapshot; all of its text is treated as untrusted.
    health
        State of the pipeline when the report was made; None if unknown.

    Returns
    -------
    str
        A whole HTML document, to be written as UTF-8.

    Examples
    --------
    >>> from driftgauge.shared.reporting.example import EXAMPLE
    >>> page = render_html(EXAMPLE)
    >>> page.startswith("<!doctype html>"), "No drift." in page
    (True, True)
    """
    return _PAGE.render(
        snapshot=snapshot,
        health=health,
        features=sorted(
            (f for f in snapshot.features if f.severity != "excluded"), key=arranged.worst_first
        ),
        excluded=[f for f in snapshot.features if f.severity == "excluded"],
        drawn=MOST_DRAWN,
        alerts=sorted(snapshot.alerts, key=most_urgent_first),
        tally=_tally(snapshot.features),
    )


def report_name(snapshot: Snapshot) -> str:
    """Return the file name of a snapshot's report, without its extension.

    Raises
    ------
    OverflowError
        If `created` lies beyond the year 9999.

    Examples
    --------
    >>> from driftgauge.shared.reporting.example import EXAMPLE
    >>> report_name(EXAMPLE)
    'drift_report_20240501_100000'
    """
    return f"drift_report_{EPOCH + timedelta(milliseconds=snapshot.created):%Y%m%d_%H%M%S}"


def _marks(alert: ActiveAlert) -> str:
    """Return the marks of an alert in words; the template escapes them."""
    marks = [
        f"acknowledged by {clip(alert.acknowledged, 40)}" if alert.acknowledged else "",
        f"silenced until {moment(alert.silenced_until)}"
        if alert.silenced_until is not None
        else "",
        f"explained by {clip(alert.inhibited_by, 24)}" if alert.inhibited_by else "",
    ]
    return "".join(f" · {mark}" for mark in marks if mark)


def _tally(features: list[FeatureReport]) -> list[tuple[Severity, int]]:
    counts = Counter(feature.severity for feature in features)
    return [(severity, counts[severity]) for severity in WORST_FIRST if counts[severity]]


FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    **filters.FILTERS,
    "marks": _marks,
    "statistic": arranged.statistic,
    "share": arranged.share,
    "kind_words": arranged.kind_words,
    "since": arranged.since,
    "evidence": arranged.evidence,
    "vanished": arranged.vanished,
    "metric_rows": arranged.metric_rows,
    "segment_tables": segmented.segment_tables,
}
"""Filters of the report's templates, including those that the dashboard uses too."""
GLOBALS: Final[Mapping[str, Any]] = {
    "histogram": svg.histogram,
    "box_plot": svg.box_plot,
    "five_numbers": svg.five_numbers,
    "gauge": svg.gauge,
    "sparkline": lines.sparkline,
    "metric_line": lines.metric_line,
    "qq_plot": lines.qq_plot,
    "over_time": lines.over_time,
    "interval": lines.interval,
    "marks_of": arranged.marks,
    "fairness_table": fairness.fairness_table,
    "is_rest": segmented.is_rest,
    "told": segmented.told,
    "least_compared": LEAST_ROWS,
    "losses": LOSSES,
    "zip": zip,
}


def _page_environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("driftgauge.shared.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS
    environment.globals |= GLOBALS
    return environment


_PAGE = _page_environment().get_template("report.html.j2")
