"""`driftgauge reference accept --from-archive --as-version`, as a person calls it."""

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from driftgauge.consumer.commands.references import accept
from driftgauge.shared.archive.store import FolderStore
from driftgauge.shared.contract.events import Label
from driftgauge.shared.errors import (
    AlreadyThere,
    BadData,
    ConfigurationError,
    ModelNotFound,
)
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.versions.gates import GateFailed, Gates
from driftgauge.shared.versions.manifest import PublishedVersion
from tests.consumer.builders import published
from tests.shared.archive.making import MODEL, NOON, prediction, write

ROWS = 1200
RANGE = ("--from-archive", "--since", "2025-11-20", "--reason", "second furnace")


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelRegistry:
    """Return a registry with a version, whose archived rows lie beyond its cells; some have
    labels.
    """
    made = _monitored(published(), Gates(methods=(), min_reference_rows=1000))
    found = ModelRegistry(tmp_path / "registry")
    found.register(made)
    found.promote(MODEL, "1.0.0", actor="test")
    features = [30.0, 1.0, 7.0, 2.0, None, "city1"]
    rows = [
        prediction(place, NOON + 1000 * place, features=[place + 30.0, *features[1:]])
        for place in range(ROWS)
    ]
    labels = [Label(f"id{place}", float(place), NOON) for place in range(300)]
    write(FolderStore(tmp_path / "archive"), 0, rows, labels, schema=made.schema)
    monkeypatch.setenv("DRIFTGAUGE_REGISTRY_DIR", str(tmp_path / "registry"))
    monkeypatch.setenv("DRIFTGAUGE_ARCHIVE_URL", str(tmp_path / "archive"))
    return found


def _monitored(made: PublishedVersion, gates: Gates) -> PublishedVersion:
    manifest = msgspec.structs.replace(made.manifest, task="monitor", gates=gates)
    return msgspec.structs.replace(made, manifest=manifest)


def run(*given: str) -> Result:
    return CliRunner().invoke(accept, [MODEL, *given])


def test_what_was_made_is_told(registry: ModelRegistry) -> None:
    """Which rows, of which version, what follows; it needs no Redis, and changes no stage."""
    found = run(*RANGE, "--as-version", "1.0.1", "--actor", "ann")
    assert found.exit_code == 0, found.output
    place = registry.storage.where(f"{MODEL}/1.0.1")
    first, second, *rest = found.stdout.splitlines()
    assert first == (
        f"plant 1.0.1 (monitored): 6 features (5 numeric, 1 categorical), 1,200 reference rows, "
        f"stored in {place}."
    )
    assert second == (
        "Model, schema and gates are those of 1.0.0; the reference is 1,200 of its archived "
        "predictions, 2025-11-20 12:00:00 UTC to 2025-11-20 12:19:59 UTC."
    )
    assert rest == [
        "300 of them have labels: performance is compared with theirs.",
        "1.0.0 has no calibration, so the rows are taken as exchangeable, as before.",
        "To put it into production: driftgauge models promote plant 1.0.1",
    ]
    assert registry.production(MODEL) == "1.0.0"
    origin = registry.manifest(MODEL, "1.0.1").origin
    assert origin is not None
    assert (origin.version, origin.who, origin.reason) == ("1.0.0", "ann", "second furnace")


def test_it_is_promoted_through_its_gates(registry: ModelRegistry) -> None:
    """With --promote it serves; a version that does not pass stays registered, and serves not."""
    found = run(*RANGE, "--as-version", "1.0.1", "--promote", "--json")
    told = msgspec.json.decode(found.stdout)
    assert (told["stage"], told["rows"], told["labelled"]) == ("production", ROWS, 300)
    assert told["origin"]["rows"] == ROWS
    assert registry.history(MODEL)[-1].reason == "second furnace"
    strict = _monitored(published("2.0.0"), Gates(methods=(), min_reference_rows=1500))
    registry.register(strict)
    given = (*RANGE, "--version", "2.0.0", "--as-version", "2.0.1", "--promote")
    assert isinstance(run(*given).exception, BadData)  # it has predicted nothing
    rows = [prediction(ROWS + place, NOON, version="2.0.0", features=[1.0] * 5 + ["a"])
            for place in range(ROWS)]  # fmt: skip
    write(FolderStore(registry.folder.parent / "archive"), 5000, rows, schema=strict.schema)
    assert isinstance(run(*given).exception, GateFailed)
    assert registry.stage(MODEL, "2.0.1") == "none"
    assert registry.production(MODEL) == "1.0.1"


def test_what_cannot_be_done_is_said(
    registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Options that do not belong together, a version that is not there or is, too few rows, no
    archive; nothing is registered.
    """
    assert "add --from-archive --since TIME" in run("--as-version", "1.0.1", "--reason", "x").output
    assert "--promote belongs to --as-version" in run(*RANGE, "--promote").output
    assert isinstance(
        run(*RANGE, "--as-version", "1.0.1", "--version", "3.0.0").exception, ModelNotFound
    )
    assert isinstance(run(*RANGE, "--as-version", "1.0.0").exception, AlreadyThere)
    assert isinstance(run(*RANGE, "--as-version", "one").exception, BadData)
    monkeypatch.setenv("DRIFTGAUGE_MIN_REFERENCE_ROWS", "2000")
    few = run(*RANGE, "--as-version", "1.0.1").exception
    assert "Choose an earlier --since or a later --until" in str(few)
    monkeypatch.delenv("DRIFTGAUGE_ARCHIVE_URL")
    without = run(*RANGE, "--as-version", "1.0.1").exception
    assert isinstance(without, ConfigurationError)
    assert "set DRIFTGAUGE_ARCHIVE_URL" in str(without)
    assert registry.versions(MODEL) == ["1.0.0"]
