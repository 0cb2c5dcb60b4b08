"""The manifest of a new version; here, because it needs the clock."""

from datetime import UTC, datetime
from typing import Any

from driftgauge.shared.versions.manifest import Manifest, Task


def utc_now() -> str:
    """Return the current time as in manifests and histories: ISO 8601 in UTC, microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def new_manifest(model: str, version: str, task: Task, **more: Any) -> Manifest:
    """Make the manifest of a version that is created now; registration fills in its files.

    Parameters
    ----------
    more
        Further fields of the manifest by name.
    """
    return Manifest(model=model, version=version, task=task, files={}, created=utc_now(), **more)
