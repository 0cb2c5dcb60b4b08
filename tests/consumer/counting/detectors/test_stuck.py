"""Stuck values: the false-alarm rate, the delays, and what is not called stuck."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal, stats

from driftgauge.consumer.counting.detectors import Detection, Observed
from driftgauge.consumer.counting.detectors.stuck import LEAST, StuckValues, due_lengths, limit
from driftgauge.shared.arrays import Floats
from driftgauge.shared.reference.profile import NumericReference, ReferenceProfile
from driftgauge.shared.reference.runs import Runs, marks, runs_of

Process = Callable[[np.random.Generator, int], Floats]


def independent(random: np.random.Generator, rows: int) -> Floats:
    return random.normal(size=rows)


def slow(random: np.random.Generator, rows: int) -> Floats:
    """A sensor of which neighbours hang together: autocorrelation .95, read to a tenth."""
    noise = random.normal(size=rows) * np.sqrt(1 - 0.95**2)
    return np.round(signal.lfilter([1.0], [1.0, -0.95], noise), 1)


def nightly(random: np.random.Generator, rows: int) -> Floats:
    """A panel that gives nothing at night, every hour of the day."""
    hours = np.arange(rows) % 24
    return np.where((hours >= 6) & (hours < 20), random.gamma(4.0, size=rows), 0.0)


def sparse(random: np.random.Generator, rows: int) -> Floats:
    """Nine values of ten are zero."""
    return np.where(random.random(rows) < 0.9, 0.0, random.normal(size=rows))


def run(reference: list[Floats], columns: list[Floats], alpha: float) -> list[Detection]:
    built = tuple(NumericReference.build(f"x{n}", values) for n, values in enumerate(reference))
    profile = ReferenceProfile(len(reference[0]), built)
    runs = [
        runs_of(one, values, one.cells(values))
        for one, values in zip(built, reference, strict=True)
    ]
    pairs = list(zip(built, columns, strict=True))
    cells = np.stack([one.cells(values) for one, values in pairs])
    marked = np.stack([marks(one, values, one.cells(values)) for one, values in pairs])
    detector = StuckValues.start(profile, list(range(len(built))), np.empty(0), alpha)
    return detector.update(
        Observed(cells + profile.offsets[:-1, None], np.empty(0), [], marked, runs)
    )


@pytest.mark.parametrize("process", [independent, slow, nightly, sparse])
@pytest.mark.parametrize("alpha", [1e-3, 1e-5])
def test_the_false_alarm_rate_is_kept(process: Process, alpha: float) -> None:
    """On more of the same process no more than its share of the events raises an alarm, in the mean
    over references (20 of 3,000 rows, 50,000 events each; a rate just at the bound fails in one of
    10,000 seeds).
    """
    alarms, references, events = 0, 20, 50_000
    for seed in range(references):
        random = np.random.default_rng(seed)
        values = process(random, 3000 + events)
        alarms += len(run([values[:3000]], [values[3000:]], alpha))
    assert alarms <= stats.binom.isf(1e-4, references * events, alpha)


@pytest.mark.parametrize("process", [independent, slow, nightly, sparse])
def test_a_sensor_that_hangs_is_found(process: Process) -> None:
    """A value that stays is found after a few times the longest run of the reference, whatever the
    process, and again while it stays.
    """
    random = np.random.default_rng(1)
    reference, live = process(random, 5000), process(random, 8000)
    live[4000:] = 0.7
    alpha = 1 / 3_000_000
    found = run([reference], [live], alpha)
    built = NumericReference.build("x", reference)
    runs = runs_of(built, reference, built.cells(reference))
    assert runs is not None
    late = limit(runs, alpha)
    assert 4000 <= found[0].row <= 4000 + late
    assert late <= max(LEAST, 1 + 4 * runs.longest)
    assert found[0].severity == "critical"
    rows = np.array([one.row for one in found])
    assert (np.diff(rows) <= 1024).all()
    assert rows[-1] > 7000


def test_few_rows_a_week_are_enough() -> None:
    """With nine rows a week and two years of reference a stuck sensor is found within a month."""
    random = np.random.default_rng(2)
    reference = slow(random, 950)
    live = np.concatenate((slow(random, 200), np.full(60, 0.3)))
    alpha = 0.02 / (1.3 * 30)
    (first, *_) = run([reference] * 8, [live] * 8, alpha)
    assert first.row < 200 + 40


def test_what_the_reference_does_too_is_not_stuck() -> None:
    """A constant column, one with so few runs that they tell nothing, and missing values raise
    nothing.
    """
    constant, steps = np.full(500, 7.0), np.repeat(np.arange(5.0), 100)
    missing = np.where(np.arange(500) % 2, np.nan, np.arange(500.0))
    lost = np.full(5000, np.nan)
    live = [np.full(5000, 7.0), np.full(5000, 2.0), lost]
    assert run([constant, steps, missing], live, 1e-6) == []


@settings(max_examples=60)
@given(
    runs=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 60)), min_size=1, max_size=40),
    cuts=st.lists(st.integers(1, 400), max_size=6),
)
def test_every_run_is_counted_as_by_hand(runs: list[tuple[int, int]], cuts: list[int]) -> None:
    """However the events are cut, a run is alarmed where a loop over its values says so; a missing
    value (3) ends it.
    """
    values = np.concatenate([np.full(length, float(value)) for value, length in runs])
    values[values == 3] = np.nan
    built = NumericReference.build("x", np.arange(4.0))
    profile = ReferenceProfile(4, (built,))
    known = [Runs(400, 200, 5, 60)]
    first = limit(known[0], 1e-3)
    expected, length = [], 0
    for row, value in enumerate(values.tolist()):
        same = row > 0 and value == values[row - 1]
        length = 0 if np.isnan(value) else length + 1 if same else 1
        if length in due_lengths(first, 10_000):
            expected.append((row, float(length)))
    detector = StuckValues.start(profile, [0], np.empty(0), 1e-3)
    found = []
    edges = sorted({0, *(cut for cut in cuts if cut < len(values)), len(values)})
    for begin, end in pairwise(edges):
        part = values[begin:end]
        cells = built.cells(part)
        observed = Observed(cells[None], np.empty(0), [], marks(built, part, cells)[None], known)
        found += [(one.row + begin, one.value) for one in detector.update(observed)]
    assert found == expected
