"""Writing the folder of a new version, which then never changes."""

import gzip
import hashlib
import shutil
import tempfile
from pathlib import Path

import msgspec

from driftgauge.shared.contract.keys import salts_for
from driftgauge.shared.errors import AlreadyThere, BadData
from driftgauge.shared.registry.atomic import sync
from driftgauge.shared.registry.version_folder import (
    MANIFEST_FILE,
    PERFORMANCE_FILE,
    REFERENCE_FILE,
    SCHEMA_FILE,
)
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


def write_version(home: Path, published: PublishedVersion, artifact: Path | None) -> Path:
    """Write the folder of a new version, whole or not at all, and return its path.

    The model's lock must be held.

    Parameters
    ----------
    home
        Folder of the model.
    artifact
        File of the fitted model; None if the model is only monitored.

    Raises
    ------
    AlreadyThere
        If the version exists already.
    """
    manifest = published.manifest
    folder = home / manifest.version
    if folder.exists():
        raise AlreadyThere(
            f"{manifest.model} {manifest.version} is registered already, and versions never "
            f"change. Choose another --version."
        )
    for abandoned in home.glob(".new-*"):  # by a process that was killed: we hold the lock
        shutil.rmtree(abandoned, ignore_errors=True)
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=home))
    try:
        _write_files(new, published, artifact)
        new.rename(folder)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    sync(home)
    return folder


def _write_files(folder: Path, published: PublishedVersion, artifact: Path | None) -> None:
    """Write all files to the disk, the manifest with their checksums last."""
    schema = msgspec.json.format(msgspec.json.encode(published.schema), indent=2)
    (folder / SCHEMA_FILE).write_bytes(schema)
    reference = gzip.compress(msgspec.json.encode(published.reference), mtime=0)
    (folder / REFERENCE_FILE).write_bytes(reference)
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
