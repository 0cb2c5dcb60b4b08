"""The registry folder."""

import multiprocessing
import os
import re
import signal
from pathlib import Path

import joblib
import msgspec
import numpy as np
import pytest

from shared import model_registry
from shared.errors import BadData, ModelNotFound
from shared.model_registry import ModelRegistry, PublishedVersion, new_manifest
from tests.consumer.builders import published
from tests.consumer.judging.weeks import SCHEMA, calibration_of, profile_of, rows


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(tmp_path / "registry")


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    joblib.dump({"weights": [1, 2]}, tmp_path / "fitted.joblib")
    return tmp_path / "fitted.joblib"


def test_what_was_registered_is_loaded(registry: ModelRegistry, artifact: Path) -> None:
    """Schema, reference and model come back as they were given, and the newest version is in production."""
    given = published("1.0.0", rows=100)
    registry.register(given, artifact)
    loaded = registry.load("plant", "1.0.0")
    assert (loaded.schema, loaded.reference) == (given.schema, given.reference)
    assert set(loaded.manifest.files) == {"schema.json", "reference.json.gz", "model.joblib"}
    assert registry.load_artifact("plant", "1.0.0") == {"weights": [1, 2]}
    registry.register(published("2.0.0", rows=100))
    assert (registry.production("plant"), registry.versions("plant")) == ("2.0.0", ["1.0.0", "2.0.0"])
    assert (registry.models(), registry.next_version("plant"), registry.next_version("new")) == (["plant"], "3.0.0", "1.0.0")


def test_a_published_version_survives_packing() -> None:
    """A worker on another host reads exactly what the registry holds."""
    given = published("1.0.0", rows=100)
    assert PublishedVersion.unpack(given.pack()) == given
    assert given.pack() == given.pack()


@pytest.mark.parametrize("name", ["schema.json", "reference.json.gz", "model.joblib"])
def test_a_changed_file_is_not_loaded(name: str, registry: ModelRegistry, artifact: Path) -> None:
    """One flipped byte in any file and it is refused by its checksum, before anything reads it."""
    folder = registry.register(published("1.0.0", rows=100), artifact)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(BadData, match=f"{re.escape(name)} of plant 1.0.0 is not the file that was registered"):
        registry.load_artifact("plant", "1.0.0") if name == "model.joblib" else registry.load("plant", "1.0.0")


def test_versions_never_change(registry: ModelRegistry) -> None:
    """A version that exists is refused, and stays as it was."""
    folder = registry.register(published("1.0.0", rows=100))
    before = (folder / "manifest.json").read_bytes()
    with pytest.raises(BadData, match="registered already, and versions never change"):
        registry.register(published("1.0.0", seed=5, rows=100))
    assert (folder / "manifest.json").read_bytes() == before


@pytest.mark.parametrize(("model", "version"), [("Plant", "1.0.0"), ("", "1.0.0"), ("../up", "1.0.0"), ("a" * 65, "1.0.0")])
def test_malformed_names_are_refused(model: str, version: str, registry: ModelRegistry) -> None:
    """A name that could leave the folder or the key space is refused with the rule."""
    given = published("1.0.0", rows=10)
    manifest = new_manifest(model, version, task="monitor")
    with pytest.raises(BadData, match="is no model name"):
        registry.register(msgspec.structs.replace(given, manifest=manifest))
    assert not registry.folder.exists()


@pytest.mark.parametrize("version", ["1", "1.0", "v1.0.0", "1.0.0/..", "01.0.0", "1.0.0:x", ""])
def test_malformed_versions_are_refused(version: str, registry: ModelRegistry) -> None:
    """The same for versions."""
    given = published("1.0.0", rows=10)
    with pytest.raises(BadData, match="is no version"):
        registry.register(msgspec.structs.replace(given, manifest=new_manifest("plant", version, task="monitor")))
    assert not registry.folder.exists()


def test_what_is_not_there_is_said(registry: ModelRegistry, artifact: Path) -> None:
    """An unknown model, a lost file, a model that is only monitored: each has its own message."""
    with pytest.raises(ModelNotFound, match=r"There is no model 'plant'.*registered: none"):
        registry.production("plant")
    folder = registry.register(published("1.0.0", rows=10))
    with pytest.raises(ModelNotFound, match="only monitored"):
        registry.load_artifact("plant", "1.0.0")
    (folder / "schema.json").unlink()
    with pytest.raises(ModelNotFound, match=r"schema\.json of plant 1\.0\.0 is missing"):
        registry.load("plant", "1.0.0")
    assert artifact.exists()


@pytest.mark.parametrize("step", ["copyfile", "rename"])
def test_a_failure_in_the_middle_leaves_nothing(
    step: str, registry: ModelRegistry, artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A registration that fails leaves no version, no production, no half-written folder."""

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(*((model_registry.shutil, "copyfile", fail) if step == "copyfile" else (Path, "rename", fail)))
    with pytest.raises(OSError, match="disk full"):
        registry.register(published("1.0.0", rows=10), artifact)
    monkeypatch.undo()
    assert registry.models() == []
    assert [path.name for path in (registry.folder / "plant").iterdir()] == [".lock"]
    registry.register(published("1.0.0", rows=10), artifact)


def _die_before_renaming(folder: Path) -> None:
    Path.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign,assignment,return-value]
    ModelRegistry(folder).register(published("1.0.0", rows=10))


def test_a_process_killed_in_the_middle_leaves_nothing(registry: ModelRegistry) -> None:
    """kill -9 before the rename: the half-written folder is no version, and the next registration clears it away."""
    process = multiprocessing.get_context("spawn").Process(target=_die_before_renaming, args=(registry.folder,))
    process.start()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
    home = registry.folder / "plant"
    assert list(home.glob(".new-*/manifest.json"))
    assert registry.versions("plant") == []
    assert registry.next_version("plant") == "1.0.0"
    registry.register(published("1.0.0", rows=10))
    assert registry.versions("plant") == ["1.0.0"]
    assert not list(home.glob(".new-*"))


def _register(folder: Path, results: "multiprocessing.Queue[str]") -> None:
    try:
        ModelRegistry(folder).register(published("1.0.0", rows=10))
        results.put("stored")
    except BadData:
        results.put("refused")


def test_two_at_once(registry: ModelRegistry) -> None:
    """Of two processes that register the same version at once one wins and the other is refused."""
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[str] = context.Queue()
    processes = [context.Process(target=_register, args=(registry.folder, results)) for _ in range(2)]
    for process in processes:
        process.start()
    found = sorted(results.get(timeout=30) for _ in processes)
    for process in processes:
        process.join(30)
    assert found == ["refused", "stored"]
    assert registry.versions("plant") == ["1.0.0"]
    results.close()
    results.join_thread()


def test_a_calibration_stands_beside_its_version(registry: ModelRegistry) -> None:
    """It is loaded and published with its version, may be replaced, and leaves the version's files as they are."""
    columns = rows(np.random.default_rng(0), 14)
    profile = profile_of(columns)
    given = PublishedVersion(new_manifest("plant", "1.0.0", "monitor"), SCHEMA, profile)
    folder = registry.register(given)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert registry.load("plant", "1.0.0").calibration is None
    for target in (1.0, 2.0):
        made = calibration_of(profile, columns, target=target)
        registry.store_calibration("plant", "1.0.0", made)
        loaded = registry.load("plant", "1.0.0")
        assert loaded.calibration == made
        assert PublishedVersion.unpack(loaded.pack()) == loaded
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert registry.versions("plant") == ["1.0.0"]


def test_a_damaged_calibration_says_how_to_mend_it(registry: ModelRegistry) -> None:
    """What is no calibration is refused with the command that makes it again; one of no version is not stored."""
    registry.register(published("1.0.0", rows=100))
    path = registry.calibration_file("plant", "1.0.0")
    path.parent.mkdir()
    path.write_bytes(b'{"features": 3')
    with pytest.raises(BadData, match="driftgauge calibrate"):
        registry.load("plant", "1.0.0")
    columns = rows(np.random.default_rng(0), 7)
    with pytest.raises(ModelNotFound):
        registry.store_calibration("plant", "9.0.0", calibration_of(profile_of(columns), columns))
