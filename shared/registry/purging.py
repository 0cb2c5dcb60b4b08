"""Removal of a version from Redis: its schema and reference hold values of the rows that it was
registered with.
"""

from typing import Any

import msgspec
import redis

from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.contract.alert import CloudEvent
from driftgauge.shared.contract.keys import Keys


class _Named(msgspec.Struct):
    version: str = ""


def forget(redis_url: str | None, keys: Keys, model: str, version: str) -> int:
    """Delete what Redis holds of a version: schema and reference, accepted references, its state of
    now and its snapshots. Return how many entries were deleted.

    What it published stays: events, panes and alerts go by their ages.

    Raises
    ------
    redis.RedisError
        If Redis does not answer. It can be repeated.
    """
    client = Nodes(redis_url).client(keys.versions(model))
    try:
        deleted = 0
        for key in (
            keys.versions(model),
            keys.references(model),
            keys.current(model),
            keys.brief(model),
            keys.figures(model),
        ):
            fields: Any = client.hkeys(key)
            gone = [name for name in fields if name.partition(b"#")[0] == version.encode()]
            if gone:
                deleted += int(client.hdel(key, *gone))
        return deleted + _snapshots(client, keys.snapshots(model), version)
    finally:
        client.close()


def _snapshots(client: redis.Redis, stream: str, version: str) -> int:
    """Delete the snapshots of a version; one that cannot be read stays."""
    entries: Any = client.xrange(stream)
    gone = [entry for entry, fields in entries if _version_of(fields.get(b"e", b"")) == version]
    return int(client.xdel(stream, *gone)) if gone else 0


def _version_of(packed: bytes) -> str:
    try:
        event = msgspec.json.decode(packed, type=CloudEvent)
        return msgspec.json.decode(event.data, type=_Named).version
    except (msgspec.MsgspecError, RecursionError):
        return ""
