"""Thresholds for ordered features by replay: how much PSI over 7 days varies if live data are weeks
of the reference.

1. Draw whole weeks at random and join them to 30 days plus a window. Score each 7 days by PSI
   against the reference *without the drawn weeks*. Repeat many times.
2. Divide each column by the 90 % quantile of its scores: one number for all columns, 1 when a
   column is unusual.
3. Scan a common threshold down from above; keep the smallest at which the episodes stay within the
   budget. From above, since low thresholds join many short episodes to one that never ends. An
   episode ends below .7 of the threshold for 3 evaluations.

All steps are vectorised over replays, evaluations and columns. docs/calibration.md explains them.
"""

from dataclasses import dataclass

import numpy as np

from driftgauge.consumer.judging.ordered.day_bins import WEEK, DayBins
from driftgauge.shared.arrays import Floats, Ints

REPLAYS = 400
EVALUATIONS = 30
"""Daily evaluations of a replay: 30 days."""
USUAL = 0.9
STEP = 0.97
LOWEST = 0.5
"""Lowest common threshold that is tried; each is STEP times the one before, from the top down."""
EPISODE_ENDS = 0.7
QUIET_TO_END = 3
LEAST_WEEKS = 8


@dataclass(frozen=True)
class Replays:
    """Replayed weeks.

    Parameters
    ----------
    days
        Pooled counts of each day, shape (replays, days, pooled bins).
    references
        Pooled counts of the reference without the drawn weeks, shape (replays, pooled bins).
    psi
        PSI of every 7 days, shape (replays, evaluations, columns).
    """

    days: Ints
    references: Ints
    psi: Floats


def draw(bins: DayBins, days: Ints, seed: int = 0, replays: int = REPLAYS) -> Replays:
    """Replay the weeks of a reference.

    Parameters
    ----------
    days
        Counts per day and bin; whole weeks are used.
    seed
        Seed of the draw, so that a calibration can be repeated.
    """
    random = np.random.default_rng(seed)
    pooled = bins.pool(days)
    weeks = len(pooled) // WEEK
    by_week = pooled[: weeks * WEEK].reshape(weeks, WEEK, -1)
    length = EVALUATIONS + WEEK - 1
    needed = -(-length // WEEK)
    held_out = min(needed, weeks // 2)
    chosen = np.stack([random.permutation(weeks)[:held_out] for _ in range(replays)])
    order = np.concatenate(
        [random.permuted(chosen, axis=1) for _ in range(-(-needed // held_out))], axis=1
    )[:, :needed]
    drawn = by_week[order].reshape(replays, needed * WEEK, -1)[:, :length]
    references = by_week.sum(axis=(0, 1)) - by_week[chosen].sum(axis=(1, 2))
    return Replays(drawn, references, bins.psi(references[:, None], weekly(drawn)))


def weekly(days: Ints) -> Ints:
    """Return the running sums of 7 days along the last axis but one.

    Examples
    --------
    >>> weekly(np.arange(9).reshape(9, 1)).ravel().tolist()
    [21, 28, 35]
    """
    total = np.cumsum(days, axis=-2)
    total[..., WEEK:, :] -= total[..., :-WEEK, :].copy()
    return total[..., WEEK - 1 :, :]


def usual(psi: Floats) -> Floats:
    """Return each column's 90 % quantile over all replays and evaluations."""
    found: Floats = np.quantile(psi, USUAL, axis=(0, 1))
    return found


def common_threshold(psi: Floats, scale: Floats, floor: float, target: float) -> float:
    """Return the smallest multiple of the scales at which there are at most `target` episodes in 30
    days, scanned from above.

    Parameters
    ----------
    psi
        PSI, shape (replays, evaluations, columns).
    scale
        Scale of each column, shape (columns,).
    floor
        Least threshold of any column.
    target
        Allowed episodes of all columns together per 30 daily evaluations.
    """
    highest = max(float((psi / np.maximum(scale, floor)).max(initial=0.0)), 1.0) / STEP
    tried = highest * STEP ** np.arange(int(np.ceil(np.log(LOWEST / highest) / np.log(STEP))) + 1)
    kept = float(tried[0])
    for multiple in tried.tolist():
        found, _ = episodes(relative(psi, scale * multiple, floor))
        if rate(found, psi.shape[1]) > target:
            return kept
        kept = multiple
    return kept


def relative(psi: Floats, thresholds: Floats, floor: float) -> Floats:
    """Return the PSI of the worst column in units of its threshold, shape (…) for psi of shape (…,
    columns).
    """
    found: Floats = (psi / np.maximum(thresholds, floor)).max(axis=-1, initial=0.0)
    return found


def episodes(scores: Floats) -> tuple[Ints, Floats]:
    """Count the episodes of each series of evaluations.

    Parameters
    ----------
    scores
        Scores in thresholds, shape (series, evaluations): above 1 is an alarm.

    Returns
    -------
    episodes, alarm
        Episodes that began in each series, and the share of its evaluations after which it is in
        alarm.

    Examples
    --------
    >>> [found.tolist() for found in episodes(np.array([[0.0, 2, 0.8, 0.6, 0.6, 0.6, 2, 0]]))]
    [[2], [0.75]]
    """
    firing = np.zeros(len(scores), dtype=bool)
    quiet = np.zeros(len(scores), dtype=np.int64)
    began, alarm = np.zeros(len(scores), dtype=np.int64), np.zeros(len(scores))
    for score in scores.T:
        began += ~firing & (score > 1)
        firing |= score > 1
        quiet = np.where(score < EPISODE_ENDS, quiet + 1, 0)
        firing &= quiet < QUIET_TO_END
        alarm += firing
    return began, alarm / max(scores.shape[1], 1)


def rate(began: Ints, evaluations: int) -> float:
    """Return episodes per 30 days."""
    return float(began.mean()) * 30 / max(evaluations, 1)


def in_order(bins: DayBins, days: Ints) -> Floats:
    """Score a reference's 7-day windows in the order in which they came, each against the weeks
    that it does not touch.

    Returns
    -------
    PSI, shape (windows, columns).
    """
    pooled = bins.pool(days)
    weeks = len(pooled) // WEEK
    pooled = pooled[: weeks * WEEK]
    by_week = pooled.reshape(weeks, WEEK, -1).sum(axis=1)
    first = np.arange(len(pooled) - WEEK + 1)
    touched = [sorted({start // WEEK, (start + WEEK - 1) // WEEK}) for start in first.tolist()]
    references = by_week.sum(axis=0) - np.stack([by_week[weeks].sum(axis=0) for weeks in touched])
    return bins.psi(references, weekly(pooled))
