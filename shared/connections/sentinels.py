"""Redis behind Sentinels: `redis+sentinel://user:password@host:port,host:port/service/db`.

A connection asks the Sentinels for the primary whenever it opens its socket, so that after a
failover all that is to be done is to connect again. redis-py's own pool is not used: its
connections skip the question when they are opened by a command. User and password are those of the
Redis servers; the Sentinels' own, if they have any, stand in the query:
`?sentinel_username=…&sentinel_password=…`.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import parse_qsl, unquote, urlsplit

import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel

SCHEMES: Final[Mapping[str, bool]] = {"redis+sentinel": False, "rediss+sentinel": True}
"""Scheme of an address to whether the connections are encrypted."""
PORT: Final = 26379


@dataclass(frozen=True, slots=True)
class Sentinels:
    """An address of Redis behind Sentinels.

    Parameters
    ----------
    nodes
        Host and port of each Sentinel.
    service
        Name of the primary, as the Sentinels have it.
    options
        redis-py's options of a connection to Redis.
    own
        Its options of a connection to a Sentinel.
    tls
        Whether connections are encrypted.

    Examples
    --------
    >>> found = Sentinels.parse("redis+sentinel://:secret@a:26379,b/main/2")
    >>> found.nodes, found.service, found.options["db"]
    ((('a', 26379), ('b', 26379)), 'main', 2)
    """

    nodes: tuple[tuple[str, int], ...]
    service: str
    options: Mapping[str, Any]
    own: Mapping[str, Any]
    tls: bool = False

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read an address; ValueError says what it lacks."""
        parts = urlsplit(url)
        given, _, hosts = parts.netloc.rpartition("@")
        user, _, password = (unquote(one) for one in given.partition(":"))
        service, _, db = parts.path.strip("/").partition("/")
        if not hosts or not service:
            raise ValueError(
                "an address of Sentinels is redis+sentinel://host:port,host:port/service/db"
            )
        query = dict(parse_qsl(parts.query))
        unknown = query.keys() - {"sentinel_username", "sentinel_password"}
        if unknown:
            raise ValueError(f"it has an unknown option {', '.join(sorted(unknown))}")
        own = {name.removeprefix("sentinel_"): value for name, value in query.items()}
        return cls(
            tuple(_node(host) for host in hosts.split(",")),
            service,
            {
                "db": int(db or 0),
                "username": user or None,
                "password": password or None,
            },
            own,
            SCHEMES[parts.scheme],
        )

    def pool(self, options: Mapping[str, Any]) -> redis.ConnectionPool:
        """Make connections to the primary for blocking code."""
        known = redis.sentinel.Sentinel(self.nodes, sentinel_kwargs=self._of_sentinels(options))
        return redis.ConnectionPool(
            connection_class=_SecureFound if self.tls else _Found,
            find=lambda: known.discover_master(self.service),
            **options,
            **self.options,
        )

    def pool_async(self, options: Mapping[str, Any]) -> redis.asyncio.ConnectionPool:
        """Do as `pool`, for asyncio."""
        own = self._of_sentinels(options)
        known = redis.asyncio.sentinel.Sentinel(self.nodes, sentinel_kwargs=own)
        return redis.asyncio.ConnectionPool(
            connection_class=_SecureFoundAsync if self.tls else FoundAsync,
            find=lambda: known.discover_master(self.service),
            **options,
            **self.options,
        )

    def _of_sentinels(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options of a connection to a Sentinel, which shares some with the others."""
        names = ("protocol", "retry", "socket_timeout", "socket_connect_timeout")
        return {**{name: options[name] for name in names}, **self.own, "ssl": self.tls}


class _Found(redis.Connection):
    """A connection to the primary that is found by a function.

    Parameters
    ----------
    find
        Function that returns its host and port.
    """

    def __init__(self, *, find: Callable[[], tuple[str, int]], **options: Any) -> None:
        self._find = find
        super().__init__(**options)  # type: ignore[no-untyped-call]  # redis-py's

    def _connect(self) -> Any:
        self.host, self.port = self._find()
        return super()._connect()  # type: ignore[no-untyped-call]  # redis-py's


class _SecureFound(_Found, redis.SSLConnection):
    """The same with TLS."""


class FoundAsync(redis.asyncio.Connection):
    """`_Found` for asyncio."""

    def __init__(self, *, find: Callable[[], Awaitable[tuple[str, int]]], **options: Any) -> None:
        self._find = find
        super().__init__(**options)

    async def _connect(self) -> Any:
        self.host, self.port = await self._find()
        return await super()._connect()  # type: ignore[no-untyped-call]  # redis-py's

    async def is_left(self) -> bool:
        """Tell whether the Sentinels name another primary by now; while they are away, none."""
        try:
            return await self._find() != (self.host, self.port)
        except (redis.ConnectionError, redis.TimeoutError):
            return False


class _SecureFoundAsync(FoundAsync, redis.asyncio.SSLConnection):
    """The same with TLS."""


def _node(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError(f"{text!r} is no host and port of a Sentinel")
    return parts.hostname, parts.port or PORT
