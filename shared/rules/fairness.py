"""Rules of fairness: limits on how differently the segments of a feature may be treated, in the
policy file.
"""

from typing import Final

from driftgauge.shared.rules.base import Rule, declare

FAIRNESS: Final = declare(
    Rule(
        "fairness.*",
        "fairness",
        "limit",
        title="",
        plain="Unequal treatment",
        meaning="The model treats the values of a feature more differently than a limit in the "
        "policy file allows, by more than chance.",
        of_segment=True,
        share="performance_share",
        action="review",
    )
)
"""A rule per measure; its alerts name all segments of a feature, as `sex=*`."""
