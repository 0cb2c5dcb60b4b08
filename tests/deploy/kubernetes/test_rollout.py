"""A rollout, by processes that get what the pods get: arguments, environment, volume, and the keys
as a Secret is mounted.
"""

import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import redis

from driftgauge.consumer.offline.registration import register_version
from driftgauge.consumer.offline.submission import Submission
from driftgauge.shared.access.key_file import create_key
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.registry.registry import ModelRegistry
from tests.deploy.kubernetes.rendered import ours, pod, settings
from tests.deploy.kubernetes.running import Pod
from tests.integration.plant import MODEL, append, arrived, counters, events, publish, wait_for

pytestmark = pytest.mark.long
CHUNK = 200
AWAY = "redis://127.0.0.1:9/0"
"""Where no Redis is: the port of `discard`."""


@pytest.fixture
def secret(tmp_path: Path) -> tuple[Path, str]:
    """Mount the keys as Kubernetes does: a link to a link, readable by the group; give a key."""
    (tmp_path / "..2026").mkdir()
    real = tmp_path / "..2026" / "keys.json"
    key = create_key(real, "all", ("read", "predict"), None)
    (volume,) = [one for one in pod(ours("production")[0])["volumes"] if one["name"] == "keys"]
    real.chmod(volume["secret"]["defaultMode"])
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "keys.json").symlink_to("..data/keys.json")
    return tmp_path / "keys.json", key


@pytest.fixture
def environment(redis_url: str, keys: Keys, secret: tuple[Path, str]) -> dict[str, str]:
    """Return what the ConfigMap and the Secrets give, and a registry of the test."""
    given = {**settings("production"), "DRIFTGAUGE_KEYS_FILE": str(secret[0])}
    del given["DRIFTGAUGE_REGISTRY_URL"]
    here = {
        "DRIFTGAUGE_REDIS_URL": redis_url,
        "DRIFTGAUGE_KEY_PREFIX": keys.prefix,
        "DRIFTGAUGE_REGISTRY_DIR": str(secret[0].parent / "registry"),
    }
    ambient = {name: text for name, text in os.environ.items() if "DRIFTGAUGE_" not in name}
    return {**ambient, **given, **here}


def chunks(client: redis.Redis, keys: Keys) -> Iterator[int]:
    """Publish events, a chunk at each step; give how many there are."""
    begun_ms = int(time.time() * 1000) - 1_000_000
    first = 1
    while True:
        made = events(first, CHUNK, begun_ms + 20 * first, first=first)
        append(client, keys.log(MODEL, 0), made, with_ids=False)
        first += CHUNK
        yield first - 1


def all_arrived(client: redis.Redis, keys: Keys, number: int) -> bool:
    return arrived(client, keys) == number


def test_a_rollout_of_workers_loses_nothing(
    client: redis.Redis,
    keys: Keys,
    environment: dict[str, str],
    secret: tuple[Path, str],
    tmp_path: Path,
) -> None:
    """Old and new worker run side by side while events come, twice; each old one ends by itself
    within its grace, and every event is counted once.
    """
    publish(client, keys)
    source = chunks(client, keys)
    published = next(source)
    _, worker = ours("production")
    old = Pod(worker, environment, tmp_path / "first", "WORKER_")
    with old:
        assert old.answers("/metrics", secret[1])
        assert not old.answers("/metrics")
        wait_for(partial(all_arrived, client, keys, published), "the first events")
        for name in ("second", "third"):
            new = Pod(worker, environment, tmp_path / name, "WORKER_")
            with old:
                old.end()
                while not old.ended():
                    published = next(source)
                    time.sleep(0.05)
            old = new
            published = next(source)
            wait_for(partial(all_arrived, client, keys, published), "the new worker to count")
    with old:
        found = counters(client, keys)
    assert (found.events, found.duplicates, found.missing, found.dead) == (published, 0, 0, 0)


def test_a_pod_of_the_api_sends_what_the_one_before_it_spooled(
    client: redis.Redis,
    keys: Keys,
    environment: dict[str, str],
    secret: tuple[Path, str],
    tmp_path: Path,
) -> None:
    """Events that were acknowledged while Redis was away outlive the pod, since its successor of
    the same name gets the volume.
    """
    rows = "\n".join(f"{number % 37},{number % 11}" for number in range(1500))
    (tmp_path / "rows.csv").write_text(f"a,y\n{rows}\n")
    registry = ModelRegistry(tmp_path / "registry")
    submission = Submission("plant", tmp_path / "rows.csv", prediction_column="y")
    _, made = register_version(registry, submission)
    registry.promote("plant", made.manifest.version, "production", actor="test")
    sent = [{"model": "plant", "features": {"a": n}, "prediction": n % 11} for n in range(50)]

    api, _ = ours("production")
    without = {**environment, "DRIFTGAUGE_REDIS_URL": AWAY}
    with Pod(api, without, tmp_path / "volume", "") as old:
        answer = old.http.post("/events", json=sent, headers={"X-API-Key": secret[1]})
        assert answer.is_success, answer.text
        assert (answer.json()["accepted"], answer.json()["event"]) == (50, "spooled")
        old.end()
        wait_for(old.ended, "the pod to end")
    log = keys.log("plant", 0)
    with Pod(api, environment, tmp_path / "volume", ""):
        wait_for(lambda: client.xlen(log) == 50, "what was spooled")
