"""A new version of a model whose reference is made anew of archived rows.

An accepted reference has the cells of its version (shared/reference/accepted.py). Where the world
has left these behind, most rows are in the outermost ones, and what moves there is not seen. Cells
belong to a version, which never changes; so rows get cells of their own as the reference of a new
version, made as registration makes one. Model, schema and gates are those of the version that
predicted the rows.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd

from driftgauge.consumer.judging.ordered.order import calibrated
from driftgauge.consumer.offline.archived.sample import Sample, read_sample, rows_of, rows_taken
from driftgauge.consumer.offline.calibrating import timeline_in
from driftgauge.shared.archive.scan import Range
from driftgauge.shared.archive.store import Store
from driftgauge.shared.errors import BadData
from driftgauge.shared.moments import iso
from driftgauge.shared.performance import PerformanceReference
from driftgauge.shared.reference.building import build_profile, counted
from driftgauge.shared.reference.calibration import Calibration
from driftgauge.shared.reference.frames import answers_of
from driftgauge.shared.reference.profile import Column, ReferenceProfile
from driftgauge.shared.registry.creation import utc_now
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.steps import At, silent
from driftgauge.shared.versions.manifest import Manifest, Origin, PublishedVersion


@dataclass(frozen=True)
class Renewal:
    """What is asked for.

    Parameters
    ----------
    version
        Number of the new version.
    since, until
        Times of the rows, in Unix ms: the first is in the range, the second is not; None for any.
    least_rows
        Least number of rows of a reference.
    who, reason
        For the manifest.
    """

    version: str
    since: int | None
    until: int | None
    least_rows: int
    who: str
    reason: str


def renew(
    registry: ModelRegistry,
    store: Store,
    source: PublishedVersion,
    asked: Renewal,
    at: At = silent,
) -> tuple[str, PublishedVersion]:
    """Register a new version with the model of another one, in stage none.

    Parameters
    ----------
    store
        The archive.
    source
        The version whose predictions become the reference.
    at
        Told of each column that is being worked on.

    Returns
    -------
    place, published
        Where the version is stored, and the version.

    Raises
    ------
    AlreadyThere
        If there is a version of this number, or was.
    BadData
        If there are too few rows, or too many to calibrate, or a file cannot be read; then nothing
        was stored.
    """
    model, name = source.manifest.model, source.manifest.version
    registry.require_new(model, asked.version)
    wanted = Range(model, asked.since, asked.until, version=name)
    rows = rows_of(store, source, wanted)
    _check(source, rows, asked.least_rows)
    sample = read_sample(store, source, wanted, rows)
    origin = Origin(
        name,
        iso(int(sample.times.min())),
        iso(int(sample.times.max())),
        rows,
        sample.read,
        asked.who,
        asked.reason,
    )
    manifest = msgspec.structs.replace(
        source.manifest,
        version=asked.version,
        created=utc_now(),
        files={},
        data_digest="",
        origin=origin,
    )
    made = made_of(source, sample, manifest, at)
    if made.performance is not None and made.performance.rows >= asked.least_rows:
        made = _without_metrics(made)
    with tempfile.TemporaryDirectory(prefix="driftgauge-") as folder:
        artifact = None
        if manifest.artifact:
            artifact = Path(folder) / manifest.artifact
            artifact.write_bytes(registry.artifact(model, name))
        place = registry.register(made, artifact)
    return place, registry.load(model, asked.version)


def made_of(
    source: PublishedVersion, sample: Sample, manifest: Manifest, at: At = silent
) -> PublishedVersion:
    """Make a version of archived rows: its cells, and what the rows say of the performance and of
    the order in time, as registration does of a file's rows.
    """
    schema = source.schema
    columns = counted(schema, sample.columns, sample.times)
    profile = build_profile(schema, columns, sample.predictions, at)
    if sample.predictions is not None:
        columns.append(sample.predictions)
    return PublishedVersion(
        manifest,
        schema,
        profile,
        _calibration(source.calibration, profile, columns, sample),
        _performance(source, profile, columns, sample),
    )


def _check(source: PublishedVersion, rows: int, least: int) -> None:
    """Check that a reference can be made of so many rows."""
    model, name, most = source.manifest.model, source.manifest.version, rows_taken(source)
    if rows < least:
        raise BadData(
            f"The archive has {rows:,} rows of {model} {name} in that time that count for drift, "
            f"and a reference needs {least:,}. Choose an earlier --since or a later --until."
        )
    if rows > most and source.calibration is not None:
        raise BadData(
            f"The archive has {rows:,} rows of {model} {name} in that time, and a calibration "
            f"needs them all in their order: at most {most:,} are taken. Choose a later --since or "
            f"an earlier --until."
        )


def _without_metrics(made: PublishedVersion) -> PublishedVersion:
    """Leave the metrics of the training out: with enough labels those of the rows take their place
    as what performance is compared with.
    """
    return msgspec.structs.replace(
        made, manifest=msgspec.structs.replace(made.manifest, metrics={})
    )


def _calibration(
    before: Calibration | None, profile: ReferenceProfile, columns: list[Column], sample: Sample
) -> Calibration | None:
    """Test the rows for order in time, as those of the version before were; None if they were
    not.
    """
    if before is None:
        return None
    timeline = timeline_in(profile, columns, sample.times.astype(np.int64))
    return calibrated(
        profile, timeline, target=before.target, watch=before.watch, created=utc_now()
    )


def _performance(
    source: PublishedVersion, profile: ReferenceProfile, columns: list[Column], sample: Sample
) -> PerformanceReference | None:
    """Measure the rows that have a label; None if none has."""
    if sample.labels is None:
        return None
    labels = answers_of(pd.Series(sample.labels), source.schema)
    return PerformanceReference.of_version(
        source.schema, profile, columns, labels, sample.probabilities
    )
