"""The registry folder: the truth for models, their versions, and which version is in production.

    registry/NAME/stages.json                 stages and history (shared/versions/stages.py)
    registry/NAME/calibrations/VERSION.json   the calibration of a version, which may be made again
    registry/NAME/VERSION/manifest.json       task, partitions, metrics, gates, SHA-256 of every other file
                          schema.json         features in stream order
                          reference.json.gz   the reference profile
                          model.joblib        the artifact, or model.txt; absent for a model that is only monitored

Version folders never change. A registration is written to a temporary folder and renamed under a
lock, so a crash leaves nothing half-done. joblib runs code when it loads: only bytes whose checksum
equals the manifest's are loaded.
"""

import logging
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from driftgauge.shared.contract.keys import MODEL_NAME, salts_for
from driftgauge.shared.errors import BadData, ModelNotFound
from driftgauge.shared.reference.calibration import Calibration
from driftgauge.shared.registry.atomic import FolderLock, replace, sync
from driftgauge.shared.registry.creation import new_manifest, utc_now
from driftgauge.shared.registry.version_folder import (
    MANIFEST_FILE,
    VersionFolder,
    artifact_name,
    check_model,
    check_name,
    decoded,
    write_version,
)
from driftgauge.shared.versions import semver
from driftgauge.shared.versions.gates import Validation
from driftgauge.shared.versions.manifest import Manifest, PublishedVersion, Task
from driftgauge.shared.versions.stages import Stage, StageChange, Stages, Target

__all__ = ["Manifest", "ModelRegistry", "PublishedVersion", "Task", "check_name", "new_manifest"]

logger = logging.getLogger("driftgauge.registry")

STAGES_FILE: Final = "stages.json"


class _Production(msgspec.Struct):
    """Of the stages, the part that the API looks at each second."""

    production: str = ""


class ModelRegistry:
    """The registry in a folder, which need not exist yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def models(self) -> list[str]:
        """Give the names of the models that have a version in production.

        A model whose stages cannot be read is among them, so that `production` says what is wrong
        with it.
        """
        return [
            name
            for path in sorted(self.folder.glob(f"*/{STAGES_FILE}"))
            if self._serves(name := path.parent.name)
        ]

    def registered(self) -> list[str]:
        """Give the names of all models that have a version, whatever its stage."""
        homes = {path.parent.parent.name for path in self.folder.glob(f"*/*/{MANIFEST_FILE}")}
        return sorted(name for name in homes if MODEL_NAME.fullmatch(name) and self.versions(name))

    def versions(self, model: str) -> list[str]:
        """Give the versions of a model in the order of semantic versioning."""
        check_model(model)
        names = [path.parent.name for path in (self.folder / model).glob(f"*/{MANIFEST_FILE}")]
        return sorted(
            filter(semver.is_version, names), key=semver.precedence
        )  # not one that is being written

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
        version = (
            decoded(path, _Production).production
            if MODEL_NAME.fullmatch(model) and path.is_file()
            else ""
        )
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
        return decoded(path, Stages) if path.is_file() else Stages()

    def stage(self, model: str, version: str) -> Stage:
        """Give the stage of a version."""
        self.manifest(model, version)
        return self.stages(model).stage(version)

    def history(self, model: str) -> tuple[StageChange, ...]:
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
        return VersionFolder(self.folder, model, version).manifest()

    def load(self, model: str, version: str) -> PublishedVersion:
        """Read manifest, schema and reference of a version, checksums verified, and its
        calibration.
        """
        found = VersionFolder(self.folder, model, version).load()
        return msgspec.structs.replace(found, calibration=self.calibration(model, version))

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
            raise BadData(
                f"{path} is no calibration: {error}. Make it again with `driftgauge calibrate`."
            ) from error

    def calibration_file(self, model: str, version: str) -> Path:
        """Where the calibration of a version is, or would be."""
        check_name(model, version)
        return self.folder / model / "calibrations" / f"{version}.json"

    def store_calibration(self, model: str, version: str, calibration: Calibration) -> Path:
        """Store or replace the calibration of a version."""
        self.manifest(model, version)
        path = self.calibration_file(model, version)
        with FolderLock(self.folder / model / ".lock"):
            path.parent.mkdir(exist_ok=True)
            replace(path, msgspec.json.encode(calibration))
        return path

    def load_artifact(self, model: str, version: str) -> Any:
        """Load the fitted model of a version from the very bytes whose checksum was verified.

        Raises
        ------
        ModelNotFound
            If the version is only monitored, or the file is gone.
        BadData
            If the file is not the one that was registered.
        """
        return VersionFolder(self.folder, model, version).load_artifact()

    def verify(self, model: str, version: str | None = None) -> list[str]:
        """Compare every file of a version, or of all versions, with its checksum.

        Returns
        -------
        list of str
            Every fault found: files that are missing, changed, or that nobody registered. Empty if
            there is none.

        Raises
        ------
        ModelNotFound
            If there is no such model or version.
        """
        if version is None and not self.versions(model):
            raise self._nothing_serves(model)
        versions = self.versions(model) if version is None else [version]
        return [
            fault for each in versions for fault in VersionFolder(self.folder, model, each).faults()
        ]

    def register(self, published: PublishedVersion, artifact: Path | None = None) -> Path:
        """Store a new version, in stage none.

        Parameters
        ----------
        published
            Schema, reference and manifest; the manifest's `files`, `artifact` and partitions are
            filled in here.
        artifact
            The fitted model's file, None for a model that is only monitored: `.joblib`, or
            LightGBM's text as `.txt`.

        Returns
        -------
        Path
            The version's folder.

        Raises
        ------
        BadData
            If the name or version is malformed, the version exists, or the model has another number
            of partitions.
        """
        manifest = published.manifest
        check_name(manifest.model, manifest.version)
        name = artifact_name(artifact) if artifact is not None else ""
        home = self.folder / manifest.model
        with self._lock(manifest.model):
            published = self._as_partitioned(published, name)
            target = home / manifest.version
            if target.exists():
                raise BadData(
                    f"{manifest.model} {manifest.version} is registered already, and versions "
                    f"never change. "
                    "Choose another --version."
                )
            for abandoned in home.glob(".new-*"):  # by a process that was killed: the lock is ours
                shutil.rmtree(abandoned, ignore_errors=True)
            new = Path(tempfile.mkdtemp(prefix=".new-", dir=home))
            try:
                write_version(new, published, artifact)
                new.rename(target)
            except BaseException:
                shutil.rmtree(new, ignore_errors=True)
                raise
            if published.schema.dropped_by_name:
                logger.warning(
                    "%s %s: dropped as personal by their names, so neither published nor watched: "
                    "%s. To watch one, say "
                    '"pii": "hash" or "keep" in the schema of a new version.',
                    manifest.model,
                    manifest.version,
                    ", ".join(published.schema.dropped_by_name),
                )
            sync(home)
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
    ) -> StageChange:
        """Bring a version to staging or production, if every file of it has its checksum.

        The version's gates are not run here: driftgauge.shared.registry.promotion.promote does both,
        and hands their outcome in.

        Raises
        ------
        BadData
            If a file differs from its checksum, forced or not, or the version is there already.
        ModelNotFound
            If there is no such version.
        """
        self._require_intact(model, version)
        change = StageChange(
            utc_now(),
            actor,
            "promote",
            version,
            reason=reason,
            forced=forced,
            validation=validation,
        )
        return self._change(model, lambda stages: stages.promoted(to, change))

    def rollback(self, model: str, *, actor: str, reason: str = "") -> StageChange:
        """Bring the previous production version back; twice goes back twice.

        Raises
        ------
        BadData
            If there is none, or a file of it differs from its checksum.
        """
        change = StageChange(utc_now(), actor, "rollback", "", reason=reason)

        def back(stages: Stages) -> Stages:
            moved = stages.rolled_back(change)
            self._require_intact(model, moved.production)
            return moved

        return self._change(model, back)

    def archive(self, model: str, version: str, *, actor: str, reason: str = "") -> StageChange:
        """Archive a version that is not in production: no rollback goes to it any more.

        Raises
        ------
        BadData
            If it is in production, or archived already.
        """
        self.manifest(model, version)
        change = StageChange(utc_now(), actor, "archive", version, reason=reason)
        return self._change(model, lambda stages: stages.archived_by(change))

    def record(self, change: StageChange, model: str) -> StageChange:
        """Add a validation to the model's history."""
        return self._change(model, lambda stages: stages.validated(change))

    def _change(self, model: str, change: Callable[[Stages], Stages]) -> StageChange:
        """Replace the stages of a model by changed ones, under the lock."""
        self.stages(model)
        with self._lock(model):
            changed = change(self.stages(model))
            replace(
                self.folder / model / STAGES_FILE,
                msgspec.json.format(msgspec.json.encode(changed), indent=1),
            )
        return changed.history[-1]

    def _lock(self, model: str) -> FolderLock:
        return FolderLock(self.folder / model / ".lock")

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
            f"There is no model {model!r} in {self.folder} (registered: "
            f"{', '.join(self.registered()) or 'none'}). "
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
                    f"{manifest.model} has {first.partitions} partitions since its first version, "
                    f"and their number never "
                    f"changes: {manifest.partitions} is impossible. Leave --partitions out, or "
                    f"register another model."
                )
            manifest = msgspec.structs.replace(
                manifest, partitions=first.partitions, salts=first.salts
            )
        elif not manifest.salts:
            manifest = msgspec.structs.replace(
                manifest, salts=salts_for(manifest.model, manifest.partitions)
            )
        return msgspec.structs.replace(published, manifest=manifest)

    def _require_intact(self, model: str, version: str) -> None:
        faults = self.verify(model, version)
        if faults:
            raise BadData(
                f"{model} {version} is not as it was registered, so nothing was changed: "
                f"{' '.join(faults)}"
            )
