"""Predictions of one version within a run: their cells, and the counts that they add to a pane."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from operator import attrgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftgauge.consumer.counting.panes.cells import CellMap, latency_cells, told_latencies
from driftgauge.consumer.counting.panes.odd import OddRows
from driftgauge.consumer.counting.panes.open_pane import OpenBlock
from driftgauge.consumer.counting.traffic import Told
from driftgauge.shared.arrays import Ints
from driftgauge.shared.contract.events import Prediction, Source
from driftgauge.shared.contract.pane import Slowest, slowest_of
from driftgauge.shared.otel.context import trace_of

SOURCE: Final = attrgetter("source")
TRACE: Final = attrgetter("trace")


@dataclass(slots=True)
class Group:
    """Predictions of one version: their rows in the run, their cells, and which of them count for
    drift.
    """

    version: str
    cell_map: CellMap
    predictions: list[Prediction]
    rows: Ints
    cells: Ints
    marks: Ints | None
    odd: OddRows
    names: list[Source]
    counted: NDArray[np.bool_]

    @classmethod
    def of(
        cls, version: str, cell_map: CellMap, predictions: list[Prediction], rows: Ints
    ) -> "Group":
        names = list(map(SOURCE, predictions))
        counted = np.fromiter(map(cell_map.sources.__contains__, names), np.bool_, count=len(names))
        cells, marks, odd = cell_map.mapped(predictions)
        traces = _traces(predictions)
        if traces is not None:
            odd = odd.traced(traces, cell_map.missing[cells])
        return cls(version, cell_map, predictions, rows, cells, marks, odd, names, counted)

    def add_to(self, block: OpenBlock, part: slice) -> Told:
        """Add some rows to the counts of a pane; return what they tell beside their values."""
        counted = self.counted[part]
        cells = self.cells[:, part] if counted.all() else self.cells[:, part][:, counted]
        block.cells += np.bincount(cells.ravel(), minlength=self.cell_map.size)
        latencies = told_latencies(self.predictions[part])
        latency = np.bincount(latency_cells(latencies), minlength=len(block.latency))
        block.latency += latency
        block.rows += int(counted.sum())
        block.add_odd(self.odd.values(part, self.counted))
        if self.odd.traces is not None:
            block.add_slowest(self._slowest(self.odd.traces, part))
        if self.cell_map.scored is not None:
            block.add_scores(
                self.cell_map.score_counts(list(compress(self.predictions[part], counted.tolist())))
            )
        if self.cell_map.segments is not None and block.segments is not None:
            self.cell_map.segments.count(cells, block.segments)
        sources = self._sources(part)
        for source, count in sources.items():
            block.sources[source] = block.sources.get(source, 0) + count
        return Told(sources, latencies, latency)

    def _slowest(self, traces: Sequence[str | None], part: slice) -> Slowest:
        """Return the slowest traced predictions of some rows that count."""
        found = zip(self.predictions[part], traces[part], self.counted[part].tolist(), strict=True)
        return slowest_of(
            (one.latency_ms or 0.0, trace)
            for one, trace, counts in found
            if counts and trace is not None
        )

    def _sources(self, part: slice) -> dict[str, int]:
        """Count the sources of some rows, in the order in which they came first."""
        names = self.names[part]
        return {str(name): names.count(name) for name in dict.fromkeys(names)}


def _traces(predictions: Sequence[Prediction]) -> list[str | None] | None:
    """Return the trace of each prediction; None if no one has any, as most have not."""
    if not any(map(TRACE, predictions)):
        return None
    return [None if one.trace is None else trace_of(one.trace) for one in predictions]


def segments_of(groups: Sequence[Group], rows: int) -> list[bytes] | None:
    """Return the segments of each prediction of a run; None if no version has any."""
    if all(group.cell_map.measures is None for group in groups):
        return None
    found = [b""] * rows
    for group in groups:
        if group.cell_map.segments is not None and group.cell_map.measures is not None:
            for row, packed in zip(
                group.rows.tolist(), group.cell_map.segments.packed(group.cells), strict=True
            ):
                found[row] = packed
    return found
