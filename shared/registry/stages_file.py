"""The file `stages.json` of a model: the stages of its versions and their history."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from driftgauge.shared.registry.atomic import FolderLock, replace
from driftgauge.shared.registry.version_folder import decoded
from driftgauge.shared.versions.stages import StageChange, Stages

STAGES_FILE: Final = "stages.json"


class _Production(msgspec.Struct):
    """The only part of the file that the API decodes every second."""

    production: str = ""


class StagesFile:
    """The stages of one model on disk; without a file no version has a stage.

    Parameters
    ----------
    folder
        Folder of the model.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / STAGES_FILE
        self._lock_file = folder / ".lock"

    def production(self) -> str:
        """Return the version in production, empty if there is none; BadData if it is unreadable."""
        return decoded(self._path, _Production).production if self._path.is_file() else ""

    def read(self) -> Stages:
        """Read stages and history; BadData if the file is unreadable."""
        return decoded(self._path, Stages) if self._path.is_file() else Stages()

    def change(self, change: Callable[[Stages], Stages]) -> StageChange:
        """Replace the stages by changed ones, and return the new entry of the history.

        Parameters
        ----------
        change
            Computes the new stages from the current ones; it is called under the model's lock.
        """
        with FolderLock(self._lock_file):
            changed = change(self.read())
            replace(self._path, msgspec.json.format(msgspec.json.encode(changed), indent=1))
        return changed.history[-1]
