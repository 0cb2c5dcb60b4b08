"""The change of the model's metric in the labelled window, by segment (attribution.py), and its
explanation in words.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

from driftgauge.consumer.judging.evaluating.budget import JUDGED_METRICS
from driftgauge.consumer.judging.evaluating.segment_reference import SegmentReference, shortened
from driftgauge.consumer.judging.labelled.performance import Labelled
from driftgauge.consumer.judging.segments.attribution import Attribution, Means, attribute, clause
from driftgauge.shared.arrays import Ints
from driftgauge.shared.performance import LOSSES, mean_errors, unit_of
from driftgauge.shared.wording.numbers import short_figure, with_unit
from driftgauge.shared.wording.titles import title

NAMED: Final = 3
"""Most segments that a sentence names."""


@dataclass(frozen=True)
class SegmentChange:
    """The change of the model's metric against its reference, by segment.

    Parameters
    ----------
    reference
        Reference of the segments.
    labelled
        The labelled window; None for a version without labels.
    past
        Sums of past days by segment, flat, that are explained instead of the window; None for the
        window.
    """

    reference: SegmentReference
    labelled: Labelled | None
    past: Ints | None = None

    @property
    def metric(self) -> str:
        """Name of the metric whose change is divided among the segments; empty without labels."""
        if self.labelled is None or self.sums is None or self.reference.measures is None:
            return ""
        return JUDGED_METRICS[self.labelled.baselines.layout.kind][0]

    @property
    def sums(self) -> Ints | None:
        """Sums of the labelled rows by segment, flat; None without labels."""
        if self.past is not None:
            return self.past
        return self.labelled.window.segments if self.labelled is not None else None

    @cached_property
    def attributions(self) -> dict[str, Attribution]:
        """Attribution of the change of the mean error to the segments of each feature, by feature;
        empty without labels on both sides.
        """
        measures, sums, before = self.reference.measures, self.sums, self.reference.sums
        if measures is None or sums is None or before is None:
            return {}
        sides = [mean_errors(measures, side) for side in (sums, before)]
        parts = [
            (name, [Means(n[place], total[place], squares[place]) for n, total, squares in sides])
            for name, place in self.reference.features()
        ]
        return {
            name: attribute(now, then)
            for name, (now, then) in parts
            if now.rows > 0 and then.rows > 0
        }

    def clause(self, feature: str) -> str:
        """Return the explanation of the change by one feature's segments; empty without a change,
        or with too few labels.
        """
        found = self.attributions.get(feature)
        if found is None or self.labelled is None or (self.past is None and self.labelled.lacking):
            return ""
        return clause(found, feature, self._names(feature))

    def explanation(self, metric: str, bad: list[str]) -> str:
        """Return the explanation of an alert of the model's metric; empty if there is none.

        Parameters
        ----------
        bad
            Names of the segments in which the performance fell, for a metric that cannot be divided
            among them.
        """
        best = self._best
        if metric == self.metric:
            said = self.clause(best) if best else ""
            return f", {said}" if said else ""
        worse = [name for name in bad if name in self.explaining] or bad
        names = ", ".join(shortened(name) for name in worse[:NAMED])
        return (
            f", worse in {names}{f' and {len(worse) - NAMED} more' if len(worse) > NAMED else ''}"
            if worse
            else ""
        )

    @property
    def _best(self) -> str:
        """The feature whose segments explain the change best; empty if none does."""
        telling = [name for name, one in self.attributions.items() if one.kind in {"named", "mix"}]
        return max(telling, key=lambda name: self.attributions[name].beyond, default="")

    @property
    def explaining(self) -> set[str]:
        """Names of the segments in which the change is; empty if it is everywhere alike."""
        best = self._best
        places = self.attributions[best].places if best else ()
        return {self._names(best)[place] for place in places}

    def _names(self, feature: str) -> tuple[str, ...]:
        return self.reference.names[dict(self.reference.features())[feature]]

    def sentence(self, feature: str) -> str:
        """Return a sentence on what changed where; empty if nothing did."""
        said, labelled = self.clause(feature), self.labelled
        if not said or self.value is None or self.baseline is None or labelled is None:
            return ""
        before, now = short_figure(self.baseline), with_unit(short_figure(self.value), self.unit)
        return f"{title(self.metric)} {before} → {now}, {said}"

    @property
    def unit(self) -> str:
        """Unit of the metric; empty if it has none."""
        return unit_of(self.metric, self.reference.unit)

    @property
    def value(self) -> float | None:
        """The metric of all labelled rows."""
        return self._of_all(self.sums)

    @property
    def baseline(self) -> float | None:
        """The metric of all labelled reference rows."""
        return self._of_all(self.reference.sums)

    def _of_all(self, sums: Ints | None) -> float | None:
        if sums is None or self.reference.measures is None or not self.metric:
            return None
        rows, total, _ = (
            numbers[self.reference.features()[0][1]].sum()
            for numbers in mean_errors(self.reference.measures, sums)
        )
        if not rows:
            return None
        return float(total / rows) if self.metric in LOSSES else float(1 - total / rows)
