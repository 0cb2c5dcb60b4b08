"""Values become cells of the reference, and cells become ranks, by table look-ups without a loop
over events.
"""

from collections.abc import Sequence
from functools import cached_property
from operator import attrgetter
from typing import Self

import numpy as np
from numpy.typing import NDArray

from driftgauge.consumer.counting.entries.columns import CheckedDecoder
from driftgauge.consumer.counting.panes.numbers import array_of, columns_of
from driftgauge.consumer.counting.panes.odd import OddRows
from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.contract.events import Prediction, Source, Value
from driftgauge.shared.contract.pane import LATENCY_EDGES_MS
from driftgauge.shared.performance import (
    Layout,
    Measures,
    PerformanceReference,
    can_estimate,
    empty_counts,
    score_counts,
)
from driftgauge.shared.reference.building import counted
from driftgauge.shared.reference.calibration import Calibration
from driftgauge.shared.reference.profile import (
    CategoricalReference,
    Column,
    ColumnReference,
    ReferenceProfile,
)
from driftgauge.shared.reference.runs import marks
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.reference.segments import SegmentLayout
from driftgauge.shared.versions.manifest import PublishedVersion


class CellMap:
    """Maps the predictions of one model version to the cells of its reference.

    Parameters
    ----------
    schema, reference
        Schema and reference of the version.
    calibration
        Calibration: which columns are ordered in time; None without one.
    batch_counts
        Whether predictions from batches count for drift, beside those that were made online.
    labels
        Whether predictions wait for their labels.
    performance
        Performance on the labelled reference rows; None without any.

    Attributes
    ----------
    sources
        Sources of the predictions that count for drift.
    watched
        Positions of the columns that count for drift: the prediction, and the features that are
        neither excluded nor a function of the clock.
    exchangeable
        Positions of the watched columns whose rows are taken as exchangeable; detectors that assume
        it watch only these.
    layout
        Layout of the performance sums; None if predictions do not wait for labels.
    scored
        Layout of the probabilities that are counted to estimate the performance; None if they are
        not.
    runs
        Runs of one value in the reference's columns; empty if its order in time is not known.
    errors
        Profile of the reference's errors; None if labels do not come, or the reference has none.
    labels
        Profile of the reference's labels; None if labels do not come, or the reference has none.
    segments
        Layout of the segments; None if there are none.
    measures
        Sums of each segment's joined rows; None without segments or labels.
    """

    def __init__(
        self,
        schema: Schema,
        reference: ReferenceProfile,
        calibration: Calibration | None = None,
        *,
        batch_counts: bool = False,
        labels: bool = False,
        performance: PerformanceReference | None = None,
    ) -> None:
        self.schema = schema = schema.stream
        self.reference = reference
        self.sources = frozenset[Source]({"online", "batch"} if batch_counts else {"online"})
        self.offsets = reference.offsets
        self.size = int(self.offsets[-1])
        self.numeric = all(feature.counted == "numeric" for feature in schema.features)
        self.has_prediction = len(reference.columns) > len(schema.features)
        self.watched = [
            place for place, feature in enumerate(schema.features) if not feature.excluded
        ]
        if self.has_prediction:
            self.watched.append(len(schema.features))
        orders = calibration.order if calibration is not None else {}
        order = {
            place: orders.get(reference.columns[place].name, "exchangeable")
            for place in self.watched
        }
        self.watched = [place for place in self.watched if order[place] != "clock"]
        self.exchangeable = [place for place in self.watched if order[place] == "exchangeable"]
        self.runs = calibration.timeline.runs if calibration is not None else ()
        layout = Layout.of(schema, reference)
        self.layout = layout if labels else None
        estimates = performance is not None and performance.scores is not None
        self.scored = layout if estimates and can_estimate(layout) else None
        known = performance.errors if performance is not None and labels else None
        self.errors = ReferenceProfile(sum(known.counts), (known,)) if known is not None else None
        self.labels = performance.labels if performance is not None and labels else None
        self.segments = SegmentLayout.of(reference)
        parted = self.segments is not None and self.layout is not None
        self.measures = (
            Measures.of_version(
                self.layout, reference, performance.mean_error if performance else None
            )
            if parted and self.layout
            else None
        )

    @classmethod
    def of(cls, version: PublishedVersion) -> Self:
        """Return the map of a published version, as counting uses it."""
        return cls(
            version.schema,
            version.reference,
            version.calibration,
            batch_counts=version.manifest.batch_counts,
            labels=version.manifest.labels,
            performance=version.performance,
        )

    @cached_property
    def decoder(self) -> CheckedDecoder:
        """Decoder of predictions with this schema."""
        return CheckedDecoder(self.schema)

    @cached_property
    def beyond(self) -> NDArray[np.bool_]:
        """Whether a cell holds values that the reference does not have: numbers outside its range,
        or unseen categories.
        """
        found = np.zeros(self.size, dtype=np.bool_)
        for place, column in enumerate(self.reference.columns):
            first, last = int(self.offsets[place]), int(self.offsets[place + 1]) - 1
            if isinstance(column, CategoricalReference):
                found[first + column.unseen : last] = True
            elif column.cuts:
                found[[first, last - 1]] = True
        return found

    @cached_property
    def missing(self) -> NDArray[np.bool_]:
        """Whether a cell holds no value."""
        found = np.zeros(self.size, dtype=np.bool_)
        for first, column in zip(self.offsets[:-1].tolist(), self.reference.columns, strict=True):
            found[first + column.missing] = True
        return found

    @cached_property
    def ranks(self) -> Floats:
        """The rank u = F_ref(x) of each cell, between 0 and 1, mid-rank within it; NaN for
        MISSING.
        """
        return np.concatenate([_column_ranks(column) for column in self.reference.columns])

    @cached_property
    def error_ranks(self) -> Floats:
        """Rank of each cell of the errors, 0 to 1; NaN for MISSING."""
        assert self.errors is not None  # noqa: S101  only errors that have a profile are ranked
        return _ranks(np.array(self.errors.columns[0].counts, dtype=float))

    def fault(self, prediction: Prediction) -> str | None:
        """Say why a prediction does not fit the schema, None if it fits."""
        expected = len(self.schema.features)
        if len(prediction.features) != expected:
            return (
                f"{len(prediction.features)} features, but version {prediction.version} has "
                f"{expected}"
            )
        for feature, value in zip(self.schema.features, prediction.features, strict=True):
            if value is not None and isinstance(value, str) == (feature.counted == "numeric"):
                return (
                    f"feature {feature.name!r} is {feature.kind}, but its value is "
                    f"{type(value).__name__}"
                )
        kind, value = self.schema.prediction, prediction.prediction
        if value is not None and kind is not None and isinstance(value, str) == (kind == "numeric"):
            return f"the prediction is {kind}, but its value is {type(value).__name__}"
        return None

    def cells(self, predictions: Sequence[Prediction]) -> Ints:
        """Return the cell of every value, shape (columns, predictions), as places in the vector of
        all cells.
        """
        return self.reference.cells(self._columns(predictions))

    def mapped(self, predictions: Sequence[Prediction]) -> tuple[Ints, Ints | None, "OddRows"]:
        """Return the cell of every value, its mark (shared/reference/runs.py), which is asked for
        only where the runs of the reference are known, and the values that the reference does not
        have.
        """
        columns = self._columns(predictions)
        cells = self.reference.cells(columns)
        odd = OddRows.of(columns, self.beyond.take(cells))
        if not self.runs:
            return cells, None, odd
        marked = np.empty_like(cells)
        for place, (reference, values) in enumerate(
            zip(self.reference.columns, columns, strict=True)
        ):
            marked[place] = marks(reference, values, cells[place])
        return cells, marked, odd

    def score_counts(self, predictions: Sequence[Prediction]) -> Ints:
        """Count the probabilities, flat; predictions that have none of all classes are left out."""
        assert self.scored is not None  # noqa: S101  its caller has looked
        classes = len(self.scored.classes)
        chosen = [
            one
            for one in predictions
            if one.probabilities is not None and len(one.probabilities) == classes
        ]
        if not chosen:
            return empty_counts(self.scored).ravel()
        given = np.array([one.probabilities for one in chosen])
        return score_counts(self.scored, [one.prediction for one in chosen], given).ravel()

    def _columns(self, predictions: Sequence[Prediction]) -> list[Column]:
        rows = list(map(attrgetter("features"), predictions))
        if self.numeric:
            columns: list[Column] = list(columns_of(rows, len(self.schema.features)))
        else:
            kinds = [feature.counted for feature in self.schema.features]
            columns = [
                _column(values, kind)
                for values, kind in zip(zip(*rows, strict=True), kinds, strict=True)
            ]
        if self.schema.timed:
            events_ms = array_of(list(map(attrgetter("time"), predictions)))
            columns = counted(self.schema, columns, events_ms)
        if self.has_prediction:
            columns.append(
                _column(
                    [prediction.prediction for prediction in predictions], self.schema.prediction
                )
            )
        return columns


def told_latencies(predictions: Sequence[Prediction]) -> Floats:
    """Return the latencies (ms) of predictions; those that tell none are left out."""
    values = array_of(list(map(attrgetter("latency_ms"), predictions)))
    return values[~np.isnan(values)]


def latency_cells(latencies_ms: Floats) -> Ints:
    """Return the cell of each latency."""
    return np.searchsorted(LATENCY_EDGES_MS, latencies_ms)


def _column(values: Sequence[Value], kind: str | None) -> Column:
    return list(values) if kind == "categorical" else array_of(values)


def _column_ranks(column: ColumnReference) -> Floats:
    """Mid-ranks of a column's cells; of categories, in the order of their places."""
    counts = np.array(column.counts, dtype=float)
    if not isinstance(column, CategoricalReference):
        return _ranks(counts)
    places = np.array(column.places)
    ranks = _ranks(np.append(np.bincount(places, weights=counts[:-1]), counts[-1]))
    return np.append(ranks[places], np.nan)


def _ranks(counts: Floats) -> Floats:
    """Mid-ranks of the cells of one column, MISSING (the last) left out of the total."""
    present = counts[:-1]
    total = present.sum()
    ranks = np.full(len(counts), np.nan)
    if total:
        ranks[:-1] = (np.cumsum(present) - present / 2) / total
    return ranks
