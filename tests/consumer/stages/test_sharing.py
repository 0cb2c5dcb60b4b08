"""How workers share stages: even, without thrash, whatever their clocks and neighbours do."""

import fakeredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.consumer.stages.sharing import Neighbours, Sharing, part_of

LEASE_MS = 1000


@given(st.integers(1, 20), st.integers(0, 200))
def test_parts_are_even_and_add_up(workers: int, stages: int) -> None:
    """Nobody has two stages more than another, and all stages are somebody's."""
    parts = [part_of(place, workers, stages) for place in range(workers)]
    assert sum(parts) == stages
    assert max(parts) - min(parts) <= 1


def test_who_does_not_beat_is_dead() -> None:
    """A worker whose number stands still is dead by the observer's clock alone, and lives again
    when it goes on.
    """
    seen = Neighbours(dead_after_s=1.0)
    assert seen.alive({b"a": b"1", b"b": b"1"}, 0.0) == [b"a", b"b"]
    assert seen.alive({b"a": b"2", b"b": b"1"}, 0.9) == [b"a", b"b"]
    assert seen.alive({b"a": b"3", b"b": b"1"}, 1.1) == [b"a"]
    assert seen.alive({b"a": b"3", b"b": b"2"}, 1.2) == [b"a", b"b"]


def worker() -> Sharing:
    return Sharing("dg:workers", LEASE_MS)


def test_a_worker_takes_its_part_and_no_more() -> None:
    """Free stages beyond the part are left to the others, until they were free for so long that
    nobody else can.
    """
    mine = worker()
    mine.observe(sorted([mine.me, b"other"]), 5, 0.0)
    part = part_of(sorted([mine.me, b"other"]).index(mine.me), 2, 5)
    taken = [mine.may_take(f"stage {place}", 0.0) for place in range(5)]
    assert sum(taken) == part
    assert not mine.may_take("late", 2.9)
    assert mine.may_take("late", 3.0)


def test_surplus_is_given_up_once_things_are_settled() -> None:
    """A neighbour that appears gets its part after a lease of calm; one that comes and goes moves
    nothing.
    """
    mine = worker()
    mine.observe([mine.me], 4, 0.0)
    stages = [f"stage {place}" for place in range(4)]
    assert all(mine.may_take(stage, 0.0) for stage in stages)
    both = sorted([mine.me, b"other"])
    mine.observe(both, 4, 10.0)
    mine.observe(both, 4, 10.9)
    assert not any(map(mine.leaves, stages))
    mine.observe([mine.me], 4, 10.95)
    mine.observe(both, 4, 11.0)
    mine.observe(both, 4, 11.9)
    assert not any(map(mine.leaves, stages)), "the neighbour came and went"
    mine.observe(both, 4, 12.0)
    assert [stage for stage in stages if mine.leaves(stage)] == stages[2:]
    for stage in stages[2:]:
        mine.dropped(stage)
        assert not mine.may_take(stage, 0.0), "it would come straight back"
    mine.observe(both, 4, 20.0)
    assert not any(map(mine.leaves, stages))


def test_what_nobody_else_takes_is_kept() -> None:
    """A stage taken out of patience is not given up again while the neighbours stay the same: no
    thrash.
    """
    mine = worker()
    both = sorted([mine.me, b"phantom"])
    mine.observe(both, 2, 0.0)
    assert mine.may_take("a", 0.0)
    assert mine.may_take("b", 5.0)
    mine.observe(both, 2, 100.0)
    assert not mine.leaves("a")
    assert not mine.leaves("b")


def test_workers_find_each_other() -> None:
    """Through the hash each sees the others, and one that leaves is gone at once."""
    with fakeredis.FakeRedis(server=fakeredis.FakeServer(), protocol=2) as client:
        first, second = worker(), worker()
        for sharing in (first, second, first):
            sharing.beat(client, 4)
        assert [
            sum(found.may_take(str(place), 0.0) for place in range(4)) for found in (first, second)
        ] == [2, 2]
        second.leave(client)
        first.beat(client, 4)
        assert sum(first.may_take(f"more {place}", 0.0) for place in range(4)) == 2


@pytest.mark.parametrize("workers", [2, 3])
def test_simulated_workers_end_even(workers: int) -> None:
    """Workers that come one after the other end with even parts, each stage owned once, and then
    nothing moves any more.
    """
    sharings = [worker() for _ in range(workers)]
    stages, owner, moves = [f"s{place}" for place in range(7)], dict[str, Sharing](), 0
    for step in range(400):
        now = step * 0.1
        alive = sharings[: 1 + min(step // 50, workers - 1)]
        for sharing in alive:
            sharing.observe(sorted(other.me for other in alive), len(stages), now)
            for stage in stages:
                if owner.get(stage) is sharing and sharing.leaves(stage):
                    del owner[stage]
                    sharing.dropped(stage)
                elif stage not in owner and sharing.may_take(stage, 0.0):
                    owner[stage] = sharing
                    moves += 1
        if step == 300:
            settled = moves
    parts = [sum(found is sharing for found in owner.values()) for sharing in sharings]
    assert sum(parts) == len(stages)
    assert max(parts) - min(parts) <= 1
    assert moves == settled
