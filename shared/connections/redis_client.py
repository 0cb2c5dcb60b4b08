"""Making Redis clients, and translating their errors.

Every client is made without redis-py's retries. After a lost reply they would send a command again,
so that an XADD could be applied twice and a transaction be repeated without its WATCH. Callers that
want to try again do so themselves.
"""

from typing import Any, TypeVar
from urllib.parse import urlsplit

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from driftgauge.shared.errors import ConfigurationError, RedisUnavailable

SOCKET_TIMEOUT_S = 5.0
"""Longest wait for a reply, in seconds."""
BLOCK_MS = 1000
"""Longest blocking read, in ms: well below half of the socket timeout."""

DEFAULT_URL = "redis://127.0.0.1:6379/0"
"""Address of Redis if none is configured."""

UNAVAILABLE = (redis.ConnectionError, redis.TimeoutError, redis.exceptions.BusyLoadingError)
"""Errors that redis-py raises if the server cannot be reached, or is still loading its data."""

_T = TypeVar("_T", redis.Redis, redis.asyncio.Redis)


def connect(url: str | None, **options: Any) -> redis.Redis:
    """Make a client for blocking code. It connects at the first command.

    Raises
    ------
    ConfigurationError
        If the address cannot be used.
    """
    return _from_url(redis.Redis, url, retry=Retry(NoBackoff(), 0), **options)


def connect_async(url: str | None, **options: Any) -> redis.asyncio.Redis:
    """Make a client for asyncio. It connects at the first command.

    Raises
    ------
    ConfigurationError
        If the address cannot be used.
    """
    return _from_url(redis.asyncio.Redis, url, retry=AsyncRetry(NoBackoff(), 0), **options)


def _from_url(kind: type[_T], url: str | None, **options: Any) -> _T:
    """Make a client with protocol RESP2, replies as bytes and no retries."""
    settings = {
        "protocol": 2,
        "socket_timeout": SOCKET_TIMEOUT_S,
        "socket_connect_timeout": 2.0,
        **options,
    }
    try:
        return kind.from_url(url or DEFAULT_URL, **settings)
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
