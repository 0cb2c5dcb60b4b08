"""Where a key lives: one server, or the node of a Redis Cluster that owns its slot.

On a cluster every stage has a plain client of its slot's node. redis-py's own cluster client would
send a transaction again on a new connection without its WATCH. When a slot has moved, or its node
does not answer, a stage is built anew.
"""

from typing import Any
from urllib.parse import urlsplit

import redis

from driftgauge.shared.connections.redis_client import UNAVAILABLE, connect
from driftgauge.shared.contract.keys import slot_of

CLUSTER_SCHEMES = {"redis+cluster": "redis", "rediss+cluster": "rediss"}
MOVED = (redis.exceptions.MovedError, redis.exceptions.AskError, redis.exceptions.ClusterDownError)
"""What a node answers that does not serve a key's slot (now)."""


class Nodes:
    """Clients by key.

    Parameters
    ----------
    url
        `redis+cluster://host:port` names any node of a cluster; everything else is one server.
    """

    def __init__(self, url: str | None) -> None:
        self._url = url
        self._parts = urlsplit(url or "")
        self.is_cluster = self._parts.scheme in CLUSTER_SCHEMES
        self._seeds = [
            self._node_url(self._parts.hostname or "127.0.0.1", self._parts.port or 6379)
        ]

    def client(self, key: str, **options: Any) -> redis.Redis:
        """Make a client for a key, and for all keys of its slot."""
        return connect(self._owner(slot_of(key)) if self.is_cluster else self._url, **options)

    def _owner(self, slot: int) -> str:
        """Ask the nodes that are known, one after the other, who owns a slot."""
        lost: Exception | None = None
        for seed in self._seeds:
            client = connect(seed)
            client.set_response_callback("CLUSTER SLOTS", lambda reply, **_: reply)
            try:
                ranges: Any = client.execute_command("CLUSTER SLOTS")
            except UNAVAILABLE as error:
                lost = error
                continue
            finally:
                client.close()
            owners = {
                (first, last): self._named(node[0], node[1], seed)
                for first, last, node, *_ in ranges
            }
            self._seeds = sorted({*owners.values(), *self._seeds})
            for (first, last), url in owners.items():
                if first <= slot <= last:
                    return url
            raise redis.exceptions.ClusterDownError(f"no node of the cluster owns slot {slot}")
        raise redis.ConnectionError(f"no node of the cluster answers ({lost})")

    def _named(self, host: bytes | None, port: int, seed: str) -> str:
        """Give a node's address; one that does not know its own is the one that was asked."""
        return self._node_url(host.decode(), port) if host else seed

    def _node_url(self, host: str, port: int) -> str:
        user, _, _ = self._parts.netloc.rpartition("@")
        return f"{CLUSTER_SCHEMES.get(self._parts.scheme, 'redis')}://{user}{'@' if user else ''}{host}:{port}"
