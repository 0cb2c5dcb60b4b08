"""The file `stages.json` of a model: the stages of its versions and their history."""

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from driftgauge.shared.registry.version_folder import decode, decoded
from driftgauge.shared.storage.storage import Storage
from driftgauge.shared.versions.stages import StageChange, Stages

STAGES_FILE: Final = "stages.json"
_T = TypeVar("_T")


class _Production(msgspec.Struct):
    """The only part of the file that the API decodes every second."""

    production: str = ""


class StagesFile:
    """The stages of one model; without a file no version has a stage."""

    def __init__(self, storage: Storage, model: str) -> None:
        self._storage = storage
        self._path = f"{model}/{STAGES_FILE}"

    def production(self) -> str:
        """Return the version in production, empty if there is none; BadData if it is unreadable."""
        return self._decoded(_Production).production

    def read(self) -> Stages:
        """Read stages and history; BadData if the file is unreadable."""
        return self._decoded(Stages)

    def change(self, change: Callable[[Stages], Stages]) -> StageChange:
        """Replace the stages by changed ones, and return the new entry of the history.

        Parameters
        ----------
        change
            Computes the new stages from the current ones; it is called again, if another process
            changes them meanwhile.
        """
        entries: list[StageChange] = []

        def written(content: bytes | None) -> bytes:
            place = self._storage.where(self._path)
            now = Stages() if content is None else decode(content, Stages, place)
            changed = change(now)
            entries.append(changed.history[-1])
            return msgspec.json.format(msgspec.json.encode(changed), indent=1)

        self._storage.change(self._path, written)
        return entries[-1]

    def _decoded(self, kind: type[_T]) -> _T:
        try:
            return decoded(self._storage, self._path, kind)
        except FileNotFoundError:
            return kind()
