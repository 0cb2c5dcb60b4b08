"""Pages of lists, all of one form: at most `limit` entries, and the cursor of the page after them.

A cursor is the place of the last entry of a page, so entries that come or go meanwhile shift
nothing.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeVar

import redis.asyncio

from driftgauge.producer.http.problems import Problem
from driftgauge.shared.connections.streams import Backwards, Fields, backwards_async
from driftgauge.shared.contract.entry_id import EntryId, is_entry_id

Decoded = TypeVar("Decoded")
Item = TypeVar("Item")
PLACE: Final = re.compile(r"([0-9]+-[0-9]+)\.(.*)")
LONGEST_CURSOR: Final = 256


async def merged_page(
    client: redis.asyncio.Redis,
    streams: Mapping[str, str],
    decode: Callable[[Fields], Decoded | None],
    limit: int,
    cursor: str | None,
) -> tuple[list[Decoded], str | None]:
    """Return up to `limit` entries of several streams, newest first, and the cursor of the next
    page.

    Parameters
    ----------
    streams
        Model to the key of its stream.
    decode
        Converts an entry to an item of the page; None leaves it out (see `Backwards`).
    cursor
        Second value that the previous page returned; None for the first page.

    Returns
    -------
    tuple
        The items, and the cursor of the next page; None if nothing is left.

    Raises
    ------
    Problem
        400 if `cursor` is not what a page returned.
    """
    last, last_model = (None, "") if cursor is None else _place(cursor)
    found: list[tuple[EntryId, str, Decoded]] = []
    for model, stream in sorted(streams.items()):
        of_model = 0
        # of entries with the same id, those of the models after the last one were not shown yet
        walk = Backwards(decode, last, inclusive=last is not None and model > last_model)
        async for entry_id, decoded in backwards_async(client, stream, walk):
            found.append((entry_id, model, decoded))
            of_model += 1
            if of_model > limit:  # one more than can be shown: so there is a next page
                break
    found.sort(key=lambda one: one[0], reverse=True)
    shown = found[:limit]
    following = f"{shown[-1][0]}.{shown[-1][1]}" if len(found) > limit else None
    return [decoded for _, _, decoded in shown], following


def page_of(
    items: Iterable[tuple[str, Item]], limit: int, cursor: str | None
) -> tuple[list[Item], str | None]:
    """Return a page of a list that is in memory.

    Parameters
    ----------
    items
        Each item behind the text that it is sorted by, in the order of these texts.

    Examples
    --------
    >>> page_of([("a", 1), ("b", 2), ("c", 3)], 2, None)
    ([1, 2], 'b')
    >>> page_of([("a", 1), ("c", 3)], 2, "b")
    ([3], None)
    """
    left = [(place, item) for place, item in items if cursor is None or place > cursor]
    shown = left[:limit]
    return [item for _, item in shown], shown[-1][0] if len(left) > limit else None


def unknown_cursor() -> Problem:
    """Make the answer to a cursor that no page returned."""
    return Problem(
        400, "`cursor` is not the `next` of a page; leave it out to begin with the first."
    )


def _place(cursor: str) -> tuple[EntryId, str]:
    found = PLACE.fullmatch(cursor)
    if found is None or not is_entry_id(found[1]):
        raise unknown_cursor()
    return EntryId.parse(found[1]), found[2]
