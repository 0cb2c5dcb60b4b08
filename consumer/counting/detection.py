"""Driving the online detectors: each (detector, version) of a partition sees what counts for drift,
and its alarms leave.

The false-alarm budget of 30 days becomes false alarms per event, by the model's traffic: that is
all a detector is told.
"""

from collections.abc import Iterator, Sequence

from driftgauge.consumer.counting.detectors import DETECTORS, Detector, Observed
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.consumer.counting.state import CountingState
from driftgauge.shared.arrays import Ints
from driftgauge.shared.contract.pane import Alarm

DAYS_PER_MONTH = 30
OUT_OF_RANGE = "out_of_range"
"""What no online test can say of a column that is ordered in time: its extremes come in rows. The
window's test, which allows for that, goes on.
"""
RATE_TOLERANCE = 2.0
"""Detectors start anew for the measured traffic when it differs by more than this factor."""


def detect(
    state: CountingState,
    policy: CountingPolicy,
    version: str,
    cell_map: CellMap,
    cells: Ints,
    ids: Sequence[str],
    times: Ints,
    totals: Ints,
) -> Iterator[Alarm]:
    """Show events of one version to its detectors; give their alarms.

    Parameters
    ----------
    state
        Of the partition; its detectors are changed.
    cells
        Shape (columns, events), as places in the vector of all cells.
    ids, times, totals
        Of the events: ids, logical times, and the partition's predictions until each, it included.
    """
    observed = Observed(cells, cell_map.ranks, ids)
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
            )


def _detector(
    state: CountingState, policy: CountingPolicy, name: str, version: str, cell_map: CellMap
) -> Detector | None:
    """Return a version's detector; a new one when there is none, the columns changed, or the
    traffic has changed a lot.

    None if it has nothing to watch.
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


def rate(state: CountingState, policy: CountingPolicy) -> float:
    """Return the false alarms allowed per event: the budget over the events of 30 days of the whole
    model.
    """
    per_day = state.position.traffic.per_day
    model_per_day = per_day * policy.partitions if per_day else policy.expected_events_per_day
    return policy.false_alarms_per_month / (model_per_day * DAYS_PER_MONTH)
