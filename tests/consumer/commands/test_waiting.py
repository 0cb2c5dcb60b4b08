"""What a command shows while it works on many columns."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console

from driftgauge.consumer.commands.waiting import waiting
from driftgauge.consumer.offline.file_comparison import compare_files
from driftgauge.consumer.offline.registration import register_version
from driftgauge.consumer.offline.submission import Submission
from driftgauge.shared.reference.columns.choices import Choices
from driftgauge.shared.registry.registry import ModelRegistry


class Clock:
    """A clock that goes on by a step at each look."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 0.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def told(step_s: float, *, terminal: bool) -> str:
    written = io.StringIO()
    console = Console(file=written, force_terminal=terminal, width=200, color_system=None)
    with waiting("reading a.csv", console, Clock(step_s)) as at:
        for column in range(1, 2001):
            at("looking", column, 2000)
    return written.getvalue()


def test_quick_work_tells_nothing_where_there_is_no_terminal() -> None:
    """A log gets no line of a command that is done in a second."""
    assert told(0.0005, terminal=False) == ""


def test_long_work_tells_now_and_then() -> None:
    """Every ten seconds a line says which column of how many is being worked on."""
    lines = told(0.05, terminal=False).splitlines()
    assert 5 <= len(lines) <= 25
    assert lines[0].startswith("reading a.csv: looking, column ")
    assert all(line.endswith(" of 2,000") for line in lines)


def test_a_terminal_sees_it_at_once() -> None:
    """On a terminal the line changes as the columns do."""
    assert "looking, column 1,9" in told(0.05, terminal=True)


def test_registration_and_comparison_tell_of_each_column(tmp_path: Path) -> None:
    """Every phase that goes through the columns tells of all of them, in their order."""
    path = tmp_path / "rows.csv"
    pd.DataFrame({f"x{place}": np.arange(60.0) for place in range(5)}).to_csv(path, index=False)
    seen: list[tuple[str, int, int]] = []

    def at(what: str, step: int, of: int) -> None:
        seen.append((what, step, of))

    register_version(ModelRegistry(tmp_path / "registry"), Submission("m", path), at=at)
    compare_files(path, path, Choices(), at=at)
    phases = dict.fromkeys(what for what, _, _ in seen)
    assert list(phases) == [
        "looking at what they are",
        "making the profile",
        "reading",
        "comparing",
    ]
    for what in phases:
        found = [(step, of) for known, step, of in seen if known == what]
        assert found[:5] == [(step, 5) for step in range(1, 6)]
