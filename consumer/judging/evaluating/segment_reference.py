"""The reference of a version's segments: their rows, and the model's performance in each."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.performance import (
    REFERENCE_CONFIDENCE,
    Baseline,
    Confidence,
    Measures,
    PerformanceBaselines,
    SegmentMetric,
    by_segment,
    unit_of,
)
from driftgauge.shared.reference.profile import ReferenceProfile
from driftgauge.shared.reference.segments import SegmentLayout
from driftgauge.shared.statistics.counts import least_rows

Marks = NDArray[np.bool_]
LONGEST: Final = 60
"""Most characters of a segment's name in a sentence."""


@dataclass(frozen=True)
class SegmentReference:
    """The segments of one reference.

    Parameters
    ----------
    layout
        Numbering of the segments and their bins.
    profile
        Profile of the reference.
    counts
        Reference rows by segment and bin, shape (segments, bins).
    shown, judged
        Whether the drift of a column in a segment is shown, and whether it is judged, shape
        (segments, columns). A segment's own feature is neither, since it is constant there.
    measures, sums
        Definition of the sums over labelled rows, and their values on the labelled reference rows,
        flat; None if the version predicts nothing, or there are no such rows.
    unit
        Unit of the labels, as the schema has it.
    """

    layout: SegmentLayout
    profile: ReferenceProfile
    counts: Ints
    shown: Marks
    judged: Marks
    measures: Measures | None = None
    sums: Ints | None = None
    unit: str = ""

    @classmethod
    def of(
        cls,
        profile: ReferenceProfile,
        baselines: PerformanceBaselines | None,
        watched: Sequence[int],
        exchangeable: Sequence[int],
    ) -> "SegmentReference | None":
        """Build it from a version's reference; None if that has no segments.

        Parameters
        ----------
        watched, exchangeable
            Positions of the columns that count for drift, and of those among them for which
            closed-form thresholds hold.
        """
        layout = SegmentLayout.of(profile)
        if layout is None:
            return None
        counts = np.array(
            [rows for held in profile.segments for rows in held.counts], dtype=np.int64
        )
        shown = np.zeros((layout.size, len(profile.columns)), dtype=bool)
        judged = shown.copy()
        shown[:, list(watched)], judged[:, list(exchangeable)] = True, True
        for place, (start, end) in zip(
            layout.places, itertools.pairwise(layout.starts), strict=True
        ):
            shown[start:end, place] = judged[start:end, place] = False
        if baselines is None:
            return cls(layout, profile, counts, shown, judged)
        reference = baselines.reference
        measures = Measures.of_version(
            baselines.layout, profile, reference.mean_error if reference else None
        )
        sums = (
            np.array(reference.segments, dtype=np.int64)
            if reference is not None and reference.segments
            else None
        )
        return cls(layout, profile, counts, shown, judged, measures, sums, baselines.unit)

    @cached_property
    def least_rows(self) -> Floats:
        """The reference rows of a segment that each bin needs, shape (bins,)."""
        return np.concatenate([least_rows(column) for column in self.profile.columns])

    @cached_property
    def rows(self) -> Ints:
        """Reference rows of each segment."""
        return rows_of(self.layout, self.counts)

    @cached_property
    def baselines(self) -> dict[str, SegmentMetric]:
        """The metrics of every segment on the labelled reference rows; empty without."""
        if self.measures is None or self.sums is None:
            return {}
        return by_segment(self.measures, self.sums, REFERENCE_CONFIDENCE)

    def baseline(self, name: str, segment: int, least: int) -> Baseline | None:
        """Return the baseline of a segment's metric, with its error; None with fewer labelled
        reference rows than `least`.
        """
        found = self.baselines.get(name)
        metric = found.of(segment) if found is not None else None
        if metric is None or metric.value is None or metric.n < least:
            return None
        error = 0.0 if metric.low is None or metric.high is None else (metric.high - metric.low) / 2
        z = Confidence(REFERENCE_CONFIDENCE).z
        return Baseline(metric.value, error / z, unit_of(name, self.unit))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The name of each segment in alerts, `feature=value`, each once: features and values may
        hold a `=` themselves.
        """
        found: list[str] = []
        taken: set[str] = set()
        for segment in range(self.layout.size):
            name = "=".join(self.layout.name(segment))
            while name in taken:
                name += " (another)"
            taken.add(name)
            found.append(name)
        return tuple(found)

    def features(self) -> list[tuple[str, slice]]:
        """Return each feature with the range of its segments' numbers."""
        ends = itertools.pairwise(self.layout.starts)
        return [
            (name, slice(start, end))
            for name, (start, end) in zip(self.layout.features, ends, strict=True)
        ]


def rows_of(layout: SegmentLayout, counts: Ints) -> Ints:
    """Return the rows of each segment, from counts by segment and bin: every row is in one bin of
    the first column.
    """
    rows: Ints = counts[:, : int(layout.bin_starts[1])].sum(axis=1)
    return rows


def shortened(name: str) -> str:
    """Return a segment's name, shortened for a sentence.

    Examples
    --------
    >>> shortened("region=north"), len(shortened("region=" + 1000 * "x"))
    ('region=north', 60)
    """
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
