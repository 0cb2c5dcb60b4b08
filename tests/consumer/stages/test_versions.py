"""Published versions, with whatever may stand in their keys."""

import gzip
import logging
import time

import msgspec
import pytest
import redis

from driftgauge.consumer.stages.versions import PublishedVersions
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import BadData
from tests.consumer.builders import event, published
from tests.integration.plant import (
    MODEL,
    append,
    arrived,
    counters,
    events,
    publish,
    settings_of,
    wait_for,
    worker_thread,
)

GOOD = published(rows=300).pack()
_CONTENT = msgspec.json.decode(gzip.decompress(GOOD))
_FEWER = {
    **_CONTENT,
    "reference": {**_CONTENT["reference"], "columns": _CONTENT["reference"]["columns"][:3]},
}
_CALIBRATION = {
    "features": [],
    "timeline": {
        "first_day": 0,
        "days": 0,
        "bins": [],
        "packed": "",
        "autocorrelation": [],
        "clock": [],
    },
}
_PARTED = msgspec.json.decode(gzip.decompress(published(rows=300, segments=("city",)).pack()))


def _parted(**more: object) -> bytes:
    """Return a version with segments, of which something is another than before."""
    (held,) = _PARTED["reference"]["segments"]
    changed = {name: value for name, value in more.items() if name in held}
    rest = {name: value for name, value in more.items() if name not in held}
    reference = {**_PARTED["reference"], "segments": [{**held, **changed}]}
    return gzip.compress(msgspec.json.encode({**_PARTED, "reference": reference, **rest}))


BROKEN = {
    "empty": b"",
    "no gzip": b"hello",
    "cut": GOOD[: len(GOOD) // 2],
    "flipped": GOOD[:200] + bytes([GOOD[200] ^ 0xFF]) + GOOD[201:],
    "no JSON": gzip.compress(b"{"),
    "another document": gzip.compress(b'{"a": 1}'),
    "no UTF-8": gzip.compress(b'{"manifest": "\xff"}'),
    "calibration of other columns": gzip.compress(
        msgspec.json.encode({**_CONTENT, "calibration": _CALIBRATION})
    ),
    "fewer columns than features": gzip.compress(msgspec.json.encode(_FEWER)),
    "segments by another feature": _parted(feature="smooth"),
    "segments that the schema does not name": _parted(schema=_CONTENT["schema"]),
    "segments of the schema that are not counted": _parted(reference=_CONTENT["reference"]),
    "segments with other values": _parted(values=["rome", "oslo"]),
    "segments with fewer bins": _parted(
        counts=[row[:-1] for row in _PARTED["reference"]["segments"][0]["counts"]]
    ),
    "fewer segments": _parted(counts=_PARTED["reference"]["segments"][0]["counts"][:-1]),
    "performance of other segments": _parted(
        performance={"rows": 3, "metrics": {}, "segments": [1, 2, 3]}
    ),
    "a schema with impossible segments": _parted(
        schema={**_PARTED["schema"], "segments": ["smooth"]}
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_version_is_passed_over(
    name: str, client: redis.Redis, keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told once, by name; the good versions are there, and it is too when it was published
    again.
    """
    client.hset(keys.versions(MODEL), mapping={"1.0.0": GOOD, "2.0.0": BROKEN[name]})
    found = PublishedVersions(client, keys, MODEL)
    with caplog.at_level(logging.ERROR, "driftgauge.worker"):
        assert set(found.all()) == set(found.all()) == {"1.0.0"}
    assert len(caplog.records) == 1
    assert f"{MODEL} 2.0.0 in {keys.versions(MODEL)} cannot be used" in caplog.text
    client.hset(keys.versions(MODEL), "2.0.0", GOOD)
    assert set(found.all()) == {"1.0.0", "2.0.0"}


def test_a_broken_version_does_not_stop_the_worker(
    client: redis.Redis, redis_url: str, keys: Keys
) -> None:
    """Events of the broken version are dead letters with a reason; those of the good one are
    counted.
    """
    publish(client, keys)
    client.hset(keys.versions(MODEL), "0.9.0", b"broken")
    now = int(time.time() * 1000)
    good = events(1, 10, now - 1000)
    append(
        client, keys.log(MODEL, 0), [*good, event(now, 11, [1.0], version="0.9.0")], with_ids=False
    )
    with worker_thread(settings_of(redis_url, keys)):
        wait_for(lambda: arrived(client, keys) == 11, "all events")
    assert (counters(client, keys).events, counters(client, keys).dead) == (10, 1)
    dead = client.xrange(keys.dead(MODEL, 0))
    assert b"version '0.9.0' was never published, or cannot be read" in dead[0][1][b"reason"]


def test_a_checkpoint_of_a_version_that_is_gone_says_what_to_do(
    client: redis.Redis, keys: Keys
) -> None:
    """The message names the checkpoint, the version and where it should be, and does not advise to
    delete anything.
    """
    found = PublishedVersions(client, keys, MODEL)
    client.hset(keys.versions(MODEL), "1.0.0", GOOD)
    found.all()
    found.require({"1.0.0"}, "dg:count")
    with pytest.raises(
        BadData, match=r"dg:count holds .* plant 3\.0\.0.*Publish it again.*"
    ) as told:
        found.require({"1.0.0", "3.0.0"}, "dg:count")
    assert "DEL" not in str(told.value)
