"""One client for each server, shared by all threads, whatever the number of keys."""

from typing import Self

import pytest
import redis

from driftgauge.shared.connections import nodes as nodes_module
from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.contract.keys import SLOTS, slot_of

HALVES = [
    [0, SLOTS // 2 - 1, [b"10.0.0.1", 7001, b"a"]],
    [SLOTS // 2, SLOTS - 1, [b"10.0.0.2", 7002, b"b"]],
]


class Node:
    """A node of a cluster that tells its slots; it counts how often it was asked."""

    asked = 0

    def __init__(self, url: str) -> None:
        self.url = url
        self.connection_pool = self

    def set_response_callback(self, *_: object) -> None:
        """Replies are as they should be."""

    def execute_command(self, _: str) -> list[list[object]]:
        Node.asked += 1
        return HALVES  # type: ignore[return-value]  # a list of lists

    def disconnect(self, *, inuse_connections: bool) -> None:
        assert not inuse_connections, "others work with them"

    def close(self) -> None:
        """Nothing is open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""


def test_keys_of_one_server_share_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster is asked once for the slots of a thousand keys, and again when one has moved; each
    key gets the client of its node.
    """
    monkeypatch.setattr(nodes_module, "connect", lambda url, **_: Node(url))
    monkeypatch.setattr(Node, "asked", 0)
    nodes, keys = Nodes("redis+cluster://10.0.0.1:7001"), [f"dg:{{m{n}}}:log" for n in range(1000)]
    clients = {key: nodes.shared(key) for key in keys}
    assert (len(set(clients.values())), Node.asked) == (2, 1)
    for key, client in clients.items():
        port = 7001 if slot_of(key) < SLOTS // 2 else 7002
        assert client.url == f"redis://10.0.0.{port - 7000}:{port}"  # type: ignore[attr-defined]  # a Node
    nodes.forget()
    assert nodes.shared(keys[0]) is clients[keys[0]]
    assert Node.asked == 2


def test_a_single_server_has_one_client(redis_url: str) -> None:
    """Without a cluster every key has the same client, which takes a connection when it needs
    one.
    """
    nodes = Nodes(redis_url)
    assert nodes.shared("a") is nodes.shared("{b}:log")
    assert isinstance(nodes.shared("a"), redis.Redis)
    assert nodes.shared("a").ping()
    assert nodes.servers() == [nodes.shared("a")]
    nodes.close()
