"""What is known about a model version: its manifest, and what of a version is published to the
workers.
"""

import gzip
from typing import Literal

import msgspec

from driftgauge.shared.performance import PerformanceReference
from driftgauge.shared.reference.calibration import Calibration
from driftgauge.shared.reference.profile import ReferenceProfile
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.versions.gates import Gates

Task = Literal["regression", "binary", "multiclass", "monitor"]


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known about a version.

    Parameters
    ----------
    created
        When it was registered, ISO 8601 in UTC.
    files
        SHA-256 (hex) of each other file of the version folder.
    partitions, salts
        How many logs the model's events are spread over, and the salts of their hash tags
        (shared/contract/keys.py). They are the model's, not the version's: every later version has
        those of the first.
    metrics
        As measured in training.
    feature_engineering
        Dotted name of the module that makes the features, empty if unknown.
    trained
        When the model was fitted, ISO 8601; empty if unknown.
    git_revision
        Commit of the training code, with `-dirty` if files had changed; empty if unknown.
    libraries
        Name to version of what the model was trained with.
    data_digest
        SHA-256 (hex) of the training file; empty if there was none.
    gates
        What the version must fulfil before production.
    artifact
        Name of the fitted model's file, empty for a model that is only monitored.
    labels
        Whether true values arrive later and are joined to the predictions.
    batch_counts
        Whether batch predictions count for drift.
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
    trained: str = ""
    git_revision: str = ""
    libraries: dict[str, str] = {}
    data_digest: str = ""
    gates: Gates = Gates()
    artifact: str = ""
    labels: bool = False
    batch_counts: bool = False


class PublishedVersion(msgspec.Struct, frozen=True):
    """What a worker needs of a version: published to Redis, since a worker shares no folder with
    the API.
    """

    manifest: Manifest
    schema: Schema
    reference: ReferenceProfile
    calibration: Calibration | None = None
    performance: PerformanceReference | None = None

    def pack(self) -> bytes:
        """Give it as compressed JSON, with the schema of the stream: a worker never learns of a
        dropped feature.
        """
        published = msgspec.structs.replace(self, schema=self.schema.stream)
        return gzip.compress(msgspec.json.encode(published), compresslevel=6, mtime=0)

    @classmethod
    def unpack(cls, packed: bytes) -> "PublishedVersion":
        """Read what `pack` gave."""
        return msgspec.json.decode(gzip.decompress(packed), type=cls)
