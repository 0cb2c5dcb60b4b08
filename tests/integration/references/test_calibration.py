"""A calibration on its way: from the registry's file through Redis to the worker's verdict, and
again when it changes.
"""

import time

import msgspec
import numpy as np
import pytest
import redis

from driftgauge.consumer.stages import versions
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.snapshot import Snapshot
from driftgauge.shared.registry.registry import PublishedVersion, new_manifest
from tests.consumer.builders import event
from tests.consumer.judging.weeks import SCHEMA, calibration_of, profile_of, rows
from tests.integration.plant import (
    MODEL,
    append,
    arrived,
    judged_all,
    settings_of,
    wait_for,
    worker_thread,
)


def current(client: redis.Redis, keys: Keys) -> Snapshot:
    packed = client.hget(keys.current(MODEL), "1.0.0")
    assert isinstance(packed, bytes)
    return msgspec.json.decode(packed, type=Snapshot)


def test_a_calibration_reaches_a_running_worker(
    client: redis.Redis, redis_url: str, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that is published again with a calibration is judged by it, without a restart;
    before, it says what it assumes.
    """
    monkeypatch.setattr(versions, "RECHECK_S", 0.05)
    columns = rows(np.random.default_rng(0), 112)
    profile = profile_of(columns)
    manifest = new_manifest(MODEL, "1.0.0", "monitor")
    plain = PublishedVersion(manifest, SCHEMA, profile)
    client.hset(keys.versions(MODEL), "1.0.0", plain.pack())
    client.sadd(keys.models, MODEL)
    start = int(time.time() * 1000) - 4000 * 60_000
    sent = [
        event(start + 60_000 * place, place + 1, row)
        for place, row in enumerate(
            zip(*(np.asarray(values)[:3000].tolist() for values in columns), strict=True)
        )
    ]
    with worker_thread(settings_of(redis_url, keys)):
        append(client, keys.log(MODEL, 0), sent[:600])
        wait_for(lambda: arrived(client, keys) == 600 and judged_all(client, keys), "600 events")
        assert "taken as exchangeable" in current(client, keys).notes[0]
        calibrated = msgspec.structs.replace(plain, calibration=calibration_of(profile, columns))
        client.hset(keys.versions(MODEL), "1.0.0", calibrated.pack())
        waiting = iter(range(600, 3000, 120))

        def judged_by_it() -> bool:
            first = next(waiting)
            append(client, keys.log(MODEL, 0), sent[first : first + 120])
            wait_for(
                lambda: arrived(client, keys) == first + 120 and judged_all(client, keys),
                "120 events",
            )
            return "false episodes" in current(client, keys).notes[0]

        wait_for(judged_by_it, "the calibration", pause_s=0.1)
    snapshot = current(client, keys)
    found = {feature.name: feature for feature in snapshot.features}
    assert found["hour"].severity == "excluded"
    assert "whole days" in found["slow"].reason
    assert "false episodes per 30 days" in snapshot.notes[0]
