"""Metrics of published probabilities, each a function of the sums of joined rows: log loss and
Brier score; of two classes also ROC AUC, average precision and calibration error.
"""

from typing import NamedTuple

import numpy as np

from driftgauge.shared.arrays import Floats
from driftgauge.shared.performance.exact import square_of, value_of
from driftgauge.shared.performance.layout import CALIBRATION_BINS
from driftgauge.shared.performance.metric import Confidence, Metric, undefined
from driftgauge.shared.performance.sums import Sums

CALIBRATION_NOTE = (
    f"over {CALIBRATION_BINS} bins of equal width; chance alone makes it larger than 0, "
    "within-bin differences cancel"
)


def log_loss(sums: Sums, sure: Confidence) -> Metric:
    """Compute the mean of minus the logarithm of the true class's probability."""
    return _mean("log_loss", sums, sure)


def brier(sums: Sums, sure: Confidence) -> Metric:
    """Compute the Brier score: of two classes the mean of (p - y)^2; of more the sum over the
    classes (Brier 1950), which of two would be twice as much.
    """
    return _mean("brier", sums, sure)


def roc_auc(sums: Sums, sure: Confidence) -> Metric:
    """Compute the area under the ROC curve of two classes from the histograms of the score."""
    return area_under_roc(
        sums.count("positives").astype(float), sums.count("negatives").astype(float), sure
    )


def average_precision(sums: Sums, sure: Confidence) -> Metric:
    """Compute the average precision of two classes from the histograms of the score."""
    return mean_precision(
        sums.count("positives").astype(float), sums.count("negatives").astype(float), sure
    )


def ece(sums: Sums, _: Confidence) -> Metric:
    """Compute the expected calibration error (Naeini, Cooper, Hauskrecht 2015): the mean distance
    of score and frequency over the bins of the score.
    """
    n = int(sums.count("scored")[0])
    if not n:
        return undefined("no rows")
    scores = [
        float(value_of(total)) for total in sums.totals[sums.layout.totals["calibration_scores"]]
    ]
    value = float(np.abs(np.array(scores) - sums.count("calibration_positives")).sum() / n)
    return Metric(value, None, None, n, note=CALIBRATION_NOTE)


class Ranks(NamedTuple):
    """Ranks of the scores, from which the area under the ROC curve follows, by bins in rising
    order.

    Parameters
    ----------
    area
        Share of pairs of a positive and a negative row of which the positive one has the higher
        score; of a pair in one bin half counts.
    bound
        Half of the share of pairs in one bin: how far the area of the scores themselves may be off.
    beaten
        Share of the negative rows that a positive row of each bin is above.
    losing
        Share of the positive rows that a negative row of each bin is below.
    """

    area: float
    bound: float
    beaten: Floats
    losing: Floats

    @classmethod
    def of(cls, positives: Floats, negatives: Floats) -> "Ranks":
        """Rank the rows of two histograms, of which neither is empty."""
        up, down = float(positives.sum()), float(negatives.sum())
        beaten = (np.cumsum(negatives) - negatives / 2) / down
        losing = (up - np.cumsum(positives) + positives / 2) / up
        ties = float(positives @ negatives) / (2 * up * down)
        return cls(float(positives @ beaten) / up, ties, beaten, losing)


def area_under_roc(positives: Floats, negatives: Floats, sure: Confidence) -> Metric:
    """Compute the area under the ROC curve from the histograms of two classes.

    Rows of one bin count as tied: half of their pairs are right, so the area is off by at most half
    of their share, `bound`. The interval is DeLong's (DeLong, DeLong, Clarke-Pearson 1988,
    Biometrics 44, 837-845) of the binned scores, wider by it.

    Parameters
    ----------
    positives, negatives
        Rows in each bin of the score, the bins in rising order.

    Examples
    --------
    >>> found = area_under_roc(np.array([1.0, 0, 3]), np.array([4.0, 1, 0]), Confidence())
    >>> found.value, found.bound
    (0.85, 0.1)
    """
    up, down = float(positives.sum()), float(negatives.sum())
    if not up or not down:
        return undefined("it needs labels of both classes", int(up + down))
    ranks = Ranks.of(positives, negatives)
    variance = _spread(positives, ranks.beaten, ranks.area) / max(up - 1, 1)
    variance += _spread(negatives, ranks.losing, ranks.area) / max(down - 1, 1)
    low, high = sure.normal(ranks.area, variance**0.5, least=0.0, most=1.0, bound=ranks.bound)
    return Metric(ranks.area, float(low), float(high), int(up + down), ranks.bound)


def mean_precision(positives: Floats, negatives: Floats, sure: Confidence) -> Metric:
    """Compute the average precision from the histograms of two classes: the mean over the positive
    rows of the precision among the rows with at least their score, as scikit-learn defines it.

    Rows of one bin count as tied. Were they not, it would be largest with the positive rows of each
    bin above its negative ones and tied among themselves, and least with them below and one after
    the other: `bound` is the distance of the farther one. The interval is that of the multinomial
    delta method over the bins of both classes, wider by the bound.

    Parameters
    ----------
    positives, negatives
        Rows in each bin of the score, the bins in rising order.

    Examples
    --------
    >>> found = mean_precision(np.array([1.0, 0, 3]), np.array([4.0, 1, 0]), Confidence())
    >>> round(found.value, 3), round(found.bound, 3)
    (0.861, 0.089)
    """
    from scipy.special import digamma  # an API computes no metric

    up = float(positives.sum())
    if not up:
        return undefined("it needs labels of the second class", int(negatives.sum()))
    filled = np.flatnonzero(positives + negatives)[::-1]  # the highest score first
    own, others = positives[filled], negatives[filled]
    right, wrong = np.cumsum(own), np.cumsum(others)
    said = right + wrong
    precision = right / said
    value = float(own @ precision) / up
    most = float(own @ (right / np.maximum(said - others, 1))) / up
    least = float((own - wrong * (digamma(said + 1) - digamma(said - own + 1))).sum()) / up
    bound = max(most - value, value - least)
    gain = precision - value + _from_here_on(own * wrong / said**2)
    loss = _from_here_on(own * right / said**2)
    error = float(own @ gain**2 + others @ loss**2) ** 0.5 / up
    low, high = sure.normal(value, error, least=0.0, most=1.0, bound=bound)
    return Metric(value, float(low), float(high), int(up + negatives.sum()), bound)


def _mean(name: str, sums: Sums, sure: Confidence) -> Metric:
    """Return the mean of what is summed of each row with probabilities, and its normal interval."""
    n, squares = int(sums.count("scored")[0]), square_of(sums.total(f"{name}2"))
    return sure.mean(value_of(sums.total(name)), squares, n, least=0.0)


def _from_here_on(values: Floats) -> Floats:
    """Sum up each value with those that follow."""
    return np.cumsum(values[::-1])[::-1]


def _spread(counts: Floats, values: Floats, mean: float) -> float:
    return float(counts @ (values - mean) ** 2 / counts.sum())
