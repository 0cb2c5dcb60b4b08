"""The checksum of checkpoints, on a real Redis."""

import random

import numpy as np
import pytest
import redis
from redis.client import Pipeline

from driftgauge.consumer.counting.advance import advance
from driftgauge.consumer.counting.entries import columns
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.consumer.counting.state import CountingState
from driftgauge.consumer.stages.checkpoint import Checkpoint
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import BadData
from tests.consumer.builders import NOON, cell_map, event, published, traffic

FLIPS = 1000


def nothing(pipe: Pipeline) -> None:
    """No outputs."""


def counted(events: int) -> dict[bytes, bytes]:
    """Return the fields of a counting stage that has counted some events."""
    state, cells = CountingState(), {"1.0.0": cell_map(published())}
    rows = traffic(np.random.default_rng(3), events)
    log = [event(NOON + 100 * place, place + 1, row) for place, row in enumerate(rows)]
    advance(state, columns.read(log), cells, CountingPolicy())
    return {name: value for name, value in state.pack_changed().items() if value}


def test_no_damage_of_a_single_bit_is_taken(client: redis.Redis, keys: Keys) -> None:
    """Whichever bit of a checkpoint flips, in a name or in a value, it is refused with a clear
    error, and the sound one is taken.
    """
    made = Checkpoint(
        client, keys.count("plant", 0), keys.owner("plant", 0), keys.epoch("plant", 0), 60_000
    )
    assert made.acquire()
    made.load()
    made.commit(counted(700), nothing)
    sound: dict[bytes, bytes] = client.hgetall(made.key)  # type: ignore[assignment]  # bytes, not str
    assert {b"state", b"pane", b"checksum", b"format", b"commit"} < sound.keys()
    choose = random.Random(14)
    for _ in range(FLIPS):
        name, value = choose.choice(list(sound.items()))
        damaged = dict(sound)
        if choose.random() < 0.2:
            del damaged[name]
            damaged[flipped(name, choose)] = value
        else:
            damaged[name] = flipped(value, choose)
        made._client = Stored(damaged)  # type: ignore[assignment]  # it is asked for no more
        with pytest.raises(BadData, match=r"is damaged|has (no )?format"):
            made.load()
    made._client = client
    assert made.load().items() < sound.items()


class Stored:
    """A Redis whose only key is a checkpoint."""

    def __init__(self, fields: dict[bytes, bytes]) -> None:
        self.fields = fields

    def hgetall(self, _: str) -> dict[bytes, bytes]:
        return dict(self.fields)

    def info(self, _: str) -> dict[str, str]:
        return {}


def flipped(content: bytes, choose: random.Random) -> bytes:
    """Flip one bit."""
    place = choose.randrange(8 * len(content))
    found = bytearray(content)
    found[place // 8] ^= 1 << place % 8
    return bytes(found)


def test_a_checkpoint_that_lost_a_field_is_refused(client: redis.Redis, keys: Keys) -> None:
    """A field that somebody deleted is missed, and so is the checksum itself."""
    key = keys.count("plant", 0)
    made = Checkpoint(client, key, keys.owner("plant", 0), keys.epoch("plant", 0), 60_000)
    assert made.acquire()
    made.load()
    made.commit({b"a": b"1", b"b": b"2"}, nothing)
    for field in ("b", "checksum"):
        stored = client.hget(key, field)
        client.hdel(key, field)
        with pytest.raises(BadData, match="is damaged"):
            made.load()
        client.hset(key, field, stored)  # type: ignore[arg-type]  # bytes, which is there
    assert made.load()[b"b"] == b"2"
