"""A manifest as of now: the one part of a version that needs the clock."""

from datetime import UTC, datetime
from typing import Any

from driftgauge.shared.versions.manifest import Manifest, Task


def utc_now() -> str:
    """Give the time as manifests and histories have it."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def new_manifest(model: str, version: str, task: Task, **more: Any) -> Manifest:
    """Make a manifest as of now, without its files."""
    return Manifest(model=model, version=version, task=task, files={}, created=utc_now(), **more)
