"""Finding the Redis server of a key: the only one, or the node of a Redis Cluster with its slot.

On a cluster there is a plain client for each node. redis-py's cluster client is not used, because
it would repeat a transaction on a new connection without its WATCH. When a slot has moved, or its
node does not answer, the nodes are asked again, and who worked there is built again.
"""

import threading
from collections import deque
from typing import Any

import redis

from driftgauge.shared.connections.cluster import ClusterAddress, Slots, is_cluster
from driftgauge.shared.connections.redis_client import (
    TOPOLOGY,
    UNAVAILABLE,
    checked,
    connect,
    require,
    told_slots,
    unavailable,
)
from driftgauge.shared.contract.keys import slot_of


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
        self.is_cluster = is_cluster(url)
        self._address = checked(ClusterAddress.parse, url) if self.is_cluster else None
        self._seeds = deque(self._address.nodes if self._address else ())
        self._lock = threading.Lock()
        self._slots: Slots | None = None
        self._shared: dict[str | None, redis.Redis] = {}

    def client(self, key: str, **options: Any) -> redis.Redis:
        """Make a client for a key and all keys of its slot; `options` are redis-py's.

        Raises
        ------
        redis.ConnectionError
            If no node of the cluster answers.
        """
        with self._lock:
            url = self._home(key)
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
            return self._client(self._home(key))

    def masters(self) -> list[redis.Redis]:
        """Return the shared client of each server that has slots.

        Raises
        ------
        redis.ConnectionError
            If no node of the cluster answers.
        """
        with self._lock:
            if self._address is None:
                return [self._client(self._url)]
            self._slots = self._slots or self._told(self._address)
            return [self._client(url) for url in self._slots.masters]

    def require(self, key: str) -> redis.Redis:
        """Return the shared client of a key's server, which answers.

        Raises
        ------
        RedisUnavailable
            If it does not.
        ConfigurationError
            If its address does not fit it.
        """
        try:
            client = self.shared(key)
        except redis.RedisError as error:
            raise unavailable(self._url, error) from error
        require(client, self._url)
        return client

    def servers(self) -> list[redis.Redis]:
        """Return the shared clients that were asked for so far, one for each server."""
        with self._lock:
            return list(self._shared.values())

    def forget(self) -> None:
        """Ask for the owners of the slots again, and open idle connections anew: a node did not
        answer, or does not have a slot any more.
        """
        with self._lock:
            self._slots = None
            self._seeds.rotate(-1)  # the one that was asked last may see the cluster wrongly
            for client in self._shared.values():
                client.connection_pool.disconnect(inuse_connections=False)

    def close(self) -> None:
        """Close the shared clients."""
        with self._lock:
            for client in self._shared.values():
                client.close()
            self._shared = {}

    def _client(self, url: str | None) -> redis.Redis:
        if url not in self._shared:
            self._shared[url] = connect(url)
        return self._shared[url]

    def _home(self, key: str) -> str | None:
        """Return the address of a key's server, as the nodes told it last."""
        if self._address is None:
            return self._url
        self._slots = self._slots or self._told(self._address)
        return self._slots.require(slot_of(key))

    def _told(self, address: ClusterAddress) -> Slots:
        """Ask the known nodes, one after the other, who owns which slots."""
        lost: Exception | None = None
        for seed in list(self._seeds):
            with connect(seed, **TOPOLOGY) as client:
                try:
                    slots = Slots.told(told_slots(client), address, seed)
                except UNAVAILABLE as error:
                    lost = error
                    continue
            self._seeds = deque([seed, *sorted({*slots.masters, *self._seeds} - {seed})])
            return slots
        raise redis.ConnectionError(f"no node of the cluster answers ({lost})")
