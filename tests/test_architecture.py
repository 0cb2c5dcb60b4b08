"""The arrows between the packages, and the purity of the core, by the syntax trees of all modules."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("producer", "consumer", "shared", "models")
ARROWS = {"producer": {"shared"}, "consumer": {"shared"}, "models": {"shared"}, "shared": set[str]()}
"""What each package may import of the others; driftgauge.py may import all."""
PURE = (
    "consumer/counting",
    "consumer/judging",
    "consumer/retraining/state.py",
    "shared/reporting",
    "shared/calibration.py",
    "shared/reference.py",
    "shared/schema.py",
    "shared/frames.py",
    "shared/pane.py",
    "shared/segments.py",
    "shared/pii.py",
    "shared/commands.py",
    "shared/references.py",
    "shared/proposals.py",
    "shared/durations.py",
    "shared/semver.py",
    "shared/checks.py",
    "shared/stages.py",
    "shared/scores.py",
    "shared/titles.py",
    "shared/agreement.py",
    "shared/prediction.py",
    "shared/lightgbm_text.py",
    "producer/dashboard/drift.py",
    "producer/dashboard/wording.py",
    "shared/performance",
)
SHELL = {"shared/reporting/files.py"}
"""The one part of reporting that touches files, by its own account; nothing else of reporting may import it."""
IMPURE_MODULES = {
    "redis", "asyncio", "time", "os", "pathlib", "socket", "threading", "logging", "subprocess", "random", "secrets",
    "tempfile", "shutil", "io", "signal", "multiprocessing", "concurrent", "httpx", "urllib", "uuid",
}  # fmt: skip
IMPURE_CALLS = {"open", "input", "print", "exec", "eval", "breakpoint"}
CLOCKS = {"now", "utcnow", "today", "time_ns", "monotonic", "perf_counter"}
UNSAFE = {"pickle", "cloudpickle", "dill", "marshal", "shelve"}
JOBLIB = ("shared/version_folder.py", "models/")


def imported(tree: ast.AST) -> Iterator[str]:
    """Give the full name of everything that a module imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield "." * node.level
            elif node.module:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {
            "__import__",
            "importlib.import_module",
            "import_module",
        }:
            yield ast.literal_eval(node.args[0]) if isinstance(node.args[0], ast.Constant) else "?"


def violations(root: Path) -> list[str]:
    """Check every module of the packages below a folder."""
    found: list[str] = []
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            name = path.relative_to(root).as_posix()
            tree = ast.parse(path.read_text())
            found += [f"{name}: {fault}" for fault in (*_arrow_faults(name, tree), *_purity_faults(name, tree))]
    return found


def _arrow_faults(name: str, tree: ast.AST) -> Iterator[str]:
    package = name.split("/", maxsplit=1)[0]
    for module in imported(tree):
        top = module.split(".")[0]
        if top in {*PACKAGES, "driftgauge", "tests", "benchmarks"} and top != package and top not in ARROWS[package]:
            yield f"imports {module}"
        if module.startswith("."):
            yield "imports relatively, so that its arrow cannot be read"
        for one, other in (("counting", "judging"), ("judging", "counting")):
            if name.startswith(f"consumer/{one}/") and module.startswith(f"consumer.{other}"):
                yield f"imports {module}: {one} and {other} meet in the pane only"
        if package in {"producer", "consumer"} and top in UNSAFE:
            yield f"imports {module}, which runs code that it reads"
        if top == "joblib" and not name.startswith(JOBLIB):
            yield "imports joblib, which runs code that it reads"


def _purity_faults(name: str, tree: ast.AST) -> Iterator[str]:
    if name in SHELL or not any(name == part or name.startswith(f"{part}/") for part in PURE):
        return
    for module in imported(tree):
        inside_consumer = module.startswith("consumer.") and not module.startswith(("consumer.counting", "consumer.judging"))
        if module.split(".")[0] in IMPURE_MODULES or module.startswith("shared.reporting.files") or inside_consumer:
            yield f"imports {module}, but is pure"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from _call_faults(ast.unparse(node.func), node)


def _call_faults(called: str, node: ast.Call) -> Iterator[str]:
    last = called.rsplit(".", maxsplit=1)[-1]
    if called in IMPURE_CALLS or last in {"open", "read_text", "write_text", "read_bytes", "write_bytes"}:
        yield f"calls {called}, but is pure"
    if last in CLOCKS or called in {"time.time", "time"}:
        yield f"calls {called}: the core has no clock"
    if last == "default_rng" and not node.args:
        yield f"calls {called} without a seed"


def test_arrows_and_purity() -> None:
    """Producer and consumer share only `shared`, counting and judging only the pane, and the core knows no outside."""
    assert violations(ROOT) == []


def test_every_package_is_checked() -> None:
    """The test above sees the modules that it is about."""
    seen = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    assert len(seen) > 40
    for part in PURE:
        assert (ROOT / part).exists(), part


PLANTED = {
    "producer/a.py": ("from consumer.worker import Worker", "producer/a.py: imports consumer.worker.Worker"),
    "consumer/a.py": ("def f():\n    import producer.app", "consumer/a.py: imports producer.app"),
    "consumer/b.py": ("import importlib\nimportlib.import_module('producer.app')", "consumer/b.py: imports producer.app"),
    "consumer/c.py": ("from pickle import loads", "consumer/c.py: imports pickle.loads"),
    "consumer/d.py": ("import joblib", "consumer/d.py: imports joblib"),
    "consumer/e.py": ("from .worker import x", "consumer/e.py: imports relatively"),
    "shared/a.py": ("import consumer", "shared/a.py: imports consumer"),
    "models/a.py": ("from producer import app", "models/a.py: imports producer.app"),
    "consumer/counting/a.py": (
        "from consumer.judging import policy",
        "consumer/counting/a.py: imports consumer.judging.policy",
    ),
    "consumer/judging/a.py": ("import consumer.counting.pane", "consumer/judging/a.py: imports consumer.counting.pane"),
    "consumer/judging/b.py": ("import redis.asyncio", "consumer/judging/b.py: imports redis.asyncio"),
    "consumer/judging/c.py": ("from datetime import datetime\ndatetime.now()", "consumer/judging/c.py: calls datetime.now"),
    "consumer/counting/b.py": ("open('x')", "consumer/counting/b.py: calls open"),
    "consumer/counting/c.py": ("from consumer.stage import Stage", "consumer/counting/c.py: imports consumer.stage.Stage"),
    "shared/reporting/a.py": ("from pathlib import Path", "shared/reporting/a.py: imports pathlib.Path"),
    "shared/pane.py": ("import os", "shared/pane.py: imports os"),
    "shared/schema.py": ("import numpy as np\nnp.random.default_rng()", "shared/schema.py: calls np.random.default_rng"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_violation_is_found(name: str, tmp_path: Path) -> None:
    """The checker can fail: each kind of violation, planted alone, is reported with its file."""
    source, expected = PLANTED[name]
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text(source + "\n")
    found = violations(tmp_path)
    assert len(found) >= 1
    assert found[0].startswith(expected)
