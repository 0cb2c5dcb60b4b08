"""Reading many streams at once, wherever they are: with one command of one server, on a cluster
with one for each, in one round trip to each server.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import redis

from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.shared.connections.bulk import Command, ask_all
from driftgauge.shared.contract.entry_id import BEGINNING

log = logging.getLogger("driftgauge.worker")

AT_ONCE: Final = 500
"""About the most entries of one read, of all streams together."""


class ManyStreams:
    """The streams that a stage follows.

    Parameters
    ----------
    client_of
        Returns the Redis client of a key's server.
    is_cluster
        Whether a command can read the streams of one slot only.
    """

    def __init__(self, client_of: Callable[[str], redis.Redis], *, is_cluster: bool) -> None:
        self._client_of = client_of
        self._is_cluster = is_cluster
        self._complained: set[str] = set()

    def read(self, positions: Mapping[str, str]) -> tuple[list[tuple[str, list[Entry]]], bool]:
        """Return the next raw entries behind the given ids, by stream, and whether there may be
        more. It does not wait. A key that is no stream is passed over, and named once in the log.

        Raises
        ------
        redis.RedisError
            If a server does not answer, or a slot has moved.
        """
        count = max(1, AT_ONCE // max(1, len(positions)))
        found = []
        for stream, reply in self._replies(positions, count):
            if isinstance(reply, Exception):
                self._complain(stream, reply)
            else:
                found += [(name.decode(), entries) for name, entries in reply or ()]
        return found, any(len(entries) >= count for _, entries in found)

    def _replies(self, positions: Mapping[str, str], count: int) -> Iterator[tuple[str, Any]]:
        """Ask for all at once, and one by one where that is not possible."""
        if positions and not self._is_cluster:
            client = self._client_of(next(iter(positions)))
            command = _xread(count, *positions, *positions.values())
            (reply,) = ask_all(client, [command])
            if not isinstance(reply, Exception):
                yield "", reply
                return
        for client, names in self._servers(positions):
            commands = [_xread(count, name, positions[name]) for name in names]
            yield from zip(names, ask_all(client, commands), strict=True)

    def lasts(self, streams: list[str]) -> dict[str, str]:
        """Return the last id that each stream has given, even if its entry is deleted; `0-0` of one
        that is not there.
        """
        found = {}
        for client, names in self._servers(streams):
            commands: list[Command] = [
                command
                for name in names
                for command in (("EXISTS", name), ("XINFO", "STREAM", name))
            ]
            replies = ask_all(client, commands)
            for name, exists, details in zip(names, replies[::2], replies[1::2], strict=True):
                found[name] = _last(exists, details)
        return found

    def _servers(self, streams: Mapping[str, str] | list[str]) -> Iterator[Any]:
        """Yield (client, streams) of each server."""
        servers: dict[redis.Redis, list[str]] = {}
        for name in streams:
            servers.setdefault(self._client_of(name), []).append(name)
        yield from servers.items()

    def _complain(self, stream: str, error: Exception) -> None:
        """Log once what is wrong with a key; whatever else is wrong is no fault of the key."""
        if not str(error).startswith("WRONGTYPE"):
            raise error
        if stream not in self._complained:
            self._complained.add(stream)
            log.error("%s cannot be read and is passed over: %s", stream, error)


def _xread(count: int, *streams: str) -> Command:
    return ("XREAD", "COUNT", count, "STREAMS", *streams)


def _last(exists: Any, details: Any) -> str:
    if isinstance(exists, Exception):
        raise exists
    if not exists:
        return BEGINNING
    if isinstance(details, Exception):
        if str(details).startswith("WRONGTYPE"):  # reading it complains
            return BEGINNING
        raise details
    pairs = dict(zip(details[::2], details[1::2], strict=True))
    last: bytes = pairs[b"last-generated-id"]
    return last.decode()
