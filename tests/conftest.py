"""One private real Redis for the whole run; each test has its own key prefix, and none flushes the
server.
"""

import gc
import inspect
import os
import sys
import uuid
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
import redis
from hypothesis import settings

from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.local import processes
from driftgauge.shared.local.embedded_redis import EmbeddedRedis
from driftgauge.shared.registry import trial
from tests.fork_server import FORKS
from tests.places import DATA

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    # tests run in several processes, which start more: threads would fight for the cores
    os.environ.setdefault(threads, "1")

# workers of one process start in half the time; tests/consumer/processes tries those of two
os.environ.setdefault("DRIFTGAUGE_WORKER_PROCESSES", "1")

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # or each process would compile all of our modules

FIRST = ("chaos", "integration", "browser", "models", "benchmarks", "producer")
"""Folders whose tests take longest: they come first, so that at the end no process works alone."""
TOGETHER = ("tests/browser/", "tests/models/", "tests/integration/cluster/")
"""Folders whose files share a deployment, trained models or a cluster: one process runs them."""

if TYPE_CHECKING:
    from xdist.scheduler import LoadFileScheduling

settings.register_profile("seeded", derandomize=True, deadline=None, max_examples=25)
settings.load_profile("seeded")

# httpx waits for five seconds, which a busy machine may take for one answer
_patience = inspect.signature(httpx.Client).parameters["timeout"].default
_patience.connect = _patience.read = _patience.write = _patience.pool = 60.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        folder = item.nodeid.split("/")[1]
        return FIRST.index(folder) if folder in FIRST else len(FIRST)

    items.sort(key=place)


@pytest.hookimpl(wrapper=True)
def pytest_collect_file() -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """Look for doctests in the packages alone: a test's docstring is its promise."""
    return [one for one in (yield) if isinstance(one, pytest.Module)]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep what collection made, which stays to the end, out of the collector's sight."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None, None, None]:
    """Fail a test that leaves a connection or a loop open: else the collector finds it in the
    middle of another one, which fails now and then.
    """
    yield
    left = _left_open()
    assert not left, "\n".join(["The test has left open:", *left])


def _left_open() -> list[str]:
    """Collect garbage, and return what could not be ended silently; what is alive stays unlooked at
    from now on, so that the next time costs what the next test makes.
    """
    found: list[str] = []

    def note(unraisable: "sys.UnraisableHookArgs") -> None:
        found.append(f"{unraisable.exc_value!r} of {unraisable.object!r}")

    before, sys.unraisablehook = sys.unraisablehook, note
    try:
        gc.collect()
    finally:
        sys.unraisablehook = before
    gc.freeze()
    return found


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes that are no text by their place: compressed ones hold the time, and the processes
    of a run must give each test the same name.
    """
    text = isinstance(val, bytes) and val.isascii() and val.decode().isprintable()
    return argname if isinstance(val, bytes) and not text else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape what is no Unicode in the captured logs, such as the names of odd files: the process
    that gathers the reports could not receive them.
    """
    report = yield
    report.sections = [
        (name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections
    ]
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> "LoadFileScheduling":
    """A file's tests stay in one process, and those of some folders."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            folders = (folder for folder in TOGETHER if nodeid.startswith(folder))
            return next(folders, super()._split_scope(nodeid))

    config.option.loadscopereorder = False
    return Scheduling(config, log)


@pytest.fixture(scope="session", autouse=True)
def reports_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Workers of tests, and their child processes, write their reports to a folder of the run, and
    what they keep on disk; so no test meets the deployment of another one.
    """
    folder = tmp_path_factory.mktemp("reports")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DRIFTGAUGE_REPORTS_DIR", str(folder))
        patch.setenv("DRIFTGAUGE_DATA_DIR", str(tmp_path_factory.mktemp("data")))
        yield folder


@pytest.fixture(scope="session", autouse=True)
def trials() -> Iterator[None]:
    """Tests' own models pass their trial untried, since a process that loads scikit-learn takes
    seconds; the tests of the trial (tests/shared/registry/test_trial.py) undo it.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial, "attempt", lambda _: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What processes of tests keep on disk, if no test says where, goes to a folder of the run."""
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DRIFTGAUGE_DATA_DIR", str(folder))
        yield folder


@pytest.fixture(scope="session", autouse=True)
def fork_server() -> Iterator[None]:
    """Processes of ours are forked: tests/fork_server.py."""
    with FORKS, pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "start", FORKS.start)
        yield


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: EmbeddedRedis) -> str:
    return redis_server.url


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    connected = connect(redis_url)
    yield connected
    connected.close()


@pytest.fixture
def prefix() -> str:
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def keys(prefix: str) -> Keys:
    return Keys(prefix)


@pytest.fixture(scope="session")
def data() -> Path:
    """Return the folder of the real data files; a test that needs it is skipped where it is
    absent.
    """
    if not DATA.is_dir():
        pytest.skip(f"the real data files are not at {DATA}")
    return DATA
