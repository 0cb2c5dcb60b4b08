"""The registry that the settings name: in object storage, or else in a folder."""

from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.settings import Settings


def registry_of(settings: Settings) -> ModelRegistry:
    """Open the registry; nothing is read yet.

    Raises
    ------
    NotInstalled
        If object storage is named, and its package is absent.
    """
    if settings.registry_url is None:
        return ModelRegistry(settings.registry_dir)
    from driftgauge.shared.storage.objects import Objects

    return ModelRegistry(Objects(settings.registry_url))
