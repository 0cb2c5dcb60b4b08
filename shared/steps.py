"""Long work over many columns tells where it is, to whoever waits for it. Pure."""

from collections.abc import Callable, Collection, Iterator
from typing import TypeVar

T = TypeVar("T")

At = Callable[[str, int, int], object]
"""A function that is told what is done, the number of the step from 1, and of how many."""


def silent(_what: str, _step: int, _of: int) -> None:
    """Tell nobody."""


def steps(what: str, items: Collection[T], at: At) -> Iterator[T]:
    """Yield the items, and tell of each before it is worked on.

    Examples
    --------
    >>> [name for name in steps("columns", ["x", "y"], lambda *where: print(*where))]
    columns 1 2
    columns 2 2
    ['x', 'y']
    """
    for number, item in enumerate(items, start=1):
        at(what, number, len(items))
        yield item
