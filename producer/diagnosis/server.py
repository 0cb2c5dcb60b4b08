"""Checks of Redis: whether it answers, keeps what it is given, and has the right time."""

import time
from collections.abc import Iterator
from typing import Any, Final

import redis

from driftgauge.producer.diagnosis.check import Check, note, ok, wrong
from driftgauge.shared.connections.cluster import is_cluster
from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.connections.redis_client import shown, told_by, unfitting
from driftgauge.shared.connections.refusals import ADVICE, EVICTION_ADVICE, eviction
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import DriftgaugeError, NotInstalled
from driftgauge.shared.local.embedded_redis import find_server
from driftgauge.shared.local.finding import Found

LEAST_REDIS: Final = (6, 2)
"""First release with the commands that are used, XTRIM MINID among them."""
MOST_SKEW_S: Final = 2.0
"""Most seconds that this machine's clock may differ from that of Redis."""


def server_checks(found: Found) -> Iterator[Check]:
    """Look at the Redis that is configured, or at what `driftgauge up` would start."""
    settings = found.settings
    where = shown(settings.redis_url)
    client = None
    try:
        client = Nodes(settings.redis_url).client(Keys(settings.key_prefix).models)
        asked = time.time()
        server, seconds = told_by(client, "server"), client.time()
        middle = (asked + time.time()) / 2
        if server.get("redis_mode") == "cluster" and not is_cluster(settings.redis_url):
            yield wrong("Redis", f"{where} is a node of a Redis Cluster", f"{ADVICE['MOVED']}.")
            return
        yield _version(server, where)
        yield from _kept(client, settings.max_memory_share)
        yield _clock(seconds[0] + seconds[1] / 1e6 - middle)
    except (redis.RedisError, DriftgaugeError) as error:
        yield _unreachable(found, where, error)
    finally:
        if client is not None:
            client.close()


def _unreachable(found: Found, where: str, error: Exception) -> Check:
    if found.settings.redis_url is None:
        try:
            return note(
                "Redis",
                "none is configured, and none answers at its usual address",
                f"`driftgauge up` starts a private one ({find_server()}).",
            )
        except NotInstalled as missing:
            return wrong("Redis", "there is none", str(missing))
    unfit = unfitting(error, found.settings.redis_url)
    if unfit or isinstance(error, DriftgaugeError):
        return wrong("Redis", f"{where} cannot be used", unfit or str(error))
    return wrong(
        "Redis",
        f"{where} does not answer ({error})",
        "Start it, or set DRIFTGAUGE_REDIS_URL to where it listens, with its password.",
    )


def _version(server: dict[str, Any], where: str) -> Check:
    if not server:
        return note(
            "Redis",
            f"{where} answers, and does not tell what it is (INFO)",
            "See to it that it is Redis 6.2 or newer, or Valkey.",
        )
    kind = "Valkey" if "valkey_version" in server else "Redis"
    text = str(server.get("valkey_version") or server.get("redis_version", ""))
    said = f"{kind} {text} at {where}"
    compatible = str(server.get("redis_version", text))  # Valkey tells that too
    numbers = tuple(int(part) for part in compatible.split(".")[:2] if part.isdigit())
    if numbers < LEAST_REDIS:
        return wrong("Redis", said, "Driftgauge needs Redis 6.2 or newer, or Valkey.")
    return ok("Redis", said)


def _kept(client: redis.Redis, most_share: float) -> Iterator[Check]:
    """Look whether what is written stays: memory, eviction, persistence, role."""
    memory = told_by(client, "memory")
    limit, used = int(memory.get("maxmemory", 0)), int(memory.get("used_memory", 0))
    policy = eviction(limit, str(memory.get("maxmemory_policy", "")))
    if policy:
        yield wrong(
            "Redis eviction",
            f"Redis {EVICTION_ADVICE.format(policy).partition('. ')[0]}",
            EVICTION_ADVICE.partition(". ")[2] + ".",
        )
    else:
        yield _no_eviction(memory)
    share = (
        f"{used / limit:.0%} of maxmemory" if limit else f"{used / (1 << 20):,.0f} MiB, no limit"
    )
    if limit and used > most_share * limit:
        yield wrong("Redis memory", f"{share} are used", ADVICE["OOM"] + ".")
    elif memory:
        yield ok("Redis memory", f"{share} used")
    yield _persistence(told_by(client, "persistence"))
    if told_by(client, "replication").get("role") == "slave":
        yield wrong("Redis role", "it is a replica", ADVICE["READONLY"] + ".")


def _no_eviction(memory: dict[str, Any]) -> Check:
    if "maxmemory_policy" in memory:
        return ok("Redis eviction", "keys are never evicted")
    return note(
        "Redis eviction",
        "it does not tell its maxmemory-policy",
        "See to it that it is noeviction.",
    )


def _persistence(told: dict[str, Any]) -> Check:
    name = "Redis persistence"
    if "aof_enabled" not in told:
        return note(
            name,
            "it does not tell whether it writes an append-only file",
            "See to it that it does: what was counted is lost otherwise when it restarts.",
        )
    if "err" in {told.get("aof_last_write_status"), told.get("aof_last_bgrewrite_status")}:
        return wrong(name, "it could not write its append-only file", ADVICE["MISCONF"] + ".")
    if not int(told.get("aof_enabled", 0)):
        return wrong(
            name,
            "there is no append-only file: what was counted is lost when Redis restarts",
            "Say `redis-cli CONFIG SET appendonly yes`, and the same in its configuration file.",
        )
    return ok(name, "an append-only file is written")


def _clock(skew_s: float) -> Check:
    said = f"this machine's clock differs from that of Redis by {abs(skew_s):.1f} s"
    if abs(skew_s) > MOST_SKEW_S:
        return wrong(
            "clock", said, "Set both by NTP: events are dated by the one, and aged by the other."
        )
    return ok("clock", said)
