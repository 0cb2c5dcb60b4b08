"""The current windows of all models as samples, from the figures that judging wrote. Pure.

Features and segments have series only if they are among the worst of all models: a thousand models
of a hundred features would be a million series. As a rank changes, a series may end and another
begin.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from operator import attrgetter
from typing import Final, NamedTuple, TypeVar

from driftgauge.shared.metrics.figures import (
    FeatureFigures,
    Figures,
    MetricFigures,
    PerformanceFigures,
    SegmentFigures,
)
from driftgauge.shared.metrics.text import Exposition, known, labels

LEVELS: Final[Mapping[str, int]] = {"ok": 0, "warning": 1, "critical": 2}
"""Severities as numbers; the others are of what cannot be judged."""
DELAYS: Final = (0.5, 0.9, 0.99)
"""The quantiles that `Performance.delays_ms` holds."""
Part = TypeVar("Part", FeatureFigures, SegmentFigures)


class Judged(NamedTuple):
    """A version of a model and its figures."""

    model: str
    figures: Figures

    @property
    def given(self) -> str:
        """Its labels."""
        return labels(model=self.model, version=self.figures.version)


def add_windows(
    text: Exposition, windows: Sequence[Judged], most_features: int, most_segments: int
) -> None:
    """Add the current windows of all models.

    Parameters
    ----------
    most_features, most_segments
        Most features and segments, over all windows, that get series: the worst.
    """
    for window in windows:
        figures, given = window.figures, window.given
        level = LEVELS.get(figures.severity)
        text.add_if("driftgauge_version_severity", level, given)
        text.add("driftgauge_version_judged", level is not None, given)
        text.add("driftgauge_window_rows", figures.rows, given)
        text.add("driftgauge_window_end_timestamp_seconds", figures.end / 1000, given)
        if figures.performance is not None:
            _add_performance(text, figures.performance, given)
    features = list(worst(windows, attrgetter("features"), most_features))
    for window, feature in features:
        _add_feature(text, feature, window.given)
    segments = list(worst(windows, attrgetter("segments"), most_segments))
    for window, segment in segments:
        _add_segment(text, segment, window.given)
    _add_omitted(text, windows, [one for one, _ in features], [one for one, _ in segments])


def add_severity(text: Exposition, model: str, severities: Iterable[str]) -> None:
    """Add the worst of the severities of a model's windows and open incidents; nothing if none of
    them can be judged.
    """
    known = [LEVELS[one] for one in severities if one in LEVELS]
    if known:
        text.add("driftgauge_model_severity", max(known), labels(model=model))


def worst(
    windows: Sequence[Judged], parts: Callable[[Figures], Sequence[Part]], most: int
) -> Iterator[tuple[Judged, Part]]:
    """Yield the worst parts of all windows, each with its window. The parts of a window come the
    worst first, so no more are looked at than are taken.
    """

    def of(window: Judged) -> Iterator[tuple[Judged, Part]]:
        return ((window, part) for part in parts(window.figures))

    merged = heapq.merge(*map(of, windows), key=lambda one: one[1].urgency)
    return islice(merged, most)


def _add_feature(text: Exposition, feature: FeatureFigures, of: str) -> None:
    given = f"{of},{labels(feature=feature.name)}"
    text.add_if("driftgauge_feature_psi", feature.psi, given)
    for severity, threshold in (("warning", feature.warning), ("critical", feature.critical)):
        named = f"{given},{known(severity=severity)}"
        text.add_if("driftgauge_feature_psi_threshold", threshold, named)
    text.add_if("driftgauge_feature_ks", feature.ks, given)
    text.add_if("driftgauge_feature_missing_ratio", feature.missing, given)
    text.add_if("driftgauge_feature_unseen_ratio", feature.unseen, given)
    text.add_if("driftgauge_feature_out_of_range_ratio", feature.out_of_range, given)
    text.add_if("driftgauge_feature_severity", LEVELS.get(feature.severity), given)


def _add_segment(text: Exposition, segment: SegmentFigures, of: str) -> None:
    given = f"{of},{labels(segment=segment.name)}"
    text.add_if("driftgauge_segment_severity", LEVELS.get(segment.severity), given)
    text.add("driftgauge_segment_rows", segment.rows, given)
    if segment.psi is not None:
        named = f"{given},{labels(feature=segment.feature)}"
        text.add("driftgauge_segment_psi", segment.psi, named)
    if segment.value is not None:
        named = f"{given},{labels(metric=segment.metric)}"
        text.add("driftgauge_segment_performance", segment.value, named)


def _add_omitted(
    text: Exposition,
    windows: Sequence[Judged],
    with_features: Iterable[Judged],
    with_segments: Iterable[Judged],
) -> None:
    """Count what got no series."""
    features = Counter((one.model, one.figures.version) for one in with_features)
    segments = Counter((one.model, one.figures.version) for one in with_segments)
    for one in windows:
        name, figures = (one.model, one.figures.version), one.figures
        text.add("driftgauge_features_omitted", figures.of_features - features[name], one.given)
        text.add("driftgauge_segments_omitted", figures.of_segments - segments[name], one.given)


def _add_performance(text: Exposition, found: PerformanceFigures, of: str) -> None:
    text.add_if("driftgauge_performance_severity", LEVELS.get(found.severity), of)
    text.add("driftgauge_labelled_rows", found.labelled, of)
    text.add_if("driftgauge_label_coverage_ratio", found.coverage, of)
    if found.delays_ms:
        delays = {share: ms / 1000 for share, ms in zip(DELAYS, found.delays_ms, strict=False)}
        text.quantiles("driftgauge_label_delay_seconds", delays, of)
    for metric in found.metrics:
        given = f"{of},{labels(metric=metric.name)}"
        _add_metric(text, "driftgauge_performance", metric, given)
        text.add_if("driftgauge_performance_baseline", metric.baseline, given)
    for metric in found.estimated:
        given = f"{of},{labels(metric=metric.name)}"
        _add_metric(text, "driftgauge_performance_estimated", metric, given)


def _add_metric(text: Exposition, name: str, metric: MetricFigures, given: str) -> None:
    text.add(name, metric.value, given)
    text.add_if(f"{name}_lower", metric.low, given)
    text.add_if(f"{name}_upper", metric.high, given)
