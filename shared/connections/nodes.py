"""Finding the Redis server of a key: the only one, or the node of a Redis Cluster with its slot.

On a cluster there is a plain client for each node. redis-py's cluster client is not used, because
it would repeat a transaction on a new connection without its WATCH. When a slot has moved, or its
node does not answer, the nodes are asked again, and who worked there is built again.
"""

import threading
from typing import Any
from urllib.parse import urlsplit

import redis

from driftgauge.shared.connections.redis_client import UNAVAILABLE, connect
from driftgauge.shared.contract.keys import slot_of

CLUSTER_SCHEMES = {"redis+cluster": "redis", "rediss+cluster": "rediss"}
"""Scheme of a cluster's address to that of a node's address."""
MOVED = (redis.exceptions.MovedError, redis.exceptions.AskError, redis.exceptions.ClusterDownError)
"""The errors of a node that does not, or not yet, serve the slot of a key."""


class Nodes:
    """Makes Redis clients by key.

    Parameters
    ----------
    url
        Address of any node of a cluster (`redis+cluster://host:port`), or of a single server, which
        Sentinels may know (sentinels.py); None is a server on this machine.
    """

    def __init__(self, url: str | None) -> None:
        self._url = url
        self._parts = urlsplit(url or "")
        self.is_cluster = self._parts.scheme in CLUSTER_SCHEMES
        self._seeds = [self._first()] if self.is_cluster else []
        self._lock = threading.Lock()
        self._owners: dict[tuple[int, int], str] = {}
        self._shared: dict[str | None, redis.Redis] = {}

    def client(self, key: str, **options: Any) -> redis.Redis:
        """Make a client for a key and all keys of its slot; `options` are redis-py's.

        Raises
        ------
        redis.ConnectionError
            If no node of the cluster answers.
        """
        with self._lock:
            url = self._owner(slot_of(key)) if self.is_cluster else self._url
        return connect(url, **options)

    def shared(self, key: str) -> redis.Redis:
        """Return the client that all threads share for a key's server; its pool has as many
        connections as are in use at the same time.

        Raises
        ------
        redis.ConnectionError
            If no node of the cluster answers.
        """
        with self._lock:
            url = self._owner(slot_of(key)) if self.is_cluster else self._url
            if url not in self._shared:
                self._shared[url] = connect(url)
            return self._shared[url]

    def servers(self) -> list[redis.Redis]:
        """Return the shared clients that were asked for so far, one for each server."""
        with self._lock:
            return list(self._shared.values())

    def forget(self) -> None:
        """Ask for the owners of the slots again, and open idle connections anew: a node did not
        answer, or does not have a slot any more.
        """
        with self._lock:
            self._owners = {}
            for client in self._shared.values():
                client.connection_pool.disconnect(inuse_connections=False)

    def close(self) -> None:
        """Close the shared clients."""
        with self._lock:
            for client in self._shared.values():
                client.close()
            self._shared = {}

    def _owner(self, slot: int) -> str:
        """Return the address of a slot's owner, as the nodes told it last."""
        self._owners = self._owners or self._told()
        for (first, last), url in self._owners.items():
            if first <= slot <= last:
                return url
        self._owners = {}
        raise redis.exceptions.ClusterDownError(f"no node of the cluster owns slot {slot}")

    def _told(self) -> dict[tuple[int, int], str]:
        """Ask the known nodes, one after the other, who owns which slots."""
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
            return owners
        raise redis.ConnectionError(f"no node of the cluster answers ({lost})")

    def _named(self, host: bytes | None, port: int, seed: str) -> str:
        """Return the address of a node; a node without a name is the one that was asked."""
        return self._node_url(host.decode(), port) if host else seed

    def _first(self) -> str:
        return self._node_url(self._parts.hostname or "127.0.0.1", self._parts.port or 6379)

    def _node_url(self, host: str, port: int) -> str:
        scheme = CLUSTER_SCHEMES.get(self._parts.scheme, "redis")
        user, at, _ = self._parts.netloc.rpartition("@")
        return f"{scheme}://{user}{at}{host}:{port}"
