"""The arrows between the packages, and the purity of the core, by the syntax trees of all
modules.
"""

import ast
import graphlib
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from tests.places import ROOT

NAMESPACE = "driftgauge."
PACKAGES = ("producer", "consumer", "shared", "models")
ARROWS = {
    "producer": {"shared"},
    "consumer": {"shared"},
    "models": {"shared"},
    "shared": set[str](),
}
"""What each package may import of the others; `driftgauge/__main__.py` joins them."""
PURE = (
    "consumer/counting",
    "consumer/judging",
    "consumer/migrations",
    "consumer/notifying",
    "producer/dashboard/views",
    "producer/reading/traffic",
    "shared/contract",
    "shared/explaining",
    "shared/metrics",
    "shared/paired",
    "shared/payloads",
    "shared/performance",
    "shared/planning",
    "shared/policies",
    "shared/reference",
    "shared/reporting",
    "shared/rights",
    "shared/rules",
    "shared/statistics",
    "shared/tables",
    "shared/versions",
    "shared/wording",
)
"""Folders whose modules know neither Redis nor clock, environment or files, nor a module that does.
"""
PURE_AT_ROOT = {
    "driftgauge.shared.arrays",
    "driftgauge.shared.durations",
    "driftgauge.shared.errors",
    "driftgauge.shared.extras",
    "driftgauge.shared.losses",
    "driftgauge.shared.moments",
    "driftgauge.shared.otel.context",
    "driftgauge.shared.steps",
    "driftgauge.shared.unpacking",
}
SHELL = {
    "consumer/notifying/checking.py",
    "consumer/notifying/post.py",
    "consumer/notifying/secrets.py",
    "consumer/notifying/targets/",
    "producer/reading/traffic/history.py",
    "shared/reporting/files.py",
    "shared/tables/arrow.py",
    "shared/tables/reading.py",
}
"""The files and rooms of pure folders that touch files, Redis or the network; nothing pure imports
them.
"""
MOST_FILES = 16
"""Python files of a folder, its `__init__.py` included."""
IMPURE_MODULES = {
    "redis",
    "asyncio",
    "time",
    "os",
    "pathlib",
    "socket",
    "threading",
    "logging",
    "subprocess",
    "random",
    "secrets",
    "tempfile",
    "shutil",
    "io",
    "signal",
    "multiprocessing",
    "concurrent",
    "httpx",
    "urllib",
    "uuid",
}
IMPURE_CALLS = {"open", "input", "print", "exec", "eval", "breakpoint"}
CLOCKS = {"now", "utcnow", "today", "time_ns", "monotonic", "perf_counter"}
UNSAFE = {"pickle", "cloudpickle", "dill", "marshal", "shelve"}
JOBLIB = ("shared/artifacts/joblib_file.py", "models/")


def imported(path: Path) -> Iterator[str]:
    """Yield the full name of everything that a module imports, wherever in it."""
    for node in looked_at(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield "." * node.level
            elif node.module:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _last_name(node.func) in {
            "__import__",
            "import_module",
        }:
            yield ast.literal_eval(node.args[0]) if isinstance(node.args[0], ast.Constant) else "?"


def _last_name(function: ast.expr) -> str:
    """Return the name of a function as it is called, without what it is found in."""
    return getattr(function, "id", "") or getattr(function, "attr", "")


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def looked_at(path: Path) -> tuple[ast.AST, ...]:
    """Return the imports and calls of a module."""
    kinds = (ast.Import, ast.ImportFrom, ast.Call)
    return tuple(node for node in ast.walk(parsed(path)) if isinstance(node, kinds))


def violations(root: Path) -> list[str]:
    """Check every module of the packages below a folder."""
    found: list[str] = []
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            name = path.relative_to(root).as_posix()
            found += [
                f"{name}: {fault}"
                for fault in (*_arrow_faults(name, path), *_purity_faults(name, path))
            ]
    return found


def _arrow_faults(name: str, path: Path) -> Iterator[str]:
    package = name.split("/", maxsplit=1)[0]
    for module in imported(path):
        top = module.split(".")[0]
        if module.startswith("."):
            yield "imports relatively, so that its arrow cannot be read"
        if top in {*PACKAGES, "tests", "benchmarks"}:
            yield f"imports {module}, which is not in the wheel"
        if top == "driftgauge":
            room = f"{module}.".removeprefix(NAMESPACE).split(".")[0]
            if room != package and room not in ARROWS[package]:
                yield f"imports {module}"
        for one, other in (("counting", "judging"), ("judging", "counting")):
            if name.startswith(f"consumer/{one}/") and module.startswith(
                f"driftgauge.consumer.{other}"
            ):
                yield f"imports {module}: {one} and {other} meet in the pane only"
        if package in {"producer", "consumer"} and top in UNSAFE:
            yield f"imports {module}, which runs code that it reads"
        if top == "joblib" and not name.startswith(JOBLIB):
            yield "imports joblib, which runs code that it reads"


def _is_pure(name: str) -> bool:
    return not name.startswith(tuple(SHELL)) and any(name.startswith(f"{part}/") for part in PURE)


def _purity_faults(name: str, path: Path) -> Iterator[str]:
    if not _is_pure(name):
        return
    for module in imported(path):
        ours = module.removeprefix(NAMESPACE).replace(".", "/")
        is_ours = module.startswith(NAMESPACE)
        impure = is_ours and not _is_pure(f"{ours}/") and not _at_pure_root(module)
        shell = any(ours.startswith(shell.removesuffix(".py")) for shell in SHELL)
        if module.split(".")[0] in IMPURE_MODULES or impure or shell:
            yield f"imports {module}, but is pure"
    for node in looked_at(path):
        if isinstance(node, ast.Call):
            yield from _call_faults(ast.unparse(node.func), node)


def _at_pure_root(module: str) -> bool:
    return any(f"{module}.".startswith(f"{part}.") for part in PURE_AT_ROOT)


def _call_faults(called: str, node: ast.Call) -> Iterator[str]:
    last = called.rsplit(".", maxsplit=1)[-1]
    if called in IMPURE_CALLS or last in {
        "open",
        "read_text",
        "write_text",
        "read_bytes",
        "write_bytes",
    }:
        yield f"calls {called}, but is pure"
    if last in CLOCKS or called in {"time.time", "time"}:
        yield f"calls {called}: the core has no clock"
    if last == "default_rng" and not node.args:
        yield f"calls {called} without a seed"


def modules(root: Path) -> dict[str, Path]:
    """Return the modules below a folder by their dotted name, without the namespace."""
    found = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            name = path.relative_to(root).with_suffix("").as_posix().replace("/", ".")
            found[name.removesuffix(".__init__")] = path
    return found


def circles(root: Path) -> list[str]:
    """Return the circles of imports, those inside functions and of types included: none is allowed
    among modules, nor among rooms that stand beside each other.
    """
    known = modules(root)
    arrows: dict[str, set[str]] = {}
    rooms: dict[str, set[str]] = {}
    for name, path in known.items():
        arrows[name] = {
            target
            for module in imported(path)
            if (target := _module_of(module.removeprefix(NAMESPACE), known)) not in {name, ""}
        }
        for target in arrows[name]:
            one, other = _beside(name, target)
            if one != other:
                rooms.setdefault(one, set()).add(other)
    return [" → ".join(found) for graph in (arrows, rooms) for found in _circles_of(graph)]


def _module_of(imported_name: str, known: Mapping[str, Path]) -> str:
    """Return the module that an imported name stands in; empty if it is none of ours."""
    while imported_name and imported_name not in known:
        imported_name = imported_name.rpartition(".")[0]
    return imported_name


def _beside(one: str, other: str) -> tuple[str, str]:
    """Return the folders in which two modules part ways; equal where one stands above the other."""
    ours, theirs = one.split(".")[:-1], other.split(".")[:-1]
    for depth, (left, right) in enumerate(zip(ours, theirs, strict=False), 1):
        if left != right:
            return ".".join(ours[:depth]), ".".join(theirs[:depth])
    return "", ""


def _circles_of(graph: Mapping[str, set[str]]) -> Iterator[list[str]]:
    """Yield a circle for each group of nodes that reach each other."""
    sorter = graphlib.TopologicalSorter(graph)
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        yield list(error.args[1])


def full_folders(root: Path) -> list[str]:
    """Return the folders that have too many files."""
    counts = Counter(
        path.parent.relative_to(root).as_posix()
        for package in (*PACKAGES, "tests", "benchmarks")
        for path in (root / package).rglob("*.py")
    )
    counts["driftgauge/client"] = len(list((root / "driftgauge" / "client").glob("*.py")))
    return [f"{name}: {count} files" for name, count in counts.items() if count > MOST_FILES]


def test_arrows_and_purity() -> None:
    """Producer and consumer share only `shared`, counting and judging only the pane, and the core
    knows no outside.
    """
    assert violations(ROOT) == []


def test_no_import_goes_in_circles() -> None:
    """A module can be read without one that reads it, and so can a room beside another."""
    assert circles(ROOT) == []


def test_a_room_can_be_held_in_the_head() -> None:
    """No folder has more than 16 files."""
    assert full_folders(ROOT) == []


def test_every_package_has_a_docstring() -> None:
    """Each folder of modules says in a sentence what it is for."""
    silent = []
    for path in modules(ROOT).values():
        package = path.parent / "__init__.py"
        if not package.exists() or ast.get_docstring(parsed(package)) is None:
            silent.append(path.parent.relative_to(ROOT).as_posix())
    assert sorted(set(silent)) == []


def test_the_links_lead_to_the_packages() -> None:
    """`driftgauge/` holds nothing but its own four files, the client, and links to the packages at
    the root.
    """
    found = {
        path.name: path for path in (ROOT / "driftgauge").iterdir() if path.name != "__pycache__"
    }
    assert set(found) == {
        "__init__.py",
        "__main__.py",
        "py.typed",
        "pytest_plugin.py",
        "client",
        *PACKAGES,
    }
    for package in PACKAGES:
        assert found[package].readlink() == Path("..") / package


CLIENT = ROOT / "driftgauge" / "client"
ADAPTED = {"bentoml.py": "bentoml", "litserve.py": "litserve"}
"""Modules of the client that stand beside another library, and need it."""


def foreign(path: Path) -> list[str]:
    """Return what a module of the client, or of what it shares, imports beside the standard
    library.
    """
    return [
        module
        for module in imported(path)
        if module.split(".")[0] not in {*sys.stdlib_module_names, ADAPTED.get(path.name)}
        and not f"{module}.".startswith(("driftgauge.client.", "driftgauge.shared.framing."))
    ]


def test_the_client_needs_the_standard_library_alone(tmp_path: Path) -> None:
    """It imports nothing else, of ours neither but the frames of the spool; and the test can
    fail.
    """
    paths = [*CLIENT.glob("*.py"), ROOT / "shared" / "framing.py"]
    assert len(paths) > 8
    assert [f"{path.name}: {module}" for path in paths for module in foreign(path)] == []
    planted_ = tmp_path / "a.py"
    planted_.write_text("import numpy\nfrom driftgauge.shared.errors import BadData\n")
    assert foreign(planted_) == ["numpy", "driftgauge.shared.errors.BadData"]


def test_every_package_is_checked() -> None:
    """The tests above see the modules that they are about."""
    assert len(modules(ROOT)) > 200
    for part in PURE:
        assert len(list((ROOT / part).rglob("*.py"))) > 1, part


PLANTED = {
    "producer/a.py": (
        "from driftgauge.consumer.worker import Worker",
        "imports driftgauge.consumer.worker.Worker",
    ),
    "producer/b.py": (
        "from shared.errors import BadData",
        "imports shared.errors.BadData, which is not in the wheel",
    ),
    "producer/c.py": ("import driftgauge", "imports driftgauge"),
    "consumer/a.py": (
        "def f():\n    import driftgauge.producer.app",
        "imports driftgauge.producer.app",
    ),
    "consumer/b.py": (
        "import importlib\nimportlib.import_module('driftgauge.producer.app')",
        "imports driftgauge.producer.app",
    ),
    "consumer/c.py": ("from pickle import loads", "imports pickle.loads"),
    "consumer/d.py": ("import joblib", "imports joblib"),
    "consumer/e.py": ("from .worker import x", "imports relatively"),
    "shared/a.py": ("import driftgauge.consumer", "imports driftgauge.consumer"),
    "models/a.py": ("from driftgauge.producer import app", "imports driftgauge.producer.app"),
    "consumer/counting/a.py": (
        "from driftgauge.consumer.judging import policy",
        "imports driftgauge.consumer.judging.policy",
    ),
    "consumer/judging/a.py": (
        "import driftgauge.consumer.counting.pane",
        "imports driftgauge.consumer.counting.pane",
    ),
    "consumer/judging/b.py": ("import redis.asyncio", "imports redis.asyncio"),
    "consumer/judging/c.py": (
        "from datetime import datetime\ndatetime.now()",
        "calls datetime.now",
    ),
    "consumer/counting/b.py": ("open('x')", "calls open"),
    "consumer/counting/entries/c.py": (
        "from driftgauge.consumer.stages.stage import Stage",
        "imports driftgauge.consumer.stages.stage.Stage",
    ),
    "shared/reporting/a.py": ("from pathlib import Path", "imports pathlib.Path"),
    "shared/contract/a.py": (
        "from driftgauge.shared.settings import Settings",
        "imports driftgauge.shared.settings",
    ),
    "shared/performance/a.py": (
        "from driftgauge.shared.reporting.files import rendered",
        "imports driftgauge.shared.reporting.files",
    ),
    "shared/contract/pane.py": ("import os", "imports os"),
    "shared/reference/schema.py": (
        "import numpy as np\nnp.random.default_rng()",
        "calls np.random.default_rng",
    ),
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
    assert found[0].startswith(f"{name}: {expected}")


def planted(root: Path, sources: Mapping[str, str]) -> Path:
    for name, source in sources.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return root


def test_planted_circles_are_found(tmp_path: Path) -> None:
    """Circles of modules, of types and of rooms are found; a parent may join its rooms."""
    types = "if TYPE_CHECKING:\n    from driftgauge.shared.{} import X\n"
    modules_in_circle = {"shared/a.py": types.format("b"), "shared/b.py": types.format("a")}
    assert circles(planted(tmp_path / "modules", modules_in_circle)) != []
    rooms_in_circle = {
        "shared/one/a.py": "from driftgauge.shared.two import b",
        "shared/two/b.py": "",
        "shared/two/c.py": "from driftgauge.shared.one import d",
        "shared/one/d.py": "",
    }
    assert circles(planted(tmp_path / "rooms", rooms_in_circle)) != []
    joined = {
        "shared/join.py": "from driftgauge.shared.one import a",
        "shared/one/a.py": "from driftgauge.shared import clock",
        "shared/clock.py": "",
    }
    assert circles(planted(tmp_path / "joined", joined)) == []


def test_a_full_folder_is_found(tmp_path: Path) -> None:
    """Seventeen files are one too many."""
    assert full_folders(planted(tmp_path, {f"shared/a{n}.py": "" for n in range(17)})) == [
        "shared: 17 files"
    ]
