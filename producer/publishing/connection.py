"""One command on a bare connection: no pool, no retries, and an error reply is raised."""

from collections.abc import Awaitable
from typing import Any

from redis.asyncio.connection import AbstractConnection


async def ask(connection: AbstractConnection, *command: bytes) -> Any:
    """Send one command and wait for its reply."""
    await connection.send_packed_command(connection.pack_command(*command), check_health=False)
    reply: Awaitable[Any] = connection.read_response()
    return await reply
