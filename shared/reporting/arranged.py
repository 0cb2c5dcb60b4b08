"""Look-ups in a snapshot for the report: since when a feature is bad, which categories vanished,
estimates beside metrics.
"""

from typing import NamedTuple

from driftgauge.shared.contract.severity import most_urgent_first, rank
from driftgauge.shared.contract.snapshot import (
    ActiveAlert,
    FeatureReport,
    MetricReport,
    Performance,
    RecommendedAction,
    Share,
    Snapshot,
    Statistic,
)
from driftgauge.shared.reporting.lines import Mark
from driftgauge.shared.wording.plain import clip
from driftgauge.shared.wording.titles import rule_words

LEAST_EXPECTED = 5
"""Least expected rows of a category to be called vanished when it has none."""


class MetricRow(NamedTuple):
    """A metric by labels, and its estimate; either may be absent."""

    name: str
    measured: MetricReport | None
    estimated: MetricReport | None


def statistic(feature: FeatureReport, name: str) -> Statistic | None:
    """Return a statistic of a feature by name."""
    return next((one for one in feature.statistics if one.name == name), None)


def share(feature: FeatureReport, name: str) -> Share | None:
    """Return a share of a feature by name."""
    return next((one for one in feature.shares if one.name == name), None)


def kind_words(feature: FeatureReport) -> str:
    """Return the kind of a feature, and what its numbers are and their unit, where that is known.

    Examples
    --------
    >>> from driftgauge.shared.contract.snapshot import Histogram
    >>> shown = Histogram(None, [], [], [])
    >>> load = FeatureReport("x", "numeric", "ok", "", [], [], shown, [], [], unit="kWh")
    >>> kind_words(load)
    'numeric · kWh'
    """
    return " · ".join(
        filter(None, (feature.kind, clip(feature.judged, 120), clip(feature.unit, 16)))
    )


def worst_first(feature: FeatureReport) -> tuple[int, float]:
    """Order features: by severity, then by PSI."""
    psi = statistic(feature, "psi")
    return rank(feature.severity), -psi.value if psi and psi.value is not None else 0.0


def since(feature: FeatureReport, snapshot: Snapshot) -> int | None:
    """Return the logical time (ms) at which the oldest open alert of a feature over all rows began;
    None without one.
    """
    return min((alert.started for alert in _alerts_of(feature, snapshot)), default=None)


def marks(feature: FeatureReport, snapshot: Snapshot) -> list[Mark]:
    """Return where the open alerts of a feature begin on its line."""
    return [
        Mark(alert.started, alert.severity, f"{rule_words(alert.rule)} {alert.state}")
        for alert in _alerts_of(feature, snapshot)
    ]


def _alerts_of(feature: FeatureReport, snapshot: Snapshot) -> list[ActiveAlert]:
    return [
        alert for alert in snapshot.alerts if alert.feature == feature.name and not alert.segment
    ]


def evidence(action: RecommendedAction, snapshot: Snapshot) -> list[ActiveAlert]:
    """Return the alerts that recommend an action, the most urgent first."""
    return sorted(
        (alert for alert in snapshot.alerts if alert.fingerprint in action.alerts),
        key=most_urgent_first,
    )


def vanished(feature: FeatureReport, rows: int) -> list[tuple[str, float]]:
    """Return the categories that the window should have and does not have, with the rows expected.

    Examples
    --------
    >>> from driftgauge.shared.contract.snapshot import Histogram
    >>> shown = Histogram(None, ["a", "b", "c"], [0.6, 0.399, 0.001], [1.0, 0.0, 0.0])
    >>> vanished(FeatureReport("x", "categorical", "ok", "", [], [], shown, [], []), rows=1000)
    [('b', 399.0)]
    """
    shown = feature.histogram
    if feature.kind != "categorical" or shown.labels is None:
        return []
    bars = zip(shown.labels, shown.reference, shown.window, strict=True)
    found = {
        label: round(part * rows, 6)
        for label, part, now in bars
        if not now and part * rows >= LEAST_EXPECTED
    }
    return [*({one.name: one.rows for one in feature.vanished} | found).items()]


def metric_rows(performance: Performance) -> list[MetricRow]:
    """Return the metrics by labels with their estimates; metrics that are only estimated
    come last.
    """
    measured = {metric.name: metric for metric in performance.metrics}
    estimated = {metric.name: metric for metric in performance.estimated}
    return [
        MetricRow(name, measured.get(name), estimated.get(name))
        for name in {**measured, **estimated}
    ]
