"""The formats of fitted models: one per file, found by its place.

`format` is the struct of a format, `native_model` the base of models that are data alone; every
other file is a format.
"""

import pkgutil
from importlib import import_module
from pathlib import Path

from driftgauge.shared.artifacts.format import ArtifactFormat
from driftgauge.shared.errors import BadData

__all__ = ["ArtifactFormat", "format_named", "format_of", "formats"]
_FOUND: list[ArtifactFormat] = []


def formats() -> list[ArtifactFormat]:
    """Return every format. Their libraries are imported when a model is loaded."""
    if not _FOUND:
        modules = (
            import_module(f"{__name__}.{one.name}") for one in pkgutil.iter_modules(__path__)
        )
        _FOUND.extend(module.FORMAT for module in modules if hasattr(module, "FORMAT"))
    return _FOUND


def format_of(path: Path) -> ArtifactFormat:
    """Return the format of a model file, by its suffix.

    Raises
    ------
    BadData
        If there is none of this suffix.
    """
    for found in formats():
        if path.suffix.lower() in found.suffixes:
            return found
    known = "; ".join(f"{' or '.join(one.suffixes)}: {one.words}" for one in formats())
    raise BadData(f"{path} is no artifact. Its name tells its format: {known}.")


def format_named(file: str) -> ArtifactFormat:
    """Return the format of a model file in a version folder, by its name.

    Raises
    ------
    BadData
        If there is no such format.
    """
    for found in formats():
        if found.file == file:
            return found
    raise BadData(f"{file} is of no known format; it needs another release of Driftgauge.")
