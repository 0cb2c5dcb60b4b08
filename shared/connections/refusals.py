"""The errors of a Redis that answers but refuses to write, with advice.

Such an error is not a reason to end: it is logged once, and work continues when the server accepts
writes again.
"""

from collections.abc import Mapping
from typing import Final

import redis

ADVICE: Final[Mapping[str, str]] = {
    "OOM": (
        "Redis has no memory left (maxmemory). Raise `maxmemory`, or keep less: shorten "
        "DRIFTGAUGE_LOG_RETENTION_HOURS"
    ),
    "READONLY": (
        "this Redis is a replica, which takes no writes. Point DRIFTGAUGE_REDIS_URL at the "
        "primary, or at the Sentinels that know it"
    ),
    "NOREPLICAS": (
        "Redis has fewer replicas than `min-replicas-to-write`, or "
        "DRIFTGAUGE_PUBLISH_MODE=replicated, asks for. Bring the replicas back, or ask for less"
    ),
    "MISCONF": (
        "Redis cannot write its file, and takes no writes until it can. Look at its log and at the "
        "free space of its disk"
    ),
    "MASTERDOWN": "this Redis is a replica that has lost its primary",
    "CLUSTERDOWN": "the cluster has lost some of its slots, and takes no writes until it has them",
    "MOVED": (
        "this Redis is a node of a Redis Cluster, which has the keys elsewhere. Say "
        "redis+cluster:// in DRIFTGAUGE_REDIS_URL instead of redis:// (with TLS rediss+cluster://)"
    ),
    "TRYAGAIN": "a slot of the cluster is being moved to another node",
    "NOCLUSTER": (
        "this Redis is no cluster. Say redis:// in DRIFTGAUGE_REDIS_URL instead of redis+cluster://"
    ),
}
"""Meaning of the error and advice, by the error's code."""
MISNAMED: Final = frozenset({"MOVED", "NOCLUSTER"})
"""Codes that say that the scheme of the address is wrong."""
KINDS: Final[tuple[tuple[type[redis.RedisError], str], ...]] = (
    (redis.exceptions.OutOfMemoryError, "OOM"),
    (redis.exceptions.ReadOnlyError, "READONLY"),
    (redis.exceptions.MasterDownError, "MASTERDOWN"),
    (redis.exceptions.ClusterDownError, "CLUSTERDOWN"),
    (redis.exceptions.MovedError, "MOVED"),
    (redis.exceptions.AskError, "TRYAGAIN"),
    (redis.exceptions.TryAgainError, "TRYAGAIN"),
)
"""Errors whose code redis-py takes out of the message."""
DEMOTED: Final = "UNBLOCKED"
"""Code with which a server that becomes a replica ends a read that waits."""
IN_PIPELINE: Final = " of pipeline caused error: "
"""Text that redis-py puts before the message of a command within a pipeline."""


NO_EVICTION: Final = "noeviction"
EVICTION_ADVICE: Final = (
    "may take away what was not counted yet (maxmemory-policy {}). Say: redis-cli CONFIG SET "
    "maxmemory-policy noeviction, and the same in its configuration file, or among the parameters "
    "of a managed service"
)


def eviction(limit: int, policy: str) -> str:
    """Return the policy by which a server with a limit of memory (bytes) may evict keys; empty if
    it evicts none.

    Examples
    --------
    >>> eviction(1_000_000, "volatile-lru"), eviction(0, "volatile-lru")
    ('volatile-lru', '')
    """
    return policy if limit and policy and policy != NO_EVICTION else ""


def refusal(error: BaseException) -> str:
    """Return the code with which a server refuses to write; empty for any other error.

    Examples
    --------
    >>> refusal(redis.exceptions.OutOfMemoryError("command not allowed"))
    'OOM'
    >>> refusal(redis.ResponseError("MISCONF Errors writing to the AOF file: No space left"))
    'MISCONF'
    >>> refusal(redis.ResponseError("WRONGTYPE Operation against a key"))
    ''
    """
    for kind, code in KINDS:
        if isinstance(error, kind):
            return code
    if not isinstance(error, redis.ResponseError):
        return ""
    code = str(error).rpartition(IN_PIPELINE)[2].partition(" ")[0]
    code = "READONLY" if code == DEMOTED else code
    return code if code in ADVICE else ""
