"""The settings."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from driftgauge.shared.errors import ConfigurationError
from driftgauge.shared.settings import Settings, read_settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("KEY_PREFIX", "a{b}"),
        ("KEY_PREFIX", ""),
        ("PANE_EVENTS", "0"),
        ("LEASE_MS", "10"),
        ("FALSE_ALARMS_PER_MONTH", "0"),
        ("FALSE_ALARMS_PER_MONTH", "nan"),
        ("LOG_RETENTION_HOURS", "-1"),
        ("RETRAIN_COMMAND", "python train.py"),
        ("RETRAIN_COMMAND", "[1]"),
        ("RETRAIN_WEBHOOK", "file:///etc/passwd"),
        ("RETRAIN_WEBHOOK", "https://"),
        ("RETRAIN_COOLDOWN_HOURS", "-1"),
        ("ROLLBACK_COMMAND", "driftgauge"),
        ("ROLLBACK_WEBHOOK", "ftp://host"),
        ("ROLLBACK_TIMEOUT_SECONDS", "0"),
    ],
)
def test_a_bad_value_names_its_variable(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who mistypes a setting is told which environment variable it was."""
    monkeypatch.setenv(f"DRIFTGAUGE_{name}", value)
    with pytest.raises(ConfigurationError, match=f"DRIFTGAUGE_{name}: ") as caught:
        read_settings()
    assert caught.value.exit_code == 78


def test_all_bad_values_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several faults are one message."""
    monkeypatch.setenv("DRIFTGAUGE_PORT", "x")
    monkeypatch.setenv("DRIFTGAUGE_LEASE_MS", "y")
    with pytest.raises(ConfigurationError, match=r"(?s)PORT.*LEASE_MS"):
        read_settings()


def test_overrides_win_and_none_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """An option of the command line beats the environment; one that was not given does not."""
    monkeypatch.setenv("DRIFTGAUGE_PORT", "9001")
    assert read_settings(port=None).port == 9001
    assert read_settings(port=9002).port == 9002
    with pytest.raises(ConfigurationError, match="DRIFTGAUGE_NONSENSE"):
        read_settings(nonsense=1)


def test_settings_do_not_change() -> None:
    """Settings are read once and immutable."""
    settings = Settings()
    with pytest.raises(ValidationError):
        settings.port = 1


@pytest.mark.parametrize("hook", ["RETRAIN", "ROLLBACK"])
def test_a_hook_is_one_thing(monkeypatch: pytest.MonkeyPatch, hook: str) -> None:
    """A command and a webhook at once are refused: which of them would be the one run of a
    cooldown?
    """
    monkeypatch.setenv(f"DRIFTGAUGE_{hook}_COMMAND", '["train"]')
    monkeypatch.setenv(f"DRIFTGAUGE_{hook}_WEBHOOK", "https://hooks.example/token")
    with pytest.raises(
        ConfigurationError, match=rf"DRIFTGAUGE_{hook}_WEBHOOK: .*unset one"
    ) as caught:
        read_settings()
    assert "token" not in str(caught.value)


def test_a_named_keys_file_must_be_there_and_a_deployments_own_need_not(tmp_path: Path) -> None:
    """A file that somebody names is missed if it is absent; that of the data folder, which a
    deployment names to all its commands, may come later.
    """
    assert not Settings(data_dir=tmp_path).keys_required
    assert Settings(data_dir=tmp_path, keys_file=tmp_path / "other.json").keys_required
    assert not Settings(data_dir=tmp_path, keys_file=tmp_path / "keys.json").keys_required
