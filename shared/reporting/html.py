"""A snapshot as one HTML file: no script, nothing fetched, readable on a screen, a telephone and paper.

Pure: the same snapshot gives the same bytes. The template holds the page's order and words, this file what it needs to
look up, `text` the numbers and strangers' text, `svg` the charts.
"""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from shared.reporting import svg, text
from shared.snapshot import ActiveAlert, FeatureReport, Severity, Share, Snapshot, Statistic

WORST_FIRST: tuple[Severity, ...] = ("critical", "warning", "insufficient_data", "uncalibrated", "ok", "excluded")
TITLES = {
    "psi": "PSI",
    "ks": "KS",
    "jensen_shannon": "Jensen-Shannon",
    "wasserstein": "Wasserstein (approx.)",
    "chi_squared": "Chi-squared",
    "unseen": "unseen category",
    "schedule": "on schedule",
    "alert": "by an alert",
    "current": "on request",
}


def render_html(snapshot: Snapshot) -> str:
    """Render a snapshot as a self-contained page.

    Parameters
    ----------
    snapshot
        Any snapshot; all of its text is taken as hostile.

    Returns
    -------
    str
        A whole HTML document, to be written as UTF-8.

    Examples
    --------
    >>> from shared.snapshot import Window
    >>> window = Window(start=0, end=1_800_000, rows=900, panes=6, events=5000)
    >>> page = render_html(Snapshot(id="1", model="steel", version="v1", trigger="schedule", created=1_800_000,
    ...     severity="ok", verdict="No drift.", window=window, reference_rows=8000, features=[], prediction=None,
    ...     alerts=[], events_per_day=43_200.0))
    >>> page.startswith("<!doctype html>"), "No drift." in page
    (True, True)
    """
    return _PAGE.render(
        snapshot=snapshot,
        features=sorted((f for f in snapshot.features if f.severity != "excluded"), key=_worst_first),
        excluded=[f for f in snapshot.features if f.severity == "excluded"],
        alerts=sorted(snapshot.alerts, key=_most_urgent_first),
        tally=_tally(snapshot.features),
    )


def report_name(snapshot: Snapshot) -> str:
    """The file name of a snapshot's report, without its extension.

    Raises
    ------
    OverflowError
        If `created` lies beyond the year 9999.

    Examples
    --------
    >>> from shared.snapshot import Window
    >>> report_name(Snapshot(id="1", model="steel", version="v1", trigger="schedule", created=1714557600000,
    ...     severity="ok", verdict="", window=Window(0, 0, 0, 0, 0), reference_rows=0, features=[], prediction=None,
    ...     alerts=[], events_per_day=0.0))
    'drift_report_20240501_100000'
    """
    return f"drift_report_{text.EPOCH + timedelta(milliseconds=snapshot.created):%Y%m%d_%H%M%S}"


def _worst_first(feature: FeatureReport) -> tuple[int, float]:
    psi = _statistic(feature, "psi")
    return WORST_FIRST.index(feature.severity), -psi.value if psi and psi.value is not None else 0.0


def _most_urgent_first(alert: ActiveAlert) -> tuple[bool, int, int]:
    return alert.state != "firing", WORST_FIRST.index(alert.severity), alert.started


def _marks(alert: ActiveAlert) -> str:
    """Say in words what marks an alert has; a name among them is escaped with the rest."""
    marks = [
        f"acknowledged by {text.clip(alert.acknowledged, 40)}" if alert.acknowledged else "",
        f"silenced until {text.moment(alert.silenced_until)}" if alert.silenced_until is not None else "",
        f"explained by {text.clip(alert.inhibited_by, 24)}" if alert.inhibited_by else "",
    ]
    return "".join(f" · {mark}" for mark in marks if mark)


def _tally(features: list[FeatureReport]) -> list[tuple[Severity, int]]:
    counts = Counter(feature.severity for feature in features)
    return [(severity, counts[severity]) for severity in WORST_FIRST if counts[severity]]


def _statistic(feature: FeatureReport, name: str) -> Statistic | None:
    return next((s for s in feature.statistics if s.name == name), None)


def _share(feature: FeatureReport, name: str) -> Share | None:
    return next((s for s in feature.shares if s.name == name), None)


def _title(name: str) -> str:
    return TITLES.get(name) or text.clip(name.replace("_", " "), 40)


def _exact(wording: Callable[[float], str]) -> Callable[[float | None], Markup]:
    """A filter that shows a number in few digits and keeps the exact one beside it for machines."""

    def as_data(value: float | None) -> Markup:
        if value is None:
            return Markup("&ndash;")
        return Markup('<data value="{}">{}</data>').format(repr(value), wording(value))

    return as_data


def _page_environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("shared.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "clip": text.clip,
        "shown": text.shown,
        "moment": text.moment,
        "marks": _marks,
        "title_of": _title,
        "statistic": _statistic,
        "share": _share,
        "figure": _exact(text.figure),
        "decimal": _exact(text.decimal),
        "percent": _exact(text.percent),
        "p_value": _exact(text.p_value),
    }
    environment.globals |= {"histogram": svg.histogram, "box_plot": svg.box_plot, "gauge": svg.gauge}
    return environment


_PAGE = _page_environment().get_template("report.html.j2")
