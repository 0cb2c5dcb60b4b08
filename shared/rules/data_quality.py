"""Rules of broken values: the share of missing, unseen or out-of-range values of a column."""

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
STUCK: Final = declare(
    Rule(
        "stuck",
        "data_quality",
        "reference",
        "stuck value",
        share="integrity_share",
        action="fix_feed",
        online=True,
        renewed=True,
    )
)
"""One value in a row, for longer than the reference makes possible."""
