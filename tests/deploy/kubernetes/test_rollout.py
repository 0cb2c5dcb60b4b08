"""A rollout of the workers, by processes that get what the pods get: arguments, environment, and
the keys as a Secret is mounted.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Self

import httpx
import pytest
import redis

from driftgauge.shared.access.key_file import create_key
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.local import processes
from tests.deploy.kubernetes.rendered import container, ours, pod, settings
from tests.integration.plant import MODEL, append, arrived, counters, events, publish, wait_for

pytestmark = pytest.mark.long
FIRST_PORT = 19_300
LOOPBACK = "127.0.0.1"
CHUNK = 200


class Pod:
    """A worker's process, from its start to its end."""

    def __init__(self, folder: Path, environment: dict[str, str], stack: ExitStack) -> None:
        self._port = stack.enter_context(processes.reserved_port(FIRST_PORT, LOOPBACK))
        self._log = folder / f"{self._port}.log"
        self._http = stack.enter_context(httpx.Client(timeout=10))
        ours_alone = {"DRIFTGAUGE_WORKER_HOST": LOOPBACK, "DRIFTGAUGE_WORKER_PORT": str(self._port)}
        self.process = processes.start(
            [sys.executable, "-m", "driftgauge", *container(ours("production")[1])["args"]],
            self._log,
            {**environment, **ours_alone, "DRIFTGAUGE_DATA_DIR": str(folder / str(self._port))},
        )
        stack.callback(processes.stop, self.process)

    def ready(self) -> Self:
        """Wait until Kubernetes would call it ready."""
        path = container(ours("production")[1])["readinessProbe"]["httpGet"]["path"]
        processes.wait_until(lambda: self.answers(path), self.process, "worker", self._log)
        return self

    def answers(self, path: str, key: str = "") -> bool:
        """Ask it as the kubelet does, by an address; or as a scraper with its key."""
        headers = {"Host": "10.1.2.3:8001", **({"Authorization": f"Bearer {key}"} if key else {})}
        try:
            return self._http.get(
                f"http://{LOOPBACK}:{self._port}{path}", headers=headers
            ).is_success
        except httpx.TransportError:
            return False

    def told_to_end(self) -> Callable[[], bool]:
        """Send SIGTERM as the kubelet does; return what tells whether it has ended."""
        self.process.terminate()
        return lambda: self.process.poll() is not None


@pytest.fixture
def secret(tmp_path: Path) -> tuple[Path, str]:
    """Mount the keys as Kubernetes does: a link to a link, readable by the group; give a key."""
    (tmp_path / "..2026").mkdir()
    real = tmp_path / "..2026" / "keys.json"
    key = create_key(real, "prometheus", ("read",), None)
    real.chmod(pod(ours("production")[1])["volumes"][1]["secret"]["defaultMode"])
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "keys.json").symlink_to("..data/keys.json")
    return tmp_path / "keys.json", key


@pytest.fixture
def environment(redis_url: str, keys: Keys, secret: tuple[Path, str]) -> dict[str, str]:
    """Return what the ConfigMap and the Secrets give to a worker."""
    given = {**settings("production"), "DRIFTGAUGE_KEYS_FILE": str(secret[0])}
    del given["DRIFTGAUGE_REGISTRY_URL"]
    of_secret = {"DRIFTGAUGE_REDIS_URL": redis_url, "DRIFTGAUGE_KEY_PREFIX": keys.prefix}
    ambient = {n: v for n, v in os.environ.items() if not n.startswith("DRIFTGAUGE_")}
    return {**ambient, **given, **of_secret}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


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


def test_a_rollout_loses_nothing(
    client: redis.Redis,
    keys: Keys,
    environment: dict[str, str],
    secret: tuple[Path, str],
    tmp_path: Path,
    stack: ExitStack,
) -> None:
    """Old and new worker run side by side while events come, twice; each old one ends by itself
    within its grace, and every event is counted once.
    """
    publish(client, keys)
    source = chunks(client, keys)
    grace_s = pod(ours("production")[1])["terminationGracePeriodSeconds"]
    old = Pod(tmp_path, environment, stack).ready()
    assert old.answers("/metrics", secret[1])
    assert not old.answers("/metrics")
    published = next(source)
    wait_for(partial(all_arrived, client, keys, published), "the first events")
    for _ in range(2):
        new = Pod(tmp_path, environment, stack).ready()
        ended = old.told_to_end()

        deadline = time.monotonic() + grace_s
        while not ended():
            assert time.monotonic() < deadline, "it would have been killed"
            published = next(source)
            time.sleep(0.05)
        assert old.process.returncode == 0
        published = next(source)
        wait_for(partial(all_arrived, client, keys, published), "the new worker to count")
        old = new
    found = counters(client, keys)
    assert (found.events, found.duplicates, found.missing, found.dead) == (published, 0, 0, 0)
