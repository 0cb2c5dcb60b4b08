"""Making Redis clients, and translating their errors.

Every client is made without redis-py's retries. After a lost reply they would send a command again,
so that an XADD could be applied twice and a transaction be repeated without its WATCH. Callers that
want to try again do so themselves.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import redis
import redis.asyncio
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from driftgauge.shared.connections.one_server import Known
from driftgauge.shared.connections.sentinels import SCHEMES, Sentinels
from driftgauge.shared.errors import ConfigurationError, RedisUnavailable

SOCKET_TIMEOUT_S = 5.0
"""Longest wait for a reply, in seconds."""
BLOCK_MS = 1000
"""Longest blocking read, in ms: well below half of the socket timeout."""

DEFAULT_URL = "redis://127.0.0.1:6379/0"
"""Address of Redis if none is configured."""

UNAVAILABLE = (redis.ConnectionError, redis.TimeoutError, redis.exceptions.BusyLoadingError)
"""Errors that redis-py raises if the server cannot be reached, or is still loading its data."""

SETTINGS: Final[Mapping[str, Any]] = {
    "protocol": 2,
    "socket_timeout": SOCKET_TIMEOUT_S,
    "socket_connect_timeout": 2.0,
}
"""redis-py's options of every client: protocol RESP2 (replies are bytes), and timeouts."""


def connect(url: str | None, **options: Any) -> redis.Redis:
    """Make a client for blocking code. It connects at the first command.

    Raises
    ------
    ConfigurationError
        If the address cannot be used.
    """
    settings = {**SETTINGS, "retry": Retry(NoBackoff(), 0), **options}
    single = settings.pop("single_connection_client", False)
    with _refusing():
        if _has_sentinels(url):
            pool = Sentinels.parse(url or "").pool(settings)
        else:
            pool = redis.ConnectionPool.from_url(url or DEFAULT_URL, **settings)
        pool.connection_class = type("Known", (Known, pool.connection_class), {})
        client = redis.Redis(connection_pool=pool, single_connection_client=single)
        client.auto_close_connection_pool = True
        return client


def connect_async(url: str | None, **options: Any) -> redis.asyncio.Redis:
    """Make a client for asyncio. It connects at the first command. A connection to a server that
    answers READONLY, because it is no primary any more, is closed: the next one finds the new one.

    Raises
    ------
    ConfigurationError
        If the address cannot be used.
    """
    settings = {**SETTINGS, "retry": AsyncRetry(NoBackoff(), 0), **options}
    with _refusing():
        if _has_sentinels(url):
            client = redis.asyncio.Redis.from_pool(Sentinels.parse(url or "").pool_async(settings))
        else:
            client = redis.asyncio.Redis.from_url(url or DEFAULT_URL, **settings)
    pool = client.connection_pool
    pool.connection_class = type("Leaving", (_Leaving, pool.connection_class), {})
    return client


class _Leaving(AbstractConnection):
    """A connection that is closed by the answer READONLY."""

    async def read_response(self, *arguments: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*arguments, **options)
        except redis.exceptions.ReadOnlyError:
            await self.disconnect(nowait=True)
            raise


def _has_sentinels(url: str | None) -> bool:
    return urlsplit(url or "").scheme in SCHEMES


@contextmanager
def _refusing() -> Iterator[None]:
    """Say what cannot be used of an address."""
    try:
        yield
    except ValueError as error:
        raise ConfigurationError(f"DRIFTGAUGE_REDIS_URL cannot be used: {error}.") from error


def shown(url: str | None) -> str:
    """Return an address of Redis without user and password, to show it.

    Examples
    --------
    >>> shown("redis://user:secret@cache:6379/0")
    'redis://cache:6379/0'
    >>> shown("unix:///run/redis.sock?db=1")
    'unix:///run/redis.sock'
    """
    parts = urlsplit(url or DEFAULT_URL)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def server_ms(client: redis.Redis) -> int:
    """Ask Redis for its time, in ms since 1970."""
    seconds, micros = client.time()
    return int(seconds) * 1000 + int(micros) // 1000


def require(client: redis.Redis, url: str | None) -> dict[str, str]:
    """Check that Redis answers, and return which server it is.

    Parameters
    ----------
    url
        Address of the server, for the error.

    Returns
    -------
    dict
        `kind` (`redis` or `valkey`) and `version`.

    Raises
    ------
    RedisUnavailable
        If it does not answer.
    """
    try:
        server: dict[str, Any] = client.info("server")
    except redis.RedisError as error:
        raise RedisUnavailable(
            f"No Redis at {shown(url)} ({error}). Start one (`driftgauge up` brings its own), or "
            f"set DRIFTGAUGE_REDIS_URL to where it listens; `driftgauge doctor` looks for more."
        ) from error
    if "valkey_version" in server:
        return {"kind": "valkey", "version": str(server["valkey_version"])}
    return {"kind": "redis", "version": str(server["redis_version"])}
