"""The folder of one registered version: written once, read only by the checksums of its
manifest.
"""

import gzip
import hashlib
import io
import shutil
from pathlib import Path
from typing import Any, Final, TypeVar

import joblib
import msgspec

from driftgauge.shared.contract.keys import MODEL_NAME
from driftgauge.shared.errors import BadData, ModelNotFound
from driftgauge.shared.performance import PerformanceReference
from driftgauge.shared.reference.profile import ReferenceProfile
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry.atomic import sync
from driftgauge.shared.versions import semver
from driftgauge.shared.versions.manifest import Manifest, PublishedVersion, Task

ARTIFACTS: Final = {".joblib": "model.joblib", ".pkl": "model.joblib", ".txt": "model.txt"}
"""The artifact's name in a version folder, by the suffix of the file that is registered."""
MANIFEST_FILE: Final = "manifest.json"
SCHEMA_FILE: Final = "schema.json"
REFERENCE_FILE: Final = "reference.json.gz"
PERFORMANCE_FILE: Final = "performance.json"
"""There only if reference rows have labels."""

_T = TypeVar("_T")


class VersionFolder:
    """A version's folder, below that of its model.

    Raises
    ------
    BadData
        If the model's name or the version is malformed.
    """

    def __init__(self, registry: Path, model: str, version: str) -> None:
        check_name(model, version)
        self.path = registry / model / version
        self.model = model
        self.version = version

    def manifest(self) -> Manifest:
        """Read the manifest, and check that it is this version's."""
        path = self._file(MANIFEST_FILE)
        manifest = decoded(path, Manifest)
        if (manifest.model, manifest.version) != (self.model, self.version):
            raise BadData(
                f"{path} belongs to {manifest.model} {manifest.version}: the folder was moved. "
                f"Restore it."
            )
        return manifest

    def load(self) -> PublishedVersion:
        """Read manifest, schema and reference, checksums verified."""
        manifest = self.manifest()
        return PublishedVersion(
            manifest=manifest,
            schema=msgspec.json.decode(self._verified(manifest, SCHEMA_FILE), type=Schema),
            reference=msgspec.json.decode(
                gzip.decompress(self._verified(manifest, REFERENCE_FILE)), type=ReferenceProfile
            ),
            performance=self._performance(manifest),
        )

    def _performance(self, manifest: Manifest) -> PerformanceReference | None:
        if PERFORMANCE_FILE not in manifest.files:
            return None
        return msgspec.json.decode(
            self._verified(manifest, PERFORMANCE_FILE), type=PerformanceReference
        )

    def load_artifact(self) -> Any:
        """Load the fitted model from the very bytes whose checksum was verified."""
        manifest = self.manifest()
        if not manifest.artifact:
            raise ModelNotFound(
                f"{self.model} {self.version} is only monitored: it has no model file to predict "
                f"with."
            )
        schema = msgspec.json.decode(self._verified(manifest, SCHEMA_FILE), type=Schema)
        content = self._verified(manifest, manifest.artifact)
        return load_estimator(content, manifest.artifact, manifest.task, schema.classes)

    def faults(self) -> list[str]:
        """Name every file that is missing, differs from its checksum, or was not registered."""
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
        strange = sorted(
            {path.name for path in self.path.iterdir()} - {MANIFEST_FILE, *manifest.files}
        )
        return [
            *faults,
            *(
                f"{name} of {self.model} {self.version} was not registered; remove it."
                for name in strange
            ),
        ]

    def _file(self, name: str) -> Path:
        path = self.path / name
        if not path.is_file():
            registered = sorted(
                found.parent.name for found in self.path.parent.glob(f"*/{MANIFEST_FILE}")
            )
            raise ModelNotFound(
                f"{name} of {self.model} {self.version} is missing: looked for {path} (registered "
                f"versions: "
                f"{', '.join(registered) or 'none'}). "
                "Restore the registry folder, or register the version again under another number."
            )
        return path

    def _verified(self, manifest: Manifest, name: str) -> bytes:
        content = self._file(name).read_bytes()
        if hashlib.sha256(content).hexdigest() != manifest.files.get(name):
            raise BadData(
                f"{name} of {self.model} {self.version} is not the file that was registered (its "
                f"SHA-256 "
                "differs from the manifest's), so it is not loaded. Restore it, or register a new "
                "version."
            )
        return content


def write_version(folder: Path, published: PublishedVersion, artifact: Path | None) -> None:
    """Write the files of a version, the manifest with their checksums last, all on disk before it
    returns.
    """
    indented = msgspec.json.format(msgspec.json.encode(published.schema), indent=2)
    (folder / SCHEMA_FILE).write_bytes(indented)
    (folder / REFERENCE_FILE).write_bytes(
        gzip.compress(msgspec.json.encode(published.reference), mtime=0)
    )
    if published.performance is not None:
        (folder / PERFORMANCE_FILE).write_bytes(msgspec.json.encode(published.performance))
    if artifact is not None:
        shutil.copyfile(artifact, folder / published.manifest.artifact)
    files = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
    }
    manifest = msgspec.structs.replace(published.manifest, files=files)
    (folder / MANIFEST_FILE).write_bytes(
        msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    )
    folder.chmod(0o755)
    for path in (*folder.iterdir(), folder):
        sync(path)


def check_model(model: str) -> None:
    """Refuse a malformed model name with a clear message."""
    if not MODEL_NAME.fullmatch(model):
        raise BadData(
            f"{model!r} is no model name: use 1 to 64 lower-case letters, digits, - and _, "
            f"starting with a letter."
        )


def check_name(model: str, version: str) -> None:
    """Refuse a malformed model name or version with a clear message."""
    check_model(model)
    if not semver.is_version(version):
        raise BadData(
            f"{version!r} is no version: use three numbers such as 1.0.0 (semantic versioning)."
        )


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
        raise BadData(
            f"{artifact} is no artifact: give a .joblib file, or LightGBM's own text format as "
            f".txt."
        ) from None


def load_estimator(content: bytes, name: str, task: Task, classes: tuple[str, ...]) -> Any:
    """Load a fitted model from verified bytes, by its artifact's name; joblib runs code that is in
    them.
    """
    if name.endswith(".txt"):
        from driftgauge.shared.versions.lightgbm_text import TextModel

        return TextModel(content.decode(errors="replace"), task, classes)
    return joblib.load(io.BytesIO(content))


def decoded(path: Path, kind: type[_T]) -> _T:
    """Read a JSON file of the registry, with an error that names it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadData(f"{path} cannot be read: {error}. Restore it.") from error
