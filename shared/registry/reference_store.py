"""The files of a version's accepted references, beside the version folder, which never changes.

    registry/NAME/references/VERSION/history.json    every change, with who made it and why
                                     N.json.gz       reference N

A reference is written before the change that names it, both under the model's lock.
"""

from pathlib import Path
from typing import Final

import msgspec

from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.accepted import AcceptedReference
from driftgauge.shared.reference.history import ReferenceHistory
from driftgauge.shared.registry.atomic import FolderLock, replace
from driftgauge.shared.registry.creation import utc_now
from driftgauge.shared.registry.registry import ModelRegistry, check_name
from driftgauge.shared.regular_files import LARGE, read_regular

HISTORY_FILE: Final = "history.json"


class ReferenceStore:
    """The accepted references of one version.

    Raises
    ------
    ModelNotFound
        If there is no such version.
    BadData
        If the model's name or the version is malformed.
    """

    def __init__(self, registry: ModelRegistry, model: str, version: str) -> None:
        check_name(model, version)
        registry.manifest(model, version)
        self._home = registry.folder / model
        self._folder = self._home / "references" / version
        self._version = version

    def history(self) -> ReferenceHistory:
        """Read all changes of the reference; BadData if the file is damaged."""
        path = self._folder / HISTORY_FILE
        try:
            return msgspec.json.decode(read_regular(path), type=ReferenceHistory)
        except FileNotFoundError:
            return ReferenceHistory()
        except (msgspec.MsgspecError, RecursionError, OSError) as error:
            raise BadData(
                f"{path} is no history of references: {error}. Restore it from a backup."
            ) from error

    def load(self, number: int) -> AcceptedReference:
        """Read the accepted reference of this number; BadData if it is missing or damaged."""
        path = self._path(number)
        try:
            return AcceptedReference.unpack(read_regular(path, LARGE))
        except (OSError, EOFError, msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise BadData(
                f"{path} cannot be read as a reference: {error}. Restore it from a backup."
            ) from error

    def accept(self, proposed: AcceptedReference, *, who: str, reason: str) -> ReferenceHistory:
        """Store a new reference under the next number, and return the history with the change.

        Parameters
        ----------
        proposed
            The new reference; its version and number are filled in.
        who, reason
            Name of who accepts it, and the reason, for the history.
        """
        with FolderLock(self._home / ".lock"):
            changed = self.history().accepted(self._version, who, reason, utc_now())
            accepted = msgspec.structs.replace(
                proposed, version=self._version, number=changed.number
            )
            self._folder.mkdir(parents=True, exist_ok=True)
            replace(self._path(accepted.number), accepted.pack())
            self._write(changed)
        return changed

    def undo(self, *, who: str, reason: str) -> ReferenceHistory:
        """Go back to the reference that was used before, and return the history with the change.

        Raises
        ------
        BadData
            If the reference of the registration is in use.
        """
        with FolderLock(self._home / ".lock"):
            changed = self.history().undone(self._version, who, reason, utc_now())
            self._write(changed)
        return changed

    def _path(self, number: int) -> Path:
        return self._folder / f"{number}.json.gz"

    def _write(self, history: ReferenceHistory) -> None:
        replace(
            self._folder / HISTORY_FILE, msgspec.json.format(msgspec.json.encode(history), indent=1)
        )
