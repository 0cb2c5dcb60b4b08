"""Streams of server-sent events as answers, for as long as their reader may read."""

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Final

from fastapi import Header, Query, Request
from fastapi.responses import StreamingResponse

from driftgauge.producer.access.control import caller_of
from driftgauge.producer.parts import Parts
from driftgauge.producer.reading.subscription import Subscriptions
from driftgauge.producer.routes.model_choice import known_model

FOLLOWED: Final = "Server-sent events, until the client leaves."
LastSeen = Annotated[
    str | None,
    Query(
        description="Id of the last event that was seen, as `Last-Event-ID`; from now if absent."
    ),
]
LastEventId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", description="Id of the last event that was seen."),
]


async def followed(
    parts: Parts,
    subscriptions: Subscriptions,
    request: Request,
    model: str | None,
    after: str | None,
) -> StreamingResponse:
    """Answer with what comes from a position on, of one model or of all.

    Parameters
    ----------
    after
        The last id that the reader saw; None to start from now.

    Raises
    ------
    Problem
        404 if there is no such model, 400 if the position is malformed, 503 if too many follow.
    """
    caller = caller_of(request)
    name = None if model is None else await known_model(parts, model)
    subscription = await subscriptions.open(name, after)
    return StreamingResponse(
        while_allowed(subscription.blocks(), lambda: parts.access.still(caller, "read")),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def while_allowed(
    blocks: AsyncIterator[bytes], allowed: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """Pass blocks on until the reader's key is revoked or has expired, which is noticed at the next
    block or heartbeat.
    """
    async for block in blocks:
        if not allowed():
            return
        yield block
