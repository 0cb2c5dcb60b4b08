"""Measures of fairness between the groups of one feature: how differently a model treats them, from
counts by group. Pure.

Three rates say how a group is treated, of one class that is the favourable outcome: the share of
its rows that are predicted as it (the selection rate), that of those whose label it is (the true
positive rate), and of those whose label it is not (the false positive rate). A measure compares the
group that has most of a rate with the one that has least, as fairlearn does.

The interval of a measure holds for all pairs of groups at once (Bonferroni), since the largest of
many differences is large by chance. That of a pair comes from the exact limits of its two shares:
for differences by MOVER (Zou, Donner 2008, Stat. in Medicine 27, 1693-1702), of which Newcombe's
method 10 (1998, Stat. in Medicine 17, 873-890) is the case with Wilson's limits, and for ratios by
MOVER-R (Donner, Zou 2012, Stat. Methods in Medical Research 21, 347-359). Wilson's limits are
shorter, and wrong where alarms are: at a level of 1e-6, and 30 rows beside 1,000, up to 300 times
as many intervals miss the truth as they say.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple

import numpy as np

from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.performance.measures import Measures
from driftgauge.shared.performance.metric import Confidence

Rate = Literal["selection_rate", "true_positive_rate", "false_positive_rate"]
LEAST_ROWS: Final = 30
"""Rows of a group below which its rate is not compared: as the least or the largest of all it would
say little but that the group is small.
"""


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure of fairness.

    Parameters
    ----------
    name
        Name in snapshots, alerts and the policy file.
    title
        Name that people read.
    rates
        Rates that it compares; of several the one that differs most counts.
    is_ratio
        Whether it is the least rate by the largest, 1 if all are treated alike, or else the largest
        less the least, 0 if they are.
    """

    name: str
    title: str
    rates: tuple[Rate, ...]
    is_ratio: bool = False

    @property
    def needs_labels(self) -> bool:
        """Whether it is more than the predictions tell."""
        return self.rates != ("selection_rate",)

    def is_beyond(self, value: float, limit: float) -> bool:
        """Return whether a value says that groups are treated more differently than a limit."""
        return value < limit if self.is_ratio else value > limit


MEASURES: Final = {
    measure.name: measure
    for measure in (
        Measure("selection_rate_ratio", "selection-rate ratio", ("selection_rate",), is_ratio=True),
        Measure("equal_opportunity", "equal-opportunity difference", ("true_positive_rate",)),
        Measure(
            "equalised_odds",
            "equalised-odds difference",
            ("true_positive_rate", "false_positive_rate"),
        ),
    )
}
"""All measures: demographic parity as a ratio, of which the four-fifths rule speaks (29 CFR
1607.4 D), equal opportunity and equalised odds (Hardt, Price, Srebro 2016, arXiv 1610.02413).
"""

_UNKNOWN: Final[Mapping[Rate, str]] = {
    "selection_rate": "the reference never predicts the outcome",
    "true_positive_rate": "no labels, or of too many classes",
    "false_positive_rate": "no labels, or of too many classes",
}
"""Why the counts of a rate are not known."""


class GroupCounts(NamedTuple):
    """What a rate of some groups is made of.

    Parameters
    ----------
    hits, rows
        Rows that count, and those among which they are, of each group: shape (groups,).
    """

    hits: Ints
    rows: Ints

    def of(self, groups: slice) -> "GroupCounts":
        """Return those of some groups."""
        return GroupCounts(self.hits[groups], self.rows[groups])

    def rate(self, group: int) -> float | None:
        """Return the rate of one group; None if it has no rows."""
        rows = int(self.rows[group])
        return int(self.hits[group]) / rows if rows else None


class Bounded(NamedTuple):
    """Values with their intervals, all of one shape."""

    value: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True)
class Disparity:
    """The value of a measure.

    Parameters
    ----------
    value
        None where it is not defined, as `note` says.
    low, high
        Interval for the measure of all rows that could have come; None without a value, or if none
        was asked for.
    rate
        The rate that differs most.
    least, most
        The groups that have the least and the most of it.
    rows
        Rows of all groups that were compared by it.
    note
        Why there is no value.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    rate: Rate = "selection_rate"
    least: int = 0
    most: int = 0
    rows: int = 0
    note: str = ""


def disparity(
    measure: Measure, counts: Mapping[Rate, GroupCounts], confidence: float | None = 0.95
) -> Disparity:
    """Compute a measure over groups.

    Parameters
    ----------
    counts
        Counts of each rate that is known, all of the same groups.
    confidence
        Share of the intervals that hold the true value, between 0 and 1; None for no interval.

    Examples
    --------
    >>> counts = {"selection_rate": GroupCounts(np.array([30, 50, 1]), np.array([100, 100, 3]))}
    >>> found = disparity(MEASURES["selection_rate_ratio"], counts)
    >>> found.value, round(found.low, 2), round(found.high, 2), (found.least, found.most)
    (0.6, 0.41, 0.87, (0, 1))
    """
    found, compared = [], []
    for rate in measure.rates:
        one, large = _extremes(measure, rate, counts.get(rate))
        if one.value is None:
            return one
        found.append(one)
        compared.append(large)
    first = max(found, key=lambda one: one.value or 0.0)
    if confidence is None:
        return first
    pairs = sum(len(large.rows) * (len(large.rows) - 1) for large in compared)
    sure = Confidence(1 - 2 * (1 - confidence) / pairs)
    low, high = np.max([_interval(measure, large, sure) for large in compared], axis=0).tolist()
    return replace(first, low=low, high=high)


def label_counts(measures: Measures, sums: Ints, outcome: str) -> dict[Rate, GroupCounts]:
    """Return the counts of the rates that labels give, of every segment; empty if the rows are not
    summed by class.

    Parameters
    ----------
    sums
        Sums as `Measures.of` returns them, or sums of such.
    outcome
        The favourable outcome, one of the classes.

    Examples
    --------
    >>> from driftgauge.shared.performance.layout import Layout
    >>> measures = Measures(Layout("categorical", ("no", "yes")), 1.0)
    >>> said, true = ["yes", "yes", "no"], ["yes", "no", "yes"]
    >>> found = label_counts(measures, measures.of(said, true, np.array([[0, 0, 1]]), 2), "yes")
    >>> {name: (counts.hits.tolist(), counts.rows.tolist()) for name, counts in found.items()}
    {'true_positive_rate': ([1, 0], [1, 1]), 'false_positive_rate': ([1, 0], [1, 0])}
    """
    if not measures.by_class:
        return {}
    rows, side = sums.reshape(-1, measures.size), measures.layout.side
    place = 2 + measures.layout.classes.index(outcome)
    true, said, right = (rows[:, place + part * side] for part in range(3))
    return {
        "true_positive_rate": GroupCounts(right, true),
        "false_positive_rate": GroupCounts(said - right, rows[:, 0] - true),
    }


def difference(one: Bounded, other: Bounded) -> Bounded:
    """Compute the difference of two independent shares with its interval, by MOVER.

    Examples
    --------
    Newcombe's example (a), 56 of 70 less 48 of 80, from Wilson's limits:

    >>> hits, rows = np.array([56, 48]), np.array([70, 80])
    >>> sides = np.array([hits / rows, *Confidence().wilson(hits, rows)]).T
    >>> value, low, high = difference(*(Bounded(*side) for side in sides))
    >>> f"{value:.4f} {low:.4f} {high:.4f}"
    '0.2000 0.0524 0.3339'
    """
    value = one.value - other.value
    down = np.hypot(one.value - one.low, other.high - other.value)
    up = np.hypot(one.high - one.value, other.value - other.low)
    return Bounded(value, value - down, value + up)


def ratio(one: Bounded, other: Bounded) -> Bounded:
    """Compute the ratio of two independent shares with its interval, by MOVER-R: it holds r if and
    only if that of `one - r other` holds 0. Its upper end is infinite where the lower limit of the
    other one is 0.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        product = one.value * other.value
        least, most = (end * (2 * one.value - end) for end in (one.low, one.high))
        small, large = (end * (2 * other.value - end) for end in (other.low, other.high))
        low = least / (product + np.sqrt(np.maximum(product**2 - least * large, 0.0)))
        high = (product + np.sqrt(np.maximum(product**2 - most * small, 0.0))) / small
        value = one.value / other.value
    return Bounded(value, np.where(least > 0, low, 0.0), np.where(small > 0, high, np.inf))


def _extremes(
    measure: Measure, rate: Rate, counts: GroupCounts | None
) -> tuple[Disparity, GroupCounts]:
    """Return the measure of one rate without an interval, and the counts of the groups that have
    enough rows.
    """
    if counts is None:
        return Disparity(None, note=_UNKNOWN[rate]), _NONE
    kept = np.flatnonzero(counts.rows >= LEAST_ROWS)
    large = GroupCounts(counts.hits[kept], counts.rows[kept])
    words = rate.replace("_", " ")
    if len(kept) < 2:
        note = f"fewer than two groups have {LEAST_ROWS} rows for the {words}"
        return Disparity(None, note=note), large
    shares = large.hits / large.rows
    least, most = int(shares.argmin()), int(shares.argmax())
    down, up = float(shares[least]), float(shares[most])
    if measure.is_ratio and not up:
        return Disparity(None, note=f"the {words} of all groups is 0"), large
    value = down / up if measure.is_ratio else up - down
    rows = int(large.rows.sum())
    return Disparity(value, None, None, rate, int(kept[least]), int(kept[most]), rows), large


def _interval(measure: Measure, counts: GroupCounts, sure: Confidence) -> tuple[float, float]:
    """Return the interval of the measure of one rate: the farthest ends of those of all pairs."""
    limits = sure.exact(*counts)
    shares = Bounded(counts.hits / counts.rows, *limits)
    down, across = (Bounded(*(np.expand_dims(part, axis) for part in shares)) for axis in (1, 0))
    own = ~np.eye(len(counts.rows), dtype=np.bool_)
    if measure.is_ratio:
        of_pairs = ratio(down, across)
        return float(of_pairs.low[own].min()), min(float(of_pairs.high[own].min()), 1.0)
    of_pairs = difference(down, across)
    return max(float(of_pairs.low[own].max()), 0.0), min(float(of_pairs.high[own].max()), 1.0)


_NONE: Final = GroupCounts(np.zeros(0, np.int64), np.zeros(0, np.int64))
