"""How right the model is, of all rows and by segment."""

from typing import Final

from deploy.boards.board import Row
from deploy.boards.model.series import MODEL, PERFORMANCE_PAGE, VERSION
from deploy.boards.panels import SEVERITIES, Panel, Query


def _metric(name: str) -> str:
    """Return the expression of one figure of the chosen metric."""
    return f'max by (version) (driftgauge_performance{name}{{{VERSION}, metric="$metric"}})'


PERFORMANCE: Final = Row(
    "Performance",
    (
        Panel(
            title="$metric",
            description="The chosen metric of the rows that have their true value, its 95 % "
            "interval, and dashed what it was when the version was made. An estimate needs no "
            "true values; classifiers with probabilities have one.",
            queries=[
                Query(_metric(""), "measured ({{version}})"),
                Query(_metric("_lower"), "at least ({{version}})"),
                Query(_metric("_upper"), "at most ({{version}})"),
                Query(_metric("_baseline"), "baseline ({{version}})", dashed=True),
                Query(_metric("_estimated"), "estimated ({{version}})"),
                Query(_metric("_estimated_lower"), "estimated, at least", dashed=True),
                Query(_metric("_estimated_upper"), "estimated, at most", dashed=True),
            ],
            link=PERFORMANCE_PAGE,
            bottom=None,
            width=16,
            height=10,
        ),
        Panel(
            title="Severity of the performance",
            description="When the model was worse than its baseline by more than chance.",
            queries=[
                Query(
                    f"max by (version) (driftgauge_performance_severity{{{VERSION}}})",
                    "{{version}}",
                )
            ],
            kind="state-timeline",
            words=SEVERITIES,
            link=PERFORMANCE_PAGE,
            width=8,
            height=10,
        ),
        Panel(
            title="Predictions with their true value",
            description="Share of the labelled window's predictions whose true value came. What is "
            "said of the performance is said of these.",
            queries=[
                Query(
                    f"max by (version) (driftgauge_label_coverage_ratio{{{VERSION}}})",
                    "{{version}}",
                )
            ],
            unit="percentunit",
            top=1,
            width=8,
        ),
        Panel(
            title="Delay of true values",
            description="Time from a prediction to its true value: of half of them, of 90 % and of "
            "99 %.",
            queries=[
                Query(
                    f"max by (version, quantile) (driftgauge_label_delay_seconds{{{VERSION}}})",
                    "{{quantile}} ({{version}})",
                )
            ],
            unit="s",
            width=8,
        ),
        Panel(
            title="True values that came",
            description="By what became of them: joined ones count; unknown ones name no "
            "prediction; expired ones came too late.",
            queries=[
                Query(
                    "sum by (outcome) (max by (partition, outcome) "
                    f"(rate(driftgauge_labels_total{{{MODEL}}}[$__rate_interval])))",
                    "{{outcome}}",
                )
            ],
            unit="cps",
            width=8,
        ),
    ),
)
SEGMENTS: Final = Row(
    "Segments",
    (
        Panel(
            title="Severity by segment",
            description="When a part of the rows, such as one region, was a warning or critical.",
            queries=[
                Query(
                    f"max by (version, segment) (driftgauge_segment_severity{{{VERSION}}})",
                    "{{segment}} ({{version}})",
                )
            ],
            kind="state-timeline",
            words=SEVERITIES,
            link=PERFORMANCE_PAGE,
        ),
        Panel(
            title="Drift within segments",
            description="PSI of the feature that is furthest from the reference within a segment.",
            queries=[
                Query(
                    f"max by (version, segment, feature) (driftgauge_segment_psi{{{VERSION}}})",
                    "{{segment}}: {{feature}} ({{version}})",
                )
            ],
        ),
        Panel(
            title="Performance by segment",
            description="The first metric of each segment.",
            queries=[
                Query(
                    "max by (version, segment, metric) "
                    f"(driftgauge_segment_performance{{{VERSION}}})",
                    "{{segment}}: {{metric}} ({{version}})",
                )
            ],
            link=PERFORMANCE_PAGE,
            bottom=None,
        ),
        Panel(
            title="Rows by segment",
            description="Rows of the current window in each segment.",
            queries=[
                Query(
                    f"max by (version, segment) (driftgauge_segment_rows{{{VERSION}}})",
                    "{{segment}} ({{version}})",
                )
            ],
        ),
    ),
)
