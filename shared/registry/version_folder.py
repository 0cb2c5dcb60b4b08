"""The folder of one registered version: every file is checked by its checksum before it is used."""

import hashlib
from typing import Any, Final, TypeVar

import msgspec

from driftgauge.shared.artifacts import format_named
from driftgauge.shared.contract.keys import MODEL_NAME
from driftgauge.shared.errors import BadData, ModelNotFound
from driftgauge.shared.performance import PerformanceReference
from driftgauge.shared.reference.calibration import Calibration
from driftgauge.shared.reference.profile import ReferenceProfile
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry import trial
from driftgauge.shared.regular_files import LARGE
from driftgauge.shared.storage.storage import Storage
from driftgauge.shared.unpacking import gunzip
from driftgauge.shared.versions import semver
from driftgauge.shared.versions.manifest import Manifest, PublishedVersion, Task
from driftgauge.shared.versions.reference_rows import reference_rows

MOST_TOLD: Final = 100
"""Characters of a malformed name that an error quotes."""
MANIFEST_FILE: Final = "manifest.json"
SCHEMA_FILE: Final = "schema.json"
REFERENCE_FILE: Final = "reference.json.gz"
CALIBRATION_FILE: Final = "calibration.json"
"""The calibration of the registration; only there if the rows had times."""
PERFORMANCE_FILE: Final = "performance.json"
"""The model's performance on the reference rows; only there if these have labels."""

_T = TypeVar("_T")


class VersionFolder:
    """The folder of one version, which need not exist.

    Parameters
    ----------
    storage
        Where the registry's files are.

    Raises
    ------
    BadData
        If the model's name or the version is malformed.
    """

    def __init__(self, storage: Storage, model: str, version: str) -> None:
        check_name(model, version)
        self._storage = storage
        self.path = f"{model}/{version}"
        self.model = model
        self.version = version

    def manifest(self) -> Manifest:
        """Read the manifest.

        Raises
        ------
        ModelNotFound
            If there is no such version.
        BadData
            If the file is unreadable, or the manifest of another version.
        """
        path = f"{self.path}/{MANIFEST_FILE}"
        try:
            manifest = decoded(self._storage, path, Manifest)
        except FileNotFoundError:
            raise self._missing(MANIFEST_FILE) from None
        if (manifest.model, manifest.version) != (self.model, self.version):
            raise BadData(
                f"{self._storage.where(path)} belongs to {manifest.model} {manifest.version}: the "
                f"folder was moved. Restore it."
            )
        return manifest

    def load(self) -> PublishedVersion:
        """Read manifest, schema, reference and performance.

        Raises
        ------
        ModelNotFound
            If there is no such version, or a file is missing.
        BadData
            If a file does not have its checksum.
        """
        manifest = self.manifest()
        return PublishedVersion(
            manifest=manifest,
            schema=self._schema(manifest),
            reference=msgspec.json.decode(
                gunzip(self._verified(manifest, REFERENCE_FILE)), type=ReferenceProfile
            ),
            performance=self._decoded(manifest, PERFORMANCE_FILE, PerformanceReference),
            calibration=self._decoded(manifest, CALIBRATION_FILE, Calibration),
        )

    def calibration(self) -> Calibration | None:
        """Read the calibration of the registration; None if its rows had no times."""
        return self._decoded(self.manifest(), CALIBRATION_FILE, Calibration)

    def load_artifact(self) -> Any:
        """Load the fitted model from the same bytes whose checksum was verified.

        A file that was never loaded here is tried in a process of its own first (trial.py).

        Raises
        ------
        ModelNotFound
            If the version is only monitored, or its file is missing.
        BadData
            If the file does not have its checksum, or did not pass its trial.
        """
        manifest = self.manifest()
        content = self.artifact()
        schema = self._schema(manifest)

        def tried() -> trial.Tried:
            rows = reference_rows(self.load())
            return trial.Tried(
                content, manifest.artifact, manifest.task, schema.classes, schema, rows
            )

        trial.require(self._storage, content, tried)
        return load_estimator(content, manifest.artifact, manifest.task, schema.classes)

    def artifact(self) -> bytes:
        """Read the file of the fitted model; raises as `load_artifact` does, but tries nothing."""
        manifest = self.manifest()
        if not manifest.artifact:
            raise ModelNotFound(
                f"{self.model} {self.version} is only monitored: it has no model file to predict "
                f"with."
            )
        return self._verified(manifest, manifest.artifact)

    def note_tried(self) -> None:
        """Note that the model file has passed its trial; BadData if it lacks its checksum."""
        manifest = self.manifest()
        if manifest.artifact:
            trial.note(self._storage, self._verified(manifest, manifest.artifact))

    def faults(self) -> list[str]:
        """List every file that is missing, does not have its checksum, or was not registered."""
        try:
            manifest = self.manifest()
        except BadData as error:
            return [str(error)]
        faults = []
        for name in manifest.files:
            try:
                self._verified(manifest, name)
            except (BadData, ModelNotFound) as error:
                faults.append(str(error))
        names = {path.rpartition("/")[2] for path in self._storage.find(f"{self.path}/*")}
        unknown = names - {MANIFEST_FILE, *manifest.files}
        return faults + [
            f"{name} of {self.model} {self.version} was not registered; remove it."
            for name in sorted(unknown)
        ]

    def _schema(self, manifest: Manifest) -> Schema:
        return msgspec.json.decode(self._verified(manifest, SCHEMA_FILE), type=Schema)

    def _decoded(self, manifest: Manifest, name: str, kind: type[_T]) -> _T | None:
        """Read a file that not every version has."""
        if name not in manifest.files:
            return None
        return msgspec.json.decode(self._verified(manifest, name), type=kind)

    def _missing(self, name: str) -> ModelNotFound:
        found = self._storage.find(f"{self.model}/*/{MANIFEST_FILE}")
        registered = ", ".join(path.split("/")[1] for path in found)
        place = self._storage.where(f"{self.path}/{name}")
        return ModelNotFound(
            f"{name} of {self.model} {self.version} is missing: looked for {place} (registered "
            f"versions: {registered or 'none'}). Restore the registry, or register the version "
            f"again under another number."
        )

    def _verified(self, manifest: Manifest, name: str) -> bytes:
        path, digest = f"{self.path}/{name}", manifest.files.get(name, "")
        try:
            content = self._storage.read(path, LARGE, digest)
        except FileNotFoundError:
            raise self._missing(name) from None
        except OSError as error:
            raise BadData(
                f"{self._storage.where(path)} cannot be read: {words_of(error)}. Restore it."
            ) from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise BadData(
                f"{name} of {self.model} {self.version} is not the file that was registered (its "
                f"SHA-256 differs from the manifest's), so it is not loaded. Restore it, or "
                f"register a new version."
            )
        return content


def check_model(model: str) -> None:
    """Raise BadData if a model's name is malformed."""
    if not MODEL_NAME.fullmatch(model):
        raise BadData(
            f"{model[:MOST_TOLD]!r} is no model name: use 1 to 64 lower-case letters, digits, - "
            f"and _, starting with a letter."
        )


def check_name(model: str, version: str) -> None:
    """Raise BadData if a model's name or a version is malformed."""
    check_model(model)
    if not semver.is_version(version):
        raise BadData(
            f"{version[:MOST_TOLD]!r} is no version: use three numbers such as 1.0.0 (semantic "
            f"versioning)."
        )


def load_estimator(content: bytes, name: str, task: Task, classes: tuple[str, ...]) -> Any:
    """Load a fitted model from bytes whose checksum was verified.

    Some formats run code that is in the file, so never load other bytes.

    Parameters
    ----------
    name
        Name of the model file in the version folder.
    classes
        Class labels in the order of the model's probabilities.
    """
    return format_named(name).load(content, task, classes)


def decoded(storage: Storage, path: str, kind: type[_T]) -> _T:
    """Decode a JSON file of the registry; BadData with its name if it cannot be read."""
    try:
        content = storage.read(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise BadData(
            f"{storage.where(path)} cannot be read: {words_of(error)}. Restore it."
        ) from error
    return decode(content, kind, storage.where(path))


def decode(content: bytes, kind: type[_T], place: str) -> _T:
    """Decode the content of a JSON file; BadData with its place if it is none."""
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadData(f"{place} cannot be read: {error}. Restore it.") from error


def words_of(error: OSError) -> str:
    """Return what an error says, without the path that it may name."""
    return error.strerror or str(error)
