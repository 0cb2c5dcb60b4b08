"""A model version as judging uses it, derived once from the published version."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from driftgauge.consumer.judging.evaluating.beside_atom import BesideAtom
from driftgauge.consumer.judging.evaluating.bins import PooledBins
from driftgauge.consumer.judging.evaluating.integrity import IntegrityCheck, checks_of
from driftgauge.consumer.judging.evaluating.rare_categories import RareCategories
from driftgauge.consumer.judging.evaluating.segment_reference import SegmentReference
from driftgauge.consumer.judging.ordered.week import WeekReference
from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.performance import Layout, PerformanceBaselines
from driftgauge.shared.reference.calibration import Calibration, FeatureCalibration
from driftgauge.shared.reference.profile import PREDICTION, ReferenceProfile
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.statistics import ColumnCounts, ReferenceSide
from driftgauge.shared.statistics.counts import Pooled
from driftgauge.shared.versions.manifest import PublishedVersion


@dataclass(frozen=True)
class JudgedVersion:
    """A version with everything that judging derives from it.

    `baselines` are those of its performance, None if it predicts nothing; `labels` is whether it
    gets labels.
    """

    schema: Schema
    reference: ReferenceProfile
    calibration: Calibration | None = None
    baselines: PerformanceBaselines | None = None
    labels: bool = False
    number: int = 0
    """Number of the reference: 0 is the registered one."""

    @classmethod
    def of(cls, version: PublishedVersion, number: int = 0) -> "JudgedVersion":
        """Derive it from a published version."""
        layout = Layout.of(version.schema, version.reference)
        baselines = (
            None
            if layout is None
            else PerformanceBaselines(
                layout, version.manifest.metrics, version.performance, version.schema.unit
            )
        )
        labels = version.manifest.labels and baselines is not None
        return cls(
            version.schema.stream, version.reference, version.calibration, baselines, labels, number
        )

    def excluded(self, column: int) -> str:
        """Why a column is left out of drift; empty if it is not."""
        features = self.schema.features
        declared = features[column].excluded if column < len(features) else ""
        found = self.calibrated(column)
        return declared or (found.reason if found is not None and found.order == "clock" else "")

    def unit(self, column: int) -> str:
        """Return the unit of a column's numbers, as the schema has it; empty if there is none."""
        features = self.schema.features
        return features[column].judged_unit if column < len(features) else self.schema.unit

    @cached_property
    def derived(self) -> frozenset[str]:
        """Names of the columns that are derived of all numeric features together."""
        return frozenset(feature.name for feature in self.schema.features if feature.derived)

    def calibrated(self, column: int) -> FeatureCalibration | None:
        """Return the calibration of a column; None without one."""
        return self.calibration.features[column] if self.calibration is not None else None

    def is_exchangeable(self, column: int) -> bool:
        """Return whether a column's rows are taken as exchangeable, so that closed-form thresholds
        hold.
        """
        found = self.calibrated(column)
        return found is None or found.order == "exchangeable"

    @cached_property
    def ordered(self) -> list[int]:
        """Positions of the columns that are judged on whole days."""
        orders = [self.calibrated(place) for place in self.watched]
        return [
            place
            for place, found in zip(self.watched, orders, strict=True)
            if found and found.order == "ordered"
        ]

    @cached_property
    def week(self) -> WeekReference | None:
        """The reference for whole days; None if no column is ordered."""
        return (
            WeekReference(self.reference, self.calibration)
            if self.calibration is not None and self.ordered
            else None
        )

    @cached_property
    def watched(self) -> list[int]:
        """Positions of the columns that count for drift."""
        return [place for place in range(len(self.reference.columns)) if not self.excluded(place)]

    @cached_property
    def target(self) -> ReferenceSide | None:
        """The reference of the labels; None if no labels come, or the reference has none."""
        known = self.baselines.reference if self.baselines is not None and self.labels else None
        return (
            ReferenceSide(known.labels) if known is not None and known.labels is not None else None
        )

    @cached_property
    def target_excluded(self) -> str:
        """Why the labels are shown and not judged; empty if they are judged."""
        column = self.place.get(PREDICTION)
        if column is None or self.is_exchangeable(column):
            return ""
        return (
            "the prediction is ordered in time, and so are the labels that it follows: they are "
            "shown, and not judged"
        )

    @property
    def judged_columns(self) -> int:
        """Number of columns that are judged by PSI: those that count for drift, and the labels."""
        return len(self.watched) + (self.target is not None and not self.target_excluded)

    @cached_property
    def segments(self) -> SegmentReference | None:
        """The reference of the segments; None if there are none."""
        exchangeable = [place for place in self.watched if self.is_exchangeable(place)]
        return SegmentReference.of(self.reference, self.baselines, self.watched, exchangeable)

    @cached_property
    def sides(self) -> list[ReferenceSide]:
        """The reference of each column."""
        return [ReferenceSide(column) for column in self.reference.columns]

    def counts_of(self, cells: Ints, column: int) -> ColumnCounts:
        """Return one column's counts as the statistics see them."""
        return ColumnCounts(
            self.reference.columns[column], self.part(cells, column), self.sides[column]
        )

    @cached_property
    def place(self) -> dict[str, int]:
        """Position of each column, by name."""
        return {column.name: place for place, column in enumerate(self.reference.columns)}

    def part(self, cells: Ints, column: int) -> Ints:
        """Return one column's part of the vector of all cells, or of many, shape (…, cells)."""
        offsets = self.reference.offsets
        return cells[..., offsets[column] : offsets[column + 1]]

    @cached_property
    def parts(self) -> dict[int, RareCategories | BesideAtom]:
        """The part of each column that is judged by itself beside the column: its rare categories,
        or what stands beside its commonest value. Of a column that is ordered in time it is shown.
        """
        columns = self.watched
        found = {
            place: RareCategories.of(self.reference, place) or BesideAtom.of(self.reference, place)
            for place in columns
        }
        return {place: part for place, part in found.items() if part is not None}

    @cached_property
    def checks(self) -> list[IntegrityCheck]:
        """The integrity checks of all watched columns."""
        return [check for place in self.watched for check in self._checks(place)]

    def _checks(self, place: int) -> Iterator[IntegrityCheck]:
        """Yield a column's integrity checks. Rows of an ordered column count as fewer rows, since
        they are dependent.
        """
        found = self.calibrated(place)
        if found is None or self.calibration is None or self.is_exchangeable(place):
            return checks_of(self.reference, place)
        clustering = self.calibration.timeline.clustering(place)
        return checks_of(self.reference, place, max(found.overdispersion or 1.0, 1.0), clustering)

    @cached_property
    def _check_cells(self) -> tuple[Ints, Ints, Floats]:
        """The cells of all integrity checks in one vector, the start of each check's cells, and the
        mean of its distribution.
        """
        cells = [check.cells for check in self.checks]
        starts = np.cumsum([0, *(len(part) for part in cells)])[:-1]
        return np.concatenate(cells), starts, np.array([check.mean for check in self.checks])

    def bad_counts(self, cells: Ints) -> tuple[Ints, Floats]:
        """Return the bad rows of every integrity check, and the mean of its distribution."""
        if not self.checks:
            return np.zeros(0, dtype=np.int64), np.zeros(0)
        places, starts, means = self._check_cells
        return np.add.reduceat(cells[places], starts), means

    @cached_property
    def _bins(self) -> dict[tuple[Pooled, ...], PooledBins]:
        """The pooled bins of all columns, by those of each; few are kept."""
        return {}

    @cached_property
    def _bins_of_rows(self) -> dict[int, PooledBins]:
        """The same by the number of window rows."""
        return {}

    def bins_for(self, rows: int) -> PooledBins:
        """Return the pooled bins for a number of window rows."""
        found = self._bins_of_rows.get(rows)
        if found is None:
            n = self.reference.rows
            columns = tuple(side.pooling.of(n, rows) for side in self.sides)
            found = self._bins.get(columns)
            if found is None:
                if len(self._bins) >= MAX_BINS_KEPT:
                    self._bins.clear()
                found = self._bins[columns] = PooledBins.of(columns, n)
            if len(self._bins_of_rows) >= MAX_ROWS_KEPT:
                self._bins_of_rows.clear()
            self._bins_of_rows[rows] = found
        return found


MAX_BINS_KEPT = 64
MAX_ROWS_KEPT = 1024
