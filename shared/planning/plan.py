"""From a load and measured costs to cores, memory, shards and network."""

import math
from typing import Final, NamedTuple

import msgspec

from driftgauge.shared.planning.costs import Costs, Shape

PANES_A_SECOND: Final = 1.0
"""Most panes of a partition: one closes with 250 events, and after a second."""
PANE_EVENTS: Final = 250
GB: Final = 1e9
FRAGMENTATION: Final = 1.25
"""Redis's memory beside what its keys hold: fragments, buffers, what an append-only file that is
written anew copies.
"""


class Load(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a deployment has to carry."""

    events_per_second: float
    """At the busiest time, of all models together."""
    shape: Shape
    models: int = 1
    retention_hours: float = 24.0
    """Hours that counted events stay in the log (`DRIFTGAUGE_LOG_RETENTION_HOURS`)."""
    pane_hours: float = 24.0
    """Hours that panes stay as they are (`DRIFTGAUGE_PANE_RETENTION_HOURS`)."""
    label_wait_hours: float = 168.0
    """Hours that predictions wait for labels (`DRIFTGAUGE_LABEL_WAIT_HOURS`)."""
    pending_max: int = 1_000_000
    """Most predictions of a partition that wait (`DRIFTGAUGE_LABEL_PENDING_MAX`)."""
    busy: float = 0.6
    """Share of a core that a process may have at the busiest time; the rest catches up after a
    fault.
    """
    shard_gb: float = 64.0
    """Memory of one Redis server (GB)."""


class Part(msgspec.Struct, frozen=True):
    """What one kind of process needs."""

    processes: int
    cores: float
    """Cores that are busy at the busiest time, of all its processes together."""
    memory_gb: float
    """Of all its processes together."""


class Plan(msgspec.Struct, frozen=True):
    """What a deployment needs.

    Redis is more than one server only as a Redis Cluster. Replicas are not in it: each takes as
    much memory as its master.
    """

    api: Part
    workers: Part
    redis: Part
    partitions: int
    """Partitions of each model: as few as carry it, since detectors run in each by themselves."""
    log_gb: float
    """Of Redis's memory, the log."""
    panes_gb: float
    waiting_gb: float
    """Of Redis's memory, predictions that wait for labels."""
    waiting_share: float
    """Share of the predictions that can wait for as long as they are allowed to; below 1 labels
    that come late are lost: raise `DRIFTGAUGE_LABEL_PENDING_MAX`.
    """
    fitting_hours: float
    """Hours of log that fit into as many servers as the processor needs."""
    in_mbit: float
    """From clients to the API (Mbit/s)."""
    redis_mbit: float
    """Between Redis and the others, both directions (Mbit/s)."""
    disk_gb_hour: float
    """By which append-only files grow until they are written anew (GB an hour)."""


class _Stored(NamedTuple):
    """Bytes of Redis's memory that keys hold, and the share of the predictions that can wait."""

    log: float
    panes: float
    waiting: float
    waiting_share: float

    @property
    def total(self) -> float:
        """What servers need for it, in bytes."""
        return (self.log + self.panes + self.waiting) * FRAGMENTATION


def plan(load: Load, costs: Costs) -> Plan:
    """Compute what a load needs.

    Parameters
    ----------
    load
        Events at the busiest time; memory is planned as if it lasted.
    costs
        What an event costs, on a machine like those that are planned for.

    Returns
    -------
    Plan
        A process more of API and worker than is busy is not in it: two of each survive the loss
        of one.
    """
    rate, shape = load.events_per_second, load.shape
    counting = rate * costs.worker_us.of(shape) / 1e6
    redis_cores = rate * costs.redis_us.of(shape) / 1e6
    api_cores = rate * costs.api_us.of(shape) / 1e6

    partitions = max(1, math.ceil(counting / load.models / load.busy))
    while True:
        stored = _stored(load, costs, partitions)
        by_cores = max(1, math.ceil(redis_cores / load.busy))
        shards = max(by_cores, math.ceil(stored.total / (load.shard_gb * GB)))
        # a partition lives on one shard, and each shard has as many as the others
        even = math.ceil(math.ceil(partitions * load.models / shards) * shards / load.models)
        if even == partitions:
            break
        partitions = even
    worker_cores = counting + costs.model_cores * min(partitions * load.models, rate)

    api = max(1, math.ceil(api_cores / load.busy))
    workers = max(1, math.ceil(worker_cores / load.busy))
    into, out = costs.redis_in_bytes.of(shape), costs.redis_out_bytes.of(shape)
    return Plan(
        api=Part(api, api_cores, api * costs.api_mb / 1e3),
        workers=Part(workers, worker_cores, workers * costs.worker_mb / 1e3),
        redis=Part(shards, redis_cores, stored.total / GB),
        partitions=partitions,
        log_gb=stored.log / GB,
        panes_gb=stored.panes / GB,
        waiting_gb=stored.waiting / GB,
        waiting_share=stored.waiting_share,
        fitting_hours=max(0.0, _fitting(load, stored, by_cores)),
        in_mbit=rate * costs.request_bytes.of(shape) * 8 / 1e6,
        redis_mbit=rate * (into + out) * 8 / 1e6,
        disk_gb_hour=rate * into * 3600 / GB,
    )


def _stored(load: Load, costs: Costs, partitions: int) -> _Stored:
    """Compute what stands in Redis when the load lasts."""
    rate, shape, everywhere = load.events_per_second, load.shape, partitions * load.models
    panes = min(PANES_A_SECOND * everywhere, rate / PANE_EVENTS) * 3600 * load.pane_hours
    wanted = rate * 3600 * load.label_wait_hours if shape.labels else 0.0
    waiting = min(wanted, float(load.pending_max * everywhere))
    return _Stored(
        rate * 3600 * load.retention_hours * costs.log_bytes.of(shape),
        panes * costs.pane_bytes.of(shape),
        waiting * costs.waiting_bytes,
        waiting / wanted if wanted else 1.0,
    )


def _fitting(load: Load, stored: _Stored, servers: int) -> float:
    """Return the hours of log that servers hold beside the rest; below 0 if they hold not even
    that.
    """
    if not load.retention_hours:
        return 0.0
    room = servers * load.shard_gb * GB / FRAGMENTATION - stored.panes - stored.waiting
    return load.retention_hours * room / stored.log
