"""Rank cells: a value's rank in the reference, in tenths and tails, whose distribution without
drift is known exactly.

The values of the reference and a new one, ordered with ties broken at random, are exchangeable: so
the new one falls into each of the n + 1 gaps between n reference values with the same probability,
and into a union of g of these gaps with probability g / (n + 1). After t new values, of which k
fell there, it is (g + k) / (n + 1 + t): conformal prediction (Vovk et al., arXiv 2102.10439). The
borders of the cells are reference values, so this holds for any feature: continuous, discrete,
constant.

Ties are broken by uniform random numbers. For a border within a tie of m reference values, it is
one of m numbers that are drawn once for the column; for a new value in the tie, it comes from a
hash of its event's id, so that a replay has the same cells.

MISSING is a cell of its own with one gap more than its reference rows. The probabilities then add
up to a little more than 1, which makes the e-values valid for every bet that grows with the missing
values of the reference (docs/detectors.md).
"""

import math
from binascii import crc32
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from driftgauge.consumer.counting.detectors.base import Observed
from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.reference.profile import (
    BINS,
    CUTS,
    CategoricalReference,
    ColumnReference,
    ReferenceProfile,
)

TAIL = (1 - math.cos(math.pi * 23 / (CUTS - 1))) / 2
"""Share of the reference in each tail cell, about .02, at a cut of the reference. Without tail
cells, a wider spread is detected a third later.
"""
BORDERS = np.array([TAIL, *np.arange(1, BINS) / BINS, 1 - TAIL])
"""Shares of the reference at which the cells end."""
PRESENT = len(BORDERS) + 1
"""Number of cells for values that are not missing."""
MISSING = PRESENT
"""The last cell, for missing values."""
CELLS = PRESENT + 1
FEW = {
    1: np.array([0, PRESENT // 2, PRESENT - 1]),
    2: np.array([0, PRESENT // 3, PRESENT // 2, 2 * PRESENT // 3, PRESENT - 1]),
}
"""By the number of values that a reference has: the cells of what is smaller than all of them, of
the first value, and so on to what is larger than all.
"""
TIED = -1
SCRAMBLE = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
"""Constants of the hash splitmix64 (Steele, Lea, Flood 2014)."""


@dataclass(frozen=True)
class RankCells:
    """Maps cells of the reference to rank cells, for the watched columns.

    Parameters
    ----------
    columns
        Positions of the C watched columns of the reference.
    gaps
        Gaps of the reference in each rank cell, shape (C, cells).
    rows
        Reference rows of each column, shape (C,).
    constants
        Whether all reference rows of a column that are not missing have one value, shape (C,).
    """

    columns: list[int]
    gaps: Ints
    rows: Ints
    constants: NDArray[np.bool_]
    _cells: NDArray[np.int8]
    """Rank cell of each cell of the reference; TIED where a border lies within it."""
    _places: Ints
    """Position of each cell in its column's order, columns one after another."""
    _borders: Floats
    """All columns' borders, ascending: position of the tie plus a uniform number in (0, 1)."""

    @classmethod
    def build(cls, reference: ReferenceProfile, columns: list[int]) -> Self:
        """Draw the borders; they depend on the reference alone.

        Examples
        --------
        >>> from driftgauge.shared.reference.profile import NumericReference
        >>> profile = ReferenceProfile(99, (NumericReference.build("x", np.arange(99.0)),))
        >>> RankCells.build(profile, [0]).gaps.tolist()
        [[2, 8, 10, 10, 10, 10, 10, 10, 10, 10, 8, 2, 1]]
        """
        size = int(reference.offsets[-1])
        cell, places = np.full(size, MISSING, dtype=np.int8), np.zeros(size, dtype=np.int64)
        gaps, borders = (
            np.empty((len(columns), CELLS), dtype=np.int64),
            np.empty((len(columns), len(BORDERS))),
        )
        constants = np.zeros(len(columns), dtype=np.bool_)
        for row, column in enumerate(columns):
            first, missing = int(reference.offsets[column]), int(reference.offsets[column + 1]) - 1
            place, counts = in_order(reference.columns[column])
            gaps[row, MISSING] = reference.columns[column].counts[-1] + 1
            values = np.flatnonzero(counts)
            constants[row] = len(values) == 1
            if len(values) in FEW:
                gaps[row, :PRESENT] = _gaps_of_few(counts[values])
                border = np.full(len(BORDERS), float(values[0]))
                cell[first:missing] = _cells_of_few(place, values)
            else:
                gaps[row, :PRESENT], border = _borders(counts, reference.columns[column].name)
                low, high = border.searchsorted(place), border.searchsorted(place + 1)
                cell[first:missing] = np.where(low == high, low, TIED)
            places[first:missing] = place + first
            borders[row] = border + first
        rows = np.array(
            [sum(reference.columns[column].counts) for column in columns], dtype=np.int64
        )
        return cls(columns, gaps, rows, constants, cell, places, borders.ravel())

    @cached_property
    def checksum(self) -> int:
        """A number that other rank cells do not have."""
        return crc32(
            self._borders.tobytes(), crc32(self._cells.tobytes(), crc32(self.gaps.tobytes()))
        )

    def of(self, observed: Observed) -> NDArray[np.int8]:
        """Return the rank cell of each value of the watched columns, shape (C, events)."""
        cells = observed.cells_of(self.columns)
        found = self._cells.take(cells)
        if found.min(initial=0) == TIED:
            rows, events = np.nonzero(found == TIED)
            keys = self._places[cells[rows, events]] + _uniforms(observed.ids, events, rows)
            found[rows, events] = self._borders.searchsorted(keys) - rows * len(BORDERS)
        return found


def in_order(column: ColumnReference) -> tuple[Ints, Ints]:
    """Return the place of each cell but MISSING in the column's order, and the reference rows at
    each place.

    That of categories has nothing to do with the reference's rows, else the law would not hold.
    """
    counts = np.array(column.counts[:-1], dtype=np.int64)
    if not isinstance(column, CategoricalReference):
        return np.arange(len(counts)), counts
    places = np.array(column.places)
    return places, np.bincount(places, weights=counts).astype(np.int64)


def _borders(counts: Ints, name: str) -> tuple[Ints, Floats]:
    """Return the gaps in each cell, and the borders: position of the reference value plus a uniform
    number within its tie.
    """
    ends = np.cumsum(counts)
    total = int(ends[-1])
    ranks = np.ceil(BORDERS * total - 1e-9).astype(np.int64)
    gaps = np.diff(np.concatenate(([0], ranks, [total + 1])))
    if not total:
        return gaps, np.full(len(BORDERS), -0.5)  # no border: any value is in the last cell
    places = ends.searchsorted(ranks)
    random = np.random.default_rng(crc32(name.encode()))
    borders, drawn = np.empty(len(BORDERS)), (-1, 0, 0.0)
    for number, (place, rank) in enumerate(zip(places.tolist(), ranks.tolist(), strict=True)):
        tied, within = int(counts[place]), rank - int(ends[place] - counts[place])
        before, low = drawn[1:] if drawn[0] == place else (0, 0.0)
        uniform = (
            low + (1 - low) * random.beta(within - before, tied - within + 1)
            if within > before
            else low
        )
        drawn = (place, within, uniform)
        borders[number] = place + uniform
    return gaps, borders


def _cells_of_few(places: Ints, values: Ints) -> Ints:
    """Return the cell of each place, where the reference has one or two values: theirs, that of
    what is smaller than all, of what is larger than all, and of what lies between.
    """
    passed = values.searchsorted(places) + values.searchsorted(places, side="right")
    cells: Ints = FEW[len(values)][passed]
    return cells


def _gaps_of_few(rows: Ints) -> Ints:
    """Return the gaps in each cell, where the reference has one or two values.

    To break the tie of a value with itself at random would only add noise. So each value is a kind
    of its own, and of n rows with n_j of kind j the next ones have the chances (n_j + 1 + k_j) /
    (n + 1 + t), whose product is exactly the chance of the reference's counts and of this order,
    given the counts of all rows together. As with MISSING a bet then has mean 1 at most if it
    expects no fewer of a kind for more of it in the reference; all do.
    """
    gaps = np.zeros(PRESENT, dtype=np.int64)
    cells = FEW[len(rows)]
    gaps[cells] = 1
    gaps[cells[1::2]] += rows
    return gaps


def _uniforms(ids: Sequence[str], events: Ints, salts: Ints) -> Floats:
    """Return a uniform number in (0, 1) for each event and salt, from the event's id only."""
    needed, back = np.unique(events, return_inverse=True)
    hashes = np.array([crc32(ids[event].encode()) for event in needed.tolist()], dtype=np.uint64)
    mixed = (salts.astype(np.uint64) + np.uint64(1) << np.uint64(32)) + hashes[back]
    for factor, shift in zip(SCRAMBLE, (30, 27), strict=True):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * factor
    mixed ^= mixed >> np.uint64(31)
    return ((mixed >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
