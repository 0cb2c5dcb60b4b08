"""How much better the second of two versions is than the first one, and the verdict in words."""

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np

from driftgauge.shared.paired.losses import Loss, Pairs
from driftgauge.shared.paired.sequence import Walk
from driftgauge.shared.wording.numbers import count, figure

Verdict = Literal["better", "worse", "undecided"]


class Difference(msgspec.Struct, frozen=True):
    """By how much the second version is better, over the labels up to now.

    Parameters
    ----------
    labels
        Rows with a label, and with losses of both.
    first, second
        What each loses a row, or is worth, in the loss's unit; None without labels.
    gain, low, high
        By how much the second one is better, and an interval of it; below 0 it is worse. None
        without labels.
    verdict
        Where the interval lies.
    since
        The label from which on the verdict is known: the first one at which the interval lay there,
        from 1; None if it is undecided.
    """

    labels: int
    first: float | None
    second: float | None
    gain: float | None
    low: float | None
    high: float | None
    verdict: Verdict = "undecided"
    since: int | None = None


def difference(loss: Loss, pairs: Pairs, alpha: float) -> Difference:
    """Compare the losses of two versions on rows in the order in which their labels came.

    With probability 1 - `alpha` the intervals after each label all hold what is to be expected of
    the rows up to there. So the second version is ever called better that is not with probability
    `alpha` / 2 at most, however often one looks.

    Examples
    --------
    >>> pairs = Pairs(np.tile([2.0, 1.0], 500), np.tile([1.0, 1.5], 500), np.ones(1000))
    >>> found = difference(
    ...     Loss("error", "absolute error", "kWh", "kWh of absolute error"), pairs, 0.05
    ... )
    >>> found.gain, round(found.low, 2), round(found.high, 2), found.verdict, found.since
    (0.25, 0.16, 0.34, 'better', 147)
    """
    pairs, level = pairs.known(), alpha / 2
    rows = len(pairs.first)
    if not rows:
        return Difference(0, None, None, None, None, None)
    gains = np.clip(pairs.gains, -pairs.apart, pairs.apart)  # beyond it is by rounding alone
    walk = Walk.of(gains, pairs.apart)
    low, high = walk.interval(level)
    first, second = (loss.sign * float(side.mean()) + 0.0 for side in (pairs.first, pairs.second))
    verdict: Verdict = "better" if low > 0 else "worse" if high < 0 else "undecided"
    since = None
    if verdict != "undecided":
        decided = (walk if verdict == "better" else walk.turned()).is_above(level)
        since = int(decided.argmax()) + 1
    return Difference(rows, first, second, float(gains.mean()), low, high, verdict, since)


def verdict_words(
    names: Sequence[str], loss: Loss, found: Difference, worse: Sequence[str] = ()
) -> str:
    """Say the verdict in a sentence.

    Parameters
    ----------
    names
        Of the first version, and of the second.
    worse
        Segments in which the second one is worse.

    Examples
    --------
    >>> loss = Loss("error", "absolute error", "kWh", "kWh of absolute error")
    >>> found = Difference(3120, 3.1, 2.7, 0.4, 0.2, 0.6, "better", 1204)
    >>> verdict_words(("2.0.0", "2.1.0"), loss, found).split("; ")  # doctest: +NORMALIZE_WHITESPACE
    ['2.1.0 is better than 2.0.0 by 0.4 kWh of absolute error (0.2 to 0.6), 3,120 labels',
     'decided at label 1,204', 'safe to promote.']
    """
    one, other = names
    if found.gain is None or found.low is None or found.high is None:
        return f"Not decided yet whether {other} is better than {one}: there is no label."
    labels = f"{count(found.labels)} labels"
    if found.since is None:
        down, up = figure(0.0 - found.low, 3), figure(found.high, 3)
        return (
            f"Not decided yet: {other} may be {down} {loss.words} worse than {one}, or {up} "
            f"better; {labels}."
        )
    turn = 1 if found.verdict == "better" else -1
    low, high = sorted((turn * found.low, turn * found.high))
    advice = "safe to promote" if found.verdict == "better" else "do not promote"
    if found.verdict == "better" and worse:
        advice = f"but worse in {', '.join(worse)}"
    return (
        f"{other} is {found.verdict} than {one} by {figure(turn * found.gain, 3)} {loss.words} "
        f"({figure(low, 3)} to {figure(high, 3)}), {labels}; decided at label "
        f"{count(found.since)}; {advice}."
    )
