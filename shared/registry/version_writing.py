"""Writing the folder of a new version, which then never changes."""

import gzip
import hashlib
from pathlib import Path

import msgspec

from driftgauge.shared.contract.keys import salts_for
from driftgauge.shared.errors import AlreadyThere, BadData
from driftgauge.shared.registry.provenance import file_digest
from driftgauge.shared.registry.version_folder import (
    CALIBRATION_FILE,
    MANIFEST_FILE,
    PERFORMANCE_FILE,
    REFERENCE_FILE,
    SCHEMA_FILE,
)
from driftgauge.shared.storage.storage import Storage
from driftgauge.shared.versions.manifest import Manifest, PublishedVersion


def partitioned(manifest: Manifest, first: Manifest | None) -> Manifest:
    """Return a new version's manifest with the partitions and salts of its model.

    Parameters
    ----------
    first
        Manifest of the model's first version, whose partitions every version has; None if this is
        the first version.

    Raises
    ------
    BadData
        If the manifest asks for another number of partitions than the model has.
    """
    if first is None:
        salts = manifest.salts or salts_for(manifest.model, manifest.partitions)
        return msgspec.structs.replace(manifest, salts=salts)
    if manifest.partitions not in {1, first.partitions}:
        raise BadData(
            f"{manifest.model} has {first.partitions} partitions since its first version, and "
            f"their number never changes: {manifest.partitions} is impossible. Leave --partitions "
            f"out, or register another model."
        )
    return msgspec.structs.replace(manifest, partitions=first.partitions, salts=first.salts)


def write_version(storage: Storage, published: PublishedVersion, artifact: Path | None) -> None:
    """Write the folder of a new version, whole or not at all.

    The model must be exclusive to the caller, as far as the storage can.

    Parameters
    ----------
    artifact
        File of the fitted model; None if the model is only monitored.

    Raises
    ------
    AlreadyThere
        If the version exists already.
    """
    manifest = published.manifest
    files = _files(published, artifact)
    digests = {name: _digest(files[name]) for name in sorted(files)}
    manifest = msgspec.structs.replace(manifest, files=digests)
    told = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    try:
        storage.add(f"{manifest.model}/{manifest.version}", files, (MANIFEST_FILE, told))
    except FileExistsError:
        raise AlreadyThere(
            f"{manifest.model} {manifest.version} is registered already, and versions never "
            f"change. Choose another one."
        ) from None


def _files(published: PublishedVersion, artifact: Path | None) -> dict[str, bytes | Path]:
    """Return the files of a version, but for its manifest, which holds their checksums."""
    schema = msgspec.json.format(msgspec.json.encode(published.schema), indent=2)
    reference = gzip.compress(msgspec.json.encode(published.reference), mtime=0)
    files: dict[str, bytes | Path] = {SCHEMA_FILE: schema, REFERENCE_FILE: reference}
    if published.performance is not None:
        files[PERFORMANCE_FILE] = msgspec.json.encode(published.performance)
    if published.calibration is not None:
        files[CALIBRATION_FILE] = msgspec.json.encode(published.calibration)
    if artifact is not None:
        files[published.manifest.artifact] = artifact
    return files


def _digest(content: bytes | Path) -> str:
    if isinstance(content, Path):
        return file_digest(content)
    return hashlib.sha256(content).hexdigest()
