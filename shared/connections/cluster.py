"""A Redis Cluster as its clients see it: its address, its slots, and what its nodes say of a
slot that is elsewhere.

`redis+cluster://user:password@host:port,host:port?ssl_ca_certs=FILE` names some of the nodes, of
which any leads to the others; with TLS it is `rediss+cluster`. User, password and the options of
the query hold for every node.
"""

from bisect import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import urlsplit

import redis

from driftgauge.shared.contract.keys import slot_of

CLUSTER_SCHEMES = {"redis+cluster": "redis", "rediss+cluster": "rediss"}
"""Scheme of a cluster's address to that of a node's address."""
PORT: Final = 6379
MOVED = (
    redis.exceptions.MovedError,
    redis.exceptions.AskError,
    redis.exceptions.TryAgainError,
    redis.exceptions.ClusterDownError,
)
"""The errors of a node that does not, or not yet, serve the slot of a key: nothing was done."""
KEYLESS: Final = frozenset({"PING", "TIME", "INFO", "CLUSTER SLOTS"})
"""The commands without a key that are used: any node answers them."""
UNKNOWN: Final = frozenset({"", "?"})
"""What a node calls the host of one whose name it does not know: it is that of the node itself."""


def is_cluster(url: str | None) -> bool:
    """Tell whether an address is that of a cluster."""
    return urlsplit(url or "").scheme in CLUSTER_SCHEMES


@dataclass(frozen=True, slots=True)
class ClusterAddress:
    """An address of a cluster.

    Parameters
    ----------
    scheme
        Scheme of a node's address.
    user
        User and password as they stand in the address, with `@`; empty if there are none.
    seeds
        Host and port of each node that the address names.
    query
        Options of each connection as they stand in the address, with `?`; empty if there are none.

    Examples
    --------
    >>> found = ClusterAddress.parse("rediss+cluster://:secret@a,[::1]:7001?ssl_ca_certs=ca.pem")
    >>> found.seeds
    (('a', 6379), ('::1', 7001))
    >>> found.node("fd00::2", 7002)
    'rediss://:secret@[fd00::2]:7002?ssl_ca_certs=ca.pem'
    """

    scheme: str
    user: str
    seeds: tuple[tuple[str, int], ...]
    query: str = ""

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read an address; ValueError says what is wrong with it."""
        parts = urlsplit(url)
        given, at, hosts = parts.netloc.rpartition("@")
        if parts.path.strip("/") not in {"", "0"}:
            raise ValueError(f"a cluster has no database {parts.path.strip('/')}, only 0")
        return cls(
            CLUSTER_SCHEMES[parts.scheme],
            given + at,
            tuple(_place(host) for host in hosts.split(",")),
            f"?{parts.query}" if parts.query else "",
        )

    @property
    def nodes(self) -> list[str]:
        """The addresses of the nodes that are named."""
        return [self.node(host, port) for host, port in self.seeds]

    def node(self, host: str, port: int) -> str:
        """Return the address of a node."""
        name = f"[{host}]" if ":" in host else host
        return f"{self.scheme}://{self.user}{name}:{port}{self.query}"

    def named(self, host: str | bytes | None, port: int, asked: str) -> str:
        """Return the address of a node that another one names, by the address of that one."""
        name = host.decode() if isinstance(host, bytes) else host or ""
        return self.node(urlsplit(asked).hostname or "" if name in UNKNOWN else name, port)

    def redirected(self, error: redis.exceptions.AskError, asked: str) -> str:
        """Return the address to which a node sends us with MOVED or ASK."""
        return self.named(error.host, error.port, asked)


class Slots:
    """The master of each slot, as a node told it.

    Parameters
    ----------
    ranges
        First and last slot, and address of their master.

    Examples
    --------
    >>> slots = Slots([(0, 99, "redis://a:1"), (200, 299, "redis://b:1")])
    >>> slots.owner(99), slots.owner(100), slots.owner(250)
    ('redis://a:1', None, 'redis://b:1')
    """

    def __init__(self, ranges: Iterable[tuple[int, int, str]]) -> None:
        self._ranges = sorted(ranges)
        self._firsts = [first for first, _, _ in self._ranges]
        self.masters = sorted({url for _, _, url in self._ranges})

    @classmethod
    def told(cls, reply: Sequence[Any], address: ClusterAddress, asked: str) -> Self:
        """Read the reply to CLUSTER SLOTS of the node at an address."""
        return cls(
            (first, last, address.named(node[0], node[1], asked)) for first, last, node, *_ in reply
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Slots) and self._ranges == other._ranges

    __hash__ = None  # type: ignore[assignment]  # they are compared only

    def owner(self, slot: int) -> str | None:
        """Return the address of a slot's master; None if it has none."""
        place = bisect(self._firsts, slot) - 1
        if place < 0 or slot > self._ranges[place][1]:
            return None
        return self._ranges[place][2]

    def require(self, slot: int) -> str:
        """Return the address of a slot's master.

        Raises
        ------
        redis.exceptions.ClusterDownError
            If it has none.
        """
        found = self.owner(slot)
        if found is None:
            raise redis.exceptions.ClusterDownError(f"no node of the cluster owns slot {slot}")
        return found


def streams_of(command: Sequence[Any]) -> Sequence[Any]:
    """Return the streams of an XREAD.

    Examples
    --------
    >>> streams_of(("XREAD", b"COUNT", 1, b"STREAMS", "a", "b", "0", "0"))
    ('a', 'b')
    """
    rest = command[_streams_at(command) :]
    return rest[: len(rest) // 2]


def reads_of_slots(command: Sequence[Any]) -> tuple[list[tuple[Any, ...]], int | None]:
    """Return an XREAD as one read for each slot that does not wait, and how long it was to wait for
    an entry, in ms.

    Examples
    --------
    >>> reads_of_slots(("XREAD", "BLOCK", 50, "STREAMS", "a", "b", "{a}", "0", "1", "2"))
    ([('XREAD', 'STREAMS', 'a', '{a}', '0', '2'), ('XREAD', 'STREAMS', 'b', '1')], 50)
    """
    at, names = _streams_at(command), streams_of(command)
    head, block_ms = list(command[:at]), None
    words = [_text(one) for one in head]
    if "BLOCK" in words:
        place = words.index("BLOCK")
        block_ms = int(head[place + 1])
        del head[place : place + 2]
    slots: dict[int, list[tuple[Any, Any]]] = {}
    for name, after in zip(names, command[at + len(names) :], strict=True):
        slots.setdefault(slot_of(_text(name)), []).append((name, after))
    return [
        (*head, *(name for name, _ in found), *(after for _, after in found))
        for found in slots.values()
    ], block_ms


def slot_of_command(command: Sequence[Any]) -> int | None:
    """Return the slot of a command's first key; None if it has no key.

    Examples
    --------
    >>> slot_of_command(("HGET", b"foo", "field")), slot_of_command(("TIME",))
    (12182, None)
    """
    if command[0] in KEYLESS:
        return None
    return slot_of(_text(streams_of(command)[0] if command[0] == "XREAD" else command[1]))


def _streams_at(command: Sequence[Any]) -> int:
    return [_text(one) for one in command].index("STREAMS") + 1


def _text(word: Any) -> str:
    return word.decode(errors="replace") if isinstance(word, bytes) else str(word)


def _place(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError(f"{text!r} is no host and port of a node")
    return parts.hostname, parts.port or PORT
