"""False-alarm rates of DDM by threshold. The detector's fit comes from here.

python -m benchmarks.detection.ddm [--quick]

A path is a sample of the reference followed by events of the same distribution. False alarms of DDM
come early: its minimum falls with time, but its mean changes ever more slowly. So what can be
stated is the probability of a false alarm within a horizon after a start, and a threshold for a
probability of 1 % hardly depends on the horizon. One simulation serves all thresholds: until the
first alarm DDM does not depend on the threshold, so the largest (p + s - p_min) / s_min of a path
is enough.

DDM is evaluated after every 400th of the events so far; evaluating at every event would change the
results by less than .03.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import click
import numpy as np

from benchmarks.results import ResultRow, write
from driftgauge.consumer.counting.detectors.ddm import CHANCE, threshold
from driftgauge.shared.arrays import Floats

GAMA: Final = 3.0
"""The threshold of the paper, and of river."""
HORIZONS: Final = (3_000, 30_000, 300_000, 3_000_000)
RATES: Final = (0.005, 0.02, 0.1, 0.3, 0.5)
REFERENCES: Final = (250, 1000)
DENSITY: Final = 400


def largest(
    rate: float, reference: int, horizons: Sequence[int], paths: int, random: np.random.Generator
) -> Iterator[tuple[int, Floats]]:
    """Yield each horizon with the largest figure of every path until then."""
    rows, done = reference + 1.0, 0
    errors = random.binomial(reference, rate, paths) + 0.5
    p = errors / rows
    lowest, sd = p, np.sqrt(p * (1 - p) / rows)
    top = np.ones(paths)
    for horizon in horizons:
        while done < horizon:
            step = int(min(max(rows // DENSITY, 1), horizon - done))
            errors = errors + random.binomial(step, rate, paths)
            rows, done = rows + step, done + step
            p = errors / rows
            s = np.sqrt(p * (1 - p) / rows)
            lower = p + s <= lowest + sd
            lowest, sd = np.where(lower, p, lowest), np.where(lower, s, sd)
            np.maximum(top, (p + s - lowest) / sd, out=top)
        yield horizon, top.copy()


def rows(paths: int) -> list[ResultRow]:
    """Return for each error rate and reference the exact threshold, ours, and the false-alarm
    probability of Gama's.
    """
    random = np.random.default_rng(2004)
    found: list[ResultRow] = []
    for reference in REFERENCES:
        for rate in RATES:
            for horizon, top in largest(rate, reference, HORIZONS, paths, random):
                usual = threshold(rate * reference, reference, horizon)
                ours, gama = float((top > usual).mean()), float((top > GAMA).mean())
                found.append(
                    {
                        "error rate": rate,
                        "reference rows": reference,
                        "labels": f"{horizon:,}",
                        f"threshold for {CHANCE:.0%}": round(
                            float(np.quantile(top, 1 - CHANCE)), 2
                        ),
                        "ours": round(usual, 2),
                        "false alarm, ours": f"{ours:.2%}",
                        "labels per false alarm, ours": f"{horizon / max(ours, 1 / paths):,.0f}",
                        f"false alarm at {GAMA:g}": f"{gama:.1%}",
                        f"labels per false alarm at {GAMA:g}": (
                            f"{horizon / max(gama, 1 / paths):,.0f}"
                        ),
                    }
                )
    return found


SMOKE = ("--paths", "100")
"""Arguments of the smallest run, which CI starts."""


@click.command()
@click.option("--quick", is_flag=True, help="20,000 paths: about two minutes.")
@click.option("--paths", default=100_000, show_default=True, help="Simulated runs of each row.")
def main(paths: int, *, quick: bool) -> None:
    """Measure thresholds of DDM on the errors of a model that does not change."""
    title = "DDM: chance of a false alarm within so many labels after a start"
    write("detection_ddm", title, rows(20_000 if quick else paths))


if __name__ == "__main__":
    main()
