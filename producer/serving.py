"""The model versions that the API serves: the production version of each model of the registry folder.

The folder is looked at each second. A new version is loaded beside the old one, which serves until then; one that cannot
be loaded is reported, and the old one goes on.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from producer.problems import RETRY_AFTER, Problem
from shared.errors import DriftgaugeError
from shared.model_registry import Manifest, ModelRegistry, PublishedVersion, check_name

POLL_S = 1.0
RETRY_BROKEN_S = 10.0
"""How long a version that cannot be loaded is left alone: a large file is not read every second in vain."""

logger = logging.getLogger("driftgauge.producer")


class ServedVersion:
    """A loaded version.

    Parameters
    ----------
    published
        Manifest, schema and reference.
    packed
        The same, as it is published to Redis.
    estimator
        The fitted model, None if there is none or it is not needed.
    """

    __slots__ = ("estimator", "manifest", "model", "packed", "published", "schema", "version")

    def __init__(self, published: PublishedVersion, packed: bytes, estimator: Any | None) -> None:
        self.published = published
        self.packed = packed
        self.estimator = estimator
        self.manifest = published.manifest  # these are read at each request
        self.schema = published.schema
        self.model = published.manifest.model
        self.version = published.manifest.version


@dataclass(frozen=True)
class Fault:
    """Why the production version of a model is not served."""

    reason: str
    seen: float


class Serving:
    """The loaded versions, by model.

    Parameters
    ----------
    registry
        The registry folder.
    default
        Model of requests that name none, when there are several.
    announce
        Called for each version that was loaded, before anything is served from it.
    """

    def __init__(self, registry: ModelRegistry, default: str | None, announce: Callable[[Manifest, bytes], None]) -> None:
        self.production: dict[str, ServedVersion] = {}
        self.faults: dict[str, Fault] = {}
        self._registry = registry
        self._default = default
        self._announce = announce
        self._others: dict[tuple[str, str], ServedVersion] = {}

    async def poll(self) -> None:
        """Follow the registry folder, for ever."""
        while True:
            await asyncio.sleep(POLL_S)
            await self.refresh()

    async def refresh(self) -> None:
        """Load what is new in production."""
        try:
            wanted = await asyncio.to_thread(self._wanted)
        except OSError as error:  # the folder cannot be read now: what is loaded goes on
            self._report("", f"The registry folder cannot be read: {error.strerror}.")
            return
        self.faults.pop("", None)
        for model in wanted:
            await self._follow(model)
        for model in self.production.keys() - wanted:
            self._report(model, f"{model} is gone from the registry folder; the loaded version goes on.")

    def choose(self, model: str | None) -> ServedVersion:
        """Give the production version of a model, or of the default one.

        Raises
        ------
        Problem
            404 for an unknown model, 422 if one must be named, 503 if there is none.
        """
        if model is None:
            model = self._default_model()
        try:
            return self.production[model]
        except KeyError:
            raise Problem(404, f"There is no model {model[:64]!r}. The models are: {self._names()}.") from None

    async def version(self, model: str, version: str) -> ServedVersion | None:
        """Give any registered version of a model, without its fitted model; None if there is no such version."""
        served = self.production.get(model)
        if served is not None and served.version == version:
            return served
        if (model, version) not in self._others:
            try:
                check_name(model, version)  # before a path is made of it
                self._others[model, version] = found = await asyncio.to_thread(self._read, model, version)
            except (DriftgaugeError, ValueError, OSError):  # the caller names the version in its answer
                return None
            self._announce(found.manifest, found.packed)
        return self._others[model, version]

    def _default_model(self) -> str:
        if not self.production:
            raise Problem(
                503,
                "No model is loaded yet. Register one with `driftgauge models register`; it is noticed within seconds.",
                (),
                RETRY_AFTER,
            )
        if self._default is not None:
            return self._default
        if len(self.production) > 1:
            raise Problem(422, f"There are several models, so name one as `model`: {self._names()}.")
        return next(iter(self.production))

    def _names(self) -> str:
        return ", ".join(sorted(self.production)) or "none"

    def _wanted(self) -> set[str]:
        return set(self._registry.models())

    async def _follow(self, model: str) -> None:
        """Load the production version of one model, unless it is loaded or has just failed."""
        fault = self.faults.get(model)
        if fault is not None and time.monotonic() - fault.seen < RETRY_BROKEN_S:
            return
        try:
            version = await asyncio.to_thread(self._registry.production, model)
            served = self.production.get(model)
            if served is None or served.version != version:
                self._serve(await asyncio.to_thread(self._load, model, version))
            elif served.published.calibration != await asyncio.to_thread(self._registry.calibration, model, version):
                published = await asyncio.to_thread(self._registry.load, model, version)  # was calibrated meanwhile
                self._serve(ServedVersion(published, published.pack(), served.estimator))
            self.faults.pop(model, None)
        except DriftgaugeError as error:  # the old version goes on
            self._report(model, str(error))
        except Exception as error:  # noqa: BLE001  a model file can raise anything; the old version goes on
            self._report(model, f"{model} cannot be loaded: {type(error).__name__}: {error}")

    def _read(self, model: str, version: str) -> ServedVersion:
        published = self._registry.load(model, version)
        return ServedVersion(published, published.pack(), None)

    def _load(self, model: str, version: str) -> ServedVersion:
        served = self._read(model, version)
        if served.manifest.task == "monitor":
            return served
        return ServedVersion(served.published, served.packed, self._registry.load_artifact(model, version))

    def _serve(self, served: ServedVersion) -> None:
        self._announce(served.manifest, served.packed)
        self.production[served.model] = served
        logger.info("%s %s is served.", served.model, served.version)

    def _report(self, model: str, reason: str) -> None:
        known = self.faults.get(model)
        if known is None or known.reason != reason:
            logger.error("%s", reason)
        self.faults[model] = Fault(reason, time.monotonic())
