"""Descriptions of the registry folder for the API. They read files, so routes call them in a
thread.
"""

from typing import Final

import msgspec

from driftgauge.shared.errors import DriftgaugeError, ModelNotFound
from driftgauge.shared.moments import IsoTime
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.versions.gates import Validation
from driftgauge.shared.versions.manifest import Manifest, Task
from driftgauge.shared.versions.stages import Stage, StageChange, Stages

MOST_HISTORY: Final = 100


class ServingState(msgspec.Struct, frozen=True):
    """What serves a model in the API process that answers.

    Parameters
    ----------
    version
        The version that serves; null if none does.
    fault
        Why it is not the one in production; null if it is.
    """

    version: str | None
    fault: str | None


class VersionSummary(msgspec.Struct, frozen=True, omit_defaults=True):
    """A registered version.

    Parameters
    ----------
    fault
        Why it cannot be read; then nothing more is told of it.
    created
        When it was registered.
    metrics
        Metric to its value, as measured in training.
    partitions
        Number of logs that the model's events are spread over.
    """

    version: str
    stage: Stage
    fault: str = ""
    model: str = ""
    task: Task | None = None
    created: IsoTime = ""
    metrics: dict[str, float] | None = None
    partitions: int | None = None


class ModelSummary(msgspec.Struct, frozen=True, omit_defaults=True):
    """A model.

    Parameters
    ----------
    fault
        Why its folder cannot be read; then its versions are not told.
    production
        The version in production; absent if there is none.
    staging
        The versions in staging.
    versions
        Its versions, the newest first.
    history
        The latest changes of its stages, the newest first; only of a model that is asked for by
        name.
    """

    model: str
    serving: ServingState
    fault: str = ""
    production: str | None = None
    staging: list[str] = []
    versions: list[VersionSummary] = []
    history: list[StageChange] | None = None


class VersionDetails(msgspec.Struct, frozen=True, omit_defaults=True):
    """A registered version, whole.

    Parameters
    ----------
    created
        When it was registered.
    metrics
        Metric to its value, as measured in training.
    partitions
        Number of logs that the model's events are spread over.
    manifest, schema
        As they were registered.
    reference_rows
        Rows of the reference that was registered with it.
    validation
        Its latest validation on data; null if there is none.
    history
        Changes of its stage, the newest first.
    faults
        Files that are not as they were registered; only if it was asked for.
    """

    model: str
    version: str
    stage: Stage
    task: Task
    created: IsoTime
    metrics: dict[str, float]
    partitions: int
    manifest: Manifest
    schema: Schema
    reference_rows: int
    validation: Validation | None
    history: list[StageChange]
    faults: list[str] | None = None


def model_or_fault(registry: ModelRegistry, name: str, serving: ServingState) -> ModelSummary:
    """Describe a model; one that cannot be read by its fault."""
    try:
        return model(registry, name, serving)
    except (DriftgaugeError, ValueError) as error:  # the others are still told
        return ModelSummary(name, serving, str(error))


def model(registry: ModelRegistry, name: str, serving: ServingState) -> ModelSummary:
    """Describe a model, its versions newest first.

    Raises
    ------
    ModelNotFound
        If there is none.
    BadData
        If its stages cannot be read.
    """
    stages = registry.stages(name)
    versions = registry.versions(name)
    if not versions:
        raise ModelNotFound(f"There is no model {name!r} in the registry.")
    return ModelSummary(
        name,
        serving,
        production=stages.production or None,
        staging=list(stages.staging),
        versions=[_version(registry, stages, name, version) for version in reversed(versions)],
    )


def history(registry: ModelRegistry, name: str, version: str | None = None) -> list[StageChange]:
    """Return the latest changes of a model or of one of its versions, newest first."""
    changes = (
        change
        for change in reversed(registry.history(name))
        if version is None or _names(change, version)
    )
    return [change for change, _ in zip(changes, range(MOST_HISTORY), strict=False)]


def version(registry: ModelRegistry, name: str, number: str, *, verify: bool) -> VersionDetails:
    """Describe a version: its manifest, schema, validation and history.

    Parameters
    ----------
    verify
        Whether to compare every file with its checksum, the model's own included.

    Raises
    ------
    ModelNotFound
        If there is none.
    BadData
        If manifest, schema or reference are not as they were registered.
    """
    published = registry.load(name, number)
    stages = registry.stages(name)
    manifest = published.manifest
    return VersionDetails(
        model=manifest.model,
        version=manifest.version,
        stage=stages.stage(manifest.version),
        task=manifest.task,
        created=manifest.created,
        metrics=manifest.metrics,
        partitions=manifest.partitions,
        manifest=manifest,
        schema=published.schema,
        reference_rows=published.reference.rows,
        validation=stages.latest_validation(number),
        history=history(registry, name, number),
        faults=registry.verify(name, number) if verify else None,
    )


def _version(registry: ModelRegistry, stages: Stages, name: str, number: str) -> VersionSummary:
    stage = stages.stage(number)
    try:
        manifest = registry.manifest(name, number)
    except (DriftgaugeError, ValueError) as error:  # the others are still told
        return VersionSummary(number, stage, str(error))
    return VersionSummary(
        manifest.version,
        stage,
        model=manifest.model,
        task=manifest.task,
        created=manifest.created,
        metrics=manifest.metrics,
        partitions=manifest.partitions,
    )


def _names(change: StageChange, version: str) -> bool:
    return version in (change.version, change.replaced)
