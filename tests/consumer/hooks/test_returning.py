"""`driftgauge models rollback --incident`: the ready command of the rollback hook."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from driftgauge.__main__ import cli
from driftgauge.shared.contract.incident import IncidentCause
from driftgauge.shared.errors import BadData
from driftgauge.shared.registry.registry import ModelRegistry
from tests.consumer.hooks.builders import incident_event
from tests.producer.conftest import SCHEMA, publish, rows

CAUSE = IncidentCause("performance", "f", rule="performance.mae", version="2.0.0")


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelRegistry:
    """A registry where 2.0.0 was promoted after 1.0.0."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DRIFTGAUGE_REGISTRY_DIR", str(tmp_path / "registry"))
    found = ModelRegistry(tmp_path / "registry")
    for _ in range(2):
        publish(found, "plant", SCHEMA, rows())
    return found


def asking(**changes: object) -> bytes:
    return incident_event(**{"action": "roll_back", "cause": CAUSE, **changes})


def run(event: bytes, *more: str) -> Result:
    words = ["models", "rollback", "--incident", "-", "--actor", "hook", *more]
    return CliRunner().invoke(cli(), words, input=event)


def test_the_version_before_is_put_back_once(registry: ModelRegistry) -> None:
    """From the version of the cause, with the incident as the reason; said again, as a run that is
    repeated after a crash says it, nothing is changed, and that is no failure.
    """
    first = run(asking(version="1.0.0"))
    assert (first.exit_code, first.output) == (
        0,
        "plant 1.0.0 is in production instead of 2.0.0.\n",
    )
    entry = registry.history("plant")[-1]
    assert (entry.actor, entry.action, entry.replaced) == ("hook", "rollback", "2.0.0")
    assert entry.reason == (
        "incident 0123456789abcdef: Since 20 Nov 12:01 UTC accuracy fell from 0.91 to 0.84."
    )
    entries = len(registry.history("plant"))
    again = run(asking())
    assert (again.exit_code, "2.0.0 is not in production any more" in again.output) == (0, True)
    assert json.loads(run(asking(), "--json").output) is None
    assert len(registry.history("plant")) == entries


def test_whoever_was_faster_is_not_undone(registry: ModelRegistry) -> None:
    """A version that a person promoted meanwhile stays in production."""
    publish(registry, "plant", SCHEMA, rows())
    assert run(asking()).exit_code == 0
    assert registry.production("plant") == "3.0.0"


def test_what_could_go_to_and_fro_fails(registry: ModelRegistry) -> None:
    """The hook logs it as a failure, with the reason: a person has to choose."""
    registry.rollback("plant", actor="ann")
    registry.promote("plant", "2.0.0", actor="ann")
    publish(registry, "plant", SCHEMA, rows())
    cause = IncidentCause("performance", "f", version="3.0.0")
    failed = run(asking(cause=cause))
    assert isinstance(failed.exception, BadData)
    assert "was itself left by a rollback" in str(failed.exception)
    assert registry.production("plant") == "3.0.0"


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (b"", "no incident as CloudEvents JSON"),
        (b"{}", "no incident as CloudEvents JSON"),
        (asking(severity="warning"), "open and warning"),
        (asking(action="retrain"), "with the action retrain"),
        (asking(state="resolved", ended=2000), "resolved and critical"),
    ],
)
@pytest.mark.usefixtures("registry")
def test_what_asks_for_no_rollback_changes_nothing(event: bytes, message: str) -> None:
    """Whatever else is passed on is refused with the reason."""
    failed = run(event)
    assert isinstance(failed.exception, BadData)
    assert message in str(failed.exception)


@pytest.mark.usefixtures("registry")
def test_a_name_or_an_incident_is_given() -> None:
    """Not both, and not neither."""
    for words in ([], ["plant", "--incident", "-"], ["--incident", "-", "--reason", "x"]):
        answer = CliRunner().invoke(cli(), ["models", "rollback", *words], input=asking())
        assert answer.exit_code == 2, answer.output
