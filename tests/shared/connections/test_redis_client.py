"""Clients of Redis."""

from pathlib import Path

import pytest
import redis

from driftgauge.shared.connections.redis_client import connect, connect_async
from driftgauge.shared.local.embedded_redis import EmbeddedRedis


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_a_server_that_was_demoted_is_left(tmp_path: Path) -> None:
    """A connection that answers READONLY would do so for ever: it is closed, and the next command
    opens one to whatever server the name leads to then.
    """
    with EmbeddedRedis(tmp_path / "redis") as server, connect(server.url) as operator:
        async with connect_async(server.url) as client:
            before = await client.client_id()
            assert await client.client_id() == before
            operator.replicaof("127.0.0.1", "1")
            with pytest.raises(redis.ReadOnlyError):
                await client.set("key", "value")
            assert await client.client_id() != before
            async with client.pipeline(transaction=True) as pipe:
                pipe.set("key", "value")
                with pytest.raises(redis.RedisError):
                    await pipe.execute()
            operator.replicaof("NO", "ONE")
            assert await client.set("key", "value")
