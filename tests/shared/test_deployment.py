"""Promises of starting everything on one machine."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import SecretStr

from shared.deployment import environment
from shared.settings import Settings

OTHER: Mapping[str, object] = {
    "detectors": ("adwin", "page_hinkley"),
    "registry_dir": Path("elsewhere"),
    "redis_url": "redis://localhost:1/3",
    "api_key": SecretStr("s3cret"),
    "false_alarms_per_month": 0.25,
    "default_model": "steel",
}


@pytest.mark.parametrize("given", [{}, OTHER, {"detectors": ()}])
def test_a_child_has_the_settings_of_its_parent(given: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings read from the environment that a child process gets are those of its parent, lists and secrets too."""
    settings = Settings(**given)  # type: ignore[arg-type]  # pydantic validates them
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings
