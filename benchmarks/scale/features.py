"""What a feature's value costs API and worker, from 18 features to 2,000.

    python -m benchmarks.scale.features [--values V]

For each number of features an API, a worker and a private Redis start as processes. Events are
posted in lists of about 100 kB, and counted and judged with everything on. A value's cost is the
seconds of a core that Linux tells of each process, by the values that were posted, after some that
are not measured; so the load of the machine and the pace of the client do not matter much. The same
number of values is posted each time. The cost should be flat: what is held against it is that of
18 features, the yardstick, where the parts of an event that are no features weigh most.

A plot of it is written beside the results, if matplotlib is installed (extra `plot`).
"""

import os
import time
from collections.abc import Iterator
from typing import Final

import click

from benchmarks.results import ResultRow, write
from benchmarks.scale.fleet import Fleet, Usage, fleet, names_of, small
from benchmarks.scale.plot import Line, plotted
from benchmarks.scale.posting import lists_of, post

FEATURES: Final = (18, 60, 200, 600, 2000)
LIST_VALUES: Final = 9000
"""Values of a request."""
PANE: Final = 250
PANES: Final = 2
"""Panes that are not measured, and their events."""
SETTLE_S: Final = 1.0
IDLE_SHARE: Final = 0.05
"""Share of a core below which a worker has nothing to do."""
PROCESSES: Final = ("API", "worker")


def settle(found: Fleet) -> None:
    """Wait until the worker has written its reports."""
    used, busy = Usage.of(found.pids["worker"]).cpu_s, True
    while busy:
        time.sleep(SETTLE_S)
        now = Usage.of(found.pids["worker"]).cpu_s
        used, busy = now, now - used > IDLE_SHARE * SETTLE_S


def cost(features: int, values: int) -> dict[str, float]:
    """Return what a value costs each process, in ns of a core."""
    size = max(1, LIST_VALUES // features)
    lists = lists_of(names_of(features), size)
    with fleet(small(1, 1, features)) as found:
        post(found, lists, -(-PANE * PANES // size), size)
        settle(found)
        before = {name: Usage.of(found.pids[name]).cpu_s for name in PROCESSES}
        events = post(found, lists, max(1, values // features // size), size)
        settle(found)
        return {
            name: 1e9 * (Usage.of(found.pids[name]).cpu_s - before[name]) / (events * features)
            for name in PROCESSES
        }


def measured(values: int, counts: tuple[int, ...]) -> Iterator[ResultRow]:
    """Measure each number of features."""
    first: dict[str, float] = {}
    for features in counts:
        found = cost(features, values)
        first = first or found
        yield {
            "features": features,
            **{f"{name} ns a value": round(found[name]) for name in PROCESSES},
            **{f"{name} of 18": round(found[name] / first[name], 2) for name in PROCESSES},
        }


SMOKE = ("--values", "20000", "--most", "60")
"""Arguments of the smallest run, which CI starts."""


@click.command()
@click.option("--values", default=4_000_000, show_default=True, help="Values of each number.")
@click.option("--most", default=2000, show_default=True, help="Most features.")
def main(values: int, most: int) -> None:
    """Measure, print a table, write benchmarks/results/features.json and a plot."""
    rows = list(measured(values, tuple(one for one in FEATURES if one <= most)))
    busy = f"load of the machine {os.getloadavg()[0]:.1f}"
    write("features", f"{values:,} values of each number of features; {busy}", rows)
    lines = [
        Line(name, [row["features"] for row in rows], [row[f"{name} ns a value"] for row in rows])
        for name in PROCESSES
    ]
    plotted("features", "features", "ns of a core for a value", lines, logarithmic=True)


if __name__ == "__main__":
    main()
