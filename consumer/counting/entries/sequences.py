"""The set of a publisher's sequence numbers that were counted, for deduplication and to detect
losses.

Live traffic overtakes the spool, so the last number is not enough: the set is stored as disjoint
intervals. It is committed together with the counts; an event is counted if and only if its number
was not in the set.
"""

from bisect import bisect_left, bisect_right
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from driftgauge.shared.arrays import Ints


class Intervals:
    """A set of positive integers as sorted, disjoint, non-adjacent closed intervals.

    Examples
    --------
    >>> seen = Intervals()
    >>> seen.claim(np.array([1, 2, 2, 5])).tolist()
    [True, True, False, True]
    >>> seen.bounds, seen.missing
    ([[1, 2], [5, 5]], 2)
    """

    __slots__ = ("bounds",)

    def __init__(self, bounds: list[list[int]] | None = None) -> None:
        self.bounds: list[list[int]] = bounds or []

    @property
    def missing(self) -> int:
        """Number of integers between 1 and the largest that are not in the set."""
        if not self.bounds:
            return 0
        return self.bounds[-1][1] - sum(last - first + 1 for first, last in self.bounds)

    @property
    def last(self) -> int:
        """The largest number of the set, 0 if it is empty."""
        return self.bounds[-1][1] if self.bounds else 0

    def gaps(self, most: int) -> list[tuple[int, int, int]]:
        """Return the runs of numbers below the largest that are not in the set, as first, last and
        how many of them are missing; of more than `most` the last ones in one.

        Examples
        --------
        >>> Intervals([[2, 3], [5, 5], [9, 9]]).gaps(most=2)
        [(1, 1, 1), (4, 8, 4)]
        """
        edges = pairwise([[0, 0], *self.bounds])
        found = [(end + 1, start - 1, start - end - 1) for (_, end), (start, _) in edges]
        found = [gap for gap in found if gap[2]]
        if len(found) <= most:
            return found
        rest = found[most - 1 :]
        return [
            *found[: most - 1],
            (rest[0][0], rest[-1][1], sum(missing for _, _, missing in rest)),
        ]

    def claim(self, numbers: Ints) -> NDArray[np.bool_]:
        """Add numbers; return for each whether it was new.

        Parameters
        ----------
        numbers
            Positive, in the order in which they arrived, shape (n,).

        Returns
        -------
        ndarray of bool, shape (n,)
        """
        first, last = int(numbers[0]), int(numbers[-1])
        follows = not self.bounds or first > self.bounds[-1][1]
        if follows and last - first + 1 == len(numbers) and bool((np.diff(numbers) == 1).all()):
            self._append(first, last)
            return np.ones(len(numbers), dtype=bool)
        return np.array([self.add(number) for number in numbers.tolist()], dtype=bool)

    def add(self, number: int) -> bool:
        """Add one number; return whether it was new."""
        bounds = self.bounds
        after = bisect_right(bounds, number, key=lambda interval: interval[0])
        if after and bounds[after - 1][1] >= number:
            return False
        joins_left = after > 0 and bounds[after - 1][1] == number - 1
        joins_right = after < len(bounds) and bounds[after][0] == number + 1
        if joins_left and joins_right:
            bounds[after - 1][1] = bounds[after][1]
            del bounds[after]
        elif joins_left:
            bounds[after - 1][1] = number
        elif joins_right:
            bounds[after][0] = number
        else:
            bounds.insert(after, [number, number])
        return True

    def add_span(self, first: int, last: int) -> int:
        """Add all numbers from `first` to `last`; return how many of them were new.

        Examples
        --------
        >>> seen = Intervals([[2, 3], [5, 5], [9, 9]])
        >>> seen.add_span(4, 8), seen.bounds
        (4, [[2, 9]])
        """
        bounds = self.bounds
        start = bisect_left(bounds, first - 1, key=lambda interval: interval[1])
        stop = bisect_right(bounds, last + 1, key=lambda interval: interval[0])
        touched = bounds[start:stop]
        known = sum(max(0, min(end, last) - max(begin, first) + 1) for begin, end in touched)
        if touched:
            bounds[start:stop] = [[min(first, touched[0][0]), max(last, touched[-1][1])]]
        else:
            bounds.insert(start, [first, last])
        return last - first + 1 - known

    def _append(self, first: int, last: int) -> None:
        """Add an interval of numbers that are larger than all others."""
        if self.bounds and self.bounds[-1][1] == first - 1:
            self.bounds[-1][1] = last
        else:
            self.bounds.append([first, last])
