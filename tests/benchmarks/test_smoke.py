"""Every benchmark starts, measures at its smallest size, and writes what it says it measures."""

import ast
import json
import math
import os
import sys
from pathlib import Path

import pytest

from benchmarks.published.figures import PUBLISHED
from tests.fork_server import FORKS
from tests.places import DATA, ROOT

FOLDER = ROOT / "benchmarks"
NEED_DATA = {
    "benchmarks.judging",
    "benchmarks.detection.ordered",
    "benchmarks.detection.notifications",
}
PROCESSES = {"app.py", "quiet_worker.py"}
"""Processes of the chaos run, which are commands too."""
SECONDS = 800
"""Bound of a run, for slow machines; most take a tenth of it."""
PICTURES = "benchmarks.demo.screenshots"
LONG = (
    {PICTURES, "benchmarks.chaos", "benchmarks.chaos.archive_kills", "benchmarks.demo.seeds"}
    | {f"benchmarks.detection{name}" for name in ("", ".incidents", ".notifications", ".ordered")}
    | {
        f"benchmarks.{name}"
        for name in (
            "client",
            "counting",
            "durability",
            "judging",
            "serving",
            "live.alarm",
            "live.intake",
            "outage",
            "report",
            "scale.archive_cost",
            "scale.many",
            "scale.capacity",
            "scale.features",
            "scale.log_page",
            "scale.memory",
            "scale.partitions",
            "fuzzing",
            "tracing",
        )
    }
)
"""Those that take seconds, such as what starts processes, draws pages or judges years: `make
test-benchmarks` starts them.
"""
EXPECTED = {
    "benchmarks": ("commits", {"step", "median ms"}),
    "benchmarks.scale.archive_cost": ("archive_cost", {"counting µs", "of without", "worker µs"}),
    "benchmarks.scale.archiving": ("archiving", {"rows/CPU s", "ratio"}),
    "benchmarks.scale.backtesting": ("backtesting", {"rows/CPU s", "ratio"}),
    "benchmarks.scale.capacity": ("capacity", {"worker_us", "largest error of the fit"}),
    "benchmarks.challenge": ("challenge", {"called better", "by a t-test"}),
    "benchmarks.chaos": ("chaos", {"what", "number"}),
    "benchmarks.chaos.archive_kills": (
        "archive_kills",
        {"events", "distinct ids", "cells that differ"},
    ),
    "benchmarks.client": ("client", {"call", "p99 µs"}),
    "benchmarks.commits": ("commits", {"step", "median ms"}),
    "benchmarks.counting": ("counting", {"features", "pace", "events/CPU s", "ratio"}),
    "benchmarks.demo.seeds": ("demo_seeds", {"published", "counted", "after injection"}),
    "benchmarks.scale.derived": ("derived", {"µs with", "µs without"}),
    "benchmarks.detection": ("detection_alone", {"detector", "events per false alarm"}),
    "benchmarks.detection.ddm": ("detection_ddm", {"error rate"}),
    "benchmarks.detection.fairness": ("detection_fairness", {"told", "by a plain limit"}),
    "benchmarks.detection.ordered": ("ordered", {"figure"}),
    "benchmarks.detection.incidents": ("incidents", {"allowed", "alerts", "incidents"}),
    "benchmarks.detection.notifications": ("notifications", {"figure", "measured"}),
    "benchmarks.durability": ("durability", {"events_per_s", "wait_p99_ms"}),
    "benchmarks.fuzzing": ("fuzzing", {"requests", "longest turn ms"}),
    "benchmarks.judging": ("judging", {"panes/CPU s", "ratio"}),
    "benchmarks.live.alarm": ("alarm", {"incidents", "p99 ms", "goal p99 ms"}),
    "benchmarks.live.explaining": (
        "explaining",
        {"plain ms", "explained ms", "plain meanwhile ms"},
    ),
    "benchmarks.live.intake": ("intake", {"events/CPU s", "of bare"}),
    "benchmarks.scale.features": ("features", {"worker ns a value", "worker of 18"}),
    "benchmarks.scale.log_page": ("log_page", {"median ms", "CPU ms", "goal ms"}),
    "benchmarks.scale.memory": ("memory", {"worker MB", "worker of first"}),
    "benchmarks.scale.many": ("many", {"cores", "connections", "p99 s"}),
    "benchmarks.outage": ("outage", {"per_s", "of_before"}),
    "benchmarks.scale.partitions": ("partitions", {"server", "partitions", "of one"}),
    "benchmarks.report": ("report", {"features"}),
    "benchmarks.tracing": ("tracing", {"of", "way", "of without"}),
    "benchmarks.serving": ("serving", {"requests_per_s", "times_naive"}),
}
"""Result file and columns of each benchmark that writes one."""


def commands() -> dict[str, tuple[str, ...]]:
    """Return the modules that are commands, each with the arguments of its smallest run."""
    found = {}
    for path in sorted(FOLDER.rglob("*.py")):
        tree = ast.parse(path.read_text())
        runs = any(
            "__main__" in ast.unparse(node) for node in tree.body if isinstance(node, ast.If)
        )
        if runs and path.name not in PROCESSES:
            name = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
            found[name.removesuffix(".__main__")] = _smallest(tree)
    return found


def _smallest(tree: ast.Module) -> tuple[str, ...]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SMOKE":
            return tuple(ast.literal_eval(node.value))
    return ()


COMMANDS = commands()


def test_every_benchmark_has_a_smallest_run() -> None:
    """A benchmark that nobody starts is a rumour: each names its smallest run and its result."""
    assert {name for name, arguments in COMMANDS.items() if not arguments} == set()
    assert set(COMMANDS) == {*EXPECTED, PICTURES}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.long) if name in LONG else name for name in COMMANDS],
)
def test_a_benchmark_starts(name: str, tmp_path: Path) -> None:
    """It ends without an error, and its result file has rows, a yardstick among their columns, and
    finite numbers.
    """
    if name in NEED_DATA and not DATA.is_dir():
        pytest.skip(f"the real data files are not at {DATA}")
    arguments = COMMANDS[name]
    if name == PICTURES:
        arguments = (*arguments, "--folder", str(tmp_path))
    command = [sys.executable, "-m", name, *arguments]
    environment = {**os.environ, "BENCHMARK_RESULTS": str(tmp_path), "OMP_NUM_THREADS": "1"}
    done = FORKS.run(command, environment, ROOT, SECONDS)
    # a report that takes longer than its bound says so by 1; a timed figure is no assertion here
    allowed = {0, 1} if name == "benchmarks.report" else {0}
    assert done.returncode in allowed, done.stderr[-2000:] + done.stdout[-2000:]
    if name == PICTURES:
        assert [path.name for path in tmp_path.glob("*.png")] == ["drift.png"]
        return
    file, columns = EXPECTED[name]
    rows = json.loads((tmp_path / f"{file}.json").read_text())["rows"]
    assert rows
    assert columns <= set(rows[0])
    published = next((one for one in PUBLISHED if one.module == name), None)
    assert published is None or all(figure.said for figure in published.figures(rows))
    numbers = [value for row in rows for value in row.values() if isinstance(value, int | float)]
    assert all(math.isfinite(number) for number in numbers)
