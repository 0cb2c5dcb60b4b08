"""Online drift detectors: one algorithm per file, found by name."""

from consumer.counting.detectors import adwin
from consumer.counting.detectors.base import DETECTORS, Detection, Detector

__all__ = ["DETECTORS", "Detection", "Detector", "adwin"]
