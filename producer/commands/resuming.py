"""A replay that goes on where an earlier one stopped: it numbers its rows as a client does
(docs/exactly-once.md), so that what it sends again counts once, and asks which numbers have
arrived.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec

from driftgauge.shared.connections.api_client import ask
from driftgauge.shared.contract.events import partition_of
from driftgauge.shared.registry.provenance import file_digest


@dataclass(frozen=True)
class Numbered:
    """The requests of a replay, with their numbers.

    Parameters
    ----------
    query
        What names the publisher.
    arrived
        Whether each request has arrived before.
    """

    query: Mapping[str, str]
    arrived: Sequence[bool]


def publisher_of(paths: Sequence[Path], *said: object) -> str:
    """Name the publisher of a replay: the same files, posted in the same way, have the same one."""
    digests = [file_digest(path) for path in paths]
    return "replay-" + hashlib.sha256(msgspec.json.encode([digests, said])).hexdigest()[:40]


async def numbered(
    client: httpx.AsyncClient, requests: Sequence[dict[str, Any]], model: str, publisher: str
) -> Numbered:
    """Number requests in their order within each partition, and find out which have arrived.

    A request without an id gets one of its place, the same in each run.
    """
    told = await ask(client, "GET", f"/publishers/{publisher}", params={"model": model})
    partitions, seen = told["partitions"], told["seen"]
    counts, arrived = [0] * partitions, []
    for place, request in enumerate(requests):
        request["own_id"] = "id" in request
        request.setdefault("id", f"{publisher}-{place}")
        partition = partition_of(request["id"], partitions)
        counts[partition] += 1
        request["number"] = counts[partition]
        runs = seen[partition]
        arrived.append(any(first <= counts[partition] <= last for first, last in runs))
    query = {"model": model, "publisher": publisher, "partitions": str(partitions)}
    return Numbered(query, arrived)
