"""Rules of the labels: the errors are larger than on the reference rows, or smaller."""

from typing import Final

from driftgauge.shared.rules.base import Rule, declare

PERFORMANCE: Final = declare(
    Rule(
        "performance.*",
        "performance",
        "baseline",
        title="",
        plain="Error rising",
        meaning="By the labels the model is worse than it was: a metric of the window, or a "
        "detector that sees every error.",
        members={"value": "Value falling"},
        share="performance_share",
    )
)
"""A metric of the labelled window, or a detector that sees every error."""
SEGMENT_PERFORMANCE: Final = declare(
    Rule(
        "segment.performance",
        "performance",
        "baseline",
        title="performance in a segment",
        plain="Error rising",
        meaning="By the labels the model is worse than it was for the rows of one segment.",
        of_segment=True,
        share="performance_share",
    )
)
IMPROVEMENT: Final = declare(
    Rule(
        "improvement.*",
        "improvement",
        "baseline",
        title="",
        plain="Error falling",
        meaning="By the labels the model is better than it was; nobody is told.",
        notify=False,
        online=True,
    )
)
"""A detector finds that the errors became smaller, which needs no action."""
