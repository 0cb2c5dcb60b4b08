"""Runs the online detectors: each (detector, version) of a partition gets the rows that count for
drift and returns alarms.

The false-alarm budget of 30 days is divided by the model's traffic; the resulting false alarms per
event are the only parameter of a detector.
"""

from collections.abc import Iterator, Sequence

from driftgauge.consumer.counting.detectors import DETECTORS, Detector, Observed
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.consumer.counting.state import CountingState
from driftgauge.shared.arrays import Ints
from driftgauge.shared.contract.pane import Alarm
from driftgauge.shared.reference.runs import Runs

DAYS_PER_MONTH = 30
OUT_OF_RANGE = "out_of_range"
"""Rule that no online test applies to a column that is ordered in time, because its extreme values
come in runs. The window's test, which allows for that, still applies.
"""
RATE_TOLERANCE = 2.0
"""Factor by which the measured traffic must differ before detectors are started again."""


def detect(
    state: CountingState,
    policy: CountingPolicy,
    version: str,
    cell_map: CellMap,
    cells: Ints,
    ids: Sequence[str],
    times: Ints,
    totals: Ints,
    marks: Ints | None = None,
) -> Iterator[Alarm]:
    """Pass events of one version to its detectors, and yield their alarms.

    Parameters
    ----------
    state
        State of the partition; its detectors are changed.
    cells
        Cell of each value as position in the vector of all cells, shape (columns, events).
    ids, times, totals
        Of the events: ids, logical times, and the partition's predictions until each, it included.
    marks
        As the cells: a number for each value, equal for equal values.
    """
    observed = Observed(cells, cell_map.ranks, ids, marks, _runs(policy, cell_map))
    for name in (name for name in policy.detectors if name in DETECTORS):
        detector = _detector(state, policy, name, version, cell_map)
        if detector is None:
            continue
        state.changed.add(f"detector:{name}:{version}".encode())
        for found in detector.update(observed):
            if found.statistic == OUT_OF_RANGE and found.column not in cell_map.exchangeable:
                continue
            yield Alarm(
                partition=policy.partition,
                time=int(times[found.row]),
                total=int(totals[found.row]),
                version=version,
                column=cell_map.reference.columns[found.column].name,
                detector=name,
                delay=found.delay,
                statistic=found.statistic,
                value=found.value,
                expected=found.expected,
                width=found.width,
                effect=found.effect,
                threshold=found.threshold,
                severity=found.severity,
                mean_rank=found.mean_rank,
            )


def _detector(
    state: CountingState, policy: CountingPolicy, name: str, version: str, cell_map: CellMap
) -> Detector | None:
    """Return a version's detector; a new one when there is none, the columns changed, or the
    traffic has changed a lot.

    Return None if there is no column to watch.
    """
    kind = DETECTORS[name]
    columns = cell_map.exchangeable if kind.needs_exchangeable else cell_map.watched
    if not columns:
        return None
    alpha = kind.share * rate(state, policy)
    detector = state.detectors.get((name, version))
    if (
        detector is None
        or detector.columns != columns
        or not alpha / RATE_TOLERANCE <= detector.alpha <= alpha * RATE_TOLERANCE
    ):
        detector = kind.start(cell_map.reference, columns, cell_map.ranks, alpha)
        state.detectors[name, version] = detector
    return detector


def _runs(policy: CountingPolicy, cell_map: CellMap) -> Sequence[Runs | None]:
    """Return the reference's runs as they are in a partition: what follows each other in an ordered
    column is parted among several, so its runs are not known there.
    """
    if policy.partitions == 1:
        return cell_map.runs
    return [
        one if column in cell_map.exchangeable else None for column, one in enumerate(cell_map.runs)
    ]


def rate(state: CountingState, policy: CountingPolicy) -> float:
    """Return the false alarms allowed per event: the budget over the events of 30 days of the whole
    model.
    """
    per_day = state.position.traffic.per_day
    model_per_day = per_day * policy.partitions if per_day else policy.expected_events_per_day
    return policy.false_alarms_per_month / (model_per_day * DAYS_PER_MONTH)
