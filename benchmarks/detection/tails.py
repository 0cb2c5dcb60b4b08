"""Comparisons of frames with long tails, atoms and many columns: how many alarm without any drift,
where one in 100 may, and how many find that half of the categories vanished.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks.results import ResultRow
from driftgauge.consumer.offline.comparison import compare
from driftgauge.shared.arrays import Floats

SIZES: Final = [(1000, 600), (5000, 2000), (20_000, 4000)]
"""Rows of the reference and of what is compared with it, in turn."""
POWERS: Final = {"1/rank": 1.0, "1/sqrt(rank)": 0.5, "equal": 0.0}
WIDE: Final = 1000
TRIALS_PER_WIDE: Final = 10
"""Comparisons of other frames for each of one with 1,000 columns, which takes as long."""

Draw = Callable[[np.random.Generator, int], pd.DataFrame]


def merchants(shares: Floats) -> Draw:
    """Return how rows of one column of categories are drawn."""
    names = np.array([f"m{place}" for place in range(len(shares))])
    return lambda random, rows: pd.DataFrame(
        {"merchant": random.choice(names, rows, p=shares / shares.sum())}
    )


def tail(categories: int, power: float) -> Floats:
    """Return the shares of categories that fall with a power of their rank."""
    ranks: Floats = np.arange(1.0, categories + 1)
    return 1 / ranks**power


def atoms(random: np.random.Generator, rows: int) -> pd.DataFrame:
    """Draw columns with heavy values: flags, capped numbers, zeros and the rest, a constant."""
    return pd.DataFrame(
        {
            "flag": (random.random(rows) < 0.95).astype(float),
            "capped": np.minimum(random.normal(size=rows), 0.5),
            "zeros": np.where(random.random(rows) < 0.92, 0, random.gamma(2, 50, rows)),
            "rounded": random.normal(size=rows).round(1),
            "constant": np.full(rows, 7.0),
        }
    )


def wide(random: np.random.Generator, rows: int) -> pd.DataFrame:
    """Draw 1,000 columns: half of them numbers, a fifth of few values, the others categories."""
    numbers = random.normal(size=(rows, WIDE // 2))
    few = random.poisson(2, (rows, WIDE // 5)).astype(float)
    some = WIDE - WIDE // 2 - WIDE // 5
    drawn = np.minimum(random.geometric(0.02, (rows, some)), 300)
    columns = {f"x{place}": column for place, column in enumerate(numbers.T)}
    columns |= {f"n{place}": column for place, column in enumerate(few.T)}
    columns |= {
        f"c{place}": np.char.add("c", column.astype(str)) for place, column in enumerate(drawn.T)
    }
    return pd.DataFrame(columns)


def halved(random: np.random.Generator, shares: Floats) -> Floats:
    """Return the shares without half of the categories."""
    left = shares.copy()
    left[random.permutation(len(shares))[: len(shares) // 2]] = 0
    return left


def rows(trials: int) -> list[ResultRow]:
    """Measure so many comparisons of each kind of frame; the interval is Clopper and Pearson's."""
    laws: dict[str, Draw] = {
        f"{categories:,} categories, shares {name}": merchants(tail(categories, power))
        for categories in (1000, 2000, 5000)
        for name, power in POWERS.items()
    }
    found = [_calm(name, draw, trials) for name, draw in {**laws, "five atoms": atoms}.items()]
    found.append(_calm("1,000 columns", wide, max(trials // TRIALS_PER_WIDE, 1)))
    found += [_vanished(categories, max(trials // 5, 1)) for categories in (1000, 5000)]
    return found


def _calm(name: str, draw: Draw, trials: int) -> ResultRow:
    random, alarms = np.random.default_rng(len(name)), 0
    for trial in range(trials):
        n, m = SIZES[trial % len(SIZES)]
        severity = compare(draw(random, n), draw(random, m)).severity
        alarms += severity in {"warning", "critical"}
    return _row(name, "nothing", alarms, trials)


def _vanished(categories: int, trials: int) -> ResultRow:
    random, found, shares = np.random.default_rng(categories), 0, tail(categories, 0.0)
    for _ in range(trials):
        before = merchants(shares)(random, 60_000)
        after = merchants(halved(random, shares))(random, 4000)
        found += compare(before, after).severity == "critical"
    return _row(f"{categories:,} categories, shares equal", "half vanished", found, trials)


def _row(frame: str, what: str, alarms: int, trials: int) -> ResultRow:
    interval = stats.binomtest(alarms, trials).proportion_ci(0.95)
    return {
        "frame": frame,
        "what happened": what,
        "comparisons": trials,
        "alarms": alarms,
        "share": f"{alarms / trials:.1%} ({interval.low:.1%}-{interval.high:.1%})",
    }
