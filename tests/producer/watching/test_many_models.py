"""A watchdog of many models asks for them together."""

import time
from collections import Counter

import pytest
import redis
import redis.asyncio

from driftgauge.producer.intake.refusals import Refusals
from driftgauge.producer.watching.watchdog import AT_ONCE, Watchdog
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings

pytestmark = pytest.mark.anyio
MODELS = 3 * AT_ONCE


async def test_round_trips_do_not_grow_with_the_models(
    linear: ModelRegistry,
    settings: Settings,
    client: redis.Redis,
    keys: Keys,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A look at 75 models takes a few round trips for each 25 of them, and every model is watched
    after it; one that cannot be read is told, and hides none.
    """
    published = linear.load("linear", "1.0.0").pack()
    names = [f"m{number}" for number in range(MODELS)]
    for name in names:
        client.hset(keys.versions(name), "1.0.0", published)
    client.sadd(keys.models, *names)
    sent = 0
    execute = redis.asyncio.client.Pipeline.execute

    async def counted(pipe: redis.asyncio.client.Pipeline, **how: bool) -> object:
        nonlocal sent
        sent += 1
        return await execute(pipe, **how)

    monkeypatch.setattr(redis.asyncio.client.Pipeline, "execute", counted)
    watchdog = Watchdog(settings, Counter(), Refusals(), {}, lambda: int(time.time() * 1000))
    try:
        await watchdog.check()
        assert sent < 8 * MODELS / AT_ONCE
        names.remove("m30")
        leases = [client.hget(keys.watchdog(name), "lease") for name in names]
        assert all(leases)
        client.delete(keys.watchdog("m30"))
        client.set(keys.watchdog("m30"), "mine")
        with pytest.raises(Exception, match="m30 cannot be watched"):
            await watchdog.check()
        after = [client.hget(keys.watchdog(name), "lease") for name in names]
        assert not [name for name, one, two in zip(names, leases, after, strict=True) if one == two]
    finally:
        await watchdog.close()
