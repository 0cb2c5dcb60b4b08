"""All metrics of joined rows, by name."""

from driftgauge.shared.performance.classification import of_classes
from driftgauge.shared.performance.metric import Confidence, Metric
from driftgauge.shared.performance.probabilities import of_probabilities
from driftgauge.shared.performance.regression import of_numbers
from driftgauge.shared.performance.sums import Sums


def metrics(sums: Sums, confidence: float = 0.95) -> dict[str, Metric]:
    """Compute every metric of joined rows, by name: those of shared/versions/scores.py, and more.

    Parameters
    ----------
    sums
        Of a window.
    confidence
        Of the intervals, between 0 and 1.

    Examples
    --------
    >>> from driftgauge.shared.performance.layout import Layout
    >>> metrics(Sums.zero(Layout("numeric")))["mae"].note
    'no rows'
    """
    sure = Confidence(confidence)
    if sums.layout.kind == "numeric":
        return of_numbers(sums, sure)
    return of_classes(sums, sure) | of_probabilities(sums, sure)
