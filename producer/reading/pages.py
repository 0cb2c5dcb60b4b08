"""Pages of what the models' streams hold, newest first: of alerts, of reports.

A page's end is a position in every stream, written as one opaque text.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

import redis.asyncio

from driftgauge.producer.http.problems import Problem
from driftgauge.producer.reading.positions import Positions, read_vector, write_vector
from driftgauge.shared.connections.streams import Backwards, Fields, backwards_async
from driftgauge.shared.contract.entry_id import EntryId

Decoded = TypeVar("Decoded")


async def merged_page(
    client: redis.asyncio.Redis,
    streams: Mapping[str, str],
    decode: Callable[[Fields], Decoded | None],
    count: int,
    before: str | None,
) -> tuple[list[Decoded], str | None]:
    """Return up to `count` entries of several streams, newest first, and where the next page
    begins.

    Parameters
    ----------
    streams
        Model to the key of its stream.
    decode
        Converts an entry to an item of the page; None leaves it out (see `Backwards`).
    before
        Second value that the previous page returned; None for the first page.

    Returns
    -------
    tuple
        The items, and the `before` of the next page; None if nothing is left.

    Raises
    ------
    Problem
        400 if `before` is not what a page returned.
    """
    ends = _ends(before)
    found: list[tuple[EntryId, str, Decoded]] = []
    for model, stream in sorted(streams.items()):
        of_model = 0
        walk = Backwards(decode, ends.get(model))
        async for entry_id, decoded in backwards_async(client, stream, walk):
            found.append((entry_id, model, decoded))
            of_model += 1
            if of_model > count:  # one more than can be shown: so there is a next page
                break
    found.sort(key=lambda one: one[0], reverse=True)
    for entry_id, model, _ in found[:count]:
        ends[model] = str(entry_id)
    following = write_vector(ends) if len(found) > count else None
    return [decoded for _, _, decoded in found[:count]], following


def _ends(before: str | None) -> Positions:
    try:
        return {} if before is None else read_vector(before)
    except Problem:
        raise Problem(
            400, "`before` is not the `next` of a page; leave it out to begin with the newest."
        ) from None
