"""The compared detectors: ours, river's, and rules on windows with fixed thresholds. Each returns
the rows of its alarms.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from heapq import merge
from math import isnan
from typing import Any

import numpy as np
from river.drift import ADWIN, KSWIN, PageHinkley
from scipy import stats

from benchmarks.detection.traffic import Stream
from driftgauge.consumer.counting.detectors import DETECTORS
from driftgauge.shared.arrays import Floats

Alarms = Callable[[Stream], Iterator[int]]

WINDOW = 1000
STEP = 250


@dataclass(frozen=True)
class Contestant:
    """A detector with its setting.

    Parameters
    ----------
    clean
        Events without drift that it needs before an injection.
    cost
        Factor by which it gets fewer events to count false alarms, since it is slow.
    horizon
        Events after the change in which it may be found.
    """

    name: str
    setting: str
    alarms: Alarms
    clean: int = 2000
    cost: int = 1
    horizon: int = 3000


def ours(name: str, events_per_alarm: float) -> Contestant:
    """One of the detectors of this repository, with the budget of one false alarm in so many
    events.
    """

    def alarms(stream: Stream) -> Iterator[int]:
        cell_map = stream.cell_map
        detector = DETECTORS[name].start(
            cell_map.reference, cell_map.watched, cell_map.ranks, 1 / events_per_alarm
        )
        before = 0
        for observed in stream.chunks():
            yield from [before + one.row for one in detector.update(observed)]
            before += observed.cells.shape[1]

    return Contestant(name, f"one in {events_per_alarm:,.0f}", alarms)


def rivers(
    name: str,
    setting: str,
    make: Callable[[], Any],
    *,
    ranks: bool = False,
    clean: int = 2000,
    cost: int = 1,
) -> Contestant:
    """One of river's, for each feature; missing values are left out."""

    def alarms(stream: Stream) -> Iterator[int]:
        rows = stream.cell_map.ranks[stream.cells] if ranks else stream.numbers
        yield from merge(*(_one_by_one(make, values) for values in rows))

    return Contestant(f"river {name}", setting, alarms, clean, cost, horizon=3000 // min(cost, 3))


def _one_by_one(make: Callable[[], Any], values: Floats) -> Iterator[int]:
    """Feed a feature's values; after each alarm a fresh detector takes over."""
    detector = make()
    for row, value in enumerate(values.tolist()):
        if isnan(value):
            continue
        detector.update(value)
        if detector.drift_detected:
            yield row
            detector = make()


def _adwin(delta: float) -> Any:
    untyped: Any = ADWIN
    return untyped(delta=delta)


def windowed(name: str, setting: str, alarm: Callable[[Floats, Floats], bool]) -> Contestant:
    """Return a rule on the latest 1,000 events, evaluated after every 250, against the
    reference.
    """

    def alarms(stream: Stream) -> Iterator[int]:
        references, numbers = np.array(stream.reference, dtype=float), stream.numbers
        for last in range(WINDOW, numbers.shape[1] + 1, STEP):
            for reference, values in zip(references, numbers[:, last - WINDOW : last], strict=True):
                if alarm(reference, values[~np.isnan(values)]):
                    yield last - 1

    return Contestant(name, setting, alarms, cost=4)


def ks_alarm(reference: Floats, window: Floats) -> bool:
    return bool(stats.ks_2samp(reference, window).pvalue < 0.05)


def wasserstein_alarm(reference: Floats, window: Floats) -> bool:
    """Wasserstein's distance in standard deviations, as Evidently has it by default."""
    return bool(stats.wasserstein_distance(reference, window) / reference.std() >= 0.1)


def psi_alarm(reference: Floats, window: Floats) -> bool:
    """PSI on ten reference deciles, as everybody has it."""
    edges = np.quantile(reference, np.arange(1, 10) / 10)
    expected, found = (
        np.maximum(np.bincount(np.searchsorted(edges, values), minlength=10) / len(values), 1e-4)
        for values in (reference, window)
    )
    return bool(((found - expected) * np.log(found / expected)).sum() >= 0.1)


ALONE = [
    ours("e_detector", 10_000),
    ours("e_detector", 100_000),
    ours("integrity", 100_000),
    ours("adwin", 100_000),
    rivers("ADWIN on ranks", "default", ADWIN, ranks=True),
    rivers("ADWIN on ranks", "delta .5, set to 10,000", partial(_adwin, 0.5), ranks=True),
    rivers("ADWIN on ranks", "delta .1, set to 100,000", partial(_adwin, 0.1), ranks=True),
    rivers("Page-Hinkley", "default", PageHinkley),
    rivers("Page-Hinkley", "threshold 115, set to 10,000", lambda: PageHinkley(threshold=115)),
    rivers("Page-Hinkley", "threshold 340, set to 100,000", lambda: PageHinkley(threshold=340)),
    rivers("KSWIN", "default", lambda: KSWIN(seed=1), clean=200, cost=30),
    rivers(
        "KSWIN", "alpha .0001, set to 10,000", lambda: KSWIN(alpha=1e-4, seed=1), clean=200, cost=15
    ),
    windowed("PSI", ">= .1, 1,000 events", psi_alarm),
    windowed("Kolmogorov-Smirnov", "p < .05, 1,000 events", ks_alarm),
    windowed("Wasserstein / sd", ">= .1, 1,000 events", wasserstein_alarm),
]
"""Detectors that are compared on a stream of one feature."""

TOGETHER = [
    ours("e_detector", 100_000),
    ours("integrity", 100_000),
    ours("adwin", 100_000),
    rivers("ADWIN on ranks", "default", ADWIN, ranks=True),
    rivers("ADWIN on ranks", "delta .01, set to 100,000", partial(_adwin, 0.01), ranks=True),
    rivers("Page-Hinkley", "default", PageHinkley),
    rivers("Page-Hinkley", "threshold 1200, set to 100,000", lambda: PageHinkley(threshold=1200)),
    windowed("PSI", ">= .1, 1,000 events", psi_alarm),
    windowed("Kolmogorov-Smirnov", "p < .05, 1,000 events", ks_alarm),
]
"""Detectors that are compared on a stream of 18 features, of which one drifts."""
