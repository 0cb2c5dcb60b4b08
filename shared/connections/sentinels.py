"""Redis behind Sentinels: `redis+sentinel://user:password@host:port,host:port/service/db`.

A connection asks the Sentinels for the primary whenever it opens its socket, so that after a
failover all that is to be done is to connect again. redis-py's own pool is not used: its
connections skip the question when they are opened by a command. User and password are those of the
Redis servers; the Sentinels' own, if they have any, stand in the query:
`?sentinel_username=…&sentinel_password=…`. With `rediss+sentinel` the options of TLS (tls.py) hold
for both.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import parse_qsl, unquote, urlsplit

import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel

from driftgauge.shared.connections.tls import Telling, TellingAsync, options_of

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
        secure = options_of(query) if SCHEMES[parts.scheme] else {}
        unknown = query.keys() - secure.keys() - {"sentinel_username", "sentinel_password"}
        if unknown:
            raise ValueError(f"it has an unknown option {', '.join(sorted(unknown))}")
        own = {
            name.removeprefix("sentinel_"): value
            for name, value in query.items()
            if name.startswith("sentinel_")
        }
        return cls(
            tuple(_node(host) for host in hosts.split(",")),
            service,
            {
                "db": int(db or 0),
                "username": user or None,
                "password": password or None,
                **secure,
            },
            own | secure,
            SCHEMES[parts.scheme],
        )

    def pool(self, options: Mapping[str, Any]) -> redis.ConnectionPool:
        """Make connections to the primary for blocking code."""
        known = redis.sentinel.Sentinel(self.nodes, sentinel_kwargs=self._of_sentinels(options))
        _tell(known, _Asked)

        def find() -> tuple[str, int]:
            try:
                host, port = known.discover_master(self.service)
            except redis.sentinel.MasterNotFoundError as error:
                raise self._not_found(known) from error
            return host, port

        return _Pool(
            connection_class=_SecureFound if self.tls else _Found,
            find=find,
            known=known,
            **options,
            **self.options,
        )

    def pool_async(self, options: Mapping[str, Any]) -> redis.asyncio.ConnectionPool:
        """Do as `pool`, for asyncio."""
        own = self._of_sentinels(options)
        known = redis.asyncio.sentinel.Sentinel(self.nodes, sentinel_kwargs=own)
        _tell(known, TellingAsync)

        async def find() -> tuple[str, int]:
            try:
                host, port = await known.discover_master(self.service)
            except redis.asyncio.sentinel.MasterNotFoundError as error:
                raise self._not_found(known) from error
            return host, port

        return _PoolAsync(
            connection_class=_SecureFoundAsync if self.tls else FoundAsync,
            find=find,
            known=known,
            **options,
            **self.options,
        )

    def _not_found(self, known: Any) -> redis.ConnectionError:
        """Return the error that no Sentinel names a primary: redis-py's own shows its objects."""
        faults = {one.connection_pool.connection_class.words for one in known.sentinels} - {""}
        asked = ", ".join(f"{host}:{port}" for host, port in self.nodes)
        said = f"no Sentinel of {asked} names a primary of {self.service!r}"
        return redis.sentinel.MasterNotFoundError(". ".join((said, *sorted(faults))))

    def _of_sentinels(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options of a connection to a Sentinel, which shares some with the others."""
        names = ("protocol", "retry", "socket_timeout", "socket_connect_timeout", "driver_info")
        return {**{name: options[name] for name in names}, **self.own, "ssl": self.tls}


def _tell(known: Any, telling: type) -> None:
    """Let the connections to the Sentinels say what fails of TLS."""
    for sentinel in known.sentinels:
        pool = sentinel.connection_pool
        pool.connection_class = type("Telling", (telling, pool.connection_class), {})


class _Asked(Telling):
    """A connection to a Sentinel that has answered once: a new one on which something came without
    a question is broken to redis-py, and TLS sends tickets by itself.
    """

    def on_connect_check_health(self, check_health: bool = True) -> None:  # noqa: FBT001, FBT002  redis-py's signature
        super().on_connect_check_health(check_health)
        self.send_command("PING", check_health=False)  # type: ignore[no-untyped-call]  # redis-py's
        with suppress(redis.exceptions.ResponseError):  # not allowed here: an answer all the same
            self.read_response()


class _Pool(redis.ConnectionPool):
    """Connections to the primary, with those to the Sentinels.

    Parameters
    ----------
    known
        redis-py's Sentinels.
    """

    def __init__(self, *, known: redis.sentinel.Sentinel, **options: Any) -> None:
        super().__init__(**options)
        self._known = known

    def disconnect(self, inuse_connections: bool = True) -> None:  # noqa: FBT001, FBT002  redis-py's signature
        super().disconnect(inuse_connections)
        for sentinel in self._known.sentinels:
            sentinel.connection_pool.disconnect(inuse_connections)


class _PoolAsync(redis.asyncio.ConnectionPool):
    """The same for asyncio."""

    def __init__(self, *, known: redis.asyncio.sentinel.Sentinel, **options: Any) -> None:
        super().__init__(**options)
        self._known = known

    async def disconnect(self, inuse_connections: bool = True) -> None:  # noqa: FBT001, FBT002  as above
        await super().disconnect(inuse_connections)
        for sentinel in self._known.sentinels:
            await sentinel.connection_pool.disconnect(inuse_connections)


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
