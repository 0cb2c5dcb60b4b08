"""The registry folder: the truth for models, their versions, and which version is in production.

    registry/NAME/stages.json                 stages and history (shared/stages.py)
    registry/NAME/VERSION/manifest.json       task, partitions, metrics, checks, SHA-256 of every other file
                          schema.json         features in stream order
                          reference.json.gz   the reference profile
                          model.joblib        the artifact, or model.txt; absent for a model that is only monitored

Version folders never change. A registration is written to a temporary folder and renamed under a lock, so a crash leaves
nothing half-done. joblib runs code when it loads: only bytes whose checksum equals the manifest's are loaded.
"""

import gzip
import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import joblib
import msgspec
from filelock import FileLock, Timeout

from shared import semver
from shared.checks import Validation
from shared.errors import BadData, ModelNotFound
from shared.keys import MODEL_NAME, salts_for
from shared.manifest import Manifest, PublishedVersion, Task, new_manifest, utc_now
from shared.reference import ReferenceProfile
from shared.schema import Schema
from shared.stages import Change, Stage, Stages, Target

__all__ = ["Manifest", "ModelRegistry", "PublishedVersion", "Task", "check_name", "load_estimator", "new_manifest"]

ARTIFACTS: Final = {".joblib": "model.joblib", ".pkl": "model.joblib", ".txt": "model.txt"}
"""The artifact's name in a version folder, by the suffix of the file that is registered."""
MANIFEST_FILE: Final = "manifest.json"
SCHEMA_FILE: Final = "schema.json"
REFERENCE_FILE: Final = "reference.json.gz"
STAGES_FILE: Final = "stages.json"
LOCK_S: Final = 60
"""Longest wait for another process that changes the same model."""

_T = TypeVar("_T")


class _Production(msgspec.Struct):
    """Of the stages, the part that the API looks at each second."""

    production: str = ""


class ModelRegistry:
    """The registry in a folder, which need not exist yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def models(self) -> list[str]:
        """Give the names of the models that have a version in production.

        A model whose stages cannot be read is among them, so that `production` says what is wrong with it.
        """
        return [name for path in sorted(self.folder.glob(f"*/{STAGES_FILE}")) if self._serves(name := path.parent.name)]

    def registered(self) -> list[str]:
        """Give the names of all models that have a version, whatever its stage."""
        homes = {path.parent.parent.name for path in self.folder.glob(f"*/*/{MANIFEST_FILE}")}
        return sorted(name for name in homes if MODEL_NAME.fullmatch(name) and self.versions(name))

    def versions(self, model: str) -> list[str]:
        """Give the versions of a model in the order of semantic versioning."""
        _check_model(model)
        names = [path.parent.name for path in (self.folder / model).glob(f"*/{MANIFEST_FILE}")]
        return sorted(filter(semver.is_version, names), key=semver.precedence)  # not one that is being written

    def next_version(self, model: str) -> str:
        """Give the version after the newest one: `1.0.0`, then the major number counts up."""
        return semver.following(self.versions(model))

    def production(self, model: str) -> str:
        """Give the version in production.

        Raises
        ------
        ModelNotFound
            If there is no such model, or none of its versions is in production.
        BadData
            If the file of its stages cannot be read.
        """
        path = self.folder / model / STAGES_FILE
        version = _decoded(path, _Production).production if MODEL_NAME.fullmatch(model) and path.is_file() else ""
        if not version:
            raise self._nothing_serves(model)
        return version

    def stages(self, model: str) -> Stages:
        """Give stages and history of a model.

        Raises
        ------
        ModelNotFound
            If there is no such model.
        BadData
            If the file of its stages cannot be read.
        """
        if not MODEL_NAME.fullmatch(model) or not (self.folder / model).is_dir():
            raise self._nothing_serves(model)
        path = self.folder / model / STAGES_FILE
        return _decoded(path, Stages) if path.is_file() else Stages()

    def stage(self, model: str, version: str) -> Stage:
        """Give the stage of a version."""
        self.manifest(model, version)
        return self.stages(model).stage(version)

    def history(self, model: str) -> tuple[Change, ...]:
        """Give every change of the model's stages and every recorded validation, oldest first."""
        return self.stages(model).history

    def manifest(self, model: str, version: str) -> Manifest:
        """Read the manifest of a version.

        Raises
        ------
        ModelNotFound
            If there is no such version.
        BadData
            If the name is malformed, or the file is not the manifest of this version.
        """
        path = self._file(model, version, MANIFEST_FILE)
        manifest = _decoded(path, Manifest)
        if (manifest.model, manifest.version) != (model, version):
            raise BadData(
                f"{path} is the manifest of {manifest.model} {manifest.version}: the folder was moved. Restore it."
            )
        return manifest

    def load(self, model: str, version: str) -> PublishedVersion:
        """Read manifest, schema and reference of a version, checksums verified."""
        manifest = self.manifest(model, version)
        return PublishedVersion(
            manifest=manifest,
            schema=msgspec.json.decode(self._verified(manifest, SCHEMA_FILE), type=Schema),
            reference=msgspec.json.decode(gzip.decompress(self._verified(manifest, REFERENCE_FILE)), type=ReferenceProfile),
        )

    def load_artifact(self, model: str, version: str) -> Any:
        """Load the fitted model of a version from the very bytes whose checksum was verified.

        Raises
        ------
        ModelNotFound
            If the version is only monitored, or the file is gone.
        BadData
            If the file is not the one that was registered.
        """
        manifest = self.manifest(model, version)
        if not manifest.artifact:
            raise ModelNotFound(f"{model} {version} is only monitored: it has no model file to predict with.")
        schema = msgspec.json.decode(self._verified(manifest, SCHEMA_FILE), type=Schema)
        return load_estimator(self._verified(manifest, manifest.artifact), manifest.artifact, manifest.task, schema.classes)

    def verify(self, model: str, version: str | None = None) -> list[str]:
        """Compare every file of a version, or of all versions, with its checksum.

        Returns
        -------
        list of str
            Every fault found: files that are missing, changed, or that nobody registered. Empty if there is none.

        Raises
        ------
        ModelNotFound
            If there is no such model or version.
        """
        if version is None and not self.versions(model):
            raise self._nothing_serves(model)
        versions = self.versions(model) if version is None else [version]
        return [fault for each in versions for fault in self._faults(model, each)]

    def register(self, published: PublishedVersion, artifact: Path | None = None) -> Path:
        """Store a new version, in stage none.

        Parameters
        ----------
        published
            Schema, reference and manifest; the manifest's `files`, `artifact` and partitions are filled in here.
        artifact
            The fitted model's file, None for a model that is only monitored: `.joblib`, or LightGBM's text as `.txt`.

        Returns
        -------
        Path
            The version's folder.

        Raises
        ------
        BadData
            If the name or version is malformed, the version exists, or the model has another number of partitions.
        """
        manifest = published.manifest
        check_name(manifest.model, manifest.version)
        name = artifact_name(artifact) if artifact is not None else ""
        home = self.folder / manifest.model
        home.mkdir(parents=True, exist_ok=True)
        with self._lock(manifest.model):
            published = self._as_partitioned(published, name)
            target = home / manifest.version
            if target.exists():
                raise BadData(
                    f"{manifest.model} {manifest.version} is registered already, and versions never change. "
                    "Choose another --version."
                )
            for abandoned in home.glob(".new-*"):  # by a process that was killed: the lock is ours
                shutil.rmtree(abandoned, ignore_errors=True)
            new = Path(tempfile.mkdtemp(prefix=".new-", dir=home))
            try:
                _write_version(new, published, artifact)
                new.rename(target)
            except BaseException:
                shutil.rmtree(new, ignore_errors=True)
                raise
            _sync(home)
        return target

    def promote(
        self,
        model: str,
        version: str,
        to: Target = "production",
        *,
        actor: str,
        reason: str = "",
        forced: bool = False,
        validation: Validation | None = None,
    ) -> Change:
        """Bring a version to staging or production, if every file of it has its checksum.

        The version's checks are not run here: shared.gates.promote does both, and hands their outcome in.

        Raises
        ------
        BadData
            If a file differs from its checksum, forced or not, or the version is there already.
        ModelNotFound
            If there is no such version.
        """
        self._require_intact(model, version)
        change = Change(utc_now(), actor, "promote", version, reason=reason, forced=forced, validation=validation)
        return self._change(model, lambda stages: stages.promoted(to, change))

    def rollback(self, model: str, *, actor: str, reason: str = "") -> Change:
        """Bring the previous production version back; twice goes back twice.

        Raises
        ------
        BadData
            If there is none, or a file of it differs from its checksum.
        """
        change = Change(utc_now(), actor, "rollback", "", reason=reason)

        def back(stages: Stages) -> Stages:
            moved = stages.rolled_back(change)
            self._require_intact(model, moved.production)
            return moved

        return self._change(model, back)

    def archive(self, model: str, version: str, *, actor: str, reason: str = "") -> Change:
        """Archive a version that is not in production: no rollback goes to it any more.

        Raises
        ------
        BadData
            If it is in production, or archived already.
        """
        self.manifest(model, version)
        change = Change(utc_now(), actor, "archive", version, reason=reason)
        return self._change(model, lambda stages: stages.archived_by(change))

    def record(self, change: Change, model: str) -> Change:
        """Add a validation to the model's history."""
        return self._change(model, lambda stages: stages.validated(change))

    def _change(self, model: str, change: Callable[[Stages], Stages]) -> Change:
        """Replace the stages of a model by changed ones, under the lock."""
        self.stages(model)
        with self._lock(model):
            changed = change(self.stages(model))
            _replace(self.folder / model / STAGES_FILE, msgspec.json.format(msgspec.json.encode(changed), indent=1))
        return changed.history[-1]

    def _lock(self, model: str) -> "_Locked":
        return _Locked(self.folder / model / ".lock")

    def _serves(self, model: str) -> bool:
        try:
            self.production(model)
        except ModelNotFound:
            return False
        except BadData:
            return True
        return True

    def _nothing_serves(self, model: str) -> ModelNotFound:
        if MODEL_NAME.fullmatch(model) and (versions := self.versions(model)):
            return ModelNotFound(
                f"No version of {model} is in production (registered: {', '.join(versions)}). "
                f"Promote one with `driftgauge models promote {model} {versions[-1]}`."
            )
        return ModelNotFound(
            f"There is no model {model!r} in {self.folder} (registered: {', '.join(self.registered()) or 'none'}). "
            "Register it with `driftgauge models register`."
        )

    def _as_partitioned(self, published: PublishedVersion, artifact: str) -> PublishedVersion:
        """Give a new version the partitions of its model; the first version chooses them."""
        manifest = msgspec.structs.replace(published.manifest, artifact=artifact)
        earlier = self.versions(manifest.model)
        if earlier:
            first = self.manifest(manifest.model, earlier[0])
            if manifest.partitions not in {1, first.partitions}:
                raise BadData(
                    f"{manifest.model} has {first.partitions} partitions since its first version, and their number never "
                    f"changes: {manifest.partitions} is impossible. Leave --partitions out, or register another model."
                )
            manifest = msgspec.structs.replace(manifest, partitions=first.partitions, salts=first.salts)
        elif not manifest.salts:
            manifest = msgspec.structs.replace(manifest, salts=salts_for(manifest.model, manifest.partitions))
        return msgspec.structs.replace(published, manifest=manifest)

    def _file(self, model: str, version: str, name: str) -> Path:
        check_name(model, version)
        path = self.folder / model / version / name
        if not path.is_file():
            raise ModelNotFound(
                f"{name} of {model} {version} is missing: looked for {path} (registered versions: "
                f"{', '.join(self.versions(model)) or 'none'}). "
                "Restore the registry folder, or register the version again under another number."
            )
        return path

    def _verified(self, manifest: Manifest, name: str) -> bytes:
        content = self._file(manifest.model, manifest.version, name).read_bytes()
        if hashlib.sha256(content).hexdigest() != manifest.files.get(name):
            raise BadData(
                f"{name} of {manifest.model} {manifest.version} is not the file that was registered (its SHA-256 "
                "differs from the manifest's), so it is not loaded. Restore it, or register a new version."
            )
        return content

    def _faults(self, model: str, version: str) -> list[str]:
        try:
            manifest = self.manifest(model, version)
        except BadData as error:
            return [str(error)]
        faults = []
        for name in manifest.files:
            try:
                self._verified(manifest, name)
            except (BadData, ModelNotFound) as error:
                faults.append(str(error))
        found = {path.name for path in (self.folder / model / version).iterdir()}
        strange = sorted(found - {MANIFEST_FILE, *manifest.files})
        return [*faults, *(f"{name} of {model} {version} was not registered; remove it." for name in strange)]

    def _require_intact(self, model: str, version: str) -> None:
        faults = self.verify(model, version)
        if faults:
            raise BadData(f"{model} {version} is not as it was registered, so nothing was changed: {' '.join(faults)}")


class _Locked:
    """The lock of a model, with a clear error if another process holds it for too long."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = FileLock(path, timeout=LOCK_S)

    def __enter__(self) -> None:
        try:
            self._lock.acquire()
        except Timeout:
            raise BadData(
                f"Another process has held {self._path} for {LOCK_S} s; nothing was changed. End it, and try again."
            ) from None

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def check_name(model: str, version: str) -> None:
    """Refuse a malformed model name or version with a clear message."""
    _check_model(model)
    if not semver.is_version(version):
        raise BadData(f"{version!r} is no version: use three numbers such as 1.0.0 (semantic versioning).")


def artifact_name(artifact: Path) -> str:
    """Give the name that an artifact has in its version's folder.

    Raises
    ------
    BadData
        If the suffix is unknown.
    """
    try:
        return ARTIFACTS[artifact.suffix.lower()]
    except KeyError:
        raise BadData(f"{artifact} is no artifact: give a .joblib file, or LightGBM's own text format as .txt.") from None


def load_estimator(content: bytes, name: str, task: Task, classes: tuple[str, ...]) -> Any:
    """Load a fitted model from verified bytes, by its artifact's name; joblib runs code that is in them."""
    if name.endswith(".txt"):
        from shared.lightgbm_text import TextModel

        return TextModel(content.decode(errors="replace"), task, classes)
    return joblib.load(io.BytesIO(content))


def _check_model(model: str) -> None:
    if not MODEL_NAME.fullmatch(model):
        raise BadData(
            f"{model!r} is no model name: use 1 to 64 lower-case letters, digits, - and _, starting with a letter."
        )


def _decoded(path: Path, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadData(f"{path} cannot be read: {error}. Restore it.") from error


def _write_version(folder: Path, published: PublishedVersion, artifact: Path | None) -> None:
    """Write the files of a version, the manifest with their checksums last, all on disk before it returns."""
    indented = msgspec.json.format(msgspec.json.encode(published.schema), indent=2)
    (folder / SCHEMA_FILE).write_bytes(indented)
    (folder / REFERENCE_FILE).write_bytes(gzip.compress(msgspec.json.encode(published.reference), mtime=0))
    if artifact is not None:
        shutil.copyfile(artifact, folder / published.manifest.artifact)
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}
    manifest = msgspec.structs.replace(published.manifest, files=files)
    (folder / MANIFEST_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2))
    folder.chmod(0o755)
    for path in (*folder.iterdir(), folder):
        _sync(path)


def _replace(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old one or the new one, never a part; the lock is held."""
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(content)
    _sync(new)
    new.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    """Force a file or folder to the disk, so that a rename never outlives what it names in a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
