"""Whether the model is worse within a segment on past days (labelled/late.py)."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from driftgauge.consumer.judging.evaluating.budget import JUDGED_METRICS
from driftgauge.consumer.judging.evaluating.segment_reference import SegmentReference
from driftgauge.consumer.judging.labelled.late import Patience
from driftgauge.consumer.judging.labelled.metric_reading import judge
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.windows.labelled_days import DayTotal
from driftgauge.shared.arrays import Ints
from driftgauge.shared.performance import Measures, by_segment


@dataclass(frozen=True)
class SegmentFell:
    """The question whether a metric of one segment is worse than its baseline.

    Parameters
    ----------
    segment
        Number of the segment.
    level
        One-sided, of one metric, segment and day.
    """

    reference: SegmentReference
    measures: Measures
    segment: int
    level: float
    policy: JudgingPolicy

    @classmethod
    def of_all(
        cls, reference: SegmentReference | None, level: float, policy: JudgingPolicy
    ) -> Iterator["SegmentFell"]:
        """Ask it of every segment that has a baseline."""
        if reference is None or reference.measures is None:
            return
        for segment in range(len(reference.names)):
            one = cls(reference, reference.measures, segment, level, policy)
            if any(reference.baseline(name, segment, one.least) for name in one.metrics):
                yield one

    @property
    def metrics(self) -> tuple[str, ...]:
        return JUDGED_METRICS[self.measures.layout.kind]

    @property
    def subjects(self) -> Collection[str]:
        return (self.reference.names[self.segment],)

    @property
    def least(self) -> int:
        return self.policy.min_segment_rows

    def rows(self, total: DayTotal) -> int:
        return 0 if total.segments is None else int(self._own(total.segments)[0])

    def bad(self, total: DayTotal) -> Collection[str]:
        assert total.segments is not None  # noqa: S101  there are labels
        patience = Patience.after(self.rows(total), self.least, self.level)
        sure = patience.confidence
        for name, metric in by_segment(
            self.measures, self._own(total.segments), sure.level
        ).items():
            base = self.reference.baseline(name, self.segment, self.least)
            found = metric.of(0)
            if base is None or found.value is None:
                continue
            if judge(name, found, base, sure, self.policy, patience.widened)[0].severity:
                return self.subjects
        return ()

    def _own(self, sums: Ints) -> Ints:
        """Return the sums of this segment; the first is the number of rows."""
        size = self.measures.size
        return sums[self.segment * size : (self.segment + 1) * size]
