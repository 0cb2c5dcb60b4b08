"""The registry: all models, their versions, and which version is in production. It is a folder, or
the same in object storage (shared/storage).

    registry/NAME/stages.json                 stages and history (shared/versions/stages.py)
    registry/NAME/calibrations/VERSION.json   a later calibration of a version
    registry/NAME/references/VERSION/         accepted references (reference_store.py)
    registry/NAME/VERSION/manifest.json       task, partitions, metrics, gates, checksums
                          schema.json         the features in the model's order
                          reference.json.gz   the reference profile
                          performance.json    performance on the reference rows, if they have labels
                          calibration.json    calibration of the registration, if they have times
                          model.joblib        the fitted model, named by its format, if any

A version folder never changes, and is added whole or not at all. joblib runs code when it loads a
file, so a model is only loaded from bytes whose checksum is in the manifest.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from driftgauge.shared.artifacts import format_of
from driftgauge.shared.contract.keys import MODEL_NAME
from driftgauge.shared.errors import AlreadyThere, BadData, ModelNotFound
from driftgauge.shared.reference.calibration import Calibration
from driftgauge.shared.registry.creation import new_manifest, utc_now
from driftgauge.shared.registry.stages_file import STAGES_FILE, StagesFile
from driftgauge.shared.registry.version_folder import (
    MANIFEST_FILE,
    VersionFolder,
    check_model,
    check_name,
    words_of,
)
from driftgauge.shared.registry.version_writing import partitioned, write_version
from driftgauge.shared.storage.folder import Folder
from driftgauge.shared.storage.storage import Storage
from driftgauge.shared.versions import semver
from driftgauge.shared.versions.gates import Validation
from driftgauge.shared.versions.manifest import Manifest, PublishedVersion, Task
from driftgauge.shared.versions.stages import Stage, StageChange, Stages, Target

__all__ = ["Manifest", "ModelRegistry", "PublishedVersion", "Task", "check_name", "new_manifest"]

logger = logging.getLogger("driftgauge.registry")


class ModelRegistry:
    """The registry in a folder or in object storage.

    Parameters
    ----------
    place
        The folder, which need not exist yet; or the storage.
    """

    def __init__(self, place: Path | Storage) -> None:
        self.storage: Storage = Folder(place) if isinstance(place, Path) else place

    @property
    def folder(self) -> Path:
        """The folder.

        Raises
        ------
        BadData
            If it is none.
        """
        if isinstance(self.storage, Folder):
            return self.storage.path
        raise BadData(f"{self.storage.where()} is no folder of this machine.")

    def models(self) -> list[str]:
        """Return the names of the models that have a version in production.

        A model whose stages cannot be read is included, so that `production` can say what is wrong.
        """
        names = (path.split("/")[0] for path in self.storage.find(f"*/{STAGES_FILE}"))
        return [name for name in names if self._serves(name)]

    def registered(self) -> list[str]:
        """Return the names of all models that have a version, whatever its stage."""
        found = (path.split("/") for path in self.storage.find(f"*/*/{MANIFEST_FILE}"))
        return sorted(
            {
                name
                for name, version, _ in found
                if MODEL_NAME.fullmatch(name) and semver.is_version(version)
            }
        )

    def versions(self, model: str) -> list[str]:
        """Return a model's versions in the order of semantic versioning; empty without any."""
        check_model(model)
        names = [path.split("/")[1] for path in self.storage.find(f"{model}/*/{MANIFEST_FILE}")]
        # the filter leaves out a version that is being written
        return sorted(filter(semver.is_version, names), key=semver.precedence)

    def next_version(self, model: str) -> str:
        """Return the version to register next: `1.0.0` first, then the next major number."""
        purged = self._stages_file(model).read().purged if self.versions(model) else frozenset()
        known = {*self.versions(model), *purged}
        return semver.following(sorted(known, key=semver.precedence))

    def production(self, model: str) -> str:
        """Return the version in production.

        Raises
        ------
        ModelNotFound
            If there is no such model, or none of its versions is in production.
        BadData
            If the file of the stages cannot be read.
        """
        version = self._stages_file(model).production() if MODEL_NAME.fullmatch(model) else ""
        if not version:
            raise self._nothing_serves(model)
        return version

    def stages(self, model: str) -> Stages:
        """Read the stages and the history of a model.

        Raises
        ------
        ModelNotFound
            If there is no such model.
        BadData
            If the file of the stages cannot be read.
        """
        if MODEL_NAME.fullmatch(model):
            found = self._stages_file(model).read()
            if found.history or self.versions(model):
                return found
        raise self._nothing_serves(model)

    def stage(self, model: str, version: str) -> Stage:
        """Return the stage of a version; raises as `manifest` and `stages` do."""
        self.manifest(model, version)
        return self.stages(model).stage(version)

    def history(self, model: str) -> tuple[StageChange, ...]:
        """Return the changes of a model's stages and its validations, oldest first."""
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
        return VersionFolder(self.storage, model, version).manifest()

    def load(self, model: str, version: str) -> PublishedVersion:
        """Read everything of a version but its fitted model.

        Raises
        ------
        ModelNotFound
            If there is no such version, or a file is missing.
        BadData
            If a file does not have its checksum, or the calibration is damaged.
        """
        found = VersionFolder(self.storage, model, version).load()
        later = self._later_calibration(model, version)
        return found if later is None else msgspec.structs.replace(found, calibration=later)

    def load_artifact(self, model: str, version: str) -> Any:
        """Load the fitted model of a version from the same bytes whose checksum was verified.

        Raises
        ------
        ModelNotFound
            If the version is only monitored, or its file is missing.
        BadData
            If the file does not have its checksum.
        """
        return VersionFolder(self.storage, model, version).load_artifact()

    def artifact(self, model: str, version: str) -> bytes:
        """Read the file of a version's fitted model, which its manifest names.

        Raises
        ------
        ModelNotFound
            If the version is only monitored, or its file is missing.
        BadData
            If the file does not have its checksum.
        """
        return VersionFolder(self.storage, model, version).artifact()

    def note_tried(self, model: str, version: str) -> None:
        """Note that the model file of a version has passed its trial (trial.py)."""
        VersionFolder(self.storage, model, version).note_tried()

    def calibration(self, model: str, version: str) -> Calibration | None:
        """Read the calibration of a version: the latest one, else that of its registration; None if
        there is none, BadData if it is damaged.
        """
        later = self._later_calibration(model, version)
        return later or VersionFolder(self.storage, model, version).calibration()

    def _later_calibration(self, model: str, version: str) -> Calibration | None:
        path = self._calibration_path(model, version)
        try:
            return msgspec.json.decode(self.storage.read(path), type=Calibration)
        except FileNotFoundError:
            return None
        except (msgspec.MsgspecError, RecursionError, OSError) as error:
            raise BadData(
                f"{self.storage.where(path)} is no calibration: {error}. Make it again with "
                f"`driftgauge calibrate`."
            ) from error

    def calibration_file(self, model: str, version: str) -> Path:
        """Return the path in the folder that a later calibration of a version has, or would
        have.
        """
        return self.folder / self._calibration_path(model, version)

    def _calibration_path(self, model: str, version: str) -> str:
        check_name(model, version)
        return f"{model}/calibrations/{version}.json"

    def store_calibration(self, model: str, version: str, calibration: Calibration) -> None:
        """Store a calibration of a version, in the place of an earlier one."""
        self.manifest(model, version)
        content = msgspec.json.encode(calibration)
        self.storage.change(self._calibration_path(model, version), lambda _: content)

    def verify(self, model: str, version: str | None = None) -> list[str]:
        """Compare every file of a version, or of all versions, with its checksum.

        Returns
        -------
        list of str
            Every fault: files that are missing, changed, or that nobody registered. Empty if there
            is none.

        Raises
        ------
        ModelNotFound
            If there is no such model or version.
        """
        if version is None and not self.versions(model):
            raise self._nothing_serves(model)
        versions = self.versions(model) if version is None else [version]
        return [
            fault
            for each in versions
            for fault in VersionFolder(self.storage, model, each).faults()
        ]

    def require_new(self, model: str, version: str) -> None:
        """Raise AlreadyThere if a version of this number was registered or purged."""
        check_name(model, version)
        if version in self.versions(model):
            raise AlreadyThere(
                f"{model} {version} is registered already, and versions never change. Choose "
                f"another one."
            )
        if version in self._stages_file(model).read().purged:
            raise AlreadyThere(
                f"{model} {version} was purged, and events may still name it. Choose another one."
            )

    def register(self, published: PublishedVersion, artifact: Path | None = None) -> str:
        """Store a new version in stage none, and return its place.

        Parameters
        ----------
        published
            Schema, reference and manifest, and the calibration if there is one. The manifest's
            `files`, `artifact`, partitions and salts are filled in.
        artifact
            File of the fitted model, whose suffix tells its format (shared/artifacts). None for a
            model that is only monitored.

        Raises
        ------
        AlreadyThere
            If the version exists, or was purged.
        BadData
            If the name or version is malformed, or the model has another number of partitions.
        """
        manifest = published.manifest
        check_name(manifest.model, manifest.version)
        name = format_of(artifact).file if artifact is not None else ""
        with self.storage.exclusive(manifest.model):
            earlier = self.versions(manifest.model)
            first = self.manifest(manifest.model, earlier[0]) if earlier else None
            self.require_new(manifest.model, manifest.version)
            manifest = msgspec.structs.replace(partitioned(manifest, first), artifact=name)
            published = msgspec.structs.replace(published, manifest=manifest)
            write_version(self.storage, published, artifact)
            self._require_alone(manifest, first)
        self._tell_dropped(published)
        return self.storage.where(f"{manifest.model}/{manifest.version}")

    def _require_alone(self, manifest: Manifest, first: Manifest | None) -> None:
        """Withdraw a version that was added at the same time as another one that does not agree
        with it: object storage keeps nobody off, but who looks afterwards sees the other.
        """
        model, version = manifest.model, manifest.version
        purged = version in self._stages_file(model).read().purged
        others = (
            [] if first is not None else [one for one in self.versions(model) if one != version]
        )
        shapes = ((found.partitions, found.salts) for found in self._manifests(model, others))
        if purged or any(shape != (manifest.partitions, manifest.salts) for shape in shapes):
            self.storage.remove(f"{model}/{version}")
            raise BadData(
                f"{model} was changed by another process at the same time; {version} is not "
                f"registered. Try again."
            )

    def _manifests(self, model: str, versions: Iterable[str]) -> Iterator[Manifest]:
        for version in versions:
            with suppress(ModelNotFound):  # withdrawn, or purged
                yield self.manifest(model, version)

    def _tell_dropped(self, published: PublishedVersion) -> None:
        manifest = published.manifest
        if published.schema.dropped_by_name:
            logger.warning(
                "%s %s: dropped as personal by their names, so neither published nor watched: "
                '%s. To watch one, say "pii": "hash" or "keep" in the schema of a new version.',
                manifest.model,
                manifest.version,
                ", ".join(published.schema.dropped_by_name),
            )

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
        """Bring a version to staging or production if all its files have their checksums.

        The gates are not run here: `promotion.promote` runs them and calls this.

        Parameters
        ----------
        actor, reason
            Name of who promotes the version, and the reason, for the history.
        forced
            True if failed gates were overruled.
        validation
            The results of the gates, for the history.

        Raises
        ------
        BadData
            If a file does not have its checksum (forced or not), or the version is there already.
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
        return self._existing(model).change(lambda stages: stages.promoted(to, change))

    def rollback(
        self, model: str, *, actor: str, reason: str = "", leaving: str | None = None
    ) -> StageChange:
        """Bring the previous production version back; a second rollback goes back one more.

        Parameters
        ----------
        leaving
            The version that is to be replaced by a rollback that nobody looks at, which is made
            only where it cannot go to and fro (`Stages.unattended`); None for one by hand.

        Raises
        ------
        BadData
            If there is no previous version, a file of it does not have its checksum, or an
            unattended rollback is not made.
        """
        change = StageChange(utc_now(), actor, "rollback", "", reason=reason)

        def back(stages: Stages) -> Stages:
            moved = (
                stages.rolled_back(change)
                if leaving is None
                else stages.unattended(leaving, change)
            )
            self._require_intact(model, moved.production)
            return moved

        return self._existing(model).change(back)

    def archive(self, model: str, version: str, *, actor: str, reason: str = "") -> StageChange:
        """Archive a version that is not in production, so that no rollback returns to it.

        Raises
        ------
        BadData
            If it is in production, or archived already.
        """
        self.manifest(model, version)
        change = StageChange(utc_now(), actor, "archive", version, reason=reason)
        return self._existing(model).change(lambda stages: stages.archived_by(change))

    def purge(self, model: str, version: str, *, actor: str, reason: str = "") -> StageChange:
        """Remove a version with its calibration and its accepted references; the history keeps that
        it was there, and its number is not used again.

        Raises
        ------
        BadData
            If it is in production or staging, or a file cannot be removed: then say it again.
        ModelNotFound
            If there is no such version.
        """
        check_name(model, version)
        if not self.storage.find(f"{model}/{version}/*"):
            self.manifest(model, version)
        change = StageChange(utc_now(), actor, "purge", version, reason=reason)
        done = self._existing(model).change(lambda stages: stages.purged_by(change))
        try:
            with self.storage.exclusive(model):
                self.storage.remove(self._calibration_path(model, version))
                for folder in (f"{model}/references/{version}", f"{model}/{version}"):
                    self.storage.remove(folder)
        except OSError as error:
            place = error.filename or self.storage.where(f"{model}/{version}")
            raise BadData(
                f"{place} cannot be removed: {words_of(error)}. Purge it again."
            ) from error
        return done

    def record(self, change: StageChange, model: str) -> StageChange:
        """Add a validation to a model's history."""
        return self._existing(model).change(lambda stages: stages.validated(change))

    def _stages_file(self, model: str) -> StagesFile:
        return StagesFile(self.storage, model)

    def _existing(self, model: str) -> StagesFile:
        """Return the file of a model's stages to change it; ModelNotFound without such a model."""
        self.stages(model)
        return self._stages_file(model)

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
            f"There is no model {model!r} in {self.storage.where()} (registered: "
            f"{', '.join(self.registered()) or 'none'}). "
            "Register it with `driftgauge models register`."
        )

    def _require_intact(self, model: str, version: str) -> None:
        faults = self.verify(model, version)
        if faults:
            raise BadData(
                f"{model} {version} is not as it was registered, so nothing was changed: "
                f"{' '.join(faults)}"
            )
