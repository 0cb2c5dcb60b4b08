"""The e-detector on a model's errors: it sees each labelled prediction's error when judging is told of it.

The error of a class is 0 or 1, of a number its absolute value; it is held against those of the labelled reference rows.
Judging's window needs hundreds of labels, this sees a collapse after some dozens. It finds a change for better or worse, and
is evidence alone: a WARNING.

The order is that of the panes and of the joins in each: it follows from the log, and not from how the log was cut.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from consumer.counting.cells import CellMap
from consumer.counting.detection import RATE_TOLERANCE, rate
from consumer.counting.detectors.base import Observed
from consumer.counting.detectors.e_detector import EDetector
from consumer.counting.policy import CountingPolicy
from consumer.counting.revisions import Joined
from consumer.counting.state import CountingState
from shared.pane import Alarm
from shared.performance import error_of
from shared.reference import Ints

RULE = "performance.e_detector"
SHARE = 0.05
"""Of the false-alarm budget: one half of what performance has, the other is that of judging's window."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Logical time and predictions of the partition at which rows are told."""

    time: int
    total: int


def detect_errors(
    state: CountingState, policy: CountingPolicy, versions: Mapping[str, CellMap], rows: Sequence[tuple[bytes, Joined]],
    moment: Moment,
) -> Iterator[Alarm]:  # fmt: skip
    """Show the errors of joined rows to the detectors of their versions; give their alarms.

    Parameters
    ----------
    rows
        Digest of the id, and row: first labels alone.
    """
    if "e_detector" not in policy.detectors:
        return
    for version, found in groupby(sorted(rows, key=lambda row: row[1].version), key=lambda row: row[1].version):
        if version in versions and versions[version].errors is not None:
            yield from _detect(state, policy, version, versions[version], list(found), moment)


def _detect(
    state: CountingState, policy: CountingPolicy, version: str, cell_map: CellMap, rows: Sequence[tuple[bytes, Joined]],
    moment: Moment,
) -> Iterator[Alarm]:  # fmt: skip
    errors = np.array([error_of(row.prediction, row.label) for _, row in rows])
    detector = _detector(state, policy, version, cell_map)
    state.changed.add(f"errors:{version}".encode())
    observed = Observed(_cells(cell_map, errors), np.empty(0), [digest.hex() for digest, _ in rows])
    for found in detector.update(observed):
        yield Alarm(
            partition=policy.partition, time=moment.time, total=moment.total, version=version, column="", detector=RULE,
            delay=found.delay, statistic=found.statistic, value=found.value, expected=found.expected, width=found.width,
            effect=f"the errors changed: {found.effect}", threshold=found.threshold,
        )  # fmt: skip


def _cells(cell_map: CellMap, errors: Ints) -> Ints:
    assert cell_map.errors is not None  # noqa: S101  its caller has looked
    return cell_map.errors.columns[0].cells(errors)[None]


def _detector(state: CountingState, policy: CountingPolicy, version: str, cell_map: CellMap) -> EDetector:
    """Give a version's detector; a new one when there is none, or the traffic has changed a lot."""
    alpha = SHARE * rate(state, policy)
    detector = state.errors.get(version)
    if detector is None or not alpha / RATE_TOLERANCE <= detector.alpha <= alpha * RATE_TOLERANCE:
        assert cell_map.errors is not None  # noqa: S101  its caller has looked
        detector = state.errors[version] = EDetector(cell_map.errors, [0], alpha)
    return detector
