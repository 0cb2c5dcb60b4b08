"""How alike the segments of each feature are treated, in a window and in the reference.

Who is selected is known of the predictions alone, in the drift window. Who was selected rightly or
wrongly needs labels, and so is known of the labelled window.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from driftgauge.consumer.judging.evaluating.segment_reference import SegmentReference
from driftgauge.consumer.judging.policy import FairnessLimit
from driftgauge.shared.arrays import Ints
from driftgauge.shared.contract.severity import AlertSeverity
from driftgauge.shared.performance import (
    MEASURES,
    Disparity,
    GroupCounts,
    Measure,
    Rate,
    disparity,
    label_counts,
)
from driftgauge.shared.reference.profile import PREDICTION, CategoricalReference

Counts = Mapping[Rate, GroupCounts]


def severity_of(limit: FairnessLimit, found: Disparity) -> AlertSeverity | None:
    """Return how bad a measure with its interval is by a limit: its whole interval must lie beyond
    it; None if it does not.
    """
    measure = MEASURES[limit.measure]
    nearest = found.high if measure.is_ratio else found.low
    if nearest is None:
        return None
    if limit.critical is not None and measure.is_beyond(nearest, limit.critical):
        return "critical"
    beyond = limit.warning is not None and measure.is_beyond(nearest, limit.warning)
    return "warning" if beyond else None


@dataclass(frozen=True)
class Fairness:
    """The counts of what happened to the rows of every segment.

    Parameters
    ----------
    reference
        Reference of the segments.
    window
        Window rows by segment and bin, shape (segments, bins).
    sums
        Sums over the labelled rows, flat; None without labels.
    stated
        The favourable outcome that the policy states; empty if it states none.
    """

    reference: SegmentReference
    window: Ints
    sums: Ints | None
    stated: str = ""

    @property
    def outcome(self) -> str:
        """The favourable outcome: the one that is stated, or else the second of two classes, which
        is the positive one everywhere; empty if there is none.
        """
        classes = self._classes
        if self.stated:
            return self.stated if self.stated in classes else ""
        return classes[1] if len(classes) == 2 else ""

    @property
    def lacking(self) -> str:
        """Why there is no favourable outcome; empty if there is one."""
        if self.outcome:
            return ""
        if not self._classes:
            return "the version predicts no classes"
        if self.stated:
            return "no class of the version is the policy's favourable outcome"
        return "the policy states no favourable outcome of the version's classes"

    @property
    def _classes(self) -> tuple[str, ...]:
        measures = self.reference.measures
        return measures.layout.classes if measures is not None and not measures.numeric else ()

    @cached_property
    def now(self) -> Counts:
        """Counts of every rate that the window knows, of all segments."""
        return self._counts(self.window, self.sums)

    @cached_property
    def before(self) -> Counts:
        """The same of the reference."""
        return self._counts(self.reference.counts, self.reference.sums)

    def of(self, measure: Measure, feature: str, confidence: float | None) -> Disparity:
        """Compute a measure over the segments of a feature, with an interval if a confidence is
        given; `least` and `most` are their places among them.
        """
        return disparity(measure, self._of(self.now, feature), confidence)

    def baseline(self, measure: Measure, feature: str) -> float | None:
        """Return a measure of the reference rows; None where it is not defined."""
        return disparity(measure, self._of(self.before, feature), None).value

    def _of(self, counts: Counts, feature: str) -> Counts:
        place = dict(self.reference.features())[feature]
        return {rate: known.of(place) for rate, known in counts.items()}

    def _counts(self, rows: Ints, sums: Ints | None) -> dict[Rate, GroupCounts]:
        outcome, measures = self.outcome, self.reference.measures
        if not outcome or measures is None:
            return {}
        found = self._selected(rows, outcome)
        return found if sums is None else found | label_counts(measures, sums, outcome)

    def _selected(self, rows: Ints, outcome: str) -> dict[Rate, GroupCounts]:
        """Count the rows that are predicted as the outcome; nothing if the reference never was, so
        that it has no bin.
        """
        layout, column = self.reference.layout, self.reference.profile.columns[-1]
        if not isinstance(column, CategoricalReference) or column.name != PREDICTION:
            return {}
        if outcome not in column.categories:
            return {}
        first, last = layout.bin_starts[-2:].tolist()
        own = rows[:, first + column.categories.index(outcome)]
        return {"selection_rate": GroupCounts(own, rows[:, first:last].sum(axis=1))}
