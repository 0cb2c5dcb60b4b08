"""Rules of the labels: the errors are larger than on the reference rows, or smaller."""

from typing import Final

from driftgauge.shared.rules.base import Rule, declare

PERFORMANCE: Final = declare(
    Rule("performance.*", "performance", "baseline", "", share="performance_share")
)
"""A metric of the labelled window, or a detector that sees every error."""
SEGMENT_PERFORMANCE: Final = declare(
    Rule(
        "segment.performance",
        "performance",
        "baseline",
        "performance in a segment",
        of_segment=True,
        share="performance_share",
    )
)
IMPROVEMENT: Final = declare(
    Rule("improvement.*", "improvement", "baseline", "improved", notify=False, online=True)
)
"""A detector finds that the errors became smaller, which needs no action."""
