"""Promises of starting everything on one machine."""

import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import redis
from pydantic import SecretStr

from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.errors import ConfigurationError, DriftgaugeError
from driftgauge.shared.local.deployment import Deployment, environment
from driftgauge.shared.local.running import read_running
from driftgauge.shared.settings import Settings, read_settings

OTHER: Mapping[str, object] = {
    "detectors": ("adwin", "page_hinkley"),
    "registry_dir": Path("elsewhere"),
    "redis_url": "redis://localhost:1/3",
    "api_key": SecretStr("s3cret"),
    "false_alarms_per_month": 0.25,
    "default_model": "steel",
}


@pytest.mark.parametrize(
    "given", [{}, OTHER, {"detectors": (), "retrain_command": ("sh", "-c", "a, b")}]
)
def test_a_child_has_the_settings_of_its_parent(
    given: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings read from the environment that a child process gets are those of its parent, lists
    and secrets too.
    """
    settings = Settings(**given)  # type: ignore[arg-type]  # pydantic validates them
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings


def test_a_worker_that_ends_is_seen_with_its_last_words(tmp_path: Path) -> None:
    """A deployment without a worker is none: who started it is told, and why."""
    settings = read_settings(
        data_dir=tmp_path / "data",
        registry_dir=tmp_path / "registry",
        policy_file=tmp_path / "absent",
    )
    with Deployment(settings) as running:
        running.worker.wait(60)
        with pytest.raises(DriftgaugeError, match=r"(?s)driftgauge worker.*DRIFTGAUGE_POLICY_FILE"):
            running.require_running()


def test_what_ends_by_itself_is_started_again(tmp_path: Path) -> None:
    """A worker that was killed costs neither the API nor anybody's help: it is said, and another
    one runs.
    """
    settings = read_settings(data_dir=tmp_path / "data", registry_dir=tmp_path / "registry")
    with Deployment(settings) as running:
        first, api = running.worker, running.api
        first.kill()
        first.wait(30)
        (said,) = running.keep_running()
        assert "driftgauge worker" in said
        until(lambda: running.keep_running() == [] and running.worker is not first)
        assert running.worker.poll() is None
        assert running.api is api
        assert api.poll() is None


def test_a_redis_that_ends_is_started_again(tmp_path: Path) -> None:
    """The private Redis that was killed comes back with what it had on disk, at the same address;
    API and worker go on meanwhile.
    """
    settings = read_settings(data_dir=tmp_path / "data", registry_dir=tmp_path / "registry")
    with Deployment(settings) as running:
        client: Any = connect(running.settings.redis_url)
        client.config_set("appendfsync", "always")
        client.set("kept", "1")
        first = client.info("server")["process_id"]
        os.kill(first, signal.SIGKILL)
        said: list[str] = []
        until(lambda: bool(said.extend(running.keep_running()) or said))
        assert "The private Redis ended by itself (exit code -9)" in said[0]
        until(lambda: not running.keep_running() and pid_of(client) not in {None, first})
        assert client.get("kept") == b"1"
        running.require_running()
        client.close()


def pid_of(client: Any) -> int | None:
    """Return the id of the server's process; None if it does not answer."""
    try:
        return int(client.info("server")["process_id"])
    except redis.RedisError:
        return None


def until(condition: Callable[[], bool]) -> None:
    """Wait for something."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_data_folder_has_one_deployment_at_a_time(tmp_path: Path) -> None:
    """A second one in the folder of a running one is refused before it starts a Redis on the same
    files; the folder is free again when the first one has ended, and its file is gone.
    """
    settings = read_settings(data_dir=tmp_path / "data", registry_dir=tmp_path / "registry")
    with Deployment(settings) as running:
        there = read_running(settings.data_dir)
        assert there is not None
        assert (there.api, there.redis_url) == (running.url, running.settings.redis_url)
        with pytest.raises(ConfigurationError, match=running.url), Deployment(settings):
            pass
        assert read_running(settings.data_dir) == there
    assert read_running(settings.data_dir) is None


def test_settings_that_cannot_be_used_end_a_deployment(tmp_path: Path) -> None:
    """Nothing is started again that would end again for the same reason."""
    settings = read_settings(
        data_dir=tmp_path / "data",
        registry_dir=tmp_path / "registry",
        policy_file=tmp_path / "absent",
    )
    with Deployment(settings) as running:
        running.worker.wait(30)
        with pytest.raises(DriftgaugeError, match="DRIFTGAUGE_POLICY_FILE"):
            running.keep_running()
