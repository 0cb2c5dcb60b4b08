"""Online drift detectors: one algorithm per file, found by name."""

from driftgauge.consumer.counting.detectors import (
    adwin,
    ddm,
    e_detector,
    integrity,
    page_hinkley,
    stuck,
)
from driftgauge.consumer.counting.detectors.base import (
    DETECTORS,
    ERROR_DETECTORS,
    Detection,
    Detector,
    Observed,
)

__all__ = [
    "DETECTORS",
    "ERROR_DETECTORS",
    "Detection",
    "Detector",
    "Observed",
    "adwin",
    "ddm",
    "e_detector",
    "integrity",
    "page_hinkley",
    "stuck",
]
