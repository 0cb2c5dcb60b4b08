"""Commands on a bare connection: no pool, no retries, and an error reply is raised."""

from collections.abc import Awaitable, Sequence
from typing import Any, Protocol

import redis
from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection


class Asking(Protocol):
    """A way to ask Redis, which of several servers may be the ones that have the keys."""

    async def one(self, *command: bytes) -> Any:
        """Send one command and wait for its reply; an error is raised."""

    async def many(self, commands: Sequence[tuple[str, ...]]) -> list[Any]:
        """Send commands in one round trip; an error is a reply."""


class Direct:
    """Asking on a connection."""

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection

    async def one(self, *command: bytes) -> Any:
        """Send one command and wait for its reply."""
        return await ask(self._connection, *command)

    async def many(self, commands: Sequence[tuple[str, ...]]) -> list[Any]:
        """Send commands in one round trip."""
        # by hiredis, since these are many: redis-py's packer takes ten times as long
        packed = [pack_command(command) for command in commands]  # type: ignore[arg-type]  # its stub names a tuple of one
        await self._connection.send_packed_command(b"".join(packed), check_health=False)
        replies: list[Any] = []
        for _ in commands:
            try:
                reading: Any = self._connection.read_response()
                replies.append(await reading)
            except redis.ResponseError as error:
                replies.append(error)
        return replies


async def ask(connection: AbstractConnection, *command: bytes) -> Any:
    """Send one command and wait for its reply."""
    await connection.send_packed_command(connection.pack_command(*command), check_health=False)
    reply: Awaitable[Any] = connection.read_response()
    return await reply
