"""A new reference from panes: the sum of their cells replaces the cells of the training rows.

If the version is calibrated, the days of those panes replace the reference's days. With at least 8
weeks of them the calibration is computed again by replay. With fewer, the classification and the
thresholds stay, since they describe how much a week of this process varies, and live weeks are
compared with the new days.
"""

from collections.abc import Callable, Iterable

import msgspec
import numpy as np

from driftgauge.consumer.judging.ordered.day_bins import WEEK
from driftgauge.consumer.judging.ordered.order import calibrated
from driftgauge.consumer.judging.ordered.replay_threshold import LEAST_WEEKS
from driftgauge.shared.arrays import Ints
from driftgauge.shared.contract.pane import Pane, unpack_counts
from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.accepted import AcceptedReference, recounted
from driftgauge.shared.reference.calibration import Calibration, Timeline
from driftgauge.shared.reference.profile import ReferenceProfile
from driftgauge.shared.reference.segments import SegmentLayout
from driftgauge.shared.versions.manifest import PublishedVersion

DAY_MS = 86_400_000
PARTIAL = 0.5
"""Share of the usual rows below which a first or last day counts as incomplete and is left out."""


def proposed(
    version: PublishedVersion,
    panes: Iterable[Pane],
    least_rows: int,
    progress: Callable[[], None] = lambda: None,
) -> AcceptedReference:
    """Make a reference from panes; its number is given when it is stored.

    Parameters
    ----------
    version
        The version with its registered reference.
    panes
        Panes or roll-ups; each lies within one logical day.
    least_rows
        Least number of rows of a reference.
    progress
        Function that is called after each step of the calibration.

    Raises
    ------
    BadData
        If the panes have too few rows, or too few whole days for ordered columns.
    """
    name = version.manifest.version
    days: dict[int, Ints] = {}
    layout = SegmentLayout.of(version.reference)
    segments = layout.no_counts() if layout is not None else None
    rows, start, end = 0, 0, 0
    for pane in panes:
        block = pane.blocks.get(name)
        if block is None or not block.rows:
            continue
        start, end = start or pane.start, max(end, pane.end)
        rows += block.rows
        day = pane.start // DAY_MS
        cells = unpack_counts(block.cells)
        days[day] = days[day] + cells if day in days else cells
        if segments is not None:
            segments += unpack_counts(block.segments)
    if rows < least_rows:
        raise BadData(
            f"The window has {rows:,} rows of {version.manifest.model} {name} that count for "
            f"drift, and a reference needs "
            f"{least_rows:,}. Choose a longer window or range."
        )
    profile = recounted(
        version.reference, np.sum(list(days.values()), axis=0, dtype=np.int64), segments
    )
    calibration = (
        _calibration(version.calibration, profile, days, progress)
        if version.calibration is not None
        else None
    )
    return AcceptedReference(name, 1, profile, calibration, start, end)


def _calibration(
    before: Calibration,
    profile: ReferenceProfile,
    days: dict[int, Ints],
    progress: Callable[[], None],
) -> Calibration:
    """Replace the days of a calibration, and compute it again if there are enough days."""
    timeline = _timeline(before.timeline, profile, days)
    if timeline.weeks >= LEAST_WEEKS:
        return calibrated(
            profile, timeline, target=before.target, watch=before.watch, progress=progress
        )
    if not timeline.weeks and any(feature.order == "ordered" for feature in before.features):
        raise BadData(
            f"Some features are ordered in time and judged on weeks; the window has "
            f"{timeline.days} whole days, and at "
            f"least {WEEK} are needed. Choose a longer window or range."
        )
    return msgspec.structs.replace(
        before, timeline=timeline, realised=None, alarm_share=None, in_order=None
    )


def _timeline(before: Timeline, profile: ReferenceProfile, days: dict[int, Ints]) -> Timeline:
    """Sum each whole day to bins; what depends on the order of single rows stays as it was."""
    bin_of_cell, size = [], 0
    for column in profile.columns:
        bin_of_cell.append(np.array(column.bin_of_cell) + size)
        size += max(column.bin_of_cell) + 1
    places = np.concatenate(bin_of_cell)
    first, last = _whole(days)
    counts = np.zeros((last - first + 1, size), dtype=np.int64)
    for day, cells in days.items():
        if first <= day <= last:
            counts[day - first] = np.bincount(places, weights=cells, minlength=size).astype(
                np.int64
            )
    return Timeline.of(first, counts, before.bins, before.autocorrelation, before.clock)


def _whole(days: dict[int, Ints]) -> tuple[int, int]:
    """Return the first and the last whole day."""
    first, last = min(days), max(days)
    rows = {day: int(cells.sum()) for day, cells in days.items()}
    usual = PARTIAL * float(np.median(list(rows.values())))
    if last > first and rows[last] < usual:
        last -= 1
    if last > first and rows[first] < usual:
        first += 1
    return first, last
