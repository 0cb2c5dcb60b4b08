"""[pure] Up to which moment acknowledged events are safe with their server.

What a server has acknowledged it can still lose: an append-only file with `everysec` loses its last
second in a power failure, and a replica that takes over loses what it had not received. So an
acknowledged event is kept here until the same server has lived on for `LEAST_S`, and until every
connected replica has confirmed it. The first without the second would lose what a lagging replica
never had. Time only passes with a primary's answers: while none answers, nothing is let go.
"""

import math
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

LEAST_S = 5.0
"""Seconds for which the server must keep running after it acknowledged an event; its sync is at
most two seconds late.
"""
PROMPT_S = 2
"""Longest time (s) since a replica's last sign of life with which it counts as there: it gives one
every second.
"""


class Server(NamedTuple):
    """What a server tells about itself in INFO.

    Parameters
    ----------
    identity
        Changes when it starts, and when it or another one becomes the primary; empty if unknown.
    replica
        Whether it is a replica, which takes no writes.
    offset
        Bytes of its stream of replication.
    confirmed
        Bytes that each replica has confirmed, of those that have the whole data set.
    prompt
        How many of these replicas have just given a sign of life.
    used, limit
        Its memory and its `maxmemory`, in bytes.
    policy
        Its `maxmemory-policy`; empty if unknown.
    """

    identity: bytes
    replica: bool = False
    offset: int = 0
    confirmed: tuple[int, ...] = ()
    prompt: int = 0
    used: int = 0
    limit: int = 0
    policy: str = ""


def read_info(answer: bytes) -> Server:
    r"""Read the answer to INFO; a service may leave out any line.

    Examples
    --------
    >>> server = read_info(
    ...     b"run_id:ab\r\nrole:master\r\nmaster_replid:cd\r\nmaster_repl_offset:70\r\n"
    ...     b"slave0:ip=10.0.0.2,port=6379,state=online,offset=56,lag=1\r\n"
    ... )
    >>> server.identity, server.replica, server.offset, server.confirmed, server.prompt
    (b'ab cd', False, 70, (56,), 1)
    """
    lines = dict(line.partition(b":")[::2] for line in answer.splitlines())
    run, history = lines.get(b"run_id", b""), lines.get(b"master_replid", b"")
    replicas = [
        found
        for name, line in lines.items()
        if name.startswith(b"slave") and (found := _pairs(line)).get(b"state") == b"online"
    ]
    return Server(
        identity=b"%s %s" % (run, history) if run else b"",
        replica=lines.get(b"role") == b"slave",
        offset=_number(lines, b"master_repl_offset"),
        confirmed=tuple(_number(one, b"offset") for one in replicas),
        prompt=sum(_number(one, b"lag", -1) in range(PROMPT_S + 1) for one in replicas),
        used=_number(lines, b"used_memory"),
        limit=_number(lines, b"maxmemory"),
        policy=lines.get(b"maxmemory_policy", b"").decode(),
    )


def _pairs(line: bytes) -> Mapping[bytes, bytes]:
    return dict(pair.partition(b"=")[::2] for pair in line.split(b","))


def _number(found: Mapping[bytes, bytes], name: bytes, absent: int = 0) -> int:
    text = found.get(name, b"")
    return int(text) if text.isdigit() else absent


class Kept:
    """The moment up to which acknowledged events are safe; all times are of one clock, in seconds.

    Parameters
    ----------
    longest_s
        Longest time for which events wait for a replica that does not confirm them, or is gone.

    Examples
    --------
    >>> kept = Kept(longest_s=60)
    >>> kept.note(100, Server(b"a", offset=70, confirmed=(56,)))
    >>> kept.until(107)  # the replica has not confirmed what was written by 100
    47
    >>> kept.note(108, Server(b"a", offset=90, confirmed=(80,)))
    >>> kept.until(108)
    100
    """

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._written: deque[tuple[float, int]] = deque()
        self._replicated = math.inf

    def note(self, asked_at: float, server: Server) -> None:
        """Take in what the primary told, which was asked at a time."""
        if server.confirmed and self._replicated == math.inf:
            self._replicated = -math.inf
        self._written.append((asked_at, server.offset))
        while self._written[0][0] < asked_at - self._longest_s:
            self._written.popleft()
        least = min(server.confirmed, default=-1)
        while self._written and self._written[0][1] <= least:
            self._replicated, _ = self._written.popleft()

    def forget(self) -> None:
        """Forget the replicas: the server has become another one."""
        self._written.clear()
        self._replicated = math.inf

    def until(self, now: float) -> float:
        """Return the moment up to which what was acknowledged is safe; the primary answered now."""
        least, longest = now - LEAST_S, now - max(LEAST_S, self._longest_s)
        return max(longest, min(least, self._replicated))
