"""Performance as sums over joined rows (prediction and label): they add over panes and partitions, and can be taken away.

Counting makes them when a label meets its prediction; judging adds those of a window and computes the metrics.
"""

import zlib
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from shared.performance.exact import exact_squares, exact_sum
from shared.performance.layout import CALIBRATION_BINS, SCORE_BINS, Layout, score_bins
from shared.reference import Column, Floats, Ints

_LARGEST = float(np.finfo(np.float64).max)
_LEAST_PROBABILITY = float(np.finfo(np.float64).eps)
"""Probabilities are clipped here before their logarithm, as scikit-learn does."""


@dataclass(slots=True, eq=False)
class Sums:
    """Sums over joined rows of one version.

    Parameters
    ----------
    counts
        int64, in the order of `layout.counts`. Of a correction (a label replaced by another) some are negative.
    totals
        Exact sums (exact.py), in the order of `layout.totals`.

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
        """Give the sums of no rows."""
        return cls(layout, np.zeros(_size(layout.counts), np.int64), [0] * _size(layout.totals))

    @classmethod
    def of(
        cls, layout: Layout, predictions: Column, labels: Column, probabilities: NDArray[np.float64] | None = None
    ) -> "Sums":
        """Sum up joined rows.

        Parameters
        ----------
        predictions, labels
            Of the same rows, none missing: finite floats, or lists of classes.
        probabilities
            Shape (rows, classes), with NaN in the rows that have none; None if no row has any.
        """
        if not len(labels):
            return cls.zero(layout)
        if layout.kind == "numeric":
            return _of_numbers(layout, np.asarray(predictions, np.float64), np.asarray(labels, np.float64))
        return _of_classes(layout, predictions, labels, probabilities)

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
        """Give one kind of counts."""
        return self.counts[self.layout.counts[name]]

    def total(self, name: str) -> int:
        """Give one exact sum."""
        return self.totals[self.layout.totals[name]][0]

    @property
    def rows(self) -> int:
        """How many rows were joined."""
        return int(self.count("rows" if self.layout.kind == "numeric" else "matrix").sum())

    @property
    def matrix(self) -> Ints:
        """Confusion matrix: labels down, predictions across, the classes and then OTHER."""
        return self.count("matrix").reshape(self.layout.side, self.layout.side)

    def pack(self) -> bytes:
        """Give it as bytes: the same sums give the same bytes."""
        layout = self.layout
        packed = _Packed(
            layout.kind, layout.classes, layout.scored, _pack_ints(self.counts), list(map(_pack_int, self.totals))
        )
        return msgspec.msgpack.encode(packed)

    @classmethod
    def unpack(cls, data: bytes) -> "Sums":
        """Read what `pack` gave."""
        packed = msgspec.msgpack.decode(data, type=_Packed)
        layout = Layout(packed.kind, packed.classes, packed.scored)
        return cls(layout, _unpack_ints(packed.counts), [_unpack_int(*total) for total in packed.totals])


class _Packed(msgspec.Struct, array_like=True):
    kind: Any
    classes: tuple[str, ...]
    scored: bool
    counts: bytes
    totals: list[tuple[int, bytes]]


def _size(places: dict[str, slice]) -> int:
    return max((place.stop for place in places.values()), default=0)


def _pack_int(total: int) -> tuple[int, bytes]:
    """Split a whole number in its zero bits at the end and the rest: sums of floats end with a thousand zeros."""
    zeros = (total & -total).bit_length() - 1 if total else 0
    rest = total >> zeros
    return zeros, rest.to_bytes(rest.bit_length() // 8 + 1, "little", signed=True)


def _unpack_int(zeros: int, rest: bytes) -> int:
    return int.from_bytes(rest, "little", signed=True) << zeros


def _pack_ints(counts: Ints) -> bytes:
    """Pack counts, of which some may be negative, in the smallest type that holds them."""
    kind = next(kind for kind in "bhiq" if (np.abs(counts) <= np.iinfo(kind).max).all())
    return kind.encode() + zlib.compress(counts.astype(np.dtype(kind).newbyteorder("<")).tobytes(), 6)


def _unpack_ints(packed: bytes) -> Ints:
    kind = np.dtype(packed[:1].decode()).newbyteorder("<")
    return np.frombuffer(zlib.decompress(packed[1:]), dtype=kind).astype(np.int64)


# -- rows -------------------------------------------------------------------------------------------------------------


def _of_numbers(layout: Layout, predictions: Floats, labels: Floats) -> Sums:
    with np.errstate(over="ignore"):  # what is no float any more counts as the largest one
        errors = np.clip(predictions - labels, -_LARGEST, _LARGEST)
        squares = np.minimum(errors * errors, _LARGEST)
        nonzero = labels != 0
        ratios = np.minimum(np.abs(errors[nonzero] / labels[nonzero]), _LARGEST)
    totals = [
        exact_sum(errors), exact_sum(np.abs(errors)), exact_squares(errors), exact_squares(squares),
        exact_sum(labels), exact_squares(labels), exact_sum(ratios), exact_squares(ratios),
    ]  # fmt: skip
    return Sums(layout, np.array([len(labels), len(ratios)]), totals)


def _of_classes(layout: Layout, predictions: Column, labels: Column, probabilities: Floats | None) -> Sums:
    truth, said = layout.codes(labels), layout.codes(predictions)
    other = len(layout.classes)
    both = np.flatnonzero((truth == other) & (said == other))
    sums = Sums.zero(layout)
    sums.count("matrix")[:] = np.bincount(truth * layout.side + said, minlength=layout.side**2)
    sums.count("other_wrong")[:] = sum(labels[row] != predictions[row] for row in both)
    if layout.scored and probabilities is not None:
        has = ~np.isnan(probabilities).any(axis=1)
        _add_scores(sums, truth[has], np.asarray(probabilities[has], np.float64))
    return sums


def _add_scores(sums: Sums, truth: Ints, probabilities: Floats) -> None:
    """Add what is summed of probabilities: losses, and of two classes the histograms of the score."""
    if not len(truth):
        return
    layout = sums.layout
    is_true = truth[:, None] == np.arange(len(layout.classes))
    loss = -np.log(np.clip((probabilities * is_true).sum(axis=1), _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY))
    square = (
        ((probabilities - is_true) ** 2).sum(axis=1) if not layout.binary else (probabilities[:, 1] - is_true[:, 1]) ** 2
    )
    sums.count("scored")[:] = len(truth)
    sums.totals[:4] = [exact_sum(loss), exact_squares(loss), exact_sum(square), exact_squares(square)]
    if layout.binary:
        _add_histograms(sums, truth == 1, probabilities[:, 1])


def _add_histograms(sums: Sums, positive: NDArray[np.bool_], scores: Floats) -> None:
    bins = score_bins(scores)
    sums.count("positives")[:] = np.bincount(bins[positive], minlength=SCORE_BINS)
    sums.count("negatives")[:] = np.bincount(bins[~positive], minlength=SCORE_BINS)
    tenths = np.clip((scores * CALIBRATION_BINS).astype(np.int64), 0, CALIBRATION_BINS - 1)
    sums.count("calibration_rows")[:] = np.bincount(tenths, minlength=CALIBRATION_BINS)
    sums.count("calibration_positives")[:] = np.bincount(tenths[positive], minlength=CALIBRATION_BINS)
    place = sums.layout.totals["calibration_scores"]
    sums.totals[place] = [exact_sum(scores[tenths == tenth]) for tenth in range(CALIBRATION_BINS)]
