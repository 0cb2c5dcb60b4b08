"""What a registry asks of the place where its files are.

Paths are parts joined by `/`, below the place. A file is there whole or not at all. Two kinds of
change are safe against others that happen at the same time: `change` of a file by a function of its
content, and `add` of a new folder. All else is for one at a time (`exclusive`), or for files that
are never changed.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

from driftgauge.shared.regular_files import SMALL


class Mark(NamedTuple):
    """What tells one content of a file from another.

    Parameters
    ----------
    value
        Equal as long as the content is the same.
    settled
        False if the file was changed a moment ago, so that one more change may not show.
    """

    value: object
    settled: bool


class Look(Protocol):
    """The files that can change, as of one moment."""

    def stages(self, name: str) -> Mapping[str, Mark]:
        """Return the mark of the file of this name of each model that has one."""
        ...

    def mark(self, path: str) -> Mark | None:
        """Return the mark of a file; None if there is none."""
        ...


class Storage(Protocol):
    """A place for files.

    Every method raises OSError if the place does not answer.
    """

    def where(self, path: str = "") -> str:
        """Return the address of a file or folder, for messages."""
        ...

    def find(self, pattern: str) -> Sequence[str]:
        """Return the paths of the files that fit a pattern, whose parts may be `*`; sorted."""
        ...

    def is_file(self, path: str) -> bool:
        """Tell whether there is a file."""
        ...

    def read(self, path: str, most: int = SMALL, digest: str = "") -> bytes:
        """Read a file of at most so many bytes.

        Parameters
        ----------
        digest
            SHA-256 (hex) of the content, for a file that was added with a folder or stored by
            `keep`. It finds the file; whether it is true is for the caller to check.

        Raises
        ------
        FileNotFoundError
            If there is none.
        """
        ...

    def keep(self, path: str, content: bytes) -> str:
        """Store a file that never changes, and return its digest."""
        ...

    def change(self, path: str, change: Callable[[bytes | None], bytes]) -> None:
        """Replace the content of a file by a function of it, which gets None without a file.

        It may be called more than once: what another process writes meanwhile is not lost.
        """
        ...

    def add(self, folder: str, files: Mapping[str, bytes | Path], last: tuple[str, bytes]) -> None:
        """Add a folder with its files, whole or not at all.

        Parameters
        ----------
        last
            Name and content of the file by which the folder is found.

        Raises
        ------
        FileExistsError
            If there is such a folder; it stays as it is.
        """
        ...

    def remove(self, path: str) -> None:
        """Remove a file, or a folder with all in it, if it is there."""
        ...

    def exclusive(self, model: str) -> AbstractContextManager[None]:
        """Keep others from changing a model, as far as the place can: a folder can, object storage
        relies on `change` and `add` alone.
        """
        ...

    def look(self) -> Look:
        """Look at the files that can change, at the least cost."""
        ...
