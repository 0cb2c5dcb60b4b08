"""Promises of starting everything on one machine."""

import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import SecretStr

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
        deadline = time.monotonic() + 60
        while running.worker is first:
            assert running.keep_running() == []
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert running.worker.poll() is None
        assert running.api is api
        assert api.poll() is None


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
