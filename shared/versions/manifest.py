"""The manifest of a model version, and the parts of a version that are published to the workers."""

import gzip
from typing import Literal

import msgspec

from driftgauge.shared.contract.keys import Partitions, Salt, check_salts
from driftgauge.shared.moments import IsoTime
from driftgauge.shared.performance import PerformanceReference
from driftgauge.shared.reference.calibration import Calibration
from driftgauge.shared.reference.profile import ReferenceProfile
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.unpacking import gunzip
from driftgauge.shared.versions.gates import Gates

Task = Literal["regression", "binary", "multiclass", "monitor"]


class Origin(msgspec.Struct, frozen=True):
    """Where a version comes from that has the model of another one, and a reference of its own.

    Parameters
    ----------
    version
        The version whose model it has, and whose archived predictions its reference is made of.
    start, end
        Times of the first and the last of them.
    rows
        How many of them count for drift.
    read
        How many of these the reference is made of.
    who, reason
        Who made it, and why.
    """

    version: str
    start: IsoTime
    end: IsoTime
    rows: int
    read: int
    who: str
    reason: str


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True):
    """The facts about a model version, stored as `manifest.json` in its folder.

    Parameters
    ----------
    task
        Task of the model; `monitor` if only its events are watched.
    created
        Time at which the version was registered, ISO 8601 in UTC.
    files
        Name of each other file of the version folder to its SHA-256 (hex).
    partitions, salts
        Number of logs that the model's events are spread over, and the salts of their hash tags
        (shared/contract/keys.py). The first version chooses both for all later ones.
    metrics
        Metric to its value, as measured in training.
    feature_engineering
        Dotted name of the module that computes the features; empty if unknown.
    trained
        Time at which the model was fitted, ISO 8601; empty if unknown.
    git_revision
        Commit of the training code, with `-dirty` if files had changed; empty if unknown.
    libraries
        Name to version of the libraries that the model was trained with.
    data_digest
        SHA-256 (hex) of the training file; empty if there was none.
    gates
        Gates that the version must pass before production.
    artifact
        Name of the fitted model's file; empty for a model that is only monitored.
    labels
        True if labels arrive later and are joined to the predictions.
    batch_counts
        True if batch predictions count for drift.
    origin
        The version whose model it has, if its reference was made anew of archived rows; else None.
    """

    model: str
    version: str
    task: Task
    created: IsoTime
    files: dict[str, str]
    partitions: Partitions = 1
    salts: tuple[Salt, ...] = ()
    metrics: dict[str, float] = {}
    feature_engineering: str = ""
    trained: str = ""
    git_revision: str = ""
    libraries: dict[str, str] = {}
    data_digest: str = ""
    gates: Gates = Gates()
    artifact: str = ""
    labels: bool = False
    batch_counts: bool = False
    origin: Origin | None = None

    def __post_init__(self) -> None:
        check_salts(self.partitions, self.salts)


class Shape(msgspec.Struct, frozen=True):
    """Number and salts of a model's partitions, which all of its versions share."""

    partitions: Partitions = 1
    salts: tuple[Salt, ...] = ()

    def __post_init__(self) -> None:
        check_salts(self.partitions, self.salts)

    @classmethod
    def of(cls, packed: bytes) -> "Shape":
        """Read the shape alone from a packed version; one of `UNREADABLE` if that is none."""
        return msgspec.json.decode(gunzip(packed), type=_Shaped).manifest


class _Shaped(msgspec.Struct):
    """The part of a packed version that tells the shape of its model."""

    manifest: Shape


class PublishedVersion(msgspec.Struct, frozen=True):
    """The parts of a version that a worker needs.

    It is published to Redis, because a worker on another host cannot read the registry folder.
    """

    manifest: Manifest
    schema: Schema
    reference: ReferenceProfile
    calibration: Calibration | None = None
    performance: PerformanceReference | None = None

    def pack(self) -> bytes:
        """Encode it as gzip-compressed JSON, without the features that are dropped as personal."""
        published = msgspec.structs.replace(self, schema=self.schema.stream)
        return gzip.compress(msgspec.json.encode(published), compresslevel=6, mtime=0)

    @classmethod
    def unpack(cls, packed: bytes) -> "PublishedVersion":
        """Decode what `pack` returned; one of `UNREADABLE` if it is something else."""
        return msgspec.json.decode(gunzip(packed), type=cls)
