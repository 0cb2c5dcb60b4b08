"""Key names: partitions spread evenly over a cluster's slots, and a model with one partition keeps
its keys.
"""

from pathlib import Path

import pytest
from redis.crc import key_slot

from driftgauge.shared.contract.keys import SLOTS, Keys, salts_for, slot_of
from driftgauge.shared.errors import BadData
from driftgauge.shared.registry.registry import ModelRegistry, PublishedVersion, new_manifest
from tests.consumer.builders import published


@pytest.mark.parametrize("partitions", [2, 3, 6, 7, 16, 256])
def test_partitions_spread_evenly_over_the_shards(partitions: int) -> None:
    """Whatever the number of shards, with equal shares of the slots, none has two partitions more
    than another.
    """
    for model in ("steel", "a", "credit-risk_2"):
        keys = Keys("dg").salted(salts_for(model, partitions))
        slots = [slot_of(keys.log(model, partition)) for partition in range(partitions)]
        for shards in (1, 2, 3, 5):
            owners = [slot * shards // SLOTS for slot in slots]
            counts = [owners.count(shard) for shard in range(shards)]
            assert max(counts) - min(counts) <= 1


def test_slots_are_those_of_redis() -> None:
    """Our slots are the ones that a cluster computes."""
    keys = Keys("dg").salted(salts_for("steel", 3))
    for key in (
        keys.log("steel", 1),
        keys.panes("steel", 2),
        keys.judge("steel"),
        keys.alerts("b"),
    ):
        assert slot_of(key) == key_slot(key.encode())


def test_one_partition_needs_no_salt() -> None:
    """The keys of a model with one partition are what they always were."""
    assert salts_for("steel", 1) == ()
    assert Keys("dg").salted(()).log("steel", 0) == "dg:{steel.0}:log"


def test_all_keys_of_a_partition_share_a_slot() -> None:
    """One transaction covers them."""
    keys = Keys("dg").salted(salts_for("steel", 6))
    names = (keys.log, keys.count, keys.panes, keys.owner, keys.epoch, keys.dead)
    assert (
        len({slot_of(name("steel", 5)) for name in names} | {slot_of(keys.ids("steel", 5, 7))}) == 1
    )


def version(number: str, **more: object) -> PublishedVersion:
    good = published(rows=50)
    return PublishedVersion(
        new_manifest("plant", number, "monitor", **more), good.schema, good.reference
    )


def test_later_versions_have_the_partitions_of_the_first(tmp_path: Path) -> None:
    """Partitions and salts belong to the model: they never change, and another number is refused
    with a clear message.
    """
    registry = ModelRegistry(tmp_path)
    registry.register(version("1.0.0", partitions=3))
    registry.register(version("2.0.0"))
    first, second = (registry.manifest("plant", number) for number in ("1.0.0", "2.0.0"))
    assert (
        (second.partitions, second.salts)
        == (first.partitions, first.salts)
        == (3, salts_for("plant", 3))
    )
    with pytest.raises(BadData, match="has 3 partitions since its first version"):
        registry.register(version("3.0.0", partitions=4))
    assert registry.versions("plant") == ["1.0.0", "2.0.0"]
