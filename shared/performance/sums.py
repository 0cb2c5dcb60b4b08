"""The sums over joined rows (prediction and label) that a version's metrics follow from: they add
over panes and partitions, and can be taken away again.

Counting sums when a label meets its prediction; judging adds the sums of a window's panes and
computes the metrics.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from driftgauge.shared.arrays import Floats, Ints
from driftgauge.shared.contract.pane import pack_changes, unpack_counts
from driftgauge.shared.performance.exact import exact_squares, exact_sums
from driftgauge.shared.performance.layout import CALIBRATION_BINS, SCORE_BINS, Layout, score_bins
from driftgauge.shared.reference.profile import Column

_LARGEST = float(np.finfo(np.float64).max)
_LEAST_PROBABILITY = float(np.finfo(np.float64).eps)
"""A smaller probability counts as this one in a logarithm, as in scikit-learn."""


@dataclass(slots=True, eq=False)
class Sums:
    """The sums over some joined rows of one version.

    Parameters
    ----------
    counts
        Whole numbers (int64) in the order of `layout.counts`. Some are negative in the sums of a
        correction, which replaces one label by another.
    totals
        Exact sums (exact.py) in the order of `layout.totals`.

    Examples
    --------
    >>> layout = Layout("numeric")
    >>> one = Sums.of(layout, np.array([1.0, 2.0]), np.array([1.5, 2.0]))
    >>> two = Sums.of(layout, np.array([9.0]), np.array([0.1]))
    >>> one + two - two == one, Sums.unpack((one + two).pack()) == one + two
    (True, True)
    """

    layout: Layout
    counts: Ints
    totals: list[int]

    @classmethod
    def zero(cls, layout: Layout) -> "Sums":
        """Return the sums of no rows."""
        return cls(layout, np.zeros(_size(layout.counts), np.int64), [0] * _size(layout.totals))

    @classmethod
    def of(
        cls,
        layout: Layout,
        predictions: Column,
        labels: Column,
        probabilities: NDArray[np.float64] | None = None,
    ) -> "Sums":
        """Sum up joined rows.

        Parameters
        ----------
        predictions, labels
            One value a row, none missing: finite floats, or lists of classes.
        probabilities
            Shape (rows, classes), with NaN in the rows that have none; None if no row has any.
        """
        return cls.by_group(
            layout, predictions, labels, probabilities, np.zeros(len(labels), np.int64), 1
        )[0]

    @classmethod
    def by_group(
        cls,
        layout: Layout,
        predictions: Column,
        labels: Column,
        probabilities: NDArray[np.float64] | None,
        groups: Ints,
        count: int,
    ) -> list["Sums"]:
        """Sum up the joined rows of each group, as `of` does.

        Parameters
        ----------
        groups
            The group of each row, from 0.
        count
            Number of groups.

        Examples
        --------
        >>> column, groups = np.array([1.0, 2.0, 4.0]), np.array([0, 2, 0])
        >>> found = Sums.by_group(Layout("numeric"), column, column, None, groups, 3)
        >>> [sums.rows for sums in found]
        [2, 0, 1]
        """
        if layout.kind == "numeric":
            said, truth = np.asarray(predictions, np.float64), np.asarray(labels, np.float64)
            counts, totals = _of_numbers(said, truth, groups, count)
        else:
            counts, totals = _of_classes(layout, predictions, labels, probabilities, groups, count)
        return [
            cls(layout, counts[group], [total[group] for total in totals]) for group in range(count)
        ]

    def __add__(self, other: "Sums") -> "Sums":
        totals = [one + two for one, two in zip(self.totals, other.totals, strict=True)]
        return Sums(self.layout, self.counts + other.counts, totals)

    def __sub__(self, other: "Sums") -> "Sums":
        totals = [one - two for one, two in zip(self.totals, other.totals, strict=True)]
        return Sums(self.layout, self.counts - other.counts, totals)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sums):
            return NotImplemented
        same = self.layout == other.layout and self.totals == other.totals
        return same and bool((self.counts == other.counts).all())

    __hash__ = None  # type: ignore[assignment]  # its arrays change

    def count(self, name: str) -> Ints:
        """Return the counts of one kind, a name in `layout.counts`."""
        return self.counts[self.layout.counts[name]]

    def total(self, name: str) -> int:
        """Return one exact sum, a name in `layout.totals`."""
        return self.totals[self.layout.totals[name]][0]

    @property
    def rows(self) -> int:
        """Joined rows."""
        return int(self.count("rows" if self.layout.kind == "numeric" else "matrix").sum())

    @property
    def matrix(self) -> Ints:
        """The confusion matrix: labels down, predictions across, the classes and then OTHER."""
        return self.count("matrix").reshape(self.layout.side, self.layout.side)

    def pack(self) -> bytes:
        """Write the sums as bytes; equal sums give equal bytes."""
        layout = self.layout
        packed = _Packed(
            layout.kind,
            layout.classes,
            layout.scored,
            pack_changes(self.counts),
            list(map(_pack_int, self.totals)),
        )
        return msgspec.msgpack.encode(packed)

    @classmethod
    def unpack(cls, data: bytes) -> "Sums":
        """Read what `pack` wrote."""
        packed = msgspec.msgpack.decode(data, type=_Packed)
        layout = Layout(packed.kind, packed.classes, packed.scored)
        return cls(
            layout, unpack_counts(packed.counts), [_unpack_int(*total) for total in packed.totals]
        )


class _Packed(msgspec.Struct, array_like=True):
    kind: Any
    classes: tuple[str, ...]
    scored: bool
    counts: bytes
    totals: list[tuple[int, bytes]]


def _size(places: dict[str, slice]) -> int:
    return max((place.stop for place in places.values()), default=0)


def _pack_int(total: int) -> tuple[int, bytes]:
    """Split a whole number into the number of its last zero bits and the rest: exact sums end in
    about a thousand of them.
    """
    zeros = (total & -total).bit_length() - 1 if total else 0
    rest = total >> zeros
    return zeros, rest.to_bytes(rest.bit_length() // 8 + 1, "little", signed=True)


def _unpack_int(zeros: int, rest: bytes) -> int:
    return int.from_bytes(rest, "little", signed=True) << zeros


# -- rows ------------------------------------------------------------------------------------------


def _of_numbers(
    predictions: Floats, labels: Floats, groups: Ints, count: int
) -> tuple[Ints, list[list[int]]]:
    """Return the counts, shape (groups, counts), and the exact sums by group of each total."""
    with np.errstate(over="ignore"):  # what is no float any more counts as the largest one
        errors = np.clip(predictions - labels, -_LARGEST, _LARGEST)
        squares = np.minimum(errors * errors, _LARGEST)
        nonzero = labels != 0
        ratios = np.minimum(np.abs(errors[nonzero] / labels[nonzero]), _LARGEST)
    known = groups[nonzero]
    sums = _totals(
        exact_sums,
        [(errors, groups), (np.abs(errors), groups), (labels, groups), (ratios, known)],
        count,
    )
    squared = _totals(
        exact_squares,
        [(errors, groups), (squares, groups), (labels, groups), (ratios, known)],
        count,
    )
    totals = [*sums[:2], *squared[:2], sums[2], squared[2], sums[3], squared[3]]
    return np.stack(
        [np.bincount(rows, minlength=count) for rows in (groups, known)], axis=1
    ), totals


def _totals(
    sum_up: Callable[[Floats, Ints, int], list[int]], columns: list[tuple[Floats, Ints]], count: int
) -> list[list[int]]:
    """Sum up several columns at once, each with the groups of its values: a call alone costs as
    much as hundreds of values.
    """
    values = np.concatenate([column for column, _ in columns])
    groups = np.concatenate([rows + place * count for place, (_, rows) in enumerate(columns)])
    found = sum_up(values, groups, len(columns) * count)
    return [found[place * count : (place + 1) * count] for place in range(len(columns))]


def _of_classes(
    layout: Layout,
    predictions: Column,
    labels: Column,
    probabilities: Floats | None,
    groups: Ints,
    count: int,
) -> tuple[Ints, list[list[int]]]:
    """Return the counts, shape (groups, counts), and the exact sums by group of each total."""
    truth, said = layout.codes(labels), layout.codes(predictions)
    other = len(layout.classes)
    both = np.flatnonzero((truth == other) & (said == other))
    wrong = groups[[row for row in both if labels[row] != predictions[row]]]
    counts = np.zeros((count, _size(layout.counts)), np.int64)
    totals = [[0] * count for _ in range(_size(layout.totals))]
    counts[:, layout.counts["matrix"]] = _histograms(
        truth * layout.side + said, layout.side**2, groups, count
    )
    counts[:, layout.counts["other_wrong"]] = np.bincount(wrong, minlength=count)[:, None]
    if layout.scored and probabilities is not None:
        has = ~np.isnan(probabilities).any(axis=1)
        _add_scores(
            layout,
            counts,
            totals,
            truth[has],
            np.asarray(probabilities[has], np.float64),
            groups[has],
        )
    return counts, totals


def _histograms(codes: Ints, kinds: int, groups: Ints, count: int) -> Ints:
    """Count codes from 0 in each group, shape (groups, kinds)."""
    return np.bincount(groups * kinds + codes, minlength=count * kinds).reshape(count, kinds)


def _add_scores(
    layout: Layout,
    counts: Ints,
    totals: list[list[int]],
    truth: Ints,
    probabilities: Floats,
    groups: Ints,
) -> None:
    """Add the losses of probabilities, and of two classes the histograms of the score."""
    count = len(counts)
    is_true = truth[:, None] == np.arange(len(layout.classes))
    loss = -np.log(
        np.clip((probabilities * is_true).sum(axis=1), _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    )
    square = (
        ((probabilities - is_true) ** 2).sum(axis=1)
        if not layout.binary
        else (probabilities[:, 1] - is_true[:, 1]) ** 2
    )
    counts[:, layout.counts["scored"]] = np.bincount(groups, minlength=count)[:, None]
    columns = [(loss, groups), (square, groups)]
    totals[0], totals[2] = _totals(exact_sums, columns, count)
    totals[1], totals[3] = _totals(exact_squares, columns, count)
    if layout.binary:
        _add_histograms(layout, counts, totals, truth == 1, probabilities[:, 1], groups)


def _add_histograms(
    layout: Layout,
    counts: Ints,
    totals: list[list[int]],
    positive: NDArray[np.bool_],
    scores: Floats,
    groups: Ints,
) -> None:
    places, count = layout.counts, len(counts)
    bins = score_bins(scores)
    counts[:, places["positives"]] = _histograms(
        bins[positive], SCORE_BINS, groups[positive], count
    )
    counts[:, places["negatives"]] = _histograms(
        bins[~positive], SCORE_BINS, groups[~positive], count
    )
    tenths = np.clip((scores * CALIBRATION_BINS).astype(np.int64), 0, CALIBRATION_BINS - 1)
    counts[:, places["calibration_rows"]] = _histograms(tenths, CALIBRATION_BINS, groups, count)
    counts[:, places["calibration_positives"]] = _histograms(
        tenths[positive], CALIBRATION_BINS, groups[positive], count
    )
    sums = exact_sums(scores, groups * CALIBRATION_BINS + tenths, count * CALIBRATION_BINS)
    totals[layout.totals["calibration_scores"]] = [
        sums[tenth::CALIBRATION_BINS] for tenth in range(CALIBRATION_BINS)
    ]
