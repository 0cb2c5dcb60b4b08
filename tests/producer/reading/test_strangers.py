"""The API beside what strangers wrote into Redis: every page and every answer stands."""

import gzip
from typing import Any

import pytest
import redis

from driftgauge.producer.watching.watchdog import ACKNOWLEDGED, BACK, DROPPED, HANGING
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.losses import HOLES_FIELD, SETBACK_FIELD
from driftgauge.shared.settings import Settings
from tests.producer.conftest import GOOD, serving, until
from tests.producer.routes.test_reading import snapshot

pytestmark = pytest.mark.anyio

ODD = {
    "deep": b'{"data":' + b"[" * 50_000,
    "no text": b'{"data":"\xff\xfe"}',
    "no JSON": b"\xc1",
    "another shape": b'{"data":{"model":7,"version":[],"alerts":{}}}',
    "beyond": b'{"until":1e400,"told_ms":99999999999999999999,"reasons":[]}',
}
PATHS = (
    "/health?verbose=true",
    "/readyz",
    "/metrics",
    "/alerts",
    "/reports",
    "/predictions?model=linear",
    "/dashboard/alerts?model=linear",
    "/dashboard/drift?model=linear",
    "/dashboard/performance?model=linear",
    "/dashboard/reports?model=linear",
    "/dashboard/log?model=linear",
    "/dashboard/models",
    "/incidents",
    "/dashboard/incidents",
    "/notifications",
    "/dashboard/notifications",
    "/dashboard/models/linear",
    "/",
)


@pytest.mark.usefixtures("linear")
async def test_nothing_in_redis_makes_the_api_fail(
    settings: Settings, client: redis.Redis, keys: Keys
) -> None:
    """Malformed, nested, foreign content under each key that the API reads costs at most what it
    stands for: no request fails, the watchdog goes on looking, and models that are none are left
    out.
    """
    changed = settings.model_copy(update={"watchdog_seconds": 0.05})
    async with serving(changed) as http:
        await http.post("/predict", json={"features": GOOD})
        client.sadd(keys.models, b"\xff\xfe", "../up")
        for name, content in ODD.items():
            fields: dict[Any, Any] = {name: content}
            for stream in (keys.alerts("linear"), keys.snapshots("linear"), keys.log("linear", 0)):
                client.xadd(stream, {"e": content, "t": "p"})
            for key in (
                keys.current("linear"),
                keys.brief("linear"),
                keys.open_incidents("linear"),
                keys.refused("linear"),
                keys.refused_labels("linear"),
                keys.held("linear"),
            ):
                client.hset(key, mapping=fields)
            marks = {mark + name.encode(): content for mark in (DROPPED, HANGING, BACK)}
            told: dict[Any, Any] = {**marks, ACKNOWLEDGED + b"\xff": content, b"lease": content}
            client.hset(keys.watchdog("linear"), mapping=told)
            beside: dict[Any, Any] = dict.fromkeys((HOLES_FIELD, SETBACK_FIELD, b"fault"), content)
            client.hset(keys.count("linear", 0), mapping=beside)
            client.hset(keys.judge("linear"), mapping={**beside, b"state": content})
            for path in PATHS:
                answer = await http.get(path, headers={"Accept": "text/html, */*"})
                assert answer.status_code == 200, (name, path, answer.text[:300])
            client.hset(keys.watchdog("linear"), "memory", content)

            def anew(content: bytes = content) -> bool:
                return client.hget(keys.watchdog("linear"), "memory") != content

            await until(anew)
        client.hset(keys.current("linear"), "1.0.0", snapshot(5))
        assert (await http.get("/drift?model=linear")).json()["id"] == "s5"
        reasons = (await http.get("/readyz")).json()["reasons"]
        assert not any("watchdog" in reason.lower() for reason in reasons), reasons
        client.hset(keys.versions("linear"), "0.0.1", gzip.compress(b" " * (100 << 20), 1))
        assert (await http.get("/health?verbose=true")).json()["pipeline"]["linear"]["events"] == 0
