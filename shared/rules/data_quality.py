"""Rules of broken values: the share of missing, unseen or out-of-range values of a column."""

from functools import partial
from typing import Final

from driftgauge.shared.rules.base import Rule, declare

_row = partial(
    Rule,
    kind="data_quality",
    against="reference",
    plain="Broken values",
    share="integrity_share",
    action="fix_feed",
)

MISSING: Final = declare(
    _row("missing", title="missing", meaning="More values are missing than usual.")
)
UNSEEN: Final = declare(
    _row(
        "unseen",
        title="unseen categories",
        meaning="More values than usual are categories that the reference does not have.",
    )
)
OUT_OF_RANGE: Final = declare(
    _row(
        "out_of_range",
        title="out of range",
        meaning="More values than usual are below or above all values of the reference.",
    )
)
INTEGRITY: Final = declare(
    _row(
        "integrity",
        title="integrity test",
        meaning="Missing, unseen or out-of-range values are more frequent than usual, seen "
        "event by event.",
        online=True,
    )
)
"""The online test of all three."""
STUCK: Final = declare(
    _row(
        "stuck",
        title="stuck value",
        meaning="One value came in a row, for longer than the reference makes possible.",
        online=True,
        renewed=True,
    )
)
