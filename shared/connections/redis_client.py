"""Making Redis clients, and translating their errors.

Every client is made without redis-py's retries. After a lost reply they would send a command again,
so that an XADD could be applied twice and a transaction be repeated without its WATCH. Callers that
want to try again do so themselves.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import redis
import redis.asyncio
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from driftgauge.shared.connections.cluster import is_cluster
from driftgauge.shared.connections.one_server import Known
from driftgauge.shared.connections.refusals import ADVICE, MISNAMED, refusal
from driftgauge.shared.connections.sentinels import SCHEMES, Sentinels
from driftgauge.shared.connections.tls import Telling, TellingAsync, Untrusted, check_files
from driftgauge.shared.errors import ConfigurationError, DriftgaugeError, RedisUnavailable

SOCKET_TIMEOUT_S = 5.0
"""Longest wait for a reply, in seconds."""
BLOCK_MS = 1000
"""Longest blocking read, in ms: well below half of the socket timeout."""

DEFAULT_URL = "redis://127.0.0.1:6379/0"
"""Address of Redis if none is configured."""

UNTOLD: Final = "of unknown release"
SLOTS: Final = "CLUSTER SLOTS"

UNAVAILABLE = (redis.ConnectionError, redis.TimeoutError, redis.exceptions.BusyLoadingError)
"""Errors that redis-py raises if the server cannot be reached, or is still loading its data."""

SETTINGS: Final[Mapping[str, Any]] = {
    "protocol": 2,
    "socket_timeout": SOCKET_TIMEOUT_S,
    "socket_connect_timeout": 2.0,
    "driver_info": None,
}
"""redis-py's options of every client: protocol RESP2 (replies are bytes), timeouts, and no CLIENT
SETINFO, which a user with few rights may not send, and a server without it counts as an error.
"""

TOPOLOGY: Final[Mapping[str, Any]] = {"socket_timeout": 1.0, "socket_connect_timeout": 1.0}
"""Options of a client that asks a node of a cluster for the slots: another one knows them too."""
Parsed = TypeVar("Parsed")


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
        check_files(url or "")
        if _has_sentinels(url):
            pool = Sentinels.parse(url or "").pool(settings)
        else:
            pool = redis.ConnectionPool.from_url(url or DEFAULT_URL, **settings)
        pool.connection_class = type("Known", (Known, Telling, pool.connection_class), {})
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
        check_files(url or "")
        if _has_sentinels(url):
            client = redis.asyncio.Redis.from_pool(Sentinels.parse(url or "").pool_async(settings))
        else:
            client = redis.asyncio.Redis.from_url(url or DEFAULT_URL, **settings)
    pool = client.connection_pool
    pool.connection_class = type("Leaving", (_Leaving, TellingAsync, pool.connection_class), {})
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


def told_slots(client: redis.Redis) -> Sequence[Any]:
    """Ask a node of a cluster who owns which slots; return its reply to CLUSTER SLOTS."""
    client.set_response_callback(SLOTS, _as_it_is)
    try:
        reply: Any = client.execute_command(SLOTS)
    except redis.ResponseError as error:
        raise _no_cluster(error) from error
    return list(reply)


async def told_slots_async(client: redis.asyncio.Redis) -> Sequence[Any]:
    """Do as `told_slots` with a client for asyncio."""
    client.set_response_callback(SLOTS, _as_it_is)
    try:
        reply: Any = await client.execute_command(SLOTS)
    except redis.ResponseError as error:
        raise _no_cluster(error) from error
    return list(reply)


def _as_it_is(response: Any, **_: Any) -> Any:
    return response


def _no_cluster(error: redis.ResponseError) -> redis.ResponseError:
    """Return what to raise where CLUSTER SLOTS is refused."""
    disabled = "cluster support disabled" in str(error)  # its code is ERR, as that of much else
    return redis.ResponseError(f"NOCLUSTER {error}") if disabled else error


def checked(parse: Callable[[str], Parsed], url: str | None) -> Parsed:
    """Read an address.

    Raises
    ------
    ConfigurationError
        If it cannot be used.
    """
    with _refusing():
        return parse(url or DEFAULT_URL)


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


def told_by(client: redis.Redis, section: str) -> dict[str, Any]:
    """Return what a server tells in a section of INFO; nothing where INFO is not allowed, or not
    there, as with some services.

    Raises
    ------
    redis.ConnectionError, redis.TimeoutError
        If it does not answer.
    """
    try:
        told: Any = client.info(section)
    except redis.ResponseError:
        return {}
    return dict(told)


def unfitting(error: Exception, url: str | None) -> str:
    """Return what of an address does not fit a Redis that is there, and what to do: TLS, its user,
    or its scheme; empty if the error is another one.

    Examples
    --------
    >>> unfitting(redis.AuthenticationError("WRONGPASS"), "redis://ann:no@cache")[:46]
    'Redis at redis://cache refuses the user of DRI'
    """
    if isinstance(error, Untrusted):
        return f"{error}."
    if isinstance(error, redis.AuthenticationError | redis.exceptions.NoPermissionError):
        return (
            f"Redis at {shown(url)} refuses the user of DRIFTGAUGE_REDIS_URL ({error}). Set its "
            f"name and password there; `driftgauge redis acl` prints the rights that it needs."
        )
    code = refusal(error)
    return f"Redis at {shown(url)} cannot be used: {ADVICE[code]}." if code in MISNAMED else ""


def server_ms(client: redis.Redis) -> int:
    """Ask Redis for its time, in ms since 1970."""
    seconds, micros = client.time()
    return int(seconds) * 1000 + int(micros) // 1000


def unavailable(url: str | None, error: Exception) -> DriftgaugeError:
    """Return what to raise for a Redis that does not answer, or not as its address says."""
    unfit = unfitting(error, url)
    if unfit:
        return ConfigurationError(unfit)
    return RedisUnavailable(
        f"No Redis at {shown(url)} ({error}). Start one (`driftgauge up` brings its own), or "
        f"set DRIFTGAUGE_REDIS_URL to where it listens; `driftgauge doctor` looks for more."
    )


def require(client: redis.Redis, url: str | None) -> dict[str, str]:
    """Check that Redis answers, and return which server it is.

    Parameters
    ----------
    url
        Address of the server, for the error.

    Returns
    -------
    dict
        `kind` (`redis` or `valkey`) and `version`, which some services do not tell.

    Raises
    ------
    RedisUnavailable
        If it does not answer.
    ConfigurationError
        If it answers, and TLS or the user of the address is wrong, or it is a node of a cluster and
        the address that of one server.
    """
    try:
        server = told_by(client, "server")
    except redis.RedisError as error:
        raise unavailable(url, error) from error
    if server.get("redis_mode") == "cluster" and not is_cluster(url):
        raise ConfigurationError(f"Redis at {shown(url)} cannot be used: {ADVICE['MOVED']}.")
    if "valkey_version" in server:
        return {"kind": "valkey", "version": str(server["valkey_version"])}
    return {"kind": "redis", "version": str(server.get("redis_version", UNTOLD))}
