"""Registration and promotion, killed (kill -9) at every call of the operating system that they
make: before it, nothing of it is visible; after it, all is whole.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import msgspec
import numpy as np
import pytest

from driftgauge.shared.errors import AlreadyThere
from driftgauge.shared.registry.registry import ModelRegistry
from tests.consumer.builders import published
from tests.consumer.judging.weeks import calibration_of, profile_of, rows

CALLS = frozenset(
    (
        *(
            "open",
            "write",
            "read",
            "close",
            "fsync",
            "rename",
            "replace",
            "mkdir",
            "chmod",
            "fstat",
        ),
        *("unlink", "rmdir", "sendfile", "copy_file_range", "flock", "scandir", "listdir", "stat"),
    )
)
"""Functions of Python that are a call of the operating system each."""


def killed_at(number: int, act: Callable[[], object]) -> bool:
    """Do something in a process of its own, and kill it before its call of this number; tell
    whether it was.
    """
    child = os.fork()
    if not child:
        left = number

        def count(_frame: object, event: str, called: Any) -> None:
            nonlocal left
            if event == "c_call" and called.__name__ in CALLS:
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.setprofile(count)
            act()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def _register_and_die(
    folder: Path, results: "multiprocessing.Queue[tuple[int, int]]", stride: int
) -> None:
    artifact = folder / "fitted.joblib"
    joblib.dump({"weights": [1, 2]}, artifact)
    columns = rows(np.random.default_rng(0), 7)
    calibration = calibration_of(profile_of(columns), columns)
    given = msgspec.structs.replace(published("2.0.0", rows=10), calibration=calibration)
    first, number, whole = published("1.0.0", rows=10), 0, 0
    while True:
        registry = ModelRegistry(folder / str(number))
        registry.register(first)
        registry.promote("plant", "1.0.0", actor="ann")

        def act(registry: ModelRegistry = registry) -> None:
            registry.register(given, artifact)
            registry.promote("plant", "2.0.0", actor="ann")

        died = killed_at(number, act)
        there, production = registry.versions("plant"), registry.production("plant")
        assert there in (["1.0.0"], ["1.0.0", "2.0.0"])
        assert production == "1.0.0" or there == ["1.0.0", "2.0.0"]
        assert registry.verify("plant") == []
        if there == ["1.0.0"]:
            assert registry.next_version("plant") == "2.0.0"
            registry.register(given, artifact)
        else:
            whole += 1
            try:
                registry.register(given, artifact)
            except AlreadyThere:
                pass
            else:
                raise AssertionError("a version was replaced")
        assert registry.load("plant", "2.0.0").calibration == calibration
        names = {path.name for path in (registry.folder / "plant").iterdir()}
        assert names - {".stages.json.new"} == {*("1.0.0", "2.0.0", ".lock", "stages.json")}
        if production == "1.0.0":
            registry.promote("plant", "2.0.0", actor="ann")
        assert registry.production("plant") == "2.0.0"
        if not died:
            break
        number += stride
    results.put((number, whole))


@pytest.mark.parametrize("stride", [7, pytest.param(1, marks=pytest.mark.long)])
def test_killed_at_every_call(tmp_path: Path, stride: int) -> None:
    """Whatever call of the operating system is the last: a version is there whole, with its
    calibration, or not at all; one of both versions serves; and the next registration goes on.
    """
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[tuple[int, int]] = context.Queue()
    process = context.Process(target=_register_and_die, args=(tmp_path, results, stride))
    process.start()
    process.join(200)
    assert process.exitcode == 0
    calls, whole = results.get(timeout=60)
    assert calls > 60, "the calls of a registration are seen"
    assert 0 < whole < calls / stride
    results.close()
    results.join_thread()
