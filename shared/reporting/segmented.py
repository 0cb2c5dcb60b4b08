"""The segments of a report: their order, their charts, and the charts' scales.

The intervals of a feature's segments share one scale, so that they can be compared by eye; the
contributions of all features share one, since each feature's add up to the same change of the
model's metric.
"""

import math
from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple

from markupsafe import Markup

from driftgauge.shared.contract.severity import ALARMING, WORST_FIRST, Severity, rank, worst
from driftgauge.shared.contract.snapshot import (
    FairnessReport,
    MetricReport,
    SegmentDrift,
    SegmentFeature,
    SegmentReport,
    Segments,
)
from driftgauge.shared.performance import LOSSES
from driftgauge.shared.reference.segments import OTHER
from driftgauge.shared.reporting.canvas import at, has_width, scale
from driftgauge.shared.reporting.lines import interval
from driftgauge.shared.wording.numbers import decimal, with_unit
from driftgauge.shared.wording.titles import severity_words, title

MOST_SHOWN: Final = 8
"""Most segments of a feature that are shown; two more are shown too, since folding two saves
nothing. If there is nothing to report of a feature and it has more segments, all are folded.
"""
MOST_DRIFT: Final = 3
_BAR_WIDTH, _BAR_HEIGHT = 96, 12


class SegmentRow(NamedTuple):
    """A segment as it is shown: its judged metric, and charts of the metric's interval and
    contribution.
    """

    segment: SegmentReport
    metric: MetricReport | None
    interval: Markup
    bar: Markup

    @property
    def drift(self) -> list[SegmentDrift]:
        """Columns that drift most."""
        return self.segment.drift[:MOST_DRIFT]


class SegmentTable(NamedTuple):
    """The segments of a feature: those that are shown, those that are folded, and their number by
    severity.

    `place` is the feature's position in the snapshot, since untrusted names are not used as ids.
    """

    place: int
    feature: SegmentFeature
    sentence: str
    severity: Severity
    shown: list[SegmentRow]
    folded: list[SegmentRow]
    folded_tally: str

    @property
    def size(self) -> int:
        """Number of all segments."""
        return len(self.shown) + len(self.folded)


def segment_tables(segments: Segments) -> list[SegmentTable]:
    """Arrange the segments of each feature, the worst feature first.

    Examples
    --------
    >>> calm = SegmentReport("region", "north", "ok", "", 900, 1.0, 1.0, [], 0, [])
    >>> table = segment_tables(Segments("", None, None, [SegmentFeature("region", [calm])]))[0]
    >>> table.sentence, table.severity, table.size
    ('No segment of region stands out.', 'ok', 1)
    """
    reach = max(
        (abs(size) for one in segments.features for size in _contributions(one)), default=0.0
    )
    return sorted(
        (_table(at, one, segments.metric, reach) for at, one in enumerate(segments.features)),
        key=_urgency,
    )


def sentence_of(feature: SegmentFeature) -> str:
    """Return a sentence on what changed where, or that no segment stands out."""
    if feature.explanation:
        return feature.explanation
    if not feature.segments:
        return f"No segment of {feature.feature} has been counted yet."
    bad = [one for one in feature.segments if one.severity in ALARMING]
    if bad:
        return f"Segments of {feature.feature}: {tally(bad)}."
    if unfair(feature):
        return f"{feature.feature}: its values are not treated as alike as the policy asks for."
    if all(one.severity == "insufficient_data" for one in feature.segments):
        return f"No segment of {feature.feature} has rows enough to be judged."
    return f"No segment of {feature.feature} stands out."


def told(segments: Segments | None) -> list[str]:
    """Return the sentences of the features with a change to report, the worst first.

    Examples
    --------
    >>> told(None), told(Segments("", None, None, [SegmentFeature("region", [])]))
    ([], [])
    """
    return (
        []
        if segments is None
        else [one.sentence for one in segment_tables(segments) if _stands_out(one.feature)]
    )


def unfair(feature: SegmentFeature) -> list[FairnessReport]:
    """Return the measures of fairness that are beyond a limit of the policy."""
    return [one for one in feature.fairness if one.severity in ALARMING]


def tally(segments: list[SegmentReport]) -> str:
    """Count segments by severity, the worst first.

    Examples
    --------
    >>> calm = SegmentReport("region", "north", "ok", "", 900, 1.0, 1.0, [], 0, [])
    >>> tally([calm, calm])
    '2 OK'
    """
    counts = Counter(one.severity for one in segments)
    return ", ".join(f"{counts[one]} {severity_words(one)}" for one in WORST_FIRST if counts[one])


def most_telling_first(segment: SegmentReport) -> tuple[int, float, int]:
    """Return the sort key of segments: by severity, then by contribution to the change, then by
    rows.
    """
    return (
        rank(segment.severity),
        -abs(_finite(segment.contribution) or 0.0),
        -segment.rows,
    )


def metric_of(segment: SegmentReport, name: str) -> MetricReport | None:
    """Return a metric of a segment by name; None without labels."""
    return next((one for one in segment.metrics if one.name == name), None)


def worst_segments(segments: Segments, most: int) -> list[SegmentReport]:
    """Return the segments of all features that are critical or a warning, in the order of
    `most_telling_first`.
    """
    bad = [
        one for feature in segments.features for one in feature.segments if one.severity in ALARMING
    ]
    return sorted(bad, key=most_telling_first)[:most]


def described(segment: SegmentReport, metric: str) -> str:
    """Return a segment's row of the table as one line of text; its names are untrusted text.

    Examples
    --------
    >>> found = MetricReport("accuracy", 0.7, 0.6, 0.8, 0.0, 90, 0.8, -0.125)
    >>> described(
    ...     SegmentReport("region", "n", "ok", "", 900, 0.5, 0.4, [], 90, [found]), "accuracy"
    ... )
    'accuracy 0.700, baseline 0.800'
    """
    found = metric_of(segment, metric)
    parts = []
    if found is not None and found.value is not None:
        parts.append(f"{title(found.name)} {with_unit(decimal(found.value), found.unit)}")
        parts += [f"baseline {decimal(found.baseline)}"] if found.baseline is not None else []
    parts += [f"PSI of {one.name} {decimal(one.psi)}" for one in segment.drift[:1]]
    return ", ".join(parts) or "nothing to judge by"


def is_rest(feature: SegmentFeature, segment: SegmentReport) -> bool:
    """Return whether a segment is that of all other values."""
    return segment.value == OTHER and segment is feature.segments[-1]


def diverging(value: float | None, reach: float, *, worse: bool) -> Markup:
    """Draw a contribution as a bar from the middle, to the left if negative; empty markup without
    one.

    Examples
    --------
    >>> (
    ...     'class="critical" x="24"' in diverging(-0.01, 0.02, worse=True),
    ...     diverging(None, 0.02, worse=True),
    ... )
    (True, Markup(''))
    """
    size = _finite(value)
    if size is None or not has_width(0, reach) or not math.isfinite(2 * reach):
        return Markup("")
    x = scale(-reach, reach, 0, _BAR_WIDTH)
    left, right = sorted((x(0), x(size)))
    return Markup(
        '<svg class="diverging" viewBox="0 0 {} {}" aria-hidden="true">'
        '<rect class="{}" x="{}" y="2" width="{}" height="{}"/><path class="tick" d="M{} 0V{}"/></svg>'  # noqa: E501  markup
    ).format(
        _BAR_WIDTH,
        _BAR_HEIGHT,
        "critical" if worse else "ok",
        at(left),
        at(right - left),
        _BAR_HEIGHT - 4,
        at(x(0)),
        _BAR_HEIGHT,
    )


def _table(place: int, feature: SegmentFeature, metric: str, reach: float) -> SegmentTable:
    ordered = sorted(feature.segments, key=most_telling_first)
    metrics = [metric_of(one, metric) for one in ordered]
    ends = _ends([one for one in metrics if one is not None])
    sign = 1 if metric in LOSSES else -1
    rows = [
        SegmentRow(
            one,
            found,
            _interval(found, ends),
            diverging(one.contribution, reach, worse=sign * (one.contribution or 0.0) > 0),
        )
        for one, found in zip(ordered, metrics, strict=True)
    ]
    kept = len(rows) if len(rows) <= MOST_SHOWN + 2 else MOST_SHOWN if _stands_out(feature) else 0
    folded = tally([row.segment for row in rows[kept:]])
    found = [one.severity for one in ordered[:1]]
    found += [one.severity for one in unfair(feature) if one.severity]
    severity: Severity = worst(found) if found else "insufficient_data"
    return SegmentTable(
        place, feature, sentence_of(feature), severity, rows[:kept], rows[kept:], folded
    )


def _stands_out(feature: SegmentFeature) -> bool:
    bad = any(one.severity in ALARMING for one in feature.segments)
    return bool(feature.explanation) or bad or bool(unfair(feature))


def _urgency(table: SegmentTable) -> tuple[int, float]:
    return rank(table.severity), -max(map(abs, _contributions(table.feature)), default=0.0)


def _contributions(feature: SegmentFeature) -> Iterator[float]:
    return (size for one in feature.segments if (size := _finite(one.contribution)) is not None)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _ends(metrics: list[MetricReport]) -> tuple[float, float] | None:
    """Return the ends of the scale of a feature's intervals. A wide interval of few rows is cut
    off, so that it does not squeeze the others.
    """
    points = [
        value
        for one in metrics
        for value in (_finite(one.value), _finite(one.baseline))
        if value is not None
    ]
    if not points:
        return None
    bounds = [
        value
        for one in metrics
        for value in (_finite(one.low), _finite(one.high))
        if value is not None
    ]
    low, high = min(points), max(points)
    room = high - low if has_width(low, high) else math.inf
    return max(min([*points, *bounds]), low - room), min(max([*points, *bounds]), high + room)


def _interval(metric: MetricReport | None, ends: tuple[float, float] | None) -> Markup:
    if metric is None or metric.value is None or ends is None:
        return Markup("")
    return interval(metric.value, metric.low, metric.high, metric.baseline, ends)
