"""A line to Redis that notes the commands that go through it: what a process asks for is seen
without a change of the process.
"""

import asyncio
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from hiredis import Reader

CHUNK = 1 << 16
PATIENCE_S = 60
Command = tuple[bytes, ...]
"""A command and its arguments."""


class Line:
    """A port of this machine that leads to the unix socket of a server.

    Parameters
    ----------
    hidden
        Text that is crossed out in what the server answers.

    Attributes
    ----------
    commands
        What went through it; its thread appends to it.
    """

    def __init__(self, socket: Path, hidden: bytes = b"") -> None:
        self.port = 0
        self.commands: list[Command] = []
        self._socket = socket
        self._hidden = hidden
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(PATIENCE_S)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(PATIENCE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()

    async def _open(self) -> None:
        self._server = await asyncio.start_server(self._lead, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, requests = await asyncio.open_unix_connection(self._socket)
        ways = [
            asyncio.ensure_future(self._carry(reader, requests, Reader())),
            asyncio.ensure_future(self._carry(answers, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            requests.close()
            writer.close()

    async def _carry(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        noting: Reader | None = None,
    ) -> None:
        while chunk := await source.read(CHUNK):
            if noting is not None:
                noting.feed(chunk)
                while (command := noting.gets()) is not False:
                    self.commands.append(tuple(command))
            elif self._hidden:
                chunk = chunk.replace(self._hidden, b"-" * len(self._hidden))
            target.write(chunk)
            await target.drain()
