"""The registry folder: the truth for models, versions and which version is in production.

    registry/NAME/stages.json                 which version is in production
    registry/NAME/calibrations/VERSION.json   the calibration of a version, which may be made again
    registry/NAME/VERSION/manifest.json       task, partitions, metrics, SHA-256 of every other file
                          schema.json         features in stream order
                          reference.json.gz   the reference profile
                          model.joblib        the artifact; absent for a model that is only monitored

Version folders never change. A registration is written to a temporary folder and renamed under a lock, so a crash leaves
nothing half-done. joblib runs code when it loads: only files whose checksum equals the manifest's are loaded.
"""

import gzip
import hashlib
import os
import re
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import joblib
import msgspec
from filelock import FileLock

from shared.calibration import Calibration
from shared.errors import BadData, ModelNotFound
from shared.keys import MODEL_NAME, salts_for
from shared.reference import ReferenceProfile
from shared.schema import Schema

VERSION: Final = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?")
ARTIFACT: Final = "model.joblib"
SCHEMA_FILE: Final = "schema.json"
REFERENCE_FILE: Final = "reference.json.gz"

Task = Literal["regression", "binary", "multiclass", "monitor"]


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known about a version.

    Parameters
    ----------
    files
        SHA-256 (hex) of each file of the version folder.
    partitions, salts
        How many logs the model's events are spread over, and the salts of their hash tags (shared/keys.py). They are the
        model's, not the version's: every later version has those of the first.
    feature_engineering
        Dotted name of the module that makes the features, empty if unknown.
    """

    model: str
    version: str
    task: Task
    created: str
    files: dict[str, str]
    partitions: int = 1
    salts: tuple[str, ...] = ()
    metrics: dict[str, float] = {}
    feature_engineering: str = ""


class PublishedVersion(msgspec.Struct, frozen=True):
    """What a worker needs of a version: published to Redis, since a worker shares no folder with the API."""

    manifest: Manifest
    schema: Schema
    reference: ReferenceProfile
    calibration: Calibration | None = None

    def pack(self) -> bytes:
        """Give it as compressed JSON."""
        return gzip.compress(msgspec.json.encode(self), compresslevel=6, mtime=0)

    @classmethod
    def unpack(cls, packed: bytes) -> "PublishedVersion":
        """Read what `pack` gave."""
        return msgspec.json.decode(gzip.decompress(packed), type=cls)


class ModelRegistry:
    """The registry in a folder, which need not exist yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def models(self) -> list[str]:
        """Give the names of the models that have a version in production."""
        return sorted(path.parent.name for path in self.folder.glob("*/stages.json"))

    def versions(self, model: str) -> list[str]:
        """Give the versions of a model, oldest registration first."""
        names = [path.parent.name for path in (self.folder / model).glob("*/manifest.json")]
        found = [self.manifest(model, name) for name in names if VERSION.fullmatch(name)]  # not one that is being written
        return [manifest.version for manifest in sorted(found, key=lambda manifest: manifest.created)]

    def production(self, model: str) -> str:
        """Give the version in production.

        Raises
        ------
        ModelNotFound
            If there is no such model.
        """
        path = self.folder / model / "stages.json"
        if not MODEL_NAME.fullmatch(model) or not path.is_file():
            known = ", ".join(self.models()) or "none"
            raise ModelNotFound(
                f"There is no model {model!r} in {self.folder} (registered: {known}). "
                "Register it with `driftgauge models register`."
            )
        return str(msgspec.json.decode(path.read_bytes(), type=dict[str, str])["production"])

    def manifest(self, model: str, version: str) -> Manifest:
        return msgspec.json.decode(self._file(model, version, "manifest.json").read_bytes(), type=Manifest)

    def load(self, model: str, version: str) -> PublishedVersion:
        """Read manifest, schema and reference of a version, checksums verified."""
        manifest = self.manifest(model, version)
        return PublishedVersion(
            manifest=manifest,
            schema=msgspec.json.decode(self._verified(manifest, SCHEMA_FILE), type=Schema),
            reference=msgspec.json.decode(gzip.decompress(self._verified(manifest, REFERENCE_FILE)), type=ReferenceProfile),
            calibration=self.calibration(model, version),
        )

    def calibration(self, model: str, version: str) -> Calibration | None:
        """Read the calibration of a version; None if there is none.

        Raises
        ------
        BadData
            If the file is damaged.
        """
        path = self.calibration_file(model, version)
        try:
            return msgspec.json.decode(path.read_bytes(), type=Calibration)
        except FileNotFoundError:
            return None
        except msgspec.MsgspecError as error:
            raise BadData(f"{path} is no calibration: {error}. Make it again with `driftgauge calibrate`.") from error

    def calibration_file(self, model: str, version: str) -> Path:
        """Where the calibration of a version is, or would be."""
        return self.folder / model / "calibrations" / f"{version}.json"

    def store_calibration(self, model: str, version: str, calibration: Calibration) -> Path:
        """Store or replace the calibration of a version; a reader sees the old one or the new one."""
        self.manifest(model, version)
        path = self.calibration_file(model, version)
        path.parent.mkdir(exist_ok=True)
        _replace(path, msgspec.json.encode(calibration))
        return path

    def load_artifact(self, model: str, version: str) -> Any:
        """Load the fitted model of a version, if its checksum is the manifest's.

        Raises
        ------
        ModelNotFound
            If the version is only monitored, or the file is gone.
        BadData
            If the file is not the one that was registered.
        """
        manifest = self.manifest(model, version)
        if ARTIFACT not in manifest.files:
            raise ModelNotFound(f"{model} {version} is only monitored: it has no model file to predict with.")
        self._verified(manifest, ARTIFACT)
        return joblib.load(self._file(model, version, ARTIFACT))

    def register(self, published: PublishedVersion, artifact: Path | None = None) -> Path:
        """Store a new version and put it into production.

        Parameters
        ----------
        published
            Schema, reference and manifest; the manifest's `files` are filled in here.
        artifact
            The joblib file of the fitted model, None for a model that is only monitored.

        Raises
        ------
        BadData
            If the name or version is malformed, the version exists, or the model has another number of partitions.
        """
        manifest = published.manifest
        check_name(manifest.model, manifest.version)
        home = self.folder / manifest.model
        home.mkdir(parents=True, exist_ok=True)
        with FileLock(home / ".lock"):
            published = self._as_partitioned(published)
            target = home / manifest.version
            if target.exists():
                raise BadData(
                    f"{manifest.model} {manifest.version} is registered already, and versions never change. "
                    "Choose another --version."
                )
            for abandoned in home.glob(".new-*"):  # by a process that was killed: the lock is ours
                shutil.rmtree(abandoned, ignore_errors=True)
            staging = Path(tempfile.mkdtemp(prefix=".new-", dir=home))
            try:
                _write_version(staging, published, artifact)
                staging.rename(target)
            except BaseException:
                shutil.rmtree(staging, ignore_errors=True)
                raise
            _replace(home / "stages.json", msgspec.json.encode({"production": manifest.version}))
        return target

    def next_version(self, model: str) -> str:
        """Give the version after the newest one: `1.0.0`, then the major number counts up."""
        majors = [int(version.split(".")[0]) for version in self.versions(model)]
        return f"{max(majors, default=0) + 1}.0.0"

    def _as_partitioned(self, published: PublishedVersion) -> PublishedVersion:
        """Give a new version the partitions of its model; the first version chooses them."""
        manifest = published.manifest
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
        path = self.folder / model / version / name
        if not path.is_file():
            raise ModelNotFound(
                f"{name} of {model} {version} is missing: looked for {path}. "
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


def check_name(model: str, version: str) -> None:
    """Refuse a malformed model name or version with a clear message."""
    if not MODEL_NAME.fullmatch(model):
        raise BadData(
            f"{model!r} is no model name: use 1 to 64 lower-case letters, digits, - and _, starting with a letter."
        )
    if not VERSION.fullmatch(version):
        raise BadData(f"{version!r} is no version: use three numbers such as 1.0.0 (semantic versioning).")


def new_manifest(model: str, version: str, task: Task, **more: Any) -> Manifest:
    """Make a manifest as of now, without its files."""
    return Manifest(
        model=model,
        version=version,
        task=task,
        files={},
        created=utc_now(),
        **more,
    )


def utc_now() -> str:
    """Give the present time as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _write_version(folder: Path, published: PublishedVersion, artifact: Path | None) -> None:
    """Write the files of a version, the manifest with their checksums last."""
    indented = msgspec.json.format(msgspec.json.encode(published.schema), indent=2)
    (folder / SCHEMA_FILE).write_bytes(indented)
    (folder / REFERENCE_FILE).write_bytes(gzip.compress(msgspec.json.encode(published.reference), mtime=0))
    if artifact is not None:
        shutil.copyfile(artifact, folder / ARTIFACT)
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}
    manifest = msgspec.structs.replace(published.manifest, files=files)
    (folder / "manifest.json").write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2))
    folder.chmod(0o755)


def _replace(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old one or the new one, never a part."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_bytes(content)
    new.replace(path)
