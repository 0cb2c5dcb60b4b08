"""The half of the rows that chooses: the slices of up to two features in which the errors are
largest beyond chance.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any, Final, NamedTuple

import numpy as np

from driftgauge.consumer.slicing.parts import Parted
from driftgauge.shared.arrays import Flags, Floats

MOST_FEATURES: Final = 30
"""Features whose values are combined; of more, those by which the errors differ most."""
LEAST_ROWS: Final = 100
"""Least rows of a slice in each half."""
LARGEST: Final = 0.5
"""Largest share of the rows in a slice."""
ALIKE: Final = 0.5
"""Share of rows in common from which two slices are one."""


class Seen(NamedTuple):
    """A slice that was looked at: the places of its features and of their parts, and how far its
    errors are above the others', in standard errors.
    """

    score: float
    features: tuple[int, ...]
    parts: tuple[int, ...]

    def inside(self, parted: Sequence[Parted]) -> Flags:
        """Tell for each row whether it is in it."""
        pairs = zip(self.features, self.parts, strict=True)
        found: Flags = np.all([parted[feature].inside(part) for feature, part in pairs], axis=0)
        return found

    def condition(self, parted: Sequence[Parted]) -> str:
        """Return what its rows fulfil, as `driftgauge slice` takes it."""
        pairs = zip(self.features, self.parts, strict=True)
        return " AND ".join(parted[feature].conditions[part] for feature, part in pairs)


def look(parted: list[Parted], errors: Floats) -> tuple[list[int], int, list[Seen]]:
    """Look at the slices of one feature, and of two.

    Returns
    -------
    tuple
        Places of the features that were combined, number of slices that were looked at, and those
        with larger errors, which name features by their place among the combined ones.
    """
    alone = [_looked([one], (place,), errors) for place, one in enumerate(parted)]
    best = [max((one.score for one in found), default=-np.inf) for _, found in alone]
    kept = sorted(np.argsort(best, kind="stable")[::-1][:MOST_FEATURES].tolist())
    looked = sum(alone[old][0] for old in kept)
    seen = [
        one._replace(features=(place,)) for place, old in enumerate(kept) for one in alone[old][1]
    ]
    for one, other in combinations(range(len(kept)), 2):
        number, found = _looked([parted[kept[one]], parted[kept[other]]], (one, other), errors)
        looked += number
        seen += found
    return kept, looked, seen


def _looked(
    parted: list[Parted], features: tuple[int, ...], errors: Floats
) -> tuple[int, list[Seen]]:
    """Score the slices of one feature's parts, or of two features'; return how many there are that
    are neither too small nor too large, and those with larger errors than the others.
    """
    sizes = [one.cells for one in parted]
    n, mean, variance = len(errors), float(errors.mean()), float(errors.var())
    if not all(sizes) or not variance:
        return 0, []
    known = np.all([one.codes >= 0 for one in parted], axis=0)
    codes = np.ravel_multi_index([one.codes[known] for one in parted], sizes)
    counts, totals = (
        _by_part(np.bincount(codes, weights, int(np.prod(sizes))).reshape(sizes), parted)
        for weights in (None, errors[known])
    )
    large = (counts >= LEAST_ROWS) & (counts <= LARGEST * n)
    rows = counts[large]
    scores = (totals[large] - rows * mean) / np.sqrt(rows * (1 - rows / n) * variance)
    places = np.argwhere(large)
    worse = scores > 0
    return len(scores), [
        Seen(score, features, tuple(parts))
        for score, parts in zip(scores[worse].tolist(), places[worse].tolist(), strict=True)
    ]


def _by_part(cells: Any, parted: list[Parted]) -> Floats:
    """Sum what is told of each cell over the cells of each part."""
    found = np.asarray(cells, np.float64)
    for axis, one in enumerate(parted):
        found = np.moveaxis(np.tensordot(one.members(), found, (1, axis)), 0, axis)
    return found


def listed(parted: list[Parted], seen: list[Seen], most: int) -> list[Seen]:
    """Choose the slices with the largest scores, of those with most rows in common the first."""
    found: list[Seen] = []
    rows: list[Any] = []
    for one in sorted(seen, key=lambda slice_: -slice_.score):
        if len(found) == most:
            break
        inside = one.inside(parted)
        if all((inside & other).sum() < ALIKE * (inside | other).sum() for other in rows):
            found.append(one)
            rows.append(inside)
    return found
