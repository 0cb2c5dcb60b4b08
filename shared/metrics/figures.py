"""What a scrape shows of a version's current window: a few kB, which judging writes beside the
window, so that no scrape reads, decodes or computes a whole one.
"""

from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

import msgspec

from driftgauge.shared.contract.severity import Severity, rank
from driftgauge.shared.contract.snapshot import (
    FeatureReport,
    MetricReport,
    Performance,
    SegmentReport,
    Segments,
    Snapshot,
    Statistic,
)

MOST_METRICS: Final = 20
"""Most metrics of a version that are shown, the judged ones first: a classifier has some for each
class."""
Part = TypeVar("Part", "FeatureFigures", "SegmentFigures")
Named = TypeVar("Named", "FeatureFigures", "MetricFigures", "SegmentFigures")


class FeatureFigures(msgspec.Struct, frozen=True, array_like=True):
    """A feature, or the prediction or the label, against the reference.

    Parameters
    ----------
    psi, ks
        Its statistics; None where they are not defined.
    warning, critical
        The PSI from which it is bad; None if it is not judged by it.
    missing, unseen, out_of_range
        Shares of the window's rows; None if it cannot have such values.
    """

    name: str
    severity: Severity
    psi: float | None = None
    warning: float | None = None
    critical: float | None = None
    ks: float | None = None
    missing: float | None = None
    unseen: float | None = None
    out_of_range: float | None = None

    @classmethod
    def of(cls, report: FeatureReport) -> "FeatureFigures":
        """Take the figures from a report."""
        statistics = {one.name: one for one in report.statistics}
        shares = {one.name: one.window for one in report.shares}
        psi = statistics.get("psi", Statistic("psi", None))
        return cls(
            report.name,
            report.severity,
            psi.value,
            psi.warning,
            psi.critical,
            statistics.get("ks", Statistic("ks", None)).value,
            shares.get("missing"),
            shares.get("unseen"),
            shares.get("out_of_range"),
        )

    @property
    def urgency(self) -> tuple[int, float]:
        """By what features are sorted, the worst first: severity, then PSI by its threshold."""
        return rank(self.severity), -(self.psi or 0.0) / (self.warning or 1.0)


class MetricFigures(msgspec.Struct, frozen=True, array_like=True):
    """A metric of the performance, or its estimate; None where something is not known."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    baseline: float | None = None

    @classmethod
    def some(cls, reports: Iterable[MetricReport]) -> "list[MetricFigures]":
        """Take the first metrics that have a value."""
        found = [
            cls(one.name, one.value, one.low, one.high, one.baseline)
            for one in reports
            if one.value is not None
        ]
        return once(found)[:MOST_METRICS]


class PerformanceFigures(msgspec.Struct, frozen=True, array_like=True):
    """The labelled window.

    Parameters
    ----------
    labelled, coverage, delays_ms
        As in `Performance`.
    """

    severity: Severity
    labelled: int
    coverage: float | None
    delays_ms: list[float]
    metrics: list[MetricFigures]
    estimated: list[MetricFigures]

    @classmethod
    def of(cls, found: Performance) -> "PerformanceFigures":
        """Take the figures from a performance."""
        return cls(
            found.severity,
            found.labelled,
            found.coverage,
            found.delays_ms,
            MetricFigures.some(found.metrics),
            MetricFigures.some(found.estimated),
        )


class SegmentFigures(msgspec.Struct, frozen=True, array_like=True):
    """A segment.

    Parameters
    ----------
    name
        Feature and value, as alerts name it: `region=north`.
    feature, psi
        The feature that drifted most within it; empty and None with too few rows.
    metric, value
        Its first metric; empty and None without labels.
    """

    name: str
    severity: Severity
    rows: int
    feature: str = ""
    psi: float | None = None
    metric: str = ""
    value: float | None = None

    @classmethod
    def of(cls, report: SegmentReport) -> "SegmentFigures":
        """Take the figures from a report."""
        drift = report.drift[0] if report.drift else None
        metric = next((one for one in report.metrics if one.value is not None), None)
        return cls(
            f"{report.feature}={report.value}",
            report.severity,
            report.rows,
            "" if drift is None else drift.name,
            None if drift is None else drift.psi,
            "" if metric is None else metric.name,
            None if metric is None else metric.value,
        )

    @property
    def urgency(self) -> tuple[int, float]:
        """By what segments are sorted, the worst first: severity, then PSI."""
        return rank(self.severity), -(self.psi or 0.0)


class Figures(msgspec.Struct, frozen=True):
    """A version's current window in figures.

    Parameters
    ----------
    severity, rows, end
        Worst severity, rows, and logical time (ms) of the end of the window.
    features, segments
        The worst ones, the worst first; `of_features` and `of_segments` are how many there are.
    performance
        None for a version without labels and without probabilities.
    """

    version: str
    severity: Severity
    rows: int
    end: int
    features: list[FeatureFigures]
    of_features: int
    segments: list[SegmentFigures]
    of_segments: int
    performance: PerformanceFigures | None = None

    @classmethod
    def of(cls, snapshot: Snapshot, most_features: int, most_segments: int) -> "Figures":
        """Take the figures from a snapshot.

        Parameters
        ----------
        most_features, most_segments
            How many of them are kept: more than all models together show are never asked for.
        """
        performance = snapshot.performance
        target = None if performance is None else performance.target
        columns = [*snapshot.features, *filter(None, (snapshot.prediction, target))]
        features = once([FeatureFigures.of(one) for one in columns])
        segments = _segments(snapshot.segments)
        return cls(
            snapshot.version,
            snapshot.severity,
            snapshot.window.rows,
            snapshot.window.end,
            worst_of(features, most_features),
            len(features),
            worst_of(segments, most_segments),
            len(segments),
            None if performance is None else PerformanceFigures.of(performance),
        )


def worst_of(parts: Sequence[Part], most: int) -> list[Part]:
    """Return the worst parts, the worst first; of equal ones those that came first.

    Examples
    --------
    >>> found = [FeatureFigures("a", "ok", 0.1), FeatureFigures("b", "warning", 0.2)]
    >>> [one.name for one in worst_of([*found, FeatureFigures("c", "ok", 0.3)], 2)]
    ['b', 'c']
    """
    return sorted(parts, key=lambda one: one.urgency)[:most]


def once(parts: Iterable[Named]) -> list[Named]:
    """Return the first part of each name: a scrape may not have the same series twice, and a
    feature may be called `label`.
    """
    found: dict[str, Named] = {}
    for one in parts:
        found.setdefault(one.name, one)
    return list(found.values())


def _segments(found: Segments | None) -> list[SegmentFigures]:
    features = [] if found is None else found.features
    return once([SegmentFigures.of(one) for feature in features for one in feature.segments])
