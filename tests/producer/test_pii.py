"""Personal values go through the real API, Redis and worker, and are looked for in everything that
these leave behind.
"""

import asyncio
import gzip
import os
import re
import struct
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pandas as pd
import pytest
import redis
from pydantic import SecretStr
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.snapshot import Snapshot
from driftgauge.shared.local import deployment, processes
from driftgauge.shared.moments import untold
from driftgauge.shared.reference import pii
from driftgauge.shared.reference.frames import infer, rows_of
from driftgauge.shared.reference.schema import Feature, Schema
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.reporting.files import write_report
from driftgauge.shared.settings import Settings
from tests.producer.conftest import api_process, publish, rows, serving, until

pytestmark = pytest.mark.anyio

KEY = "tested with this secret key"
CITIES = tuple(f"planted-city-{number}" for number in range(5))
SCHEMA = Schema(
    (
        Feature("email", "categorical"),
        Feature("x", "numeric"),
        Feature("customer", "numeric", pii="hash"),
        Feature("city", "categorical", pii="hash", categories=CITIES),
        Feature("phone", "numeric"),
        Feature("note", "categorical"),
    )
)
NUMBERS = [first + who for first in (77_000_000_000, 491_510_000_000) for who in range(40)]
BINARY = [
    re.escape(struct.pack(order, number))
    for number in NUMBERS
    for order in ("<d", ">d", "<q", ">q")
]
PLANTED = re.compile(
    b"|".join([rb"planted|770000000\d\d|4915100000\d\d|7\.7\d*e\+?10|4\.9151\d*e\+?11", *BINARY])
)
"""Any of the personal values that are posted, as text or as a number's bytes."""
KEPT = re.compile(rb"kept-note-\d")
BATCH = 500


def people(random: np.random.Generator, number: int, shift: float = 0.0) -> pd.DataFrame:
    who = random.integers(0, 40, number)
    return pd.DataFrame(
        {
            "email": [f"planted-{one}@example.org" for one in who],
            "x": random.normal(shift, 1, number),
            "customer": 77_000_000_000 + who,
            "city": [CITIES[one % 5] for one in who],
            "phone": 491_510_000_000 + who,
            "note": [f"kept-note-{one % 3}" for one in who],
        }
    )


def fitted(frame: pd.DataFrame) -> Any:
    """A model whose prediction is that of the person: it needs the address itself."""
    encoder = ColumnTransformer([("email", OneHotEncoder(), ["email"])])
    number = frame["email"].str.extract(r"(\d+)")[0].astype(float)
    return make_pipeline(encoder, LinearRegression()).fit(frame, number)


@pytest.fixture
def plant(registry: ModelRegistry) -> ModelRegistry:
    frame = people(np.random.default_rng(0), 1500)
    publish(registry, "people", SCHEMA, frame, fitted(frame), key=KEY)
    return registry


@pytest.fixture
def secret(settings: Settings) -> Settings:
    return settings.model_copy(
        update={
            "pii_key": SecretStr(KEY),
            "log_level": "DEBUG",
            "log_features": True,
            "pane_events": 100,
            "window_events": 500,
            "snapshot_events": 500,
            "commit_ms": 50,
            "ack_timeout_ms": 2000,
        }
    )


@contextmanager
def worker_process(settings: Settings, log: Path) -> Iterator[None]:
    environment = {**os.environ, **deployment.environment(settings)}
    process = processes.start([sys.executable, "-m", "driftgauge", "worker"], log, environment)
    try:
        yield
    finally:
        processes.stop(process)


def in_redis(client: Any, keys: Keys) -> dict[str, bytes]:
    """Return all that stands under each key, as it is and decompressed."""
    read = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"stream": client.xrange,
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1),
        b"list": lambda key: client.lrange(key, 0, -1),
    }
    names = list(client.scan_iter(match=f"{keys.prefix}:*"))
    return {name.decode(): b"\n".join(_texts(read[client.type(name)](name))) for name in names}


def _texts(found: Any) -> Iterator[bytes]:
    if isinstance(found, bytes):
        yield found
        for unpacked in (lambda: gzip.decompress(found), lambda: zlib.decompress(found[2:])):
            with suppress(OSError, EOFError, zlib.error):
                yield unpacked()
    elif found is not None:
        for part in [*found, *found.values()] if isinstance(found, dict) else found:
            yield from _texts(part)


def in_folder(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def holding(pattern: "re.Pattern[bytes]", places: dict[str, bytes]) -> set[str]:
    return {
        name
        for name, content in places.items()
        if pattern.search(content) or pattern.search(name.encode())
    }


async def post_people(http: httpx.AsyncClient, random: np.random.Generator) -> None:
    """Post good and bad requests with personal values everywhere; the good ones drift half-way."""
    for shift in (0.0, 3.0):
        singles = rows_of(people(random, 100, shift), SCHEMA)
        answers = await asyncio.gather(
            *(http.post("/predict", json={"features": row}) for row in singles)
        )
        assert {answer.status_code for answer in answers} == {200}
        for row, answer in zip(singles, answers, strict=True):
            assert answer.json()["prediction"] == pytest.approx(
                int(str(row["email"])[8:].partition("@")[0]), abs=0.01
            )
        for _ in range(2):
            events = [
                {"features": row, "prediction": 1.0}
                for row in rows_of(people(random, BATCH, shift), SCHEMA)
            ]
            assert (await http.post("/events", json=events)).status_code == 202
    good = singles[0]
    table = pd.DataFrame([*singles, {**good, "city": "planted-elsewhere"}]).to_csv(index=False)
    batches = [
        await http.post("/predict_batch", json=[*singles, {**good, "city": "planted-elsewhere"}]),
        await http.post("/predict_batch", content=table, headers={"content-type": "text/csv"}),
    ]
    for batch in batches:
        assert batch.status_code == 200
        assert not PLANTED.search(batch.content)
    for path, features, status in (
        ("/predict", {**good, "email": [491510000001]}, 422),
        ("/events", {**good, "email": 491510000001}, 202),
        ("/predict", {**good, "phone": "planted"}, 422),
        ("/events", {**good, "phone": "planted"}, 202),
        ("/predict", {**good, "customer": "planted"}, 422),
        ("/events", {**good, "customer": "planted"}, 422),
        ("/predict", {**good, "city": "planted-elsewhere"}, 422),
        ("/events", {**good, "city": "planted" * 400}, 422),
        ("/predict", {**good, "passport": "planted"}, 422),
        ("/events", {**good, "passport": "planted"}, 422),
    ):
        more = {"prediction": 1.0} if path == "/events" else {}
        answer = await http.post(path, json={"features": features, **more})
        assert answer.status_code == status
        assert not PLANTED.search(answer.content)
    broken = await http.post(
        "/predict", content=b'{"features": {"email": "planted@example.org", "x": planted}}'
    )
    assert broken.status_code == 400
    assert not PLANTED.search(broken.content)


@pytest.mark.usefixtures("plant")
async def test_no_personal_value_is_left_anywhere(
    secret: Settings, client: redis.Redis, keys: Keys, tmp_path: Path
) -> None:
    """Personal values reach the model, and nothing else: no key of Redis, spool, log, snapshot,
    report or error answer.
    """
    (tmp_path / "away").mkdir()
    away = secret.model_copy(
        update={"redis_url": f"unix://{tmp_path}/none.sock", "data_dir": tmp_path / "away"}
    )
    random = np.random.default_rng(1)
    log, alerts, snapshots = keys.log("people", 0), keys.alerts("people"), keys.snapshots("people")
    reports: dict[str, bytes] = {}
    with api_process(secret, tmp_path) as (url, _), worker_process(secret, tmp_path / "worker.log"):
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as http:
            await post_people(http, random)
            await until(lambda: client.exists(log))
            damaged = client.xrange(log, count=1)[0][1][b"e"][:-9]  # type: ignore[index]  # the synchronous client's answer
            client.xadd(log, {"t": "p", "p": "other", "s": 1, "e": damaged})
            dead = keys.dead("people", 0)
            await until(
                lambda: client.xlen(alerts) and client.xlen(snapshots) and client.exists(dead), 60
            )
            for path in (
                "/reports/latest?format=html",
                "/reports/latest",
                "/drift",
                "/alerts",
                "/metrics",
                "/health",
            ):
                answer = await http.get(path)
                assert answer.status_code == 200, path
                reports[path] = answer.content
    with api_process(away, tmp_path / "away", redis="away") as (url, _):
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as http:
            answers = [
                await http.post("/predict", json={"features": row})
                for row in rows_of(people(random, 20), SCHEMA)
            ]
            assert {answer.json()["event"] for answer in answers} == {"spooled"}
    write_report(_snapshot(reports["/reports/latest"]), tmp_path / "reports")
    left = {
        **in_redis(client, keys),
        **reports,
        **in_folder(tmp_path / "away"),
        **in_folder(tmp_path / "reports"),
        "api": (tmp_path / "api.log").read_bytes(),
        "worker": (tmp_path / "worker.log").read_bytes(),
    }
    assert holding(PLANTED, left) == set()
    assert holding(re.compile(KEY.encode()), left) == set()
    _finds_what_is_there(
        left,
        {log, keys.versions("people"), keys.dead("people", 0), snapshots, "/reports/latest", "api"},
    )
    assert (
        PLANTED.search(b"\n".join(in_folder(tmp_path / "registry").values())) is not None
    )  # the artifact needs them


def _finds_what_is_there(left: dict[str, bytes], places: set[str]) -> None:
    """The search would find a value that is kept, and finds the hash of one that is not, in each
    kind of place.
    """
    kept = holding(KEPT, left)
    hashes = holding(re.compile("|".join(pii.hashed(city, KEY) for city in CITIES).encode()), left)
    assert places <= kept
    assert places <= hashes
    assert any(name.startswith("spool/") for name in kept & hashes)
    assert any(name.endswith(".html") for name in kept & hashes)


def _snapshot(content: bytes) -> Snapshot:
    return untold(msgspec.json.decode(content), Snapshot)


async def test_a_version_with_hashes_is_not_served_without_a_key(
    plant: ModelRegistry, settings: Settings
) -> None:
    """The API says which setting is missing, and serves what needs none."""
    plain = rows()
    publish(
        plant,
        "linear",
        infer(plain, prediction=plain["x"]),
        plain,
        LinearRegression().fit(plain.to_numpy(), plain["x"]),
    )
    async with serving(settings) as http:
        refused = await http.post("/predict", json={"model": "people", "features": {}})
        assert refused.status_code == 503
        assert "DRIFTGAUGE_PII_KEY" in refused.text
        assert (
            await http.post("/predict", json={"model": "linear", "features": {"x": 1, "y": 1}})
        ).status_code == 200
        reasons = (await http.get("/readyz")).json()["reasons"]
    assert [
        reason
        for reason in reasons
        if "customer, city is to be hashed" in reason and "DRIFTGAUGE_PII_KEY" in reason
    ]


async def test_what_is_dropped_may_stay_out_of_events(
    plant: ModelRegistry, secret: Settings
) -> None:
    """A prediction made elsewhere needs no dropped field; a prediction made here needs what the
    model was fitted on.
    """
    row: dict[str, Any] = dict(
        rows_of(people(np.random.default_rng(2), 1), SCHEMA, scored=False)[0]
    )
    assert {"email", "phone"}.isdisjoint(row)
    async with serving(secret) as http:
        accepted = await http.post("/events", json={"features": row, "prediction": 1})
        refused = await http.post("/predict", json={"features": row})
    assert accepted.status_code == 202
    assert [error["field"] for error in refused.json()["errors"]] == [
        "/features/email",
        "/features/phone",
    ]
    assert plant.models() == ["people"]
