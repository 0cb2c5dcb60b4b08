"""Looking at a registry folder again and again, at the cost of a `stat` for each file.

A thousand models that nobody changes must not be read twice a second. The files of a registry are
replaced as a whole, so a file that is the same one as before (inode, size, time of its change) has
the same content. A file that was changed a moment ago is read again, since some file systems tell
the time in steps.
"""

import os
import time
from typing import Final

from driftgauge.shared.errors import DriftgaugeError, ModelNotFound
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.registry.stages_file import STAGES_FILE

SETTLED_S: Final = 2.0
"""Age (s) from which a file's time tells whether it was changed."""

Mark = tuple[int, int, int]
"""Inode, size and time of change (ns) of a file."""


class Glance:
    """What stands in a registry, as of the last look.

    Parameters
    ----------
    registry
        The registry folder.
    """

    def __init__(self, registry: ModelRegistry) -> None:
        self._registry = registry
        self._folder = str(registry.folder)
        self._stages: dict[str, tuple[Mark, str | Exception | None]] = {}
        self._calibrations: dict[str, Mark] = {}

    def production(self) -> dict[str, str | Exception]:
        """Return the production version of each model that has one, or why it is not known.

        Raises
        ------
        OSError
            If the folder cannot be read.
        """
        known: dict[str, tuple[Mark, str | Exception | None]] = {}
        found: dict[str, str | Exception] = {}
        for model in self._names():
            mark = _mark(f"{self._folder}/{model}/{STAGES_FILE}")
            if mark is None:
                continue
            before = self._stages.get(model)
            if before is None or before[0] != mark:
                before = mark, self._read(model)
            if before[1] is not None:
                found[model] = before[1]
            if _is_settled(mark) and not isinstance(before[1], Exception):
                known[model] = before
        self._stages = known
        return found

    def calibrated(self, model: str, version: str) -> bool:
        """Return whether the calibration of a version may have changed since it was asked last."""
        path = self._calibration(model, version)
        mark = _mark(path)
        if mark == self._calibrations.get(path):
            return False
        if mark is None:
            self._calibrations.pop(path, None)
        elif _is_settled(mark):
            self._calibrations[path] = mark
        return True

    def look_again(self, model: str, version: str) -> None:
        """Let the calibration of a version count as changed: it could not be read."""
        self._calibrations.pop(self._calibration(model, version), None)

    def _calibration(self, model: str, version: str) -> str:
        return f"{self._folder}/{model}/calibrations/{version}.json"

    def _names(self) -> list[str]:
        try:
            return sorted(os.listdir(self._folder))  # noqa: PTH208  pathlib takes ten times as long
        except FileNotFoundError:  # nothing was registered yet
            return []

    def _read(self, model: str) -> str | Exception | None:
        try:
            return self._registry.production(model)
        except ModelNotFound:  # none of its versions is in production
            return None
        except (DriftgaugeError, ValueError, OSError) as error:
            return error


def _mark(path: str) -> Mark | None:
    """Return the mark of a file, None if there is none; one that cannot be looked at may have
    changed.
    """
    try:
        found = os.stat(path)  # noqa: PTH116  pathlib takes ten times as long
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return 0, 0, time.time_ns()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _is_settled(mark: Mark) -> bool:
    return time.time_ns() - mark[2] > SETTLED_S * 1e9
