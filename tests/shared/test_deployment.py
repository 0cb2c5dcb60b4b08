import pytest
from pydantic import SecretStr

from shared.deployment import environment
from shared.settings import Settings


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"detectors": ("e_detector", "adwin")},
        {"detectors": ()},
        {"retrain_command": ("python", "-c", "print('a, b')")},
        {"retrain_webhook": SecretStr("https://hooks.example/secret")},
    ],
)
def test_a_child_process_gets_the_settings_of_its_parent(given: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists and secrets too come out of the environment as they went in."""
    settings = Settings(**given)  # type: ignore[arg-type]
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings
