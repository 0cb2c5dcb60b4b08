"""When a column changed, estimated from the panes of its window, and what it was like since then.

The panes after a change have another distribution than the reference. For each pane as the first
one after it, the likelihood ratio of the later panes is taken: their own distribution against the
reference's, less what a fit gains by chance (the Bayesian information criterion). The change is
where it is largest. Moments at which it is nearly as large are possible
too, so an abrupt change is known to a pane and a slow one only roughly.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from scipy.special import xlogy

from driftgauge.consumer.judging.evaluating.evaluation import Evaluation
from driftgauge.consumer.judging.windows.window import VersionWindow, WindowPane
from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.contract.incident import Change
from driftgauge.shared.contract.pane import unpack_counts

SURE: Final = 5.0
"""Logarithm of how many times likelier the rows must be with a change than without one, for its
moment to be believed; and of how many times less likely than the likeliest moment another one may
be and still be possible.
"""
MOST_STEPS: Final = 64
"""Most moments that are looked at: neighbouring panes of a longer window are taken together."""


@dataclass(frozen=True, slots=True)
class Located:
    """The change of a column.

    Parameters
    ----------
    when
        When it was; the whole window if that cannot be told.
    cells
        Counts of the column's cells since then, shape (cells,).
    strength
        How much the rows since then differ from the reference: the Kullback-Leibler divergence of
        the shares of the bins, in nats.
    is_sure
        Whether the rows tell that there was a change at all.
    """

    when: Change
    cells: Ints
    strength: float
    is_sure: bool = False


@dataclass
class Changes:
    """The changes of the columns of one version's window.

    Parameters
    ----------
    evaluation
        The window's evaluation: bins, reference.
    window
        The window with its panes.
    now
        Logical time (ms) at which it is looked at.
    """

    evaluation: Evaluation
    window: VersionWindow
    now: int
    _steps: list[tuple[int, int, Ints]] = field(default_factory=list)

    def of(self, column: int) -> Located:
        """Locate the change of a column, by its position in the reference."""
        steps = self._counted()
        offsets = self.evaluation.version.reference.offsets
        first, last = int(offsets[column]), int(offsets[column + 1])
        start, end = self.window.span(self.now)
        whole = Change(start, start, end)
        if not steps:
            return Located(whole, np.zeros(last - first, dtype=np.int64), 0.0)
        counts = np.stack([cells[first:last] for _, _, cells in steps])
        law, binned = self._bins(column, counts)
        later = np.cumsum(binned[::-1], axis=0)[::-1]
        rows = np.maximum(later.sum(axis=1, keepdims=True), 1)
        fitted = (len(law) - 1) / 2 * np.log(rows[:, 0])  # what fitting the shares gains by chance
        gained = xlogy(later, later / rows / law).sum(axis=1) - np.maximum(fitted, 0.0)
        best = int(gained.argmax())
        strength = float((gained[best] + fitted[best]) / rows[best, 0])
        cells = counts[best:].sum(axis=0)
        if gained[best] < SURE:
            return Located(whole, cells, strength)
        possible = np.flatnonzero(gained >= gained[best] - SURE)
        starts = [start for start, _, _ in steps]
        before = starts[max(int(possible[0]) - 1, 0)]
        when = Change(starts[best], before, steps[int(possible[-1])][1])
        return Located(when, cells, strength, is_sure=True)

    def back(self, rows: int) -> int:
        """Return the time (ms) so many rows before the end of the window, or its start; now without
        any row.
        """
        reached = self.window.span(self.now)[1]
        columns = len(self.evaluation.version.reference.columns)
        for start, _, cells in reversed(self._counted()):
            if rows <= 0:
                break
            rows -= int(cells.sum()) // max(columns, 1)
            reached = start
        return reached

    def _bins(self, column: int, counts: Ints) -> tuple[Floats, Ints]:
        """Return the reference's share of each bin of a column, shape (bins,), and the counts of
        each step in the bins, shape (steps, bins).
        """
        version = self.evaluation.version
        bins = version.bins_for(max(self.window.rows, 1))
        first = int(version.reference.offsets[column])
        place = bins.bin_of_cell[first : first + counts.shape[1]] - int(bins.starts[column])
        size = int(bins.sizes[column])
        reference = np.bincount(
            place, weights=np.array(version.reference.columns[column].counts), minlength=size
        )
        binned = np.zeros((len(counts), size), dtype=np.int64)
        np.add.at(binned.T, place, counts.T)
        return (reference + 0.5) / (reference.sum() + 0.5 * size), binned

    def _counted(self) -> list[tuple[int, int, Ints]]:
        """Return start, end and counts of each step, in the order of time."""
        if not self._steps and self.window.panes:
            panes = sorted(self.window.panes, key=lambda pane: (pane.start, pane.order))
            size = -(-len(panes) // MOST_STEPS)
            self._steps = [
                _joined(panes[place : place + size]) for place in range(0, len(panes), size)
            ]
        return self._steps


def _joined(panes: Sequence[WindowPane]) -> tuple[int, int, Ints]:
    cells = np.sum([unpack_counts(pane.cells) for pane in panes], axis=0)
    return panes[0].start, max(pane.end for pane in panes), cells
