"""Looking at a registry again and again, at the least cost: a `stat` for each file of a folder, one
listing of object storage.

A thousand models that nobody changes must not be read twice a second. The files of a registry are
replaced as a whole, so one with the same mark has the same content. A file that was changed a
moment ago is read again, where its mark may not tell.
"""

from driftgauge.shared.errors import DriftgaugeError, ModelNotFound
from driftgauge.shared.registry.registry import ModelRegistry
from driftgauge.shared.registry.stages_file import STAGES_FILE
from driftgauge.shared.storage.storage import Look, Mark


class Glance:
    """What stands in a registry, as of the last look.

    Parameters
    ----------
    registry
        The registry.
    """

    def __init__(self, registry: ModelRegistry) -> None:
        self._registry = registry
        self._look: Look | None = None
        self._stages: dict[str, tuple[Mark, str | Exception | None]] = {}
        self._calibrations: dict[str, object] = {}

    def production(self) -> dict[str, str | Exception]:
        """Return the production version of each model that has one, or why it is not known.

        Raises
        ------
        OSError
            If the registry cannot be read.
        """
        known: dict[str, tuple[Mark, str | Exception | None]] = {}
        found: dict[str, str | Exception] = {}
        self._look = self._registry.storage.look()
        for model, mark in self._look.stages(STAGES_FILE).items():
            before = self._stages.get(model)
            if before is None or before[0].value != mark.value:
                before = mark, self._read(model)
            if before[1] is not None:
                found[model] = before[1]
            if mark.settled and not isinstance(before[1], Exception):
                known[model] = before
        self._stages = known
        return found

    def calibrated(self, model: str, version: str) -> bool:
        """Return whether the calibration of a version may have changed since it was asked last, as
        of the last look.
        """
        path = _calibration(model, version)
        look = self._look or self._registry.storage.look()
        mark = look.mark(path)
        if (None if mark is None else mark.value) == self._calibrations.get(path):
            return False
        if mark is None:
            self._calibrations.pop(path, None)
        elif mark.settled:
            self._calibrations[path] = mark.value
        return True

    def look_again(self, model: str, version: str) -> None:
        """Let the calibration of a version count as changed: it could not be read."""
        self._calibrations.pop(_calibration(model, version), None)

    def _read(self, model: str) -> str | Exception | None:
        try:
            return self._registry.production(model)
        except ModelNotFound:  # none of its versions is in production
            return None
        except (DriftgaugeError, ValueError, OSError) as error:
            return error


def _calibration(model: str, version: str) -> str:
    return f"{model}/calibrations/{version}.json"
