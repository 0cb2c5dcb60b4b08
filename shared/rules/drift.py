"""Rules of drift: the distribution of a column differs from that of the reference."""

from functools import partial
from typing import Final

from driftgauge.shared.rules.base import Rule, declare

STANDARD: Final = frozenset({"standard"})
CLASSIC: Final = frozenset({"classic"})

_row = partial(Rule, kind="drift", against="reference", plain="Values changed", policies=STANDARD)
_warning = partial(_row, plain="Early warning", online=True)

PSI: Final = declare(
    _row(
        "psi",
        title="PSI",
        meaning="The values of the window are distributed differently than those of the "
        "reference, by more than chance.",
        share="psi_share",
    )
)
PSI_WEEK: Final = declare(
    _row(
        "psi_week",
        title="PSI of 7 days",
        meaning="The values of the last 7 whole days are distributed differently, of a column "
        "that is ordered in time.",
        share="psi_share",
        action="accept_reference",
        weekly=True,
    )
)
"""PSI of the last 7 whole days, of columns that are ordered in time."""
SEGMENT_PSI: Final = declare(
    _row(
        "segment.psi",
        title="PSI in a segment",
        meaning="The values of the rows of one segment are distributed differently.",
        of_segment=True,
        share="psi_share",
    )
)
"""Drift within a segment: one alert, whatever number of columns drift in it."""
E_DETECTOR: Final = declare(
    _warning(
        "e_detector",
        title="E-detector",
        meaning="The latest values are hardly those of the reference, seen event by event: "
        "evidence of a change that may still be small.",
        share="e_detector_share",
    )
)
ADWIN: Final = declare(
    _warning(
        "adwin",
        title="ADWIN",
        meaning="The mean of the latest values differs from that of those before, seen event by "
        "event.",
        share="adwin_share",
    )
)
PAGE_HINKLEY: Final = declare(
    _warning(
        "page_hinkley",
        title="Page-Hinkley",
        meaning="The values add up to more, or to less, than their mean explains; only where a "
        "policy asks for it.",
    )
)
CLASSIC_PSI: Final = declare(
    _row(
        "classic.psi",
        title="PSI, plain limits",
        meaning="PSI is above .1 or .25, by the classic policy.",
        policies=CLASSIC,
    )
)
CLASSIC_KS: Final = declare(
    _row(
        "classic.ks",
        title="KS, plain limits",
        meaning="The Kolmogorov-Smirnov statistic and its p-value are beyond their limits, by the "
        "classic policy.",
        policies=CLASSIC,
    )
)
