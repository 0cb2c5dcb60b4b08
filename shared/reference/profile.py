"""The reference profile: what each feature looked like in training, as counts of cells.

A numeric feature has k cut values: K tail-dense quantiles, the deciles, and every value that holds
at least 1/K of the rows. Its 2k + 2 cells are the intervals below, at and between the cuts, and
MISSING. Its PSI bins are its atoms (values that hold a tenth of the rows, or of the rows that the
larger atoms leave), the deciles of what is no atom, and MISSING. A categorical feature has a cell
for each of its 50 most frequent categories. All others, whether the reference has them or not, are
parted by a hash of their names into at most 512 buckets; each bucket has a cell of OTHER, for
categories of the reference, and a cell of UNSEEN, for new ones; last comes MISSING. A reference
made before there were buckets has one of them. All statistics are functions of cell counts, so that
no raw value is needed once it was counted. The bins of PSI and its kin are unions of cells.

Pure: arrays in, values out.
"""

import zlib
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.reference.numeric_cells import NumericCells

CUTS = 256
"""K: the number of quantiles of a numeric feature that are cuts."""
TOP_CATEGORIES = 50
"""Most categories of a feature that have a cell of their own."""
MAX_OTHER = 10_000
"""Most categories beyond these that are stored. If the reference has more, new categories in
production are counted as OTHER instead of UNSEEN.
"""
MOST_BUCKETS = 512
"""Most buckets of the categories that have no cell of their own."""
ROWS_PER_BUCKET = 8
"""Least reference rows in a bucket, on average."""
BINS = 10
MOST_ATOMS = 20
"""Most values of a numeric feature that are a PSI bin of their own."""
REST_SHARE = 0.05
"""Least share of the rows that is divided into bins beside the atoms."""
PREDICTION = "prediction"
"""Name of the column of predictions in profiles and snapshots."""

Column = NDArray[Any] | list[Any]
"""The values of a feature: a float64 array with NaN for missing values, or a list of str with None
for missing values.
"""


class NumericReference(msgspec.Struct, frozen=True, tag="numeric", dict=True):
    """A numeric feature in the reference.

    Parameters
    ----------
    cuts
        The k cut values in ascending order; empty if all values are missing.
    counts
        Reference rows in each of the 2k + 2 cells. Cell 2i is the interval below cut i, cell 2i + 1
        is cut i itself, cell 2k is the interval above all cuts; MISSING is the last cell.
    bin_of_cell
        PSI bin of each cell; MISSING has the last bin for itself.
    mean, sd
        Mean and standard deviation of the values that are not missing; None if unknown.

    Examples
    --------
    >>> reference = NumericReference.build("x", np.array([1.0, 2.0, 2.0, np.nan]))
    >>> reference.cuts, reference.counts
    ([1.0, 2.0], [0, 1, 0, 2, 0, 1])
    >>> reference.cells(np.array([0.5, 1.0, 1.5, 9.0, np.nan])).tolist()
    [0, 1, 2, 4, 5]
    """

    name: str
    cuts: list[float]
    counts: list[int]
    bin_of_cell: list[int]
    mean: float | None
    sd: float | None

    @classmethod
    def build(cls, name: str, column: Column, cuts: int = CUTS) -> "NumericReference":
        """Choose the cuts of a column and count its rows.

        Parameters
        ----------
        cuts
            Number of quantiles that are cuts.
        """
        values: Floats = np.asarray(column, dtype=np.float64)
        present = np.sort(values[~np.isnan(values)])
        chosen, atoms, deciles = _choose_cuts(present, cuts)
        cells = NumericCells([chosen]).of(values[None])[0]
        counts = np.bincount(cells, minlength=2 * len(chosen) + 2)
        scale = (
            float(np.abs(present).max(initial=0.0)) or 1.0
        )  # the square of a large number is no number
        return cls(
            name=name,
            cuts=chosen.tolist(),
            counts=counts.tolist(),
            bin_of_cell=_bins(chosen, counts, atoms, deciles).tolist(),
            mean=float((present / scale).mean() * scale) if len(present) else None,
            sd=float((present / scale).std() * scale) if len(present) else None,
        )

    @property
    def kind(self) -> str:
        """Kind of the feature."""
        return "numeric"

    @property
    def missing(self) -> int:
        """Number of the cell of missing values."""
        return len(self.counts) - 1

    @cached_property
    def _cells(self) -> NumericCells:
        return NumericCells([np.array(self.cuts)])

    def cells(self, values: Column) -> Ints:
        """Return the cell of each value, shape (rows,)."""
        cells: Ints = self._cells.of(np.asarray(values, dtype=np.float64)[None])[0]
        return cells


class CategoricalReference(msgspec.Struct, frozen=True, tag="categorical", dict=True):
    """A categorical feature in the reference.

    Parameters
    ----------
    categories
        The most frequent categories, the most frequent first.
    other
        The further categories of the reference, which are counted by buckets as OTHER.
    counts
        Reference rows in each of the categories, then in OTHER of each bucket, in UNSEEN of each
        bucket, and in MISSING.
    singletons, doubletons
        Number of categories that occur in one row, and in two. The first divided by the number of
        rows is the Good-Turing estimate of the probability that a row has a new category; both give
        its error. The second is None where it was not counted.
    pairs
        For each bucket, the ordered pairs of its reference rows that have the same category: how
        many categories share a bucket. Empty for a reference with one bucket.

    Examples
    --------
    >>> reference = CategoricalReference.build("c", ["a", "b", "a", None])
    >>> reference.categories, reference.counts
    (['a', 'b'], [2, 1, 0, 0, 1])
    >>> reference.cells(["b", "new", None]).tolist()
    [1, 3, 4]
    """

    name: str
    categories: list[str]
    other: list[str]
    counts: list[int]
    singletons: int
    doubletons: int | None = None
    pairs: list[int] = []

    @classmethod
    def build(cls, name: str, values: Column, top: int = TOP_CATEGORIES) -> "CategoricalReference":
        """Rank the categories of a column by frequency and count its rows.

        Parameters
        ----------
        top
            Most categories that get a cell of their own.
        """
        present = [value for value in values if value is not None]
        names, counts = np.unique(np.array(present, dtype=str), return_counts=True)
        order = np.lexsort((names, -counts))
        ranked, sizes = names[order].tolist(), counts[order].astype(np.int64)
        rare = sizes[top:]
        buckets = _buckets(int(rare.sum()))
        place = np.fromiter(
            (bucket(rare_name, buckets) for rare_name in ranked[top:]), np.int64, count=len(rare)
        )
        in_bucket, pairs = (
            np.bincount(place, weights=part, minlength=buckets).astype(np.int64).tolist()
            for part in (rare, rare * (rare - 1))
        )
        missing = len(values) - len(present)
        return cls(
            name=name,
            categories=ranked[:top],
            other=ranked[top : top + MAX_OTHER],
            counts=[*sizes[:top].tolist(), *in_bucket, *[0] * buckets, missing],
            singletons=int((sizes == 1).sum()),
            doubletons=int((sizes == 2).sum()),
            pairs=pairs if buckets > 1 else [],
        )

    @property
    def kind(self) -> str:
        """Kind of the feature."""
        return "categorical"

    @property
    def buckets(self) -> int:
        """Number of buckets that share the categories without a cell of their own."""
        return (len(self.counts) - len(self.categories) - 1) // 2

    @property
    def bin_of_cell(self) -> list[int]:
        """Bin of each cell: a category is a bin, and so are OTHER, UNSEEN and MISSING, each of
        them with all its buckets.
        """
        top, buckets = len(self.categories), self.buckets
        return [*range(top), *[top] * buckets, *[top + 1] * buckets, top + 2]

    @property
    def unseen(self) -> int:
        """Number of the first cell of categories that the reference does not have; the last one
        stands before MISSING.
        """
        return len(self.counts) - 1 - self.buckets

    @property
    def missing(self) -> int:
        """Number of the cell of missing values."""
        return len(self.counts) - 1

    @property
    def places(self) -> list[int]:
        """Place of each cell but MISSING in an order that new rows and the reference's own rows
        have alike.

        Categories have no order, and one by their frequency in the reference would not do: those
        that are frequent there have had luck. Where rare ones are parted into buckets, each
        category has the place of its bucket. Where all of them share one bucket they are few: the
        others stand in the order of their names, and OTHER and UNSEEN share the last place.
        """
        top, buckets = len(self.categories), self.buckets
        if buckets > 1:
            own = [bucket(name, buckets) for name in self.categories]
            return [*own, *range(buckets), *range(buckets)]
        rank = {name: place for place, name in enumerate(sorted(self.categories))}
        return [*(rank[name] for name in self.categories), top, top]

    @property
    def new_dispersion(self) -> float:
        """How much larger the variance of the Good-Turing estimate is than that of a share of
        independent rows, at least 1 (Esty 1983).

        With n1 and n2 categories that occur once and twice in n rows it is
        (n1 (1 - n1 / n) + 2 n2) / (n1 (1 - n1 / n)), where the denominator is taken as 1 at least.
        Where n2 is unknown it is taken as half of n1.
        """
        rows = max(sum(self.counts[:-1]), 1)
        twice = self.singletons / 2 if self.doubletons is None else self.doubletons
        binomial = max(self.singletons * (1 - self.singletons / rows), 1.0)
        return (binomial + 2 * twice) / binomial

    @cached_property
    def _code(self) -> "_Codes":
        top, buckets = len(self.categories), self.buckets
        codes = _Codes((name, top + bucket(name, buckets)) for name in self.other)
        codes.buckets = buckets
        codes.unknown = self.unseen if len(self.other) < MAX_OTHER else top
        codes.update((name, code) for code, name in enumerate(self.categories))
        codes[None] = self.missing
        return codes

    def cells(self, values: Column) -> Ints:
        """Return the cell of each value, shape (rows,)."""
        return np.fromiter(map(self._code.__getitem__, values), np.int64, count=len(values))


class _Codes(dict[str | None, int]):
    """Category to its cell; one that is no key has the cell of its bucket behind `unknown`."""

    unknown: int
    buckets: int

    def __missing__(self, category: str | None) -> int:
        return self.unknown + bucket(category or "", self.buckets)


def bucket(category: str, buckets: int) -> int:
    """Return the bucket of a category that has no cell of its own, 0 to `buckets` - 1.

    It depends on nothing but the name. So reference and window part their rows alike, whatever
    either of them has seen, and the shares of the buckets have the same law in both: to part the
    categories by their frequency in the reference would not have that.
    """
    if buckets == 1:
        return 0
    hashed = zlib.crc32(category.encode(errors="surrogatepass")) * 0x9E3779B1 & 0xFFFFFFFF
    return hashed * buckets >> 32


def _buckets(rows: int) -> int:
    """Return the number of buckets for reference rows, a power of two."""
    return min(MOST_BUCKETS, 1 << max(rows // ROWS_PER_BUCKET, 1).bit_length() - 1)


ColumnReference = NumericReference | CategoricalReference


class SegmentCounts(msgspec.Struct, frozen=True):
    """The segments of one feature in the reference (shared/reference/segments.py).

    Parameters
    ----------
    values
        The values that are segments, the most frequent first, without OTHER.
    counts
        Reference rows of each segment, OTHER last, in each bin of all columns.
    """

    feature: str
    values: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


class ReferenceProfile(msgspec.Struct, frozen=True, dict=True):
    """The reference of a model version.

    Parameters
    ----------
    rows
        Number of reference rows.
    columns
        One column for each feature of the schema's stream in its order, and last the prediction if
        there is one.
    segments
        The segments of each feature that the schema names for them.
    """

    rows: int
    columns: tuple[ColumnReference, ...]
    segments: tuple[SegmentCounts, ...] = ()

    @cached_property
    def offsets(self) -> Ints:
        """First cell of each column in the vector of all cells, and last the vector's length."""
        return np.concatenate(([0], np.cumsum([len(column.counts) for column in self.columns])))

    def cells(self, columns: list[Column]) -> Ints:
        """Return the cell of every value as its position in the vector of all cells.

        Parameters
        ----------
        columns
            The values of each column, in the order of the profile.

        Returns
        -------
        cells
            Shape (columns, rows).
        """
        numbers = [np.asarray(columns[place], dtype=np.float64) for place in self._numbers]
        found = self._numeric_cells.of(np.stack(numbers)) if numbers else None
        if found is not None and len(numbers) == len(columns):
            found += self.offsets[:-1, None]
            return found
        cells = np.empty((len(columns), len(columns[0]) if columns else 0), dtype=np.int64)
        if found is not None:
            cells[self._numbers] = found
        for place, reference in enumerate(self.columns):
            if isinstance(reference, CategoricalReference):
                cells[place] = reference.cells(columns[place])
        cells += self.offsets[:-1, None]
        return cells

    @cached_property
    def _numbers(self) -> list[int]:
        """Places of the numeric columns."""
        return [at for at, one in enumerate(self.columns) if isinstance(one, NumericReference)]

    @cached_property
    def _numeric_cells(self) -> NumericCells:
        numeric = (one for one in self.columns if isinstance(one, NumericReference))
        return NumericCells([np.array(one.cuts) for one in numeric])


def _choose_cuts(present: Floats, cuts: int) -> tuple[Floats, Floats, Floats]:
    """Return the cut values, and those among them that part the PSI bins: atoms and deciles.

    Parameters
    ----------
    present
        Values that are not missing, ascending.
    cuts
        Number of tail-dense quantiles.
    """
    if not len(present):
        return np.empty(0), np.empty(0), np.empty(0)
    shares = (1 - np.cos(np.pi * np.arange(cuts) / (cuts - 1))) / 2
    quantiles = np.quantile(present, shares, method="inverted_cdf")
    values, counts = np.unique(present, return_counts=True)
    frequent = values[counts * cuts >= len(present)]
    atoms, rest = _atoms(values, counts)
    deciles = _deciles(values[rest], counts[rest]) if rest.any() else np.empty(0)
    chosen = np.unique(np.concatenate((quantiles, deciles, frequent, atoms)))
    return chosen, atoms, deciles


def _atoms(values: Floats, counts: Ints) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the values that are a PSI bin of their own, and which values are not among them.

    An atom holds a tenth of the rows or more; then a tenth of the rows that are left, as long as
    these are a share that can drift by itself. So a column of nine zeros in ten has the zero and
    the deciles of the rest as its bins, and not two bins.
    """
    rest = np.ones(len(values), dtype=np.bool_)
    total = int(counts.sum())
    while (left := int(counts[rest].sum())) >= REST_SHARE * total > 0:
        heavy = rest & (counts * BINS >= left)
        if not heavy.any() or (~rest).sum() + heavy.sum() > MOST_ATOMS:
            break
        rest &= ~heavy
    return values[~rest], rest


def _deciles(values: Floats, counts: Ints) -> Floats:
    """Return the deciles of what is no atom, or nothing if that is too little to be parted."""
    reached = np.cumsum(counts)
    places = np.searchsorted(reached, np.arange(1, BINS) * (reached[-1] / BINS))
    return np.unique(values[places])


def _bins(cuts: Floats, counts: Ints, atoms: Floats, deciles: Floats) -> Ints:
    """Return the PSI bin of each cell: an atom is a bin, another bin ends with the cell at a decile
    or before an atom; MISSING is the last bin.

    A run of cells without reference rows is no bin: it belongs to the neighbour with fewer rows.
    """
    begins = np.zeros(2 * len(cuts) + 1, dtype=np.bool_)
    begins[2 * np.searchsorted(cuts, deciles) + 2] = True
    places = 2 * np.searchsorted(cuts, atoms) + 1
    begins[places] = begins[places + 1] = True
    begins[0] = False
    bins = np.cumsum(begins)
    rows = np.bincount(bins, weights=counts[:-1])
    target = np.arange(len(rows))
    for empty in np.flatnonzero(rows == 0) if len(rows) > 1 else []:
        left, right = empty - 1, empty + 1
        to_left = right == len(rows) or (left >= 0 and rows[left] < rows[right])
        target[empty] = left if to_left else right
    joined = np.unique(target[target[bins]], return_inverse=True)[1]
    return np.append(joined, joined.max(initial=-1) + 1)
