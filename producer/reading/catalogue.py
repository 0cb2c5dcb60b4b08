"""Descriptions of the registry folder for the API. They read files, so routes call them in a
thread.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgspec

from driftgauge.shared.errors import DriftgaugeError, ModelNotFound
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.versions.manifest import Manifest
from driftgauge.shared.versions.stages import StageChange, Stages

MOST_HISTORY: Final = 100


def models(registry: ModelRegistry) -> dict[str, dict[str, Any]]:
    """Describe every registered model; one that cannot be read is described by its fault."""
    return {
        name: {"model": name, **_or_fault(partial(model, registry, name))}
        for name in registry.registered()
    }


def model(registry: ModelRegistry, name: str) -> dict[str, Any]:
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
    return {
        "model": name,
        "production": stages.production or None,
        "staging": list(stages.staging),
        "versions": [_version(registry, stages, name, version) for version in reversed(versions)],
    }


def history(registry: ModelRegistry, name: str, version: str | None = None) -> list[dict[str, Any]]:
    """Return the latest changes of a model or of one of its versions, newest first."""
    changes = (
        change
        for change in reversed(registry.history(name))
        if version is None or _names(change, version)
    )
    return [
        msgspec.to_builtins(change) for change, _ in zip(changes, range(MOST_HISTORY), strict=False)
    ]


def version(registry: ModelRegistry, name: str, number: str, *, verify: bool) -> dict[str, Any]:
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
    found = {
        **_described(published.manifest, stages),
        "manifest": msgspec.to_builtins(published.manifest),
        "schema": msgspec.to_builtins(published.schema),
        "reference_rows": published.reference.rows,
        "validation": msgspec.to_builtins(stages.latest_validation(number)),
        "history": history(registry, name, number),
    }
    return {**found, "faults": registry.verify(name, number)} if verify else found


def _version(registry: ModelRegistry, stages: Stages, name: str, number: str) -> dict[str, Any]:
    def describe() -> dict[str, Any]:
        return _described(registry.manifest(name, number), stages)

    return {"version": number, "stage": stages.stage(number), **_or_fault(describe)}


def _described(manifest: Manifest, stages: Stages) -> dict[str, Any]:
    return {
        "model": manifest.model,
        "version": manifest.version,
        "stage": stages.stage(manifest.version),
        "task": manifest.task,
        "created": manifest.created,
        "metrics": manifest.metrics,
        "partitions": manifest.partitions,
    }


def _names(change: StageChange, version: str) -> bool:
    return version in (change.version, change.replaced)


def _or_fault(describe: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return describe()
    except (DriftgaugeError, ValueError) as error:  # the others are still told
        return {"fault": str(error)}
