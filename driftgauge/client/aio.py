"""The monitor for asyncio: the same, with an end that does not hold up the event loop."""

import asyncio
from typing import Self

from driftgauge.client.monitor import FLUSH_S, Monitor


class AsyncMonitor(Monitor):
    """Logs the predictions of one model from an asyncio application.

    `log`, `label` and `failed` are those of `Monitor`: they wait for nothing, so they are called
    without `await`. What waits is awaited.

    Examples
    --------
    >>> async def serve() -> None:
    ...     async with AsyncMonitor("http://127.0.0.1:9", "steel") as monitor:
    ...         monitor.log({"x": 1.5}, 41.7)
    ...         print(await monitor.flushed(timeout_s=0.01))
    ...         await monitor.aclose(timeout_s=0.01)
    >>> asyncio.run(serve())
    False
    """

    async def flushed(self, timeout_s: float = 30.0) -> bool:
        """Wait until all that was logged is with the API; return whether it is."""
        return await asyncio.to_thread(self.flush, timeout_s)

    async def aclose(self, timeout_s: float = FLUSH_S) -> None:
        """Close, as `Monitor.close` does."""
        await asyncio.to_thread(self.close, timeout_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
