"""Connections of one pool that lead to two servers, as after a failover at the same address."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from driftgauge.shared.connections.one_server import Server, one_server
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.local.embedded_redis import EmbeddedRedis


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[EmbeddedRedis, EmbeddedRedis]]:
    with EmbeddedRedis(tmp_path / "a") as first, EmbeddedRedis(tmp_path / "b") as second:
        yield first, second


def test_what_belongs_together_goes_to_one_server(
    two: tuple[EmbeddedRedis, EmbeddedRedis], tmp_path: Path
) -> None:
    """While an idle connection leads to the old server and a new one to the new, a thread that
    works with one server's state gets an error from the other, and goes on with a new connection;
    a thread that works with none is served by both.
    """
    address = tmp_path / "redis.sock"
    address.symlink_to(two[0].socket)
    with connect(f"unix://{address}") as client:
        pool = client.connection_pool
        held = pool.get_connection()  # to the old server
        address.unlink()
        address.symlink_to(two[1].socket)
        client.set("new", 1)
        pool.release(held)  # the next command takes it
        assert client.get("new") is None
        server = Server()
        with one_server(server):
            assert client.get("new") is None
            other = pool.get_connection()
            new = pool.get_connection()
            new.connect()
            with pytest.raises(redis.ConnectionError, match="another server"):
                new.send_command("GET", "new")
            pool.release(other)
            pool.release(new)
        with one_server(Server()):
            held.disconnect()  # as whoever meets the error does
            assert client.get("new") == b"1"
