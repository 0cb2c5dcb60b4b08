"""Which Redis the faults of a chaos run come to, and what is noticed of one that went back."""

from pathlib import Path

import msgspec
import pytest

from benchmarks.chaos.__main__ import stores
from benchmarks.chaos.faults import FAULTS
from benchmarks.chaos.faults.fault import On
from benchmarks.chaos.plant.model import ONE, keys_of, published
from benchmarks.chaos.plant.progress import set_back
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.local.embedded_redis import EmbeddedRedis


@pytest.mark.parametrize(
    ("names", "cluster", "kinds"),
    [
        (["kill_worker", "kill_redis"], False, [On.ALONE]),
        (["kill_worker"], False, [On.ALONE]),
        (["kill_worker", "sentinel_crash"], False, [On.SENTINELS]),
        (["flush_all", "sentinel_crash"], False, [On.ALONE, On.SENTINELS]),
        (["kill_worker", "slot_moved"], False, [On.CLUSTER]),
        (["kill_worker", "kill_redis", "slot_moved"], True, [On.CLUSTER]),
    ],
)
def test_a_fault_comes_where_it_can(names: list[str], *, cluster: bool, kinds: list[On]) -> None:
    """Each named fault has the Redis that it needs, and all of the time is used."""
    found = stores([FAULTS[name] for name in names], cluster=cluster)
    assert [on for on, _, _ in found] == kinds
    assert sum(share for _, _, share in found) == pytest.approx(1)
    assert all(on in one.on for on, some, _ in found for one in some)
    came = {one.name for _, some, _ in found for one in some}
    assert came == {name for name in names if not cluster or On.CLUSTER in FAULTS[name].on}


@pytest.mark.parametrize(("judged", "found"), [("7-0", set()), ("7-1", {"plant"}), (None, set())])
def test_panes_that_were_judged_and_are_gone_are_noticed(
    tmp_path: Path, judged: str | None, found: set[str]
) -> None:
    """The oracle of a failover: judging is ahead of the panes that are left."""
    versions = {name: published(name, partitions) for name, partitions in ONE.items()}
    keys = keys_of(versions["plant"])
    with EmbeddedRedis(tmp_path) as server, connect(server.url) as client:
        client.xadd(keys.panes("plant", 0), {"e": "pane"}, id="7-0")
        if judged is not None:
            state = msgspec.json.encode({"offsets": {"0": judged}})
            client.hset(keys.judge("plant"), "state", state)
        assert set_back(client, versions) == found
