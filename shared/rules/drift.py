"""Rules of drift: the distribution of a column differs from that of the reference."""

from typing import Final

from driftgauge.shared.rules.base import Rule, declare

STANDARD: Final = frozenset({"standard"})
CLASSIC: Final = frozenset({"classic"})

PSI: Final = declare(Rule("psi", "drift", "reference", "PSI", share="psi_share", policies=STANDARD))
PSI_WEEK: Final = declare(
    Rule(
        "psi_week",
        "drift",
        "reference",
        "PSI of 7 days",
        share="psi_share",
        action="accept_reference",
        weekly=True,
        policies=STANDARD,
    )
)
"""PSI of the last 7 whole days, of columns that are ordered in time."""
SEGMENT_PSI: Final = declare(
    Rule(
        "segment.psi",
        "drift",
        "reference",
        "drift in a segment",
        of_segment=True,
        share="psi_share",
        policies=STANDARD,
    )
)
"""Drift within a segment: one alert, whatever number of columns drift in it."""
E_DETECTOR: Final = declare(
    Rule(
        "e_detector",
        "drift",
        "reference",
        "E-detector",
        share="e_detector_share",
        online=True,
        policies=STANDARD,
    )
)
ADWIN: Final = declare(
    Rule(
        "adwin",
        "drift",
        "reference",
        "ADWIN",
        share="adwin_share",
        online=True,
        policies=STANDARD,
    )
)
PAGE_HINKLEY: Final = declare(
    Rule(
        "page_hinkley",
        "drift",
        "reference",
        "Page-Hinkley",
        online=True,
        policies=STANDARD,
    )
)
CLASSIC_PSI: Final = declare(
    Rule("classic.psi", "drift", "reference", "PSI, plain limits", policies=CLASSIC)
)
CLASSIC_KS: Final = declare(
    Rule("classic.ks", "drift", "reference", "KS, plain limits", policies=CLASSIC)
)
