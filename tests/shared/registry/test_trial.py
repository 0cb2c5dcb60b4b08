"""A model file is tried in a process of its own before ours loads it."""

import time
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import pytest

from driftgauge.shared.errors import BadData
from driftgauge.shared.registry import trial
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.storage.folder import Folder
from tests.consumer.builders import published

ATTEMPT = trial.attempt
"""The real one, which tests/conftest.py replaces."""


class Odd:
    """A file that does something when it is loaded."""

    def __init__(self, what: Any, *given: Any) -> None:
        self.given = what, given

    def __reduce__(self) -> Any:
        return self.given


@pytest.fixture(autouse=True)
def real(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials are made, and none is remembered from another test."""
    monkeypatch.setattr(trial, "attempt", ATTEMPT)
    monkeypatch.setattr(trial, "_passed", set())
    monkeypatch.setattr(trial, "_failed", {})


def dumped(folder: Path, odd: Any) -> bytes:
    joblib.dump(odd, folder / "odd.joblib")
    return (folder / "odd.joblib").read_bytes()


def tree_text() -> str:
    rows = np.random.default_rng(0).normal(size=(500, 2))
    fitted = lightgbm.train(
        {"objective": "regression", "verbosity": -1, "num_leaves": 4, "num_threads": 1},
        lightgbm.Dataset(rows, rows[:, 0] + rows[:, 1]),
        2,
    )
    return str(fitted.model_to_string())


def test_a_text_that_ends_the_process_is_refused(tmp_path: Path) -> None:
    """LightGBM's text with a child that does not exist kills the process that predicts with it:
    the trial's, which is told.
    """
    sound = tree_text()
    start = sound.index("left_child=")
    line = sound[start : sound.index("\n", start)]
    broken = sound.replace(line, "left_child=" + " ".join(["99999999"] * len(line.split())))
    with pytest.raises(BadData, match=r"ended by SIG(SEGV|BUS|FPE|ABRT)"):
        trial.try_out(Folder(tmp_path), trial.Tried(broken.encode(), "model.txt", "regression"))


def test_memory_and_time_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that asks for all memory, or for ever, is refused; one that ends its process is told
    by the signal; an exception is none of the trial's business.
    """

    def tried(odd: Any) -> trial.Tried:
        return trial.Tried(dumped(tmp_path, odd), "model.joblib", "monitor")

    with pytest.raises(BadData, match="of memory"):
        ATTEMPT(tried(Odd(bytearray, 1 << 45)))
    with pytest.raises(BadData, match="SIGKILL"):
        ATTEMPT(tried(Odd(exec, "import os; os.kill(os.getpid(), 9)")))
    ATTEMPT(tried(Odd(int, "no number")))
    monkeypatch.setattr(trial, "TIME_S", 2.0)
    began = time.monotonic()
    with pytest.raises(BadData, match="more than 2 s"):
        ATTEMPT(tried(Odd(time.sleep, 600)))
    assert time.monotonic() - began < 60


def test_what_has_passed_is_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is tried when it is first loaded, and then by no process that has the registry; one
    that failed is refused at once for a while.
    """
    tries: list[trial.Tried] = []
    monkeypatch.setattr(trial, "attempt", tries.append)
    registry = ModelRegistry(tmp_path / "registry")
    joblib.dump({"weights": [1, 2]}, tmp_path / "fitted.joblib")
    registry.register(published("1.0.0", rows=100), tmp_path / "fitted.joblib")
    assert registry.load_artifact("plant", "1.0.0") == {"weights": [1, 2]}
    assert len(tries[0].rows) > 0
    monkeypatch.setattr(trial, "_passed", set())  # as in another process
    registry.load_artifact("plant", "1.0.0")
    assert (len(tries), registry.registered(), registry.models()) == (1, ["plant"], [])

    def refuse(tried: trial.Tried) -> None:
        tries.append(tried)
        raise BadData("it was ended")

    monkeypatch.setattr(trial, "attempt", refuse)
    joblib.dump({"weights": [3]}, tmp_path / "fitted.joblib")
    registry.register(published("2.0.0", rows=100), tmp_path / "fitted.joblib")
    for _ in range(2):
        with pytest.raises(BadData, match="it was ended"):
            registry.load_artifact("plant", "2.0.0")
    assert len(tries) == 2
