"""Estimated performance without labels, from the published probabilities.

Confidence-based estimation (NannyML's CBPE; Garg et al. 2022, arXiv 2201.04234, compare such
estimates): a row predicted `yes` with a calibrated probability p of `yes` is right with probability
p. Summed over rows that gives the expected confusion matrix, and so accuracy, F1 and ROC AUC.

Counting only counts: for each class the rows in each bin of its probability, those predicted as it
apart. Judging multiplies these counts by the share of labels that the bin had in the reference. So
the estimate adds over panes and costs no row.

It rests on one assumption, that labels still depend on the scores as in the reference (no concept
drift): it follows a change in who is scored, and is blind to a change in how they behave.
"""

from dataclasses import dataclass
from functools import cached_property

import msgspec
import numpy as np

from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.performance.layout import SCORE_BINS, Layout, score_bins
from driftgauge.shared.performance.metric import Confidence, Metric
from driftgauge.shared.performance.probabilities import Ranks
from driftgauge.shared.performance.value import PREDICTIONS, VALUE, Worth
from driftgauge.shared.reference.profile import Column

MAX_ESTIMATED = 20
"""Most classes of a model that is estimated: each costs two histograms in every pane."""
BINS_OF_MANY = 64
"""Bins of each class's probability if there are more than two classes; two have SCORE_BINS."""
LEAST_ROWS = 200
"""Fewest labelled reference rows that a map is fitted on."""
ASSUMPTION = (
    "Estimated from the probabilities, not from labels: it assumes that labels depend on the "
    "scores as they did in the "
    "reference (no concept drift). Only labels can show that this no longer holds."
)


class ScoreMap(msgspec.Struct, frozen=True, dict=True):
    """Observed frequency of each class in each bin of its predicted probability, among the labelled
    reference rows.

    Parameters
    ----------
    classes
        The classes that are mapped: the second of two, all of more.
    frequency
        One list per mapped class: isotonic in the bins, between 0 and 1.
    rows
        Reference rows behind each frequency: those of all bins that isotonic regression gave the
        same one.
    """

    classes: tuple[str, ...]
    frequency: list[list[float]]
    rows: list[list[int]]

    @cached_property
    def frequencies(self) -> Floats:
        """Shape (classes, bins)."""
        return np.array(self.frequency)

    @classmethod
    def fit(cls, layout: Layout, labels: Column, probabilities: Floats) -> "ScoreMap | None":
        """Fit the map on labelled reference rows, best on rows that were not trained on; None with
        too few rows, or too many or too few classes.

        Parameters
        ----------
        probabilities
            Shape (rows, classes).
        """
        if not can_estimate(layout) or len(labels) < LEAST_ROWS:
            return None
        truth, places = layout.codes(labels), _mapped(layout)
        found = [
            _isotonic(_bins_of(layout, probabilities[:, place]), truth == place, _bins(layout))
            for place in places
        ]
        classes = tuple(layout.classes[place] for place in places)
        return cls(classes, [frequency for frequency, _ in found], [rows for _, rows in found])


def can_estimate(layout: Layout | None) -> bool:
    """Tell whether counts for estimates are kept for a layout."""
    return layout is not None and layout.scored and 2 <= len(layout.classes) <= MAX_ESTIMATED


def score_counts(layout: Layout, predictions: Column, probabilities: Floats) -> Ints:
    """Count rows by mapped class, whether they are predicted as it (0 no, 1 yes), and bin of its
    probability: shape (mapped classes, 2, bins).

    Examples
    --------
    >>> layout = Layout("categorical", ("no", "yes"), scored=True)
    >>> counts = score_counts(layout, ["yes", "no"], np.array([[0.2, 0.8], [1.0, 0.0]]))
    >>> counts.shape, int(counts[0, 1].argmax()), int(counts[0, 0, 0])
    ((1, 2, 256), 180, 1)
    """
    places, size = _mapped(layout), _bins(layout)
    said = layout.codes(predictions)
    parts = [
        np.bincount(
            (said == place) * size + _bins_of(layout, probabilities[:, place]), minlength=2 * size
        )
        for place in places
    ]
    return np.array(parts, dtype=np.int64).reshape(len(places), 2, size)


def empty_counts(layout: Layout) -> Ints:
    """Return the counts of no rows."""
    return np.zeros((len(_mapped(layout)), 2, _bins(layout)), dtype=np.int64)


def estimate(
    counts: Ints,
    scores: ScoreMap,
    layout: Layout,
    confidence: float = 0.95,
    worth: Worth | None = None,
) -> dict[str, Metric]:
    """Estimate accuracy, F1 and, of two classes, ROC AUC and the value of the counted rows. Of more
    classes it is not known which one a wrong row would have, and so not what it is worth.

    The interval is for the value that their labels would give: it holds the chance of each label
    given its score, and that of the finite reference, by the delta method. Of more than two classes
    each is taken as independent of the others, and its label as a matter of its own probability
    alone: under a shift that interval is somewhat narrow.

    Parameters
    ----------
    counts
        Counts as `score_counts` returns them, summed over panes.
    worth
        What predictions are worth; without it no value is estimated.
    """
    if not counts.sum():
        return {}
    expected = _Expected(counts, scores, Confidence(confidence))
    if not layout.binary:
        return expected.of_many()
    is_priced = worth is not None and not worth.lacking(layout)
    return expected.of_two(worth.values(layout)[:2, :2] if worth and is_priced else None)


@dataclass(frozen=True)
class _Expected:
    """The confusion matrix that the counts lead to expect, and the metrics of that.

    The `slope` of a metric is its derivative by one more true label in a cell of the counts.
    """

    counts: Ints
    scores: ScoreMap
    sure: Confidence

    @cached_property
    def n(self) -> int:
        return int(self.counts[0].sum())

    @cached_property
    def true(self) -> Floats:
        """Expected rows with the label of each class that are not, and are, predicted as it: shape
        (classes, 2).
        """
        hits: Floats = (self.counts * self.scores.frequencies[:, None, :]).sum(axis=2)
        return hits

    @cached_property
    def said(self) -> Ints:
        """Rows that are not, and are, predicted as each class: shape (classes, 2)."""
        rows: Ints = self.counts.sum(axis=2)
        return rows

    def of_two(self, values: Floats | None = None) -> dict[str, Metric]:
        """Estimate for two classes, of which the second is mapped.

        Parameters
        ----------
        values
            Value of a prediction by label and prediction, shape (2, 2); None if it is not known.
        """
        (missed, hit), (others, own) = self.true[0].tolist(), self.said[0].tolist()
        both, slopes = _f1(
            np.array([others - missed, hit]), np.array([own - hit, missed]), np.array([others, own])
        )
        f0, f1 = both.tolist()
        slope0, slope1 = -slopes[0, ::-1], slopes[1]  # a label of one class is none of the other
        weight = (hit + missed) / self.n
        found = {
            "accuracy": self._metric(
                (hit + others - missed) / self.n, np.array([-1.0, 1.0]) / self.n
            ),
            "f1_macro": self._metric((f1 + f0) / 2, (slope1 + slope0) / 2),
            "f1_weighted": self._metric(
                weight * f1 + (1 - weight) * f0,
                weight * slope1 + (1 - weight) * slope0 + (f1 - f0) / self.n,
            ),
            f"f1:{self.scores.classes[0]}": self._metric(f1, slope1),
        }
        if values is not None:
            rows = np.array([[others - missed, own - hit], [missed, hit]])
            found[VALUE] = self._metric(
                PREDICTIONS * float((values * rows).sum()) / self.n,
                PREDICTIONS * (values[1] - values[0]) / self.n,
                ends=(PREDICTIONS * float(values.min()), PREDICTIONS * float(values.max())),
            )
        return found | self._auc()

    def of_many(self) -> dict[str, Metric]:
        """Estimate for more classes, each mapped against the rest."""
        missed, hit = self.true[:, 0], self.true[:, 1]
        f1, slope = _f1(hit, missed, self.said[:, 1])
        present = self.said[:, 1] + hit + missed > 0
        weights = (hit + missed) / max(float((hit + missed).sum()), 1e-300)
        weighted = float(weights @ f1)
        found = {
            "accuracy": self._metric(
                min(float(hit.sum()) / self.n, 1.0), np.array([[0.0, 1.0]] * len(hit)) / self.n
            ),
            "f1_macro": self._metric(float(f1[present].mean()), slope / present.sum()),
            "f1_weighted": self._metric(
                weighted, slope * weights[:, None] + (f1 - weighted)[:, None] / self.n
            ),
        }
        for place, name in enumerate(self.scores.classes):
            own = np.zeros_like(slope)
            own[place] = slope[place]
            found[f"f1:{name}"] = self._metric(float(f1[place]), own)
        return found

    def _auc(self) -> dict[str, Metric]:
        rows, frequency = self.counts[0].sum(axis=0), self.scores.frequencies[0]
        positives, negatives = rows * frequency, rows * (1 - frequency)
        up, down = positives.sum(), negatives.sum()
        if up < 1 or down < 1:
            return {}
        ranks = Ranks.of(positives, negatives)
        slope = (ranks.beaten - ranks.area) / up - (ranks.losing - ranks.area) / down
        return {"roc_auc": self._metric(ranks.area, np.stack([slope, slope]), ranks.bound)}

    def _metric(
        self,
        value: float,
        slope: Floats,
        bound: float = 0.0,
        ends: tuple[float, float] = (0.0, 1.0),
    ) -> Metric:
        """Return an estimate with its interval.

        Parameters
        ----------
        slope
            Shape (2,) or (classes, 2), the same in all bins; or (2, bins).
        ends
            Least and largest possible value.
        """
        by_bin = (
            slope[None]
            if slope.shape == self.counts.shape[1:]
            else np.broadcast_to(slope.reshape(-1, 2, 1), self.counts.shape)
        )
        chance = self.scores.frequencies * (1 - self.scores.frequencies)
        labels = float((by_bin**2 * self.counts * chance[:, None, :]).sum())
        variance = labels + self._of_the_reference((by_bin * self.counts).sum(axis=1), chance)
        least, most = ends
        low, high = self.sure.normal(value, variance**0.5, least=least, most=most, bound=bound)
        return Metric(value, float(low), float(high), self.n, bound)

    def _of_the_reference(self, weights: Floats, chance: Floats) -> float:
        """Compute the variance that comes from the frequencies, one for all bins of a level."""
        total = 0.0
        for weight, spread, rows, level in zip(
            weights, chance, self.scores.rows, self.scores.frequencies, strict=True
        ):
            begins = np.flatnonzero(np.diff(level, prepend=-1))
            sums = np.add.reduceat(weight, begins)
            total += float((sums**2 * spread[begins] / np.maximum(np.array(rows)[begins], 1)).sum())
        return total


def _f1(hit: Floats, missed: Floats, said: Ints) -> tuple[Floats, Floats]:
    """Compute F1 of classes, and its derivative by one more true label among the rows that are not,
    and that are, predicted as the class: shapes (...) and (..., 2).
    """
    size = np.asarray(said + hit + missed)
    share = np.divide(1.0, size, out=np.zeros_like(size), where=size > 0)
    f1 = 2 * hit * share
    return f1, np.stack([-f1, 2 - f1], axis=-1) * share[..., None]


def _mapped(layout: Layout) -> range:
    return range(1, 2) if layout.binary else range(len(layout.classes))


def _bins(layout: Layout) -> int:
    return SCORE_BINS if layout.binary else BINS_OF_MANY


def _bins_of(layout: Layout, scores: Floats) -> Ints:
    return score_bins(scores) // (SCORE_BINS // _bins(layout))


def _isotonic(places: Ints, came: Ints, size: int) -> tuple[list[float], list[int]]:
    """Fit the frequency of each bin, rising from bin to bin, and count the rows behind it; a bin
    without rows has its neighbours'.

    Zadrozny and Elkan 2002: isotonic regression of the label on the score, here on the bins.
    """
    from sklearn.isotonic import IsotonicRegression

    rows = np.bincount(places, minlength=size)
    hits = np.bincount(places[came.astype(bool)], minlength=size)
    seen = np.flatnonzero(rows)
    level = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(
        seen, hits[seen] / rows[seen], rows[seen]
    )
    frequency = np.clip(level.predict(np.arange(size)), 0, 1)
    begins = np.flatnonzero(np.diff(frequency, prepend=-1))
    behind = np.repeat(np.add.reduceat(rows, begins), np.diff(np.append(begins, size)))
    return frequency.tolist(), behind.tolist()
