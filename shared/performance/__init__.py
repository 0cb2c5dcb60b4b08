"""How right a model is: sums over joined rows that add over panes, and the metrics that follow from them. Pure.

`exact` sums floats without rounding, `layout` says what is summed for a version, `sums` sums rows; `regression`,
`classification` and `probabilities` compute the metrics of a sum.
"""

from shared.performance.classification import confusion, of_classes
from shared.performance.layout import Layout
from shared.performance.metric import LOSSES, Confidence, Metric
from shared.performance.probabilities import of_probabilities
from shared.performance.regression import of_numbers
from shared.performance.sums import Sums

__all__ = ["LOSSES", "Confidence", "Layout", "Metric", "Sums", "confusion", "metrics"]


def metrics(sums: Sums, confidence: float = 0.95) -> dict[str, Metric]:
    """Compute every metric of joined rows, by name: those of shared/scores.py, and more.

    Parameters
    ----------
    sums
        Of a window.
    confidence
        Of the intervals, between 0 and 1.

    Examples
    --------
    >>> metrics(Sums.zero(Layout("numeric")))["mae"].note
    'no rows'
    """
    sure = Confidence(confidence)
    if sums.layout.kind == "numeric":
        return of_numbers(sums, sure)
    return of_classes(sums, sure) | of_probabilities(sums, sure)
