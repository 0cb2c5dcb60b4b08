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

from driftgauge.shared.errors import BadData, ModelNotFound
from driftgauge.shared.registry.registry import ModelRegistry, PublishedVersion, new_manifest
from driftgauge.shared.storage import folder as storage_folder
from driftgauge.shared.storage.atomic import FolderLock
from driftgauge.shared.versions.semver import precedence
from driftgauge.shared.versions.stages import StageChange
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
    """Schema, reference and model come back as they were given."""
    given = published("1.0.0", rows=100)
    registry.register(given, artifact)
    loaded = registry.load("plant", "1.0.0")
    assert (loaded.schema, loaded.reference) == (given.schema, given.reference)
    assert set(loaded.manifest.files) == {"schema.json", "reference.json.gz", "model.joblib"}
    assert registry.load_artifact("plant", "1.0.0") == {"weights": [1, 2]}
    assert (loaded.manifest.artifact, registry.versions("plant")) == ("model.joblib", ["1.0.0"])


def test_a_published_version_survives_packing() -> None:
    """A worker on another host reads exactly what the registry holds."""
    given = published("1.0.0", rows=100)
    assert PublishedVersion.unpack(given.pack()) == given
    assert given.pack() == given.pack()


@pytest.mark.parametrize("name", ["schema.json", "reference.json.gz", "model.joblib"])
def test_a_changed_file_is_not_loaded(name: str, registry: ModelRegistry, artifact: Path) -> None:
    """One flipped byte in any file and it is refused by its checksum, before anything reads it."""
    folder = Path(registry.register(published("1.0.0", rows=100), artifact))
    flip(folder / name)
    with pytest.raises(
        BadData, match=f"{re.escape(name)} of plant 1.0.0 is not the file that was registered"
    ):
        registry.load_artifact("plant", "1.0.0") if name == "model.joblib" else registry.load(
            "plant", "1.0.0"
        )


def test_versions_never_change(registry: ModelRegistry) -> None:
    """A version that exists is refused, and stays as it was."""
    folder = Path(registry.register(published("1.0.0", rows=100)))
    before = (folder / "manifest.json").read_bytes()
    with pytest.raises(BadData, match="registered already, and versions never change"):
        registry.register(published("1.0.0", seed=5, rows=100))
    assert (folder / "manifest.json").read_bytes() == before


@pytest.mark.parametrize(
    ("model", "version"),
    [("Plant", "1.0.0"), ("", "1.0.0"), ("../up", "1.0.0"), ("a" * 65, "1.0.0")],
)
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
        registry.register(
            msgspec.structs.replace(given, manifest=new_manifest("plant", version, task="monitor"))
        )
    assert not registry.folder.exists()


def test_what_is_not_there_is_said(registry: ModelRegistry, artifact: Path) -> None:
    """An unknown model, a lost file, a model that is only monitored: each has its own message."""
    with pytest.raises(ModelNotFound, match=r"There is no model 'plant'.*registered: none"):
        registry.production("plant")
    folder = Path(registry.register(published("1.0.0", rows=10)))
    with pytest.raises(
        ModelNotFound, match=r"No version of plant is in production \(registered: 1\.0\.0\)"
    ):
        registry.production("plant")
    with pytest.raises(
        ModelNotFound, match=r"plant 3\.0\.0 is missing.*registered versions: 1\.0\.0"
    ):
        registry.load("plant", "3.0.0")
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

    monkeypatch.setattr(
        *(
            (storage_folder.shutil, "copyfile", fail)
            if step == "copyfile"
            else (Path, "rename", fail)
        )
    )
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
    """kill -9 before the rename: the half-written folder is no version, and the next registration
    clears it away.
    """
    process = multiprocessing.get_context("spawn").Process(
        target=_die_before_renaming, args=(registry.folder,)
    )
    process.start()
    process.join(100)
    assert process.exitcode == -signal.SIGKILL
    home = registry.folder / "plant"
    assert list(home.glob(".new-*/manifest.json"))
    assert registry.versions("plant") == []
    assert registry.next_version("plant") == "1.0.0"
    registry.register(published("1.0.0", rows=10))
    assert registry.versions("plant") == ["1.0.0"]
    assert not list(home.glob(".new-*"))


CHANGES = 20


def _register(folder: Path, results: "multiprocessing.Queue[str]") -> None:
    registry = ModelRegistry(folder)
    try:
        registry.register(published("1.0.0", rows=10))
        results.put("stored")
    except BadData:
        results.put("refused")
    for _ in range(CHANGES):
        registry.record(StageChange("2026-01-01", str(os.getpid()), "validate", "2.0.0"), "plant")


def test_two_at_once(registry: ModelRegistry) -> None:
    """Of two processes that register the same version at once one wins; no change of either is
    lost.
    """
    registry.register(published("2.0.0", rows=10))
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[str] = context.Queue()
    processes = [
        context.Process(target=_register, args=(registry.folder, results)) for _ in range(2)
    ]
    for process in processes:
        process.start()
    found = sorted(results.get(timeout=100) for _ in processes)
    for process in processes:
        process.join(100)
    assert found == ["refused", "stored"]
    assert registry.versions("plant") == ["1.0.0", "2.0.0"]
    actors = [change.actor for change in registry.history("plant")]
    assert sorted(map(actors.count, set(actors))) == [CHANGES, CHANGES]
    results.close()
    results.join_thread()


def staged(registry: ModelRegistry, *versions: str) -> ModelRegistry:
    """Register versions and promote one after the other."""
    for version in versions:
        registry.register(published(version, rows=10))
        registry.promote("plant", version, actor="ann", reason=f"{version} is better")
    return registry


def test_the_life_of_a_model(registry: ModelRegistry) -> None:
    """Registering changes no stage; promotion, two rollbacks and archiving do, each with time,
    actor and reason.
    """
    registry.register(published("1.0.0", rows=10))
    assert (registry.models(), registry.registered(), registry.stage("plant", "1.0.0")) == (
        [],
        ["plant"],
        "none",
    )
    registry.promote("plant", "1.0.0", "staging", actor="bob")
    assert (registry.models(), registry.stage("plant", "1.0.0")) == ([], "staging")
    registry.promote("plant", "1.0.0", actor="ann")
    staged(registry, "2.0.0", "3.0.0")
    assert (registry.models(), registry.production("plant")) == (["plant"], "3.0.0")
    assert registry.rollback("plant", actor="eve", reason="errors").version == "2.0.0"
    assert registry.rollback("plant", actor="eve", reason="errors").replaced == "2.0.0"
    assert registry.production("plant") == "1.0.0"
    history = registry.history("plant")
    assert [(change.action, change.version, change.actor) for change in history] == [
        ("promote", "1.0.0", "bob"),
        ("promote", "1.0.0", "ann"),
        ("promote", "2.0.0", "ann"),
        ("promote", "3.0.0", "ann"),
        ("rollback", "2.0.0", "eve"),
        ("rollback", "1.0.0", "eve"),
    ]
    assert (history[3].reason, history[4].reason, history[3].replaced) == (
        "3.0.0 is better",
        "errors",
        "2.0.0",
    )
    assert [change.time for change in history] == sorted(change.time for change in history)


def test_versions_are_in_the_order_of_semantic_versioning(registry: ModelRegistry) -> None:
    """Not in that of registration or of the alphabet; a pre-release comes before its release, which
    is suggested next.
    """
    for version in ("10.0.0-rc.2", "2.0.0", "10.0.0-rc.11", "1.9.0"):
        registry.register(published(version, rows=10))
    assert registry.versions("plant") == ["1.9.0", "2.0.0", "10.0.0-rc.2", "10.0.0-rc.11"]
    assert (registry.next_version("plant"), registry.next_version("new")) == ("10.0.0", "1.0.0")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_verify_names_every_fault_at_once(registry: ModelRegistry, artifact: Path) -> None:
    """Changed, missing and strange files of all versions are in one answer; an intact model has
    none.
    """
    first = Path(registry.register(published("1.0.0", rows=10), artifact))
    second = Path(registry.register(published("2.0.0", rows=10)))
    assert registry.verify("plant") == []
    flip(first / "model.joblib")
    (first / "schema.json").unlink()
    (second / "notes.txt").write_text("mine")
    faults = "\n".join(registry.verify("plant"))
    assert re.search(r"model\.joblib of plant 1\.0\.0 is not the file", faults)
    assert re.search(r"schema\.json of plant 1\.0\.0 is missing", faults)
    assert re.search(r"notes\.txt of plant 2\.0\.0 was not registered", faults)
    assert len(registry.verify("plant", "2.0.0")) == 1
    (second / "manifest.json").write_text("{")
    assert "cannot be read" in registry.verify("plant", "2.0.0")[0]


def test_a_tampered_version_is_never_promoted(registry: ModelRegistry) -> None:
    """Neither a forced promotion nor a rollback goes to a version with a changed byte; production
    stays.
    """
    staged(registry, "1.0.0", "2.0.0")
    folder = Path(registry.register(published("3.0.0", rows=10)))
    flip(folder / "reference.json.gz")
    flip(registry.folder / "plant/1.0.0/schema.json")
    before = registry.stages("plant")
    for refused in (
        lambda: registry.promote("plant", "3.0.0", actor="ann", reason="hurry", forced=True),
        lambda: registry.rollback("plant", actor="ann"),
    ):
        with pytest.raises(BadData, match="is not as it was registered, so nothing was changed"):
            refused()
    assert registry.stages("plant") == before


def test_the_bytes_that_are_checked_are_those_that_are_loaded(
    registry: ModelRegistry, artifact: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file that is exchanged right after its checksum was taken is not what gets loaded."""
    folder = Path(registry.register(published("1.0.0", rows=10), artifact))
    joblib.dump("evil", tmp_path / "evil.joblib")
    read = storage_folder.read_regular

    def exchanged_after(path: Path, most: int = 1 << 30) -> bytes:
        content = read(path, most)
        if path == folder / "model.joblib":
            path.write_bytes(read(tmp_path / "evil.joblib"))
        return content

    monkeypatch.setattr(storage_folder, "read_regular", exchanged_after)
    assert registry.load_artifact("plant", "1.0.0") == {"weights": [1, 2]}
    with pytest.raises(BadData, match="is not the file that was registered"):
        registry.load_artifact("plant", "1.0.0")


def _die_before_replacing(folder: Path) -> None:
    Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign,assignment,return-value]
    ModelRegistry(folder).promote("plant", "2.0.0", actor="ann")


def test_a_promotion_killed_in_the_middle_changes_nothing(registry: ModelRegistry) -> None:
    """kill -9 before the new stages are in place: the old ones stand, and the promotion can be
    repeated.
    """
    staged(registry, "1.0.0")
    registry.register(published("2.0.0", rows=10))
    process = multiprocessing.get_context("spawn").Process(
        target=_die_before_replacing, args=(registry.folder,)
    )
    process.start()
    process.join(100)
    assert process.exitcode == -signal.SIGKILL
    assert (registry.production("plant"), len(registry.history("plant"))) == ("1.0.0", 1)
    registry.promote("plant", "2.0.0", actor="ann")
    assert registry.production("plant") == "2.0.0"


def test_unreadable_stages_are_a_fault_of_that_model(registry: ModelRegistry) -> None:
    """A broken stages.json names itself, and its model stays among those that the API asks for, as
    others do.
    """
    staged(registry, "1.0.0")
    registry.register(published("1.0.0", rows=10, model="other"))
    registry.promote("other", "1.0.0", actor="ann")
    (registry.folder / "plant/stages.json").write_text('{"production": 3')
    assert registry.models() == ["other", "plant"]
    with pytest.raises(BadData, match=r"plant/stages\.json cannot be read"):
        registry.production("plant")
    with pytest.raises(BadData, match="cannot be read"):
        registry.promote("plant", "1.0.0", actor="ann")


def test_a_lock_that_is_held_is_an_error_in_time(
    registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that hangs while it holds the lock does not hang the others for ever."""
    registry.register(published("1.0.0", rows=10))
    monkeypatch.setattr("driftgauge.shared.storage.atomic.LOCK_S", 0.05)
    with (
        FolderLock(registry.folder / "plant/.lock"),
        pytest.raises(BadData, match="Another process has held"),
    ):
        registry.promote("plant", "1.0.0", actor="ann")


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """One clear line, not a trace of the operating system's error."""
    (tmp_path / "registry").write_text("a file where the folder should be")
    with pytest.raises(BadData, match=r"cannot be locked.*Is the registry folder writable"):
        ModelRegistry(tmp_path / "registry").register(published("1.0.0", rows=10))


def test_a_moved_folder_is_not_another_version(registry: ModelRegistry) -> None:
    """A version folder under another name is refused: its events would be counted against the wrong
    reference.
    """
    folder = Path(registry.register(published("1.0.0", rows=10)))
    folder.rename(folder.with_name("2.0.0"))
    with pytest.raises(BadData, match=r"belongs to plant 1\.0\.0"):
        registry.load("plant", "2.0.0")


def test_an_unknown_kind_of_artifact_is_refused(registry: ModelRegistry, tmp_path: Path) -> None:
    """Before anything is stored."""
    (tmp_path / "model.doc").write_bytes(b"x")
    with pytest.raises(BadData, match=r"model\.doc is no artifact"):
        registry.register(published("1.0.0", rows=10), tmp_path / "model.doc")
    assert registry.versions("plant") == []


def _change_for_ever(folder: Path, started: "multiprocessing.Queue[bool]") -> None:
    registry = ModelRegistry(folder)
    started.put(True)
    while True:
        version = registry.next_version("plant")
        registry.register(published(version, rows=10))
        registry.promote("plant", version, actor="ann")


@pytest.mark.long
def test_killed_at_any_instant(registry: ModelRegistry) -> None:
    """Whenever a process that registers and promotes is killed, all that is visible is whole, and
    the next one goes on.
    """
    context, random = multiprocessing.get_context("spawn"), np.random.default_rng(5)
    started: multiprocessing.Queue[bool] = context.Queue()
    for _ in range(4):
        process = context.Process(target=_change_for_ever, args=(registry.folder, started))
        process.start()
        assert started.get(timeout=100)
        process.join(float(random.uniform(0.05, 0.3)))
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join(100)
        if registry.versions("plant"):
            assert registry.verify("plant") == []
        if registry.models():
            assert registry.load("plant", registry.production("plant")).reference.rows == 10
    promoted = [change.version for change in registry.history("plant")]
    skipped = [version for version in registry.versions("plant") if version not in promoted]
    assert sorted([*promoted, *skipped], key=precedence) == registry.versions("plant")
    assert len(skipped) <= 4  # killed between the two changes
    started.close()
    started.join_thread()


def test_a_calibration_stands_beside_its_version(registry: ModelRegistry) -> None:
    """It is loaded and published with its version, may be replaced, and leaves the version's files
    as they are.
    """
    columns = rows(np.random.default_rng(0), 14)
    profile = profile_of(columns)
    given = PublishedVersion(new_manifest("plant", "1.0.0", "monitor"), SCHEMA, profile)
    folder = Path(registry.register(given))
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
    """What is no calibration is refused with the command that makes it again; one of no version is
    not stored.
    """
    registry.register(published("1.0.0", rows=100))
    path = registry.calibration_file("plant", "1.0.0")
    path.parent.mkdir()
    path.write_bytes(b'{"features": 3')
    with pytest.raises(BadData, match="driftgauge calibrate"):
        registry.load("plant", "1.0.0")
    columns = rows(np.random.default_rng(0), 7)
    with pytest.raises(ModelNotFound):
        registry.store_calibration("plant", "9.0.0", calibration_of(profile_of(columns), columns))
