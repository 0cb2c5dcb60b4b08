"""Requests to the workers for a new reference from the latest panes, which the API does not compute
itself.
"""

import asyncio
import time
from typing import Any, Final
from uuid import uuid4

import redis.asyncio

from driftgauge.producer.http.problems import RETRY_AFTER, Problem
from driftgauge.shared.contract import proposals
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.proposals import REQUEST_KEPT_S, ReferenceRequest
from driftgauge.shared.reference.accepted import AcceptedReference

TAKEN_S: Final = 10.0
"""Longest wait (s) for a worker to take a request. Workers look for requests twice a second, so
after it none is running, or it is busy with another.
"""
MADE_S: Final = 55.0
"""Longest wait (s) for the reference; proxies commonly give up after 60 s."""
POLL_S: Final = 0.1


async def proposed_reference(
    client: redis.asyncio.Redis, keys: Keys, model: str, version: str, window_ms: int
) -> AcceptedReference:
    """Have a reference made, and wait for it.

    Raises
    ------
    Problem
        409 if it cannot be made of those panes, 503 if no worker takes the request, 504 if it takes
        too long. Nothing has changed then.
    """
    request, waiting, begun = (
        ReferenceRequest(uuid4().hex, version, window_ms),
        keys.proposals(model),
        time.monotonic(),
    )
    packed: Any = proposals.encode(request)
    pipe = client.pipeline(transaction=True)
    pipe.rpush(waiting, packed)
    pipe.expire(waiting, REQUEST_KEPT_S)
    await pipe.execute()
    while time.monotonic() - begun < MADE_S:
        found: Any = await client.getdel(keys.proposed(model, request.id))
        if found is not None:
            return _usable(found)
        if time.monotonic() - begun > TAKEN_S and await _taken_back(client, waiting, packed):
            raise Problem(
                503,
                f"No worker took the request within {TAKEN_S:.0f} s, so nothing has changed. Does "
                f"`driftgauge worker` "
                "run? `driftgauge reference accept` needs none.",
                (),
                RETRY_AFTER,
            )
        await asyncio.sleep(POLL_S)
    raise Problem(
        504,
        f"The reference was not made within {MADE_S:.0f} s, so nothing has changed. Choose a "
        f"shorter window, or run "
        f"`driftgauge reference accept {model} --version {version} --reason WHY`, which has no "
        f"limit.",
    )


async def _taken_back(client: redis.asyncio.Redis, waiting: str, packed: Any) -> bool:
    """Withdraw a request; return False if a worker has taken it meanwhile."""
    removed: Any = client.lrem(waiting, 1, packed)
    return bool(await removed)


def _usable(packed: bytes) -> AcceptedReference:
    answer = proposals.decode_answer(packed)
    if answer.fault:
        raise Problem(409, answer.fault)
    return AcceptedReference.unpack(answer.reference)
