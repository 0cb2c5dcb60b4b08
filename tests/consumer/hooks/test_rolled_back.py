"""From the labels of a version that does worse to the version before, serving again: a real API, a
real worker, a real Redis, the ready command.
"""

import sys
import time
from pathlib import Path

import joblib
import msgspec
import numpy as np
import pytest
import redis

from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.consumer.judging.incidents.hooks import HookState
from driftgauge.shared.arrays import Floats
from driftgauge.shared.contract.alert import CloudEvent
from driftgauge.shared.contract.events import Label, encode
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.performance import Layout, PerformanceReference
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.schema import Feature, Schema
from driftgauge.shared.registry import trial
from driftgauge.shared.registry.creation import new_manifest
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings
from driftgauge.shared.versions.manifest import PublishedVersion
from tests.consumer.builders import event
from tests.integration.plant import MODEL, append, settings_of, worker_thread
from tests.producer.conftest import serving, until
from tests.producer.linear import Linear

pytestmark = pytest.mark.anyio

SCHEMA = Schema((Feature("x", "numeric"), Feature("y", "numeric")), "numeric", target="z")
FACTORS = {"1.0.0": (2.0, 1.0), "2.0.0": (2.0, -1.0)}
"""What each version multiplies the features by; the first does it rightly."""
ROWS = 1500
COMMAND = (sys.executable, "-m", "driftgauge", "models", "rollback", "--incident", "-")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def drawn(random: np.random.Generator, rows: int) -> tuple[Floats, Floats]:
    """Draw rows, and their true values."""
    values = random.normal(size=(rows, 2))
    return values, values @ FACTORS["1.0.0"] + random.normal(0, 0.5, size=rows)


def register(registry: ModelRegistry, version: str) -> None:
    """Register and promote a version that was right on its training rows."""
    values, labels = drawn(np.random.default_rng(0), 3000)
    said = values @ FACTORS["1.0.0"]
    reference = build_profile(SCHEMA, list(values.T), said)
    layout = Layout.of(SCHEMA, reference)
    assert layout is not None
    artifact = registry.folder / "model.joblib"
    registry.folder.mkdir(parents=True, exist_ok=True)
    joblib.dump(Linear(*FACTORS[version]), artifact)
    manifest = new_manifest(MODEL, version, "regression", labels=True)
    performance = PerformanceReference.of(layout, said, labels)
    published = PublishedVersion(manifest, SCHEMA, reference, performance=performance)
    registry.register(published, artifact)
    trial.note(registry.storage, artifact.read_bytes())
    registry.promote(MODEL, version, actor="ann", reason="new")


def labelled(number: int, label: Label) -> Entry:
    told = (b"t", b"l", b"p", b"labels", b"s", str(number).encode(), b"e", encode(label))
    return b"0-0", list(told)


def append_labelled(
    client: redis.Redis, keys: Keys, version: str, start_ms: int, first: int
) -> int:
    """Append predictions of a version, 20 ms apart, and their labels; return when they end."""
    values, labels = drawn(np.random.default_rng(first), ROWS)
    entries = []
    for place, (row, label) in enumerate(zip(values.tolist(), labels.tolist(), strict=True), first):
        ms, name = start_ms + 20 * (place - first), f"id{place}"
        said = float(np.dot(row, FACTORS[version]))
        entries.append(event(ms, place, row, version, id=name, prediction=said))
        entries.append(labelled(place, Label(name, label, ms)))
    append(client, keys.log(MODEL, 0), entries, with_ids=False)
    return start_ms + 20 * ROWS


def state(client: redis.Redis, keys: Keys) -> HookState:
    packed = client.hget(keys.follower(MODEL, "rollback"), "state")
    return msgspec.json.decode(packed, type=HookState) if packed else HookState()  # type: ignore[arg-type]


def incidents(client: redis.Redis, keys: Keys) -> list[Incident]:
    events = [fields[b"e"] for _, fields in client.xrange(keys.incidents(MODEL))]  # type: ignore[union-attr]
    return [
        msgspec.json.decode(msgspec.json.decode(one, type=CloudEvent).data, type=Incident)
        for one in events
    ]


async def test_a_worse_version_is_rolled_back_once(
    client: redis.Redis,
    redis_url: str,
    prefix: str,
    keys: Keys,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A version that is promoted and does worse is one incident with the action `roll_back`; the
    hook runs once, the API serves the version before, and the history says why.
    """
    registry = ModelRegistry(tmp_path / "registry")
    monkeypatch.setenv("DRIFTGAUGE_REGISTRY_DIR", str(registry.folder))
    register(registry, "1.0.0")
    api = Settings(
        redis_url=redis_url,
        key_prefix=prefix,
        registry_dir=registry.folder,
        data_dir=tmp_path / "data",
        ack_timeout_ms=5000,
    )
    async with serving(api) as http:
        await until(lambda: client.hlen(keys.versions(MODEL)) == 1)
        with worker_thread(settings_of(redis_url, keys, rollback_command=COMMAND)):
            await until(lambda: client.hget(keys.follower(MODEL, "rollback"), "offset"))
            begin = time.time_ns() // 1_000_000 - 100 * ROWS
            then = append_labelled(client, keys, "1.0.0", begin, 1)
            register(registry, "2.0.0")
            await until(lambda: client.hlen(keys.versions(MODEL)) == 2)
            append_labelled(client, keys, "2.0.0", then, 1 + ROWS)
            await until(lambda: state(client, keys).latest)
        found = state(client, keys)
        assert found.latest is not None
        assert (found.latest.outcome.ok, found.runs, found.failures) == (True, 1, 0)
        answers = [await http.post("/predict", json={"features": {"x": 1, "y": 1}})]
        while answers[-1].json()["version"] != "1.0.0":
            assert len(answers) < 10_000
            answers.append(await http.post("/predict", json={"features": {"x": 1, "y": 1}}))
    told = incidents(client, keys)
    assert {one.id for one in told if one.action == "roll_back"} == {one.id for one in told}
    assert len({one.id for one in told}) == 1
    assert told[-1].cause.version == "2.0.0"
    last = registry.history(MODEL)[-1]
    assert (last.action, last.version, last.replaced) == ("rollback", "1.0.0", "2.0.0")
    assert last.reason.startswith(f"incident {told[0].id}: Since ")
