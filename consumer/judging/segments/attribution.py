"""Attribution: which segment explains a change of the model's metric.

Accuracy and MAE are means over rows, so a change is a sum over the segments of a feature, exactly:
with p the shares of the rows, m the metric in the window and 0 marking the reference,

    m - m0 = sum p_s (m_s - m0_s)     what changed within each segment: its contribution
           + sum (p_s - p0_s) m0_s    the mix: other shares of segments that are as good as before

A segment that is not in the reference is assumed to have been as good as the model.

The explanation in words, if the model's metric changed significantly (99 %, since a sentence in a
report is not an alarm):

- the mix is at least half of it: "by the mix";
- else the changes of the segments do not differ significantly (chi-squared test of homogeneity,
  1 %): "alike". Without this step a segment with most of the rows would be named for a fall that
  is the same everywhere;
- else the segments with the largest contributions among those that changed by more than all
  together: the fewest, up to three, that make up all of the change, or else half of it;
- "all of it" is at least two thirds, with a rest that is not significant (95 %), since the share
  itself has an error.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from scipy.special import chdtrc

from driftgauge.consumer.judging.evaluating.segment_reference import shortened
from driftgauge.shared.arrays import Floats, Ints

CHANGED_Z: Final = 2.576
REST_Z: Final = 1.96
ALIKE_P: Final = 0.01
ALL_FROM: Final = 2 / 3
MOST_FROM: Final = 0.5
NAMED: Final = 3
PRIOR_ROWS: Final = 2.0
"""Number of rows with the model's variance that are added to every segment, so that a segment
without errors has a variance too.
"""

Kind = Literal["", "named", "mix", "alike", "spread"]


@dataclass(frozen=True)
class Means:
    """The errors of the rows of each segment of one feature.

    Parameters
    ----------
    n, total, squares
        Rows, sum of their errors, and sum of the squared errors, shape (segments,).
    """

    n: Ints
    total: Floats
    squares: Floats

    @property
    def rows(self) -> int:
        return int(self.n.sum())

    @property
    def mean(self) -> float:
        return float(self.total.sum() / self.rows)

    @property
    def shares(self) -> Floats:
        return np.asarray(self.n / self.rows)

    def means(self, missing: float) -> Floats:
        """Return the mean error of each segment; `missing` for a segment without rows."""
        return np.asarray(
            np.divide(self.total, self.n, out=np.full(len(self.n), missing), where=self.n > 0)
        )

    @property
    def variances(self) -> Floats:
        """Return the variance of each segment's mean."""
        whole = max(float(self.squares.sum()) / self.rows - self.mean**2, 0.0)
        n = np.maximum(self.n, 1)
        own = np.maximum(self.squares / n - (self.total / n) ** 2, 0.0)
        return np.asarray((n * own + PRIOR_ROWS * whole) / (n + PRIOR_ROWS) / n)


@dataclass(frozen=True)
class Attribution:
    """A change of the mean error, divided among the segments of one feature.

    Parameters
    ----------
    contributions
        Contribution of each segment, in units of the error, shape (segments,).
    mix, change
        Contribution of the mix, and the whole change: contributions and mix add up to it.
    kind, places, share
        What explains the change: `named` with the positions of these segments, the mix, all alike,
        or spread over many; and its share of the change. Empty if the change is not significant.
    all_of_it
        Whether the rest of the change is not significant.
    beyond
        The share of the change minus the share of the rows; among several features the largest
        explains best.
    """

    contributions: Floats
    mix: float
    change: float
    kind: Kind = ""
    places: tuple[int, ...] = ()
    share: float = 0.0
    all_of_it: bool = False
    beyond: float = 0.0


def attribute(now: Means, before: Means) -> Attribution:
    """Divide a change of the mean error among segments.

    Examples
    --------
    Two segments of 1000 rows each, of which one has three times the errors that it had:

    >>> before = Means(np.array([1000, 1000]), np.array([100.0, 100.0]), np.array([100.0, 100.0]))
    >>> now = Means(np.array([1000, 1000]), np.array([100.0, 300.0]), np.array([100.0, 300.0]))
    >>> found = attribute(now, before)
    >>> found.contributions.tolist(), found.mix, found.kind, found.places, found.all_of_it
    ([0.0, 0.09999999999999999], 0.0, 'named', (1,), True)
    """
    p, base = now.shares, before.means(before.mean)
    changes = now.means(0.0) - base
    contributions = np.where(now.n > 0, p * changes, 0.0)
    mix, change = float(((p - before.shares) * base).sum()), now.mean - before.mean
    found = Attribution(contributions, mix, change)
    spread = np.where(now.n > 0, now.variances + np.where(before.n > 0, before.variances, 0.0), 0.0)
    errors = p**2 * spread
    of_mix = sum(
        float((side.shares * (base - base @ side.shares) ** 2).sum()) / side.rows
        for side in (now, before)
    )
    if abs(change) <= CHANGED_Z * (errors.sum() + of_mix) ** 0.5:
        return found
    return _explained(found, p, changes, spread, of_mix)


def _explained(
    found: Attribution, p: Floats, changes: Floats, spread: Floats, of_mix: float
) -> Attribution:
    """Explain a significant change; `spread` are the variances of the segments' changes."""
    errors, within, change = p**2 * spread, float(found.contributions.sum()), found.change
    if found.mix / change >= MOST_FROM:
        share = found.mix / change
        return _with(found, "mix", (), share, share, within, float(errors.sum()))
    seen = p > 0
    weights = np.divide(1.0, spread, out=np.zeros_like(spread), where=seen & (spread > 0))
    center = float(weights @ changes) / max(float(weights.sum()), 1e-300)
    heterogeneity = float(weights @ (changes - center) ** 2)
    if seen.sum() < 2 or chdtrc(int(seen.sum()) - 1, heterogeneity) >= ALIKE_P:
        return _with(found, "alike", (), within / change, 0.0, found.mix, of_mix)
    worse = seen & (changes * np.sign(change) > max(within / change, 0.0) * abs(change))
    order = [
        int(place)
        for place in np.argsort(-found.contributions * np.sign(change), kind="stable")
        if worse[place]
    ]
    told = []
    for names in (order[:size] for size in range(1, min(NAMED, len(order)) + 1)):
        share = float(found.contributions[names].sum()) / change
        others, beyond = (
            float(errors.sum() - errors[names].sum()) + of_mix,
            share - float(p[names].sum()),
        )
        told.append(
            _with(found, "named", tuple(names), share, beyond, change - share * change, others)
        )
    named = [one for one in told if one.all_of_it] or [
        one for one in told if one.share >= MOST_FROM
    ]
    return (
        named[0] if named else _with(found, "spread", (), within / change, 0.0, found.mix, of_mix)
    )


def _with(
    found: Attribution,
    kind: Kind,
    places: tuple[int, ...],
    share: float,
    beyond: float,
    rest: float,
    variance: float,
) -> Attribution:
    """Add an explanation; `rest` is the unexplained part of the change, with its variance."""
    whole = share >= 1 or (share >= ALL_FROM and abs(rest) <= REST_Z * variance**0.5)
    return Attribution(
        found.contributions, found.mix, found.change, kind, places, share, whole, beyond
    )


def clause(found: Attribution, feature: str, names: tuple[str, ...]) -> str:
    """Return the explanation as a clause that follows the statement of the change; empty if there
    is none.

    Parameters
    ----------
    names
        Names of the feature's segments, `feature=value`.

    Examples
    --------
    >>> found = Attribution(np.array([-0.07, 0.0]), 0.0, -0.07, "named", (0,), 1.0, True)
    >>> clause(found, "region", ("region=north", "region=south"))
    'all of it in region=north'
    """
    feature_, much = (
        shortened(feature),
        "all of it" if found.all_of_it else f"{found.share:.0%} of it".replace("%", " %"),
    )
    if found.kind == "named":
        return f"{much} in {_listed([shortened(names[place]) for place in found.places])}"
    if found.kind == "mix":
        within = f"by the mix of {feature_}, not within its values"
        return within if found.all_of_it else f"{much} by the mix of {feature_}"
    if found.kind == "alike":
        return f"in all values of {feature_} alike"
    return f"spread over the values of {feature_}" if found.kind == "spread" else ""


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
