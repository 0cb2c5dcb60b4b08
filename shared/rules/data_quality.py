"""Rules of broken values: shares of a column's rows that the reference does not lead to expect."""

from typing import Final

from driftgauge.shared.rules.base import Rule, declare

MISSING: Final = declare(
    Rule(
        "missing",
        "data_quality",
        "reference",
        "missing",
        share="integrity_share",
        action="fix_feed",
    )
)
UNSEEN: Final = declare(
    Rule(
        "unseen",
        "data_quality",
        "reference",
        "unseen category",
        share="integrity_share",
        action="fix_feed",
    )
)
OUT_OF_RANGE: Final = declare(
    Rule(
        "out_of_range",
        "data_quality",
        "reference",
        "out of range",
        share="integrity_share",
        action="fix_feed",
    )
)
INTEGRITY: Final = declare(
    Rule(
        "integrity",
        "data_quality",
        "reference",
        "integrity",
        share="integrity_share",
        action="fix_feed",
        online=True,
    )
)
"""The online test of all three."""
