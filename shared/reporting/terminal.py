"""A snapshot as lines for a terminal: `driftgauge report`.

Untrusted text is shortened, and control characters are made visible.
"""

from collections.abc import Iterator
from typing import Final

from driftgauge.shared.contract.severity import most_urgent_first
from driftgauge.shared.contract.snapshot import (
    ActiveAlert,
    FeatureReport,
    MetricReport,
    Performance,
    SegmentReport,
    Segments,
    Snapshot,
)
from driftgauge.shared.reporting.arranged import statistic
from driftgauge.shared.reporting.segmented import described, segment_tables, worst_segments
from driftgauge.shared.wording.numbers import decimal, score, with_unit
from driftgauge.shared.wording.plain import clip
from driftgauge.shared.wording.titles import action_words, severity_words, title

MOST_SEGMENTS: Final = 5
MOST_METRICS: Final = 4
_NAME, _SEVERITY = 40, 18


def render_text(snapshot: Snapshot) -> str:
    """Return a snapshot as text: verdict, columns, performance, segments, alerts of segments,
    actions.

    Examples
    --------
    >>> from driftgauge.shared.reporting.example import EXAMPLE
    >>> print(render_text(EXAMPLE))
    steel v1: No drift.
    900 rows in 6 panes, 5,000 events; reference 8,000
    """
    return "\n".join(_lines(snapshot))


def _lines(snapshot: Snapshot) -> Iterator[str]:
    window = snapshot.window
    yield f"{clip(snapshot.model, 64)} {clip(snapshot.version, 40)}: {clip(snapshot.verdict, 400)}"
    yield (
        f"{window.rows:,} rows in {window.panes} panes, {window.events:,} events; reference "
        f"{snapshot.reference_rows:,}"
    )
    yield from map(
        _column, [*snapshot.features, *([snapshot.prediction] if snapshot.prediction else [])]
    )
    if snapshot.performance:
        yield from _performance(snapshot.performance)
    if snapshot.segments:
        yield from _segments(snapshot.segments)
    yield from (
        _alert(one) for one in sorted(snapshot.alerts, key=most_urgent_first) if one.segment
    )
    for action in snapshot.actions:
        yield (
            f"  {action_words(action.action)}: {clip(action.reason, 300)} "
            f"({len(action.alerts)} alerts)"
        )


def _column(feature: FeatureReport, name: str = "") -> str:
    psi = statistic(feature, "psi")
    shown = "-" if psi is None or psi.value is None else score(psi.value)
    row = _row(name or feature.name, feature.severity)
    return f"{row}  PSI {shown:>7}  {clip(feature.reason, 80)}".rstrip()


def _row(name: str, severity: str) -> str:
    return f"  {clip(name, _NAME):{_NAME}}  {severity_words(severity):{_SEVERITY}}"


def _performance(performance: Performance) -> Iterator[str]:
    labels = f"{performance.labelled:,} of {performance.predictions:,} predictions have their label"
    reason = f": {clip(performance.reason, 300)}" if performance.reason else ""
    yield f"Performance {severity_words(performance.severity)}{reason}; {labels}"
    yield from map(_metric, performance.metrics[:MOST_METRICS])
    if performance.target:
        yield _column(performance.target, f"target ({performance.target.name})")


def _metric(metric: MetricReport) -> str:
    if metric.value is None:
        return f"{_row(title(metric.name), '-')}  {clip(metric.note, 80)}"
    bounds = (metric.low, metric.high)
    interval = (
        f" ({decimal(bounds[0])} to {decimal(bounds[1])})"
        if bounds[0] is not None and bounds[1] is not None
        else ""
    )
    baseline = f", baseline {decimal(metric.baseline)}" if metric.baseline is not None else ""
    value = with_unit(decimal(metric.value), clip(metric.unit, 16))
    return f"{_row(title(metric.name), metric.severity)}  {value}{interval}{baseline}"


def _segments(segments: Segments) -> Iterator[str]:
    yield "Segments"
    yield from (f"  {clip(table.sentence, 400)}" for table in segment_tables(segments))
    yield from (_segment(one, segments.metric) for one in worst_segments(segments, MOST_SEGMENTS))


def _segment(segment: SegmentReport, metric: str) -> str:
    name = f"{clip(segment.feature, 20)}={clip(segment.value, 20)}"
    return f"{_row(name, segment.severity)}  {clip(described(segment, metric), 160)}"


def _alert(alert: ActiveAlert) -> str:
    about = f"{clip(alert.feature or 'the model', _NAME)} in {clip(alert.segment, 60)}"
    return f"  {alert.severity} alert, {about}: {clip(alert.summary, 160)}"
