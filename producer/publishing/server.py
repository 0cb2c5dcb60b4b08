"""[pure] What a Redis server tells about itself in INFO, as far as the sender needs it."""

from collections.abc import Mapping
from typing import NamedTuple

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
    clustered
        Whether it is a node of a cluster.
    """

    identity: bytes
    replica: bool = False
    offset: int = 0
    confirmed: tuple[int, ...] = ()
    prompt: int = 0
    used: int = 0
    limit: int = 0
    policy: str = ""
    clustered: bool = False


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
        policy=lines.get(b"maxmemory_policy", b"").decode(errors="replace"),
        clustered=lines.get(b"cluster_enabled") == b"1",
    )


def _pairs(line: bytes) -> Mapping[bytes, bytes]:
    return dict(pair.partition(b"=")[::2] for pair in line.split(b","))


def _number(found: Mapping[bytes, bytes], name: bytes, absent: int = 0) -> int:
    text = found.get(name, b"")
    return int(text) if text.isdigit() else absent
