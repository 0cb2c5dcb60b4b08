"""Copies of a Redis's folder from before, of which one can be put back."""

import shutil
import time
from collections import deque
from pathlib import Path

DUMP_S = 12.0
"""Time (s) between two copies of Redis's folder; an older one is more than the rings hold."""
DUMPS_KEPT = 2


class Copies:
    """The latest copies.

    Parameters
    ----------
    folder
        Folder that they are made in.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._dumps: deque[tuple[float, Path]] = deque()
        self._dumped = time.monotonic()

    def keep(self, home: Path) -> None:
        """Copy the folder of a server, if the last copy is old enough."""
        now = time.monotonic()
        if now - self._dumped < DUMP_S:
            return
        self._dumped = now
        copy = self._folder / f"dump-{now:.0f}"
        shutil.copytree(home, copy, ignore=_but_append_only)
        self._dumps.append((now, copy))
        while len(self._dumps) > DUMPS_KEPT:
            shutil.rmtree(self._dumps.popleft()[1])

    def has_old(self) -> bool:
        """Return whether there is a copy that is older than what the rings hold."""
        return bool(self._dumps) and time.monotonic() - self._dumps[0][0] > DUMP_S

    def restore(self, home: Path) -> None:
        """Put the oldest copy in the place of what a server has; it must not run."""
        for path in home.glob("appendonly*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(self._dumps[0][1], home, dirs_exist_ok=True)

    def forget(self) -> None:
        """Delete the copies: what Redis has now does not follow from them."""
        while self._dumps:
            shutil.rmtree(self._dumps.popleft()[1])


def _but_append_only(_: str, names: list[str]) -> list[str]:
    """Name the files of Redis's folder that a copy leaves out."""
    return [name for name in names if not name.startswith("appendonly")]
