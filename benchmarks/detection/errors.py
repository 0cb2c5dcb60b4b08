"""Delays and false alarms on the errors of a classifier whose accuracy falls: our detectors with
the shares that they have, at 100,000 labels a day, and river's at their defaults; and the
e-detector at the rate of false alarms that river's ADWIN has, for delays can be compared at an
equal rate only.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from river.drift import ADWIN
from river.drift.binary import DDM

from benchmarks.detection.scoring import delay, events_per_alarm, median
from benchmarks.results import ResultRow
from driftgauge.consumer.counting.detectors import ERROR_DETECTORS, Observed
from driftgauge.shared.arrays import Floats
from driftgauge.shared.reference.profile import NumericReference, ReferenceProfile

WRONG: Final = 0.1
FALLS: Final = {".9 to .85": 0.15, ".9 to .8": 0.2, ".9 to .6": 0.4}
REFERENCE: Final = 2000
CLEAN: Final = 2000
HORIZON: Final = 10_000
RUN: Final = 100_000
"""Calm labels after one reference."""
MONTH: Final = 3_000_000
ADWINS_RATE: Final = 6_000_000
"""Labels per false alarm of river's ADWIN, about what it has on ranks."""
CHUNK: Final = 1000

Alarms = Callable[[np.random.Generator, Floats], Iterator[int]]


def ours(name: str, labels: float | None = None) -> Alarms:
    """One of the detectors of this repository, with its share of one false alarm in a month, or
    with one in so many labels.
    """
    kind = ERROR_DETECTORS[name]
    alpha = kind.errors_share / MONTH if labels is None else 1 / labels

    def alarms(random: np.random.Generator, values: Floats) -> Iterator[int]:
        column = NumericReference.build("error", _errors(random, WRONG, REFERENCE))
        counts = np.array(column.counts[:-1], dtype=np.float64)
        ranks = np.append((np.cumsum(counts) - counts / 2) / counts.sum(), np.nan)
        detector = kind.start(ReferenceProfile(REFERENCE, (column,)), [0], ranks, alpha)
        for first in range(0, len(values), CHUNK):
            cells = column.cells(values[first : first + CHUNK])[None]
            ids = [f"{random.bytes(8).hex()}" for _ in range(cells.shape[1])]
            yield from [first + one.row for one in detector.update(Observed(cells, ranks, ids))]

    return alarms


def rivers(make: Callable[[], Any]) -> Alarms:
    """One of river's, from nothing; after each alarm a fresh one takes over."""

    def alarms(_: np.random.Generator, values: Floats) -> Iterator[int]:
        detector = make()
        for row, value in enumerate(values.tolist()):
            detector.update(value)
            if detector.drift_detected:
                yield row
                detector = make()

    return alarms


CONTESTANTS: Final[dict[tuple[str, str], Alarms]] = {
    **{
        (name, f"{kind.errors_share:g} in {MONTH:,}"): ours(name)
        for name, kind in ERROR_DETECTORS.items()
    },
    ("e_detector", f"1 in {ADWINS_RATE:,}"): ours("e_detector", ADWINS_RATE),
    ("river DDM", "default"): rivers(DDM),
    ("river ADWIN", "default"): rivers(ADWIN),
}


def rows(seeds: int, clean_labels: int) -> list[ResultRow]:
    """Measure each contestant."""
    return [_row(*named, alarms, seeds, clean_labels) for named, alarms in CONTESTANTS.items()]


def _row(name: str, setting: str, alarms: Alarms, seeds: int, clean_labels: int) -> ResultRow:
    runs = [np.random.default_rng((10_000, seed)) for seed in range(clean_labels // RUN)]
    found = sum(1 for random in runs for _ in alarms(random, _errors(random, WRONG, RUN)))
    row: ResultRow = {
        "detector": name,
        "setting": setting,
        f"alarms in {clean_labels:,} calm labels": found,
        "labels per false alarm": str(events_per_alarm(found, clean_labels)),
    }
    for fall, share in FALLS.items():
        row[f"accuracy {fall}"] = str(
            median([_delay(alarms, share, seed) for seed in range(seeds)])
        )
    return row


def _delay(alarms: Alarms, share: float, seed: int) -> float:
    random = np.random.default_rng((20_000, seed))
    values = np.concatenate((_errors(random, WRONG, CLEAN), _errors(random, share, HORIZON)))
    return delay(alarms(random, values), CLEAN)


def _errors(random: np.random.Generator, share: float, number: int) -> Floats:
    return (random.random(number) < share).astype(np.float64)
