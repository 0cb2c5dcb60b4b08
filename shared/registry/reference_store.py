"""The files of a version's accepted references, beside the version folder, which never changes.

    registry/NAME/references/VERSION/history.json    every change, with who made it and why
                                     N.json.gz       reference N

A reference is written before the change that names it, with its digest.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from driftgauge.shared.errors import BadData
from driftgauge.shared.reference.accepted import AcceptedReference
from driftgauge.shared.reference.history import ReferenceHistory
from driftgauge.shared.registry.creation import utc_now
from driftgauge.shared.registry.registry import ModelRegistry, check_name
from driftgauge.shared.regular_files import LARGE

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
        self._storage = registry.storage
        self._folder = f"{model}/references/{version}"
        self._path = f"{self._folder}/{HISTORY_FILE}"
        self._version = version

    def history(self) -> ReferenceHistory:
        """Read all changes of the reference; BadData if the file is damaged."""
        try:
            return self._decoded(self._storage.read(self._path))
        except FileNotFoundError:
            return ReferenceHistory()
        except OSError as error:
            raise self._damaged(error) from error

    def load(self, number: int) -> AcceptedReference:
        """Read the accepted reference of this number; BadData if it is missing or damaged."""
        made = (one for one in self.history().changes if one.number == number and not one.undo)
        digest = next((one.digest for one in made), "")
        path = self._numbered(number)
        try:
            return AcceptedReference.unpack(self._storage.read(path, LARGE, digest))
        except (OSError, EOFError, msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise BadData(
                f"{self._storage.where(path)} cannot be read as a reference: {error}. Restore it "
                f"from a backup."
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

        def accepted(history: ReferenceHistory) -> ReferenceHistory:
            changed = history.accepted(self._version, who, reason, utc_now())
            made = msgspec.structs.replace(proposed, version=self._version, number=changed.number)
            digest = self._storage.keep(self._numbered(made.number), made.pack())
            last = msgspec.structs.replace(changed.changes[-1], digest=digest)
            return ReferenceHistory((*changed.changes[:-1], last))

        return self._change(accepted)

    def undo(self, *, who: str, reason: str) -> ReferenceHistory:
        """Go back to the reference that was used before, and return the history with the change.

        Raises
        ------
        BadData
            If the reference of the registration is in use.
        """
        return self._change(lambda history: history.undone(self._version, who, reason, utc_now()))

    def _change(self, change: Callable[[ReferenceHistory], ReferenceHistory]) -> ReferenceHistory:
        """Replace the history by a changed one, and return it."""
        found: list[ReferenceHistory] = []

        def written(content: bytes | None) -> bytes:
            now = ReferenceHistory() if content is None else self._decoded(content)
            found.append(change(now))
            return msgspec.json.format(msgspec.json.encode(found[-1]), indent=1)

        self._storage.change(self._path, written)
        return found[-1]

    def _decoded(self, content: bytes) -> ReferenceHistory:
        try:
            return msgspec.json.decode(content, type=ReferenceHistory)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> BadData:
        return BadData(
            f"{self._storage.where(self._path)} is no history of references: {error}. Restore it "
            f"from a backup."
        )

    def _numbered(self, number: int) -> str:
        return f"{self._folder}/{number}.json.gz"
