"""What a load needs: known answers by hand, and laws that hold for every load."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.shared.planning.costs import Cost, Costs, Shape
from driftgauge.shared.planning.plan import FRAGMENTATION, Load, plan

COSTS = Costs(
    machine="a machine",
    api_us=Cost(20.0, numeric=1.0, label=10.0),
    worker_us=Cost(4.0, numeric=0.5, categorical=1.0, segments=2.0, label=6.0),
    redis_us=Cost(5.0),
    model_cores=0.1,
    log_bytes=Cost(100.0, numeric=10.0),
    pane_bytes=Cost(1000.0),
    waiting_bytes=100.0,
    request_bytes=Cost(50.0),
    redis_in_bytes=Cost(200.0),
    redis_out_bytes=Cost(300.0),
    api_mb=100.0,
    worker_mb=200.0,
)
loads = st.builds(
    Load,
    st.floats(0.1, 2e6),
    st.builds(Shape, st.integers(0, 500), st.integers(0, 100), st.integers(0, 3), st.floats(0, 1)),
    models=st.integers(1, 1000),
    retention_hours=st.floats(0, 100),
)


def test_cores_memory_and_network_are_sums_of_the_parts() -> None:
    """100,000 events a second of 12 numbers: each figure as it is by hand."""
    found = plan(Load(100_000, Shape(12), retention_hours=1, shard_gb=16), COSTS)
    assert found.api.cores == pytest.approx(100_000 * 32e-6)
    assert found.api.processes == math.ceil(3.2 / 0.6)
    # 10 µs an event, and a tenth of a core for each partition, one on each server
    assert found.partitions == found.redis.processes == 7
    assert found.workers.cores == pytest.approx(1.0 + 0.7)
    assert found.workers.processes == 3
    assert found.log_gb == pytest.approx(100_000 * 3600 * 220 / 1e9)
    assert found.panes_gb == pytest.approx(7 * 86_400 * 1000 / 1e9)
    assert found.redis.memory_gb == pytest.approx((found.log_gb + found.panes_gb) * FRAGMENTATION)
    assert found.in_mbit == pytest.approx(40.0)
    assert found.redis_mbit == pytest.approx(400.0)
    assert found.disk_gb_hour == pytest.approx(72.0)


def test_few_events_need_one_of_each() -> None:
    """A trickle needs a process of each kind, one partition, and says so."""
    found = plan(Load(1, Shape(3)), COSTS)
    parts = (found.api, found.workers, found.redis)
    assert [part.processes for part in parts] == [1, 1, 1]
    assert found.partitions == 1


def test_predictions_wait_as_long_as_they_may_or_as_many_fit() -> None:
    """The bound of waiting predictions is told as the share that it lets wait."""
    shape = Shape(3, labels=1.0)
    few = plan(Load(1, shape, label_wait_hours=24), COSTS)
    assert few.waiting_gb == pytest.approx(86_400 * 100 / 1e9)
    assert few.waiting_share == 1
    many = plan(Load(1000, shape, label_wait_hours=24), COSTS)
    assert many.waiting_gb == pytest.approx(many.partitions * 1e6 * 100 / 1e9)
    assert many.waiting_share == pytest.approx(many.partitions / 86.4)


def test_each_shard_has_as_many_partitions_as_the_others() -> None:
    """On a cluster the partitions of all models are a multiple of the shards, or more models than
    shards have one each.
    """
    found = plan(Load(1_000_000, Shape(18), retention_hours=0.1, shard_gb=16), COSTS)
    assert found.redis.processes > 1
    assert found.partitions % found.redis.processes == 0


@given(loads)
def test_processes_carry_their_part(load: Load) -> None:
    """No process is busier than it may be, and no server larger."""
    found = plan(load, COSTS)
    for part in (found.api, found.workers, found.redis):
        assert part.cores <= part.processes * load.busy * (1 + 1e-9)
    assert found.redis.memory_gb <= found.redis.processes * load.shard_gb * (1 + 1e-9)
    of_one = load.events_per_second * COSTS.worker_us.of(load.shape) / 1e6 / load.models
    assert of_one / found.partitions <= load.busy * (1 + 1e-9)


@given(loads)
def test_twice_the_events_cost_twice_as_much(load: Load) -> None:
    """What grows with the events alone is in proportion to them."""
    once, twice = (
        plan(msgspec.structs.replace(load, events_per_second=rate), COSTS)
        for rate in (load.events_per_second, 2 * load.events_per_second)
    )
    assert twice.api.cores == pytest.approx(2 * once.api.cores)
    assert twice.redis.cores == pytest.approx(2 * once.redis.cores)
    assert twice.log_gb == pytest.approx(2 * once.log_gb)
    assert twice.redis_mbit == pytest.approx(2 * once.redis_mbit)


def test_as_much_log_as_fits_needs_no_more_servers() -> None:
    """The hours that are named let the servers hold the log that the processor needs."""
    load = Load(200_000, Shape(18), retention_hours=10, shard_gb=16)
    before = plan(load, COSTS)
    after = plan(msgspec.structs.replace(load, retention_hours=before.fitting_hours), COSTS)
    assert before.redis.processes > after.redis.processes
    assert after.redis.processes == math.ceil(after.redis.cores / load.busy)
