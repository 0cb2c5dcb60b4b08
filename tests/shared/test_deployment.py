"""All of it on one machine."""

from pathlib import Path

import pytest

from shared.deployment import Deployment, environment
from shared.errors import DriftgaugeError
from shared.settings import Settings, read_settings


@pytest.mark.parametrize("detectors", ["", "e_detector", "e_detector, adwin"])
def test_child_processes_get_the_settings_of_their_parent(
    detectors: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the children read from their environment is what their parent was told, whatever a setting's type is."""
    wanted = read_settings(detectors=detectors, data_dir=tmp_path, pii_key="a key of sixteen", log_retention_hours=1.5)
    for name, value in environment(wanted).items():
        monkeypatch.setenv(name, value)
    assert read_settings() == wanted


def test_every_default_survives_the_way_to_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new setting cannot be forgotten."""
    defaults = Settings()
    for name, value in environment(defaults).items():
        monkeypatch.setenv(name, value)
    assert read_settings() == defaults


def test_a_worker_that_ends_is_seen_with_its_last_words(tmp_path: Path) -> None:
    """A deployment without a worker is none: who started it is told at once, and why."""
    settings = read_settings(data_dir=tmp_path / "data", registry_dir=tmp_path / "registry", policy_file=tmp_path / "absent")

    def start() -> None:
        with Deployment(settings) as running:
            running.worker.wait(30)
            running.require_alive()

    with pytest.raises(DriftgaugeError, match=r"(?s)driftgauge worker.*DRIFTGAUGE_POLICY_FILE"):
        start()
