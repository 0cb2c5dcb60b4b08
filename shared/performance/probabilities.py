"""Metrics of published probabilities: log loss, Brier score; of two classes ROC AUC and calibration
error.
"""

import numpy as np

from driftgauge.shared.arrays import Floats
from driftgauge.shared.performance.exact import square_of, value_of
from driftgauge.shared.performance.layout import CALIBRATION_BINS
from driftgauge.shared.performance.metric import Confidence, Metric, undefined
from driftgauge.shared.performance.sums import Sums

CALIBRATION_NOTE = f"over {CALIBRATION_BINS} bins of equal width; chance alone makes it larger than 0, within-bin differences cancel"


def of_probabilities(sums: Sums, sure: Confidence) -> dict[str, Metric]:
    """Compute the metrics of the rows that have probabilities.

    Log loss and Brier score are means, with normal intervals. The Brier score of two classes is the
    mean of (p - y)^2, of more the sum over the classes (Brier 1950), twice as much.
    """
    if not sums.layout.scored:
        return {}
    n = int(sums.count("scored")[0])
    found = {
        name: sure.mean(value_of(sums.total(name)), square_of(sums.total(f"{name}2")), n, least=0.0)
        for name in ("log_loss", "brier")
    }
    if sums.layout.binary:
        found["roc_auc"] = roc_auc(
            sums.count("positives").astype(float), sums.count("negatives").astype(float), sure
        )
        found["ece"] = _calibration_error(sums, n)
    return found


def roc_auc(positives: Floats, negatives: Floats, sure: Confidence) -> Metric:
    """Give the area under the ROC curve from histograms of the score.

    Rows of one bin count as tied: half of their pairs are right, so the area is off by at most half
    of their share, `bound`. The interval is DeLong's (DeLong, DeLong, Clarke-Pearson 1988,
    Biometrics 44, 837-845) of the binned scores, wider by it.

    Examples
    --------
    >>> found = roc_auc(np.array([1.0, 0, 3]), np.array([4.0, 1, 0]), Confidence())
    >>> found.value, found.bound
    (0.85, 0.1)
    """
    up, down = float(positives.sum()), float(negatives.sum())
    if not up or not down:
        return undefined("it needs labels of both classes", int(up + down))
    beaten = (np.cumsum(negatives) - negatives / 2) / down
    losing = (up - np.cumsum(positives) + positives / 2) / up
    value = float(positives @ beaten) / up
    bound = float(positives @ negatives) / (2 * up * down)
    variance = _spread(positives, beaten, value) / max(up - 1, 1) + _spread(
        negatives, losing, value
    ) / max(down - 1, 1)
    half = sure.z * variance**0.5 + bound
    return Metric(value, max(value - half, 0.0), min(value + half, 1.0), int(up + down), bound)


def _spread(counts: Floats, values: Floats, mean: float) -> float:
    return float(counts @ (values - mean) ** 2 / counts.sum())


def _calibration_error(sums: Sums, n: int) -> Metric:
    """Give the expected calibration error (Naeini, Cooper, Hauskrecht 2015): the mean distance of
    score and frequency.
    """
    if not n:
        return undefined("no rows")
    scores = [
        float(value_of(total)) for total in sums.totals[sums.layout.totals["calibration_scores"]]
    ]
    value = float(np.abs(np.array(scores) - sums.count("calibration_positives")).sum() / n)
    return Metric(value, None, None, n, note=CALIBRATION_NOTE)
