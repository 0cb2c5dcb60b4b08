"""Online drift detectors: one algorithm per file, found by name."""

from consumer.counting.detectors import adwin, e_detector, integrity, page_hinkley
from consumer.counting.detectors.base import DETECTORS, Detection, Detector, Observed

__all__ = ["DETECTORS", "Detection", "Detector", "Observed", "adwin", "e_detector", "integrity", "page_hinkley"]
