"""How often a challenger that is no better is called better by somebody who looks at every label.

python -m benchmarks.challenge [--runs 1000] [--labels 20000]

Runs of paired losses are drawn whose difference is 0 on average, symmetric, skewed and with heavy
tails, or is never above 0 on average up to any label. Each is looked at after every label from the
100th on: by the confidence sequence of `driftgauge models challenge`, and as yardstick by a t-test
at the same level. A last kind is better, so that one sees how many labels it takes.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import click
import numpy as np

from benchmarks.results import ResultRow, write
from driftgauge.shared.arrays import Flags, Floats
from driftgauge.shared.paired.sequence import FIRST, Walk

LEVEL: Final = 0.025
"""Of one side of a 95 % interval."""
QUANTILE: Final = 1.96
"""Of the normal distribution, at this level."""
AT_ONCE: Final = 50
"""Runs that are drawn at once."""


class Runs(NamedTuple):
    """Gains of the challenger, their bounds, and what each was expected to be: shape (runs,
    labels).
    """

    gains: Floats
    bounds: Floats
    expected: Floats


Draw = Callable[[np.random.Generator, tuple[int, int]], Runs]


def equal(random: np.random.Generator, shape: tuple[int, int]) -> Runs:
    """Two classifiers disagree on a tenth of the rows; each is right in half of these."""
    apart = (random.random(shape) < 0.1).astype(np.float64)
    return Runs(random.choice([-1.0, 1.0], shape) * apart, apart, np.zeros(shape))


def skewed(random: np.random.Generator, shape: tuple[int, int]) -> Runs:
    """Mostly better by 0.1, and once in 11 rows worse by 1."""
    gains = np.where(random.random(shape) < 10 / 11, 0.1, -1.0)
    return Runs(gains, np.ones(shape), np.zeros(shape))


def seldom_worse(random: np.random.Generator, shape: tuple[int, int]) -> Runs:
    """Mostly better by 0.01, and once in 101 rows worse by 1."""
    gains = np.where(random.random(shape) < 100 / 101, 0.01, -1.0)
    return Runs(gains, np.ones(shape), np.zeros(shape))


def heavy_tails(random: np.random.Generator, shape: tuple[int, int]) -> Runs:
    """Absolute errors of predictions, lognormal distances apart; labels are as near to both."""
    apart = random.lognormal(0.0, 1.5, shape)
    label = random.choice([-1.0, 1.0], shape) * random.exponential(3.0, shape)
    gains = np.abs(label - apart / 2) - np.abs(label + apart / 2)
    return Runs(gains, apart, np.zeros(shape))


def turning(random: np.random.Generator, shape: tuple[int, int]) -> Runs:
    """Worse at first and better later: the mean up to now reaches 0 with the last label."""
    expected = 0.4 * (np.arange(1, shape[1] + 1) / shape[1] - 0.5)
    gains = np.where(random.random(shape) < (1 + expected) / 2, 1.0, -1.0)
    return Runs(gains, np.ones(shape), np.broadcast_to(expected, shape))


def better(random: np.random.Generator, shape: tuple[int, int]) -> Runs:
    """Two classifiers disagree on a tenth of the rows; one is right in two thirds of these."""
    apart = (random.random(shape) < 0.1).astype(np.float64)
    gains = np.where(random.random(shape) < 2 / 3, 1.0, -1.0) * apart
    return Runs(gains, apart, apart / 3)


NO_BETTER: Final[tuple[Draw, ...]] = (equal, skewed, seldom_worse, heavy_tails, turning)


def by_one_look(gains: Floats) -> Flags:
    """Tell after each label whether a t-test calls the challenger better, which is meant for one
    look.
    """
    rows = np.arange(1, gains.shape[-1] + 1)
    mean = np.cumsum(gains, axis=-1) / rows
    squares = np.cumsum(gains**2, axis=-1) / rows
    error = np.sqrt(np.maximum(squares - mean**2, 0.0) / rows)
    return (mean > QUANTILE * error) & (rows >= FIRST)


def measured(draw: Draw, runs: int, labels: int) -> ResultRow:
    """Count the runs that are ever called better, and the labels until then."""
    random = np.random.default_rng(2024)
    ours: list[int] = []
    plain = 0
    for begun in range(0, runs, AT_ONCE):
        drawn = draw(random, (min(AT_ONCE, runs - begun), labels))
        above = Walk.of(drawn.gains, drawn.bounds).is_above(LEVEL)
        ours += (above.argmax(axis=1) + 1)[above.any(axis=1)].tolist()
        plain += int(by_one_look(drawn.gains).any(axis=1).sum())
    return {
        "losses": draw.__name__.replace("_", " "),
        "better": "yes" if draw is better else "no",
        "runs": runs,
        "labels": labels,
        "called better": len(ours),
        "median label": round(float(np.median(ours))) if ours else None,
        "by a t-test": plain,
    }


SMOKE = ("--runs", "20", "--labels", "4000")
"""Arguments of the smallest run, which CI starts."""


@click.command()
@click.option("--runs", default=1000, show_default=True, help="Drawn of each kind of losses.")
@click.option("--labels", default=20_000, show_default=True, help="Of each run.")
def main(runs: int, labels: int) -> None:
    """Measure how often a challenger is called better."""
    rows = [measured(draw, runs, labels) for draw in (*NO_BETTER, better)]
    write("challenge", "runs that are ever called better, looked at after every label", rows)


if __name__ == "__main__":
    main()
