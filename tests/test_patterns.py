"""Regular expressions that read strangers' text take time in proportion to it."""

import importlib
import itertools
import re
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from tests.places import ROOT

SIZES = (500, 2_000)
"""Lengths of a text and of one four times as long."""
MOST_GROWTH = 10.0
"""Times that the longer text may take: 4 in proportion, 16 if every beginning is tried to the end,
64 for worse.
"""
LEAST_S = 0.002
"""Times below it are noise."""
PIECES = ("0", "a", "A", " ", ".", "-", "/", "_", ":", "=", "\n", "0.", "a.", "aA", "0-", "~1", "<")
HEADS = ("", "a", "1", "1.0.0-")
TAILS = ("", "\x00", "a")
SEARCHES = ("search", "sub", "split", "finditer", "findall")
"""Methods that try a pattern at each place."""


def modules() -> Iterator[ModuleType]:
    """The modules that compile a pattern."""
    for room in ("producer", "shared", "consumer"):
        for path in sorted((ROOT / room).rglob("*.py")):
            if "re.compile(" in path.read_text():
                dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                yield importlib.import_module(f"driftgauge.{dotted}")


def patterns() -> dict[str, tuple[re.Pattern[str], bool]]:
    """Every compiled pattern of a module, by its name, those of bytes as texts; and whether it is
    searched.
    """
    found = {}
    for module in modules():
        source = Path(str(module.__file__)).read_text()
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern):
                given = value.pattern
                text = given.decode("latin-1") if isinstance(given, bytes) else given
                searched = any(f"{name}.{method}(" in source for method in SEARCHES)
                made = re.compile(text, value.flags & ~re.UNICODE)
                found[f"{module.__name__}.{name}"] = made, searched
    return found


def taken(pattern: re.Pattern[str], text: str, *, searched: bool) -> float:
    """CPU time (s) in which a pattern is matched, or searched, in a text."""
    began = time.thread_time()
    pattern.fullmatch(text)
    pattern.match(text)
    if searched:
        next(pattern.finditer(text), None)
    return time.thread_time() - began


def slowest(pattern: re.Pattern[str], *, searched: bool) -> tuple[float, str]:
    """The largest growth of the time from a text to one four times as long, and the text."""
    for head, piece, tail in itertools.product(HEADS, PIECES, TAILS):
        small, large = (head + piece * (size // len(piece)) + tail for size in SIZES)
        if taken(pattern, large, searched=searched) < LEAST_S:
            continue
        times = [
            min(taken(pattern, text, searched=searched) for _ in range(3))
            for text in (small, large)
        ]
        growth = times[1] / max(times[0], 1e-6)
        if growth > MOST_GROWTH:
            return growth, f"{head!r} {piece!r}… {tail!r}"
    return 0.0, ""


def test_a_backtracking_pattern_is_seen() -> None:
    """The test finds the pattern that once took 49 s for a cell of 39 kB."""
    growth, _ = slowest(re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"), searched=False)
    assert growth > MOST_GROWTH


def test_patterns_take_time_in_proportion_to_the_text() -> None:
    """No text makes a pattern try again and again what it has tried."""
    known = patterns()
    assert len(known) > 20
    slow = {name: slowest(one, searched=searched) for name, (one, searched) in known.items()}
    assert {name: found for name, found in slow.items() if found[0]} == {}
