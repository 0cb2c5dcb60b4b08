"""How often limits on fairness are told of, beside plain limits on the same values.

python -m benchmarks.detection.fairness [--windows 2000]

A window is drawn of two or five groups of given sizes and rates. A limit tells when the interval of
the measure lies beyond it, at the level that the budget leaves one limit at 100,000 events a day. A
plain limit, as one would put it on fairlearn's value, tells when the value does. Without a
difference, and with one that is just what the limit allows, the first should hardly ever tell.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import click
import numpy as np

from benchmarks.results import ResultRow, write
from driftgauge.consumer.judging.evaluating.budget import levels
from driftgauge.consumer.judging.policy import FairnessLimit, JudgingPolicy
from driftgauge.consumer.judging.segments.fairness import severity_of
from driftgauge.shared.performance import MEASURES, GroupCounts, disparity

RATIO: Final = FairnessLimit("selection_rate_ratio", "group", critical=0.8)
OPPORTUNITY: Final = FairnessLimit("equal_opportunity", "group", critical=0.1)
EVENTS_PER_DAY: Final = 100_000


class Case(NamedTuple):
    """Groups of some rows each, all with a rate but the first, which has its own."""

    limit: FairnessLimit
    rows: Sequence[int]
    rate: float
    own: float


def cases() -> Iterator[Case]:
    """Yield no difference, one on the limit, and larger ones."""
    for rows in ((1000, 1000), (100, 1900), (100, 400, 500, 500, 500)):
        for rate in (0.1, 0.5):
            for ratio in (1.0, 0.8, 0.7, 0.6, 0.5, 0.3):
                yield Case(RATIO, rows, rate, ratio * rate)
    for rows in ((300, 300), (100, 500)):
        for difference in (0.0, 0.1, 0.2, 0.3, 0.4):
            yield Case(OPPORTUNITY, rows, 0.8, 0.8 - difference)


def told(case: Case, level: float, windows: int, random: np.random.Generator) -> tuple[int, int]:
    """Count the windows in which the limit tells, and those in which a plain one would."""
    measure, rows = MEASURES[case.limit.measure], np.array(case.rows)
    rates = np.array([case.own, *[case.rate] * (len(rows) - 1)])
    ours = plain = 0
    for _ in range(windows):
        hits = random.binomial(rows, rates)
        found = disparity(measure, {measure.rates[0]: GroupCounts(hits, rows)}, 1 - level)
        ours += severity_of(case.limit, found) is not None
        plain += found.value is not None and measure.is_beyond(found.value, case.limit.first)
    return ours, plain


def results(windows: int) -> list[ResultRow]:
    """Measure every case."""
    random = np.random.default_rng(1610)
    level = levels(JudgingPolicy(fairness=(RATIO,)), EVENTS_PER_DAY, 18, 2).fairness
    found: list[ResultRow] = []
    for case in cases():
        ours, plain = told(case, level, windows, random)
        is_ratio = MEASURES[case.limit.measure].is_ratio
        truth = round(case.own / case.rate if is_ratio else case.rate - case.own, 2)
        beyond = MEASURES[case.limit.measure].is_beyond(truth, case.limit.first)
        found.append(
            {
                "measure": case.limit.measure,
                "rows of each group": " ".join(map(str, case.rows)),
                "rate": case.rate,
                "truth": truth,
                "limit": case.limit.first,
                "allowed": "no" if beyond else "yes",
                "windows": windows,
                "told": ours,
                "by a plain limit": plain,
            }
        )
    return found


SMOKE = ("--windows", "5")
"""Arguments of the smallest run, which CI starts."""


@click.command()
@click.option("--windows", default=2000, show_default=True, help="Drawn of each row.")
def main(windows: int) -> None:
    """Measure how often a difference in treatment is told of, and how often none is."""
    title = "windows in which a limit on fairness tells, beside one on the value alone"
    write("detection_fairness", title, results(windows))


if __name__ == "__main__":
    main()
