"""The memory of API and worker while millions of events pass.

    python -m benchmarks.scale.memory [--events E]

An API, a worker and a private Redis start as processes. Events of 6 numeric features are posted in
lists of 500, and counted and judged with everything on; the log is trimmed behind the worker. After
each tenth of the events what Linux tells of each process's memory is noted. It should be flat: what
is held against it is that after the first tenth, the yardstick.

A plot of it is written beside the results, if matplotlib is installed (extra `plot`).
"""

import os
from typing import Final

import click

from benchmarks.results import ResultRow, write
from benchmarks.scale.fleet import Usage, fleet, names_of, small
from benchmarks.scale.plot import Line, plotted
from benchmarks.scale.posting import lists_of, post

FEATURES: Final = 6
LIST: Final = 500
MARKS: Final = 10
PROCESSES: Final = ("API", "worker")


def measured(events: int) -> list[ResultRow]:
    """Post all events; return the memory after each tenth."""
    rows: list[ResultRow] = []
    lists, first = lists_of(names_of(FEATURES), LIST), dict[str, float]()
    with fleet(small(1, 1, FEATURES)) as found:
        for mark in range(1, MARKS + 1):
            post(found, lists, events // LIST // MARKS, LIST)
            memory = {name: Usage.of(found.pids[name]).memory_mb for name in PROCESSES}
            first = first or memory
            rows.append(
                {
                    "events": mark * (events // LIST // MARKS) * LIST,
                    **{f"{name} MB": round(memory[name], 1) for name in PROCESSES},
                    **{
                        f"{name} of first": round(memory[name] / first[name], 3)
                        for name in PROCESSES
                    },
                }
            )
    return rows


SMOKE = ("--events", "10000")
"""Arguments of the smallest run, which CI starts."""


@click.command()
@click.option("--events", default=10_000_000, show_default=True)
def main(events: int) -> None:
    """Measure, print a table, write benchmarks/results/memory.json and a plot."""
    os.environ["DRIFTGAUGE_LOG_RETENTION_HOURS"] = "0"
    rows = measured(events)
    write("memory", f"{events:,} events of {FEATURES} features", rows)
    lines = [
        Line(name, [row["events"] for row in rows], [row[f"{name} MB"] for row in rows])
        for name in PROCESSES
    ]
    plotted("memory", "events", "MB", lines)


if __name__ == "__main__":
    main()
