"""Every benchmark starts, measures at its smallest size, and writes what it says it measures."""

import ast
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.places import DATA, ROOT

FOLDER = ROOT / "benchmarks"
NEED_DATA = {
    "benchmarks.judging",
    "benchmarks.detection.ordered",
    "benchmarks.detection.notifications",
}
PROCESSES = {"app.py", "quiet_worker.py"}
"""Processes of the chaos run, which are commands too."""
SECONDS = 300
"""Bound of a run, for slow machines; most take a tenth of it."""
pytestmark = pytest.mark.timeout(SECONDS + 30)
PICTURES = "benchmarks.screenshots"
LONG = (
    {PICTURES, "benchmarks.chaos", "benchmarks.demo_seeds"}
    | {f"benchmarks.detection{name}" for name in ("", ".incidents", ".notifications", ".ordered")}
    | {
        f"benchmarks.{name}"
        for name in ("serving", "outage", "report", "many", "fuzzing", "tracing")
    }
)
"""Those that start several processes, draw many pages or judge years: run with the long tests."""
EXPECTED = {
    "benchmarks.chaos": ("chaos", {"what", "number"}),
    "benchmarks.client": ("client", {"call", "p99 µs"}),
    "benchmarks.commits": ("commits", {"step", "median ms"}),
    "benchmarks.counting": ("counting", {"features", "events/s", "ratio"}),
    "benchmarks.demo_seeds": ("demo_seeds", {"published", "counted", "after injection"}),
    "benchmarks.detection": ("detection_alone", {"detector", "events per false alarm"}),
    "benchmarks.detection.ddm": ("detection_ddm", {"error rate"}),
    "benchmarks.detection.ordered": ("ordered", {"figure"}),
    "benchmarks.detection.incidents": ("incidents", {"allowed", "alerts", "incidents"}),
    "benchmarks.detection.notifications": ("notifications", {"figure", "measured"}),
    "benchmarks.durability": ("durability", {"events_per_s", "wait_p99_ms"}),
    "benchmarks.fuzzing": ("fuzzing", {"requests", "longest turn ms"}),
    "benchmarks.judging": ("judging", {"panes/CPU s", "ratio"}),
    "benchmarks.many": ("many", {"cores", "connections", "p99 s"}),
    "benchmarks.outage": ("outage", {"per_s", "of_before"}),
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
    done = subprocess.run(
        [sys.executable, "-m", name, *arguments],
        cwd=ROOT,
        env={**os.environ, "BENCHMARK_RESULTS": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
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
    numbers = [value for row in rows for value in row.values() if isinstance(value, int | float)]
    assert all(math.isfinite(number) for number in numbers)
