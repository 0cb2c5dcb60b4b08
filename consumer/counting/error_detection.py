"""Online detectors on a model's errors: they see the error of each labelled prediction when the
label is passed on to judging.

The error of a class is 0 or 1, of a number its absolute value; it is compared with those of the
labelled reference rows. Judging's window needs hundreds of labels, these detect a collapse after
some dozens. Each alarm is only evidence: a WARNING. An alarm that the errors fell has another rule,
since an improvement explains no drift and needs no action.

They tell of what happens now, so they see the labels of predictions of the last `RECENT_MS` only:
older labels revise their days, which judging looks at whatever the order in which they came. Rows
that are passed on together are in the order of their predictions, which follows from the log and
not from how it was cut into batches.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import numpy as np

from driftgauge.consumer.counting.clock import DAY_MS
from driftgauge.consumer.counting.detection import RATE_TOLERANCE, rate
from driftgauge.consumer.counting.detectors import ERROR_DETECTORS, Detection, Detector, Observed
from driftgauge.consumer.counting.detectors.effect import UNKNOWN
from driftgauge.consumer.counting.labels.revisions import Joined
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.consumer.counting.state import CountingState
from driftgauge.shared.contract.pane import Alarm
from driftgauge.shared.performance import error_of
from driftgauge.shared.reference.profile import ReferenceProfile
from driftgauge.shared.rules.performance import IMPROVEMENT, PERFORMANCE

RECENT_MS: Final = DAY_MS
"""Age (ms of logical time) of a prediction above which its error is no news."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Logical time (ms) and number of predictions of the partition at which rows are passed on to
    judging.
    """

    time: int
    total: int


def detect_errors(
    state: CountingState,
    policy: CountingPolicy,
    versions: Mapping[str, CellMap],
    rows: Sequence[tuple[bytes, Joined]],
    moment: Moment,
) -> Iterator[Alarm]:
    """Pass the errors of joined rows to the detectors of their versions, and yield their alarms.

    Parameters
    ----------
    rows
        Digest of the id, and joined row; only rows with their first label.
    """
    watched = {name for name, known in versions.items() if known.errors is not None}
    oldest = moment.time - RECENT_MS
    recent = [row for row in rows if row[1].time >= oldest and row[1].version in watched]
    recent.sort(key=lambda row: (row[1].version, row[1].time, row[0]))
    for version, found in groupby(recent, key=lambda row: row[1].version):
        cell_map = versions[version]
        assert cell_map.errors is not None  # noqa: S101  its version is watched
        observed = _observed(cell_map, cell_map.errors, list(found))
        for name in (name for name in policy.detectors if name in ERROR_DETECTORS):
            detector = _detector(state, policy, name, version, cell_map)
            state.changed.add(f"errors:{name}:{version}".encode())
            for one in detector.update(observed):
                yield _alarm(one, name, version, cell_map.errors, policy.partition, moment)


def _observed(
    cell_map: CellMap, profile: ReferenceProfile, rows: Sequence[tuple[bytes, Joined]]
) -> Observed:
    errors = np.array([error_of(row.prediction, row.label) for _, row in rows])
    return Observed(
        profile.columns[0].cells(errors)[None],
        cell_map.error_ranks,
        [digest.hex() for digest, _ in rows],
    )


def _detector(
    state: CountingState, policy: CountingPolicy, name: str, version: str, cell_map: CellMap
) -> Detector:
    """Return a version's detector; a new one if there is none, or the traffic changed a lot."""
    kind = ERROR_DETECTORS[name]
    alpha = kind.errors_share * rate(state, policy)
    detector = state.errors.get((name, version))
    if detector is None or not alpha / RATE_TOLERANCE <= detector.alpha <= alpha * RATE_TOLERANCE:
        assert cell_map.errors is not None  # noqa: S101  its caller has looked
        detector = state.errors[name, version] = kind.start(
            cell_map.errors, [0], cell_map.error_ranks, alpha
        )
    return detector


def _alarm(
    found: Detection,
    name: str,
    version: str,
    profile: ReferenceProfile,
    partition: int,
    moment: Moment,
) -> Alarm:
    grew = found.mean_rank is None or found.mean_rank >= 1 / 2
    words = (
        found.effect if found.mean_rank is None else _size(found.mean_rank, found.width, profile)
    )
    moved = "grew" if grew else "fell, which is an improvement"
    effect = f"the errors {'changed' if words == UNKNOWN else moved}: {words}"
    return Alarm(
        partition=partition,
        time=moment.time,
        total=moment.total,
        version=version,
        column="",
        detector=(PERFORMANCE if grew else IMPROVEMENT).of(name),
        delay=found.delay,
        statistic=found.statistic,
        value=found.value,
        expected=found.expected,
        width=found.width,
        effect=effect,
        threshold=found.threshold,
    )


def _size(mean_rank: float, width: int, profile: ReferenceProfile) -> str:
    """Describe how much the errors changed: by the share of errors for classes, by the mean rank
    for numbers.

    With a share p of errors in the reference a right prediction has the rank (1 - p) / 2, a wrong
    one 1 - p / 2. So the mean rank tells the share exactly.

    Examples
    --------
    >>> from driftgauge.shared.reference.profile import NumericReference
    >>> _size(
    ...     0.6,
    ...     200,
    ...     ReferenceProfile(10, (NumericReference.build("error", np.array([0.0] * 9 + [1.0])),)),
    ... )
    '30.0 % errors instead of 10.0 % over 200 labels'
    >>> _size(0.6, 200, ReferenceProfile(10, (NumericReference.build("error", np.arange(10.0)),)))
    '60.0 % of the errors are larger than usual, instead of 50.0 %, over 200 labels'
    """
    column = profile.columns[0]
    if column.kind == "numeric" and set(getattr(column, "cuts", ())) <= {0.0, 1.0}:
        before = 1 - column.counts[int(column.cells(np.zeros(1))[0])] / max(sum(column.counts), 1)
        now = min(max(2 * mean_rank - 1 + before, 0.0), 1.0)
        words = f"{now:.1%} errors instead of {before:.1%} over {width} labels"
    else:
        words = f"{mean_rank:.1%} of the errors are larger than usual, instead of 50.0%, "
        words += f"over {width} labels"
    return words.replace("%", " %")
