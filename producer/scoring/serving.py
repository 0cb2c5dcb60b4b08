"""The model versions that the API serves: the production version of each model of the registry
folder, and on demand versions in staging.

The folder is looked at twice a second. A new version is loaded and makes a first prediction beside
the old one, which serves until then and finishes what it has begun; one that cannot be loaded is
reported, and the old one goes on. Loading runs a model's own code, so it has threads of its own:
one that hangs is reported after `LOAD_S`, holds its thread, and serves if it ends after all.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

import msgspec

from driftgauge.producer.http.problems import RETRY_AFTER, Problem
from driftgauge.producer.intake.refusals import NO_MODEL
from driftgauge.producer.scoring.estimator import Estimator
from driftgauge.producer.scoring.threads import Threads
from driftgauge.shared.contract.events import Source, Value
from driftgauge.shared.errors import BadData, DriftgaugeError, ModelNotFound
from driftgauge.shared.registry.glance import Glance
from driftgauge.shared.registry.registry import (
    Manifest,
    ModelRegistry,
    PublishedVersion,
    check_name,
)
from driftgauge.shared.versions.stages import Stage

POLL_S: Final = 0.5
LONGEST_POLL_S: Final = 2.0
PAUSE_PER_COST: Final = 100
"""Pause between two looks in multiples of what one takes of the processor, within these bounds."""
RETRY_BROKEN_S: Final = 10.0
"""Pause (s) before a version that could not be loaded is tried again, so that a large file is not
read twice a second.
"""
LOAD_S: Final = 20.0
"""Time (s) for which the API waits for a version that is being loaded."""
AT_ONCE: Final = 2
"""Versions that are being loaded at the same time, but for those that hang."""
MOST_LOADS: Final = 8
"""Most versions that are being loaded at once, those that hang included."""
IMPORT_TRIES: Final = 3
"""Attempts to load a version whose imports wait for those of another thread."""
MOST_TRIALS: Final = 4
"""Most versions in staging that are kept loaded."""

_T = TypeVar("_T")

logger = logging.getLogger("driftgauge.producer")


class ServedVersion:
    """A loaded version.

    Parameters
    ----------
    published
        Manifest, schema and reference.
    packed
        `published` packed as it is written to Redis.
    estimator
        The fitted model, None if there is none or it is not needed.
    key
        Key of the hashes of personal features.

    Attributes
    ----------
    clean
        Function that drops or hashes the personal features of a row for its event (Schema.cleaner).
    complete
        Function that also adds the derived columns (Schema.completing); for many rows at once there
        is `features_of`.

    Raises
    ------
    ConfigurationError
        If a feature is to be hashed and there is no key.
    """

    __slots__ = (
        "clean",
        "complete",
        "estimator",
        "manifest",
        "model",
        "packed",
        "published",
        "schema",
        "version",
    )

    def __init__(
        self,
        published: PublishedVersion,
        packed: bytes,
        estimator: Estimator | None = None,
        key: str | None = None,
    ) -> None:
        self.published = published
        self.packed = packed
        self.estimator = estimator
        self.manifest = published.manifest  # these are read at each request
        self.schema = published.schema
        self.clean = published.schema.cleaner(key)
        self.complete = published.schema.completing(key)
        self.model = published.manifest.model
        self.version = published.manifest.version

    def features_of(self, rows: Sequence[list[Value]]) -> list[list[Value]]:
        """Return what is published of rows: cleaned, and with the derived columns behind."""
        cleaned = [self.clean(row) for row in rows]
        if self.schema.derivation is None:
            return cleaned
        derived = self.schema.derived(cleaned)
        return [[*row, *more] for row, more in zip(cleaned, derived, strict=True)]


@dataclass(frozen=True)
class Fault:
    """Why the production version of a model is not served; the version is empty if it is not known
    either.
    """

    version: str
    reason: str
    seen: float


@dataclass(frozen=True)
class Load:
    """A version that is being loaded since a time (s, monotonic)."""

    version: "asyncio.Future[ServedVersion]"
    since: float


class Serving:
    """The loaded versions, by model.

    Parameters
    ----------
    registry
        The registry folder.
    default
        Model of requests that name none, when there are several.
    announce
        Function that is called for each loaded version before it serves requests.
    pii_key
        Key of the hashes of personal features; a version that needs one is not served without.

    Attributes
    ----------
    production
        The version that serves each model.
    faults
        Reason, by model, why its production version does not serve; under the empty name, why the
        folder cannot be read.
    """

    def __init__(
        self,
        registry: ModelRegistry,
        default: str | None,
        announce: Callable[[Manifest, bytes], None],
        pii_key: str | None = None,
    ) -> None:
        self.production: dict[str, ServedVersion] = {}
        self.faults: dict[str, Fault] = {}
        self._registry = registry
        self._glance = Glance(registry)
        self._cost_s = 0.0
        self._default = default
        self._announce = announce
        self._pii_key = pii_key
        self._others: dict[tuple[str, str], ServedVersion] = {}
        self._trials: dict[tuple[str, str], ServedVersion] = {}
        self._broken: dict[tuple[str, str], Fault] = {}
        self._loading = asyncio.Lock()
        self._threads = Threads("loading")
        self._loads: dict[tuple[str, str], Load] = {}
        self._switching: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)

    def close(self) -> None:
        """Look no more."""
        for switching in self._switching.values():
            switching.cancel()
        self._threads.close()

    async def follow(self) -> None:
        """Refresh, and wait for longer than `POLL_S` allows if looking at that many models takes
        long.
        """
        await self._look()
        pause_s = min(LONGEST_POLL_S, PAUSE_PER_COST * self._cost_s)
        await asyncio.sleep(max(0.0, pause_s - POLL_S))

    async def refresh(self) -> None:
        """Load new production versions, and unload trial versions that are not tried any more."""
        await self._look()
        if self._switching:
            await asyncio.wait(self._switching.values())

    async def _look(self) -> None:
        """Begin to load new production versions, and unload trial versions that are not tried any
        more.
        """
        try:
            wanted, calibrated = await self._run(self._looked)
            over = await self._run(self._no_trials, list(self._trials))
        except Exception as error:  # noqa: BLE001  whatever stands there: what is loaded goes on, and is followed on
            self._report(
                "", "", f"The registry folder cannot be read: {type(error).__name__}: {error}"
            )
            return
        self.faults.pop("", None)
        for model, version in wanted.items():
            if isinstance(version, Exception):
                self._report(model, "", str(version))
            elif model not in self._switching and await self._is_due(
                model, version, calibrated=model in calibrated
            ):
                # beside each other: one that hangs delays none of the others
                switching = asyncio.create_task(self._switch(model, version), name="switch")
                self._switching[model] = switching
                switching.add_done_callback(partial(self._switched, model))
        for model in self.production.keys() - wanted.keys():
            self._report(
                model, "", f"{model} has no version in production any more; the loaded one goes on."
            )
        for trial in over:
            self._trials.pop(trial, None)

    def _switched(self, model: str, _: object) -> None:
        del self._switching[model]

    def choose(self, model: str | None) -> ServedVersion:
        """Return the production version of a model, or of the default one.

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
            pass
        if model in self.faults:
            raise Problem(
                503, f"{model} cannot be served: {self.faults[model].reason}", (), RETRY_AFTER
            )
        raise Problem(
            404, f"There is no model {model[:64]!r} in production. The models are: {self._names()}."
        )

    async def predicting(self, model: str | None, version: str | None) -> ServedVersion:
        """Return the version that is to predict: that in production, or one in staging that is
        named.

        Raises
        ------
        Problem
            As `choose`; 409 for a model that is only monitored, 422 for a version in another stage,
            503 for one that cannot be loaded.
        """
        served = (
            self.choose(model) if version is None or model is None else self.production.get(model)
        )
        if version is not None and (served is None or served.version != version):
            served = await self._trial(served.model if served is not None else str(model), version)
        assert served is not None  # noqa: S101  without a version, `choose` has given one
        if served.estimator is None:
            raise Problem(
                409,
                f"{served.model} is only monitored, so it has no model to predict with. Post the "
                f"predictions that were made "
                "elsewhere to POST /events.",
            )
        return served

    async def version(self, model: str, version: str) -> ServedVersion | None:
        """Return any registered version of a model, perhaps without its fitted model; None if there
        is no such version.
        """
        if self._serves(model, version):
            return self.production[model]
        if (model, version) not in self._others:
            try:
                check_name(model, version)  # before a path is made of it
                self._others[model, version] = found = await asyncio.to_thread(
                    self._read, model, version
                )
            except (
                DriftgaugeError,
                ValueError,
                OSError,
            ):  # the caller names the version in its answer
                return None
            self._announce(found.manifest, found.packed)
        return self._others[model, version]

    def source_of(self, served: ServedVersion) -> Source:
        """Return the source of a version's predictions: `online` in production, `shadow` in
        staging.
        """
        return "online" if self.production.get(served.model) is served else "shadow"

    def _default_model(self) -> str:
        if self._default in self.production or self._default in self.faults:
            return str(self._default)
        if self._default is not None:
            raise Problem(
                503,
                f"The default model {self._default!r} (DRIFTGAUGE_DEFAULT_MODEL) has no version in "
                f"production. Promote one, "
                f"or name another model as `model`: {self._names()}.",
                (),
                RETRY_AFTER,
            )
        if not self.production:
            raise Problem(
                503,
                "No model is loaded yet. Put one in with `driftgauge models register`, then "
                "`driftgauge models promote`; "
                "it is noticed within seconds.",
                (),
                RETRY_AFTER,
            )
        if len(self.production) > 1:
            raise Problem(
                422, f"There are several models, so name one as `model`: {self._names()}."
            )
        return next(iter(self.production))

    def _names(self) -> str:
        return ", ".join(sorted(self.production)) or "none"

    # -- production --------------------------------------------------------------------------------

    async def _run(self, look: Callable[..., _T], *given: Any) -> _T:
        """Look at the folder in a thread of our own: those of batches may all be taken for long.
        One look at a time is under way.
        """
        return await self._threads.start(look, *given)

    def _looked(self) -> tuple[dict[str, str | Exception], set[str]]:
        """Return the production version of each model, or why it is not known; and the models whose
        served version may have been calibrated again.
        """
        begun_s = time.thread_time()
        wanted = self._glance.production()
        calibrated = {
            model
            for model, version in wanted.items()
            if isinstance(version, str) and self._glance.calibrated(model, version)
        }
        self._cost_s = time.thread_time() - begun_s
        return wanted, calibrated

    async def _is_due(self, model: str, version: str, *, calibrated: bool) -> bool:
        """Return whether the production version of a model is to be loaded: it is not, and has not
        just failed.
        """
        fault = self.faults.get(model)
        if self._serves(model, version):
            if calibrated:
                await self._follow_calibration(self.production[model])
            self.faults.pop(model, None)
            return False
        return (
            fault is None
            or fault.version != version
            or time.monotonic() - fault.seen >= RETRY_BROKEN_S
        )

    async def _follow_calibration(self, served: ServedVersion) -> None:
        """Publish a version again that was calibrated meanwhile."""
        try:
            found = await self._run(self._registry.calibration, served.model, served.version)
        except (DriftgaugeError, OSError) as error:  # the old one goes on
            logger.warning("%s", error)
            self._glance.look_again(served.model, served.version)
            return
        if found != served.published.calibration:
            published = msgspec.structs.replace(served.published, calibration=found)
            again = ServedVersion(published, published.pack(), served.estimator, self._pii_key)
            self._announce(again.manifest, again.packed)
            self.production[served.model] = again

    async def _switch(self, model: str, version: str) -> None:
        """Serve another version from now on. What waits for the old one holds it, and is finished
        by it.
        """
        try:
            served = self._trials.get((model, version))
            if served is None:
                served = await self._loaded(model, version)
        except DriftgaugeError as error:  # the old version goes on
            self._report(model, version, str(error))
        except Exception as error:  # noqa: BLE001  a model file can raise anything; the old version goes on
            self._report(
                model,
                version,
                f"{model} {version} cannot be loaded: {type(error).__name__}: {error}",
            )
        else:
            self._announce(served.manifest, served.packed)
            self.production[model] = served
            self.faults.pop(model, None)
            logger.info("%s %s is served.", model, version)

    async def _loaded(self, model: str, version: str) -> ServedVersion:
        """Load a version in a thread, or wait for the load that was begun before.

        Raises
        ------
        DriftgaugeError
            If it does not end in time, or too many others do not; it goes on, and is asked for
            again.
        """
        async with self._slots:
            load = self._load_of(model, version)
            rest = load.since + LOAD_S - time.monotonic()
            await asyncio.wait([load.version], timeout=max(0.0, rest))
        if not load.version.done():
            raise DriftgaugeError(
                f"{model} {version} is not loaded yet after {time.monotonic() - load.since:.0f} s: "
                "reading its file, or its first prediction, does not end. It serves when it does."
            )
        self._loads.pop((model, version), None)
        return load.version.result()

    def _load_of(self, model: str, version: str) -> Load:
        """Begin to load a version, or return the load that was begun before; forget those that
        nobody has asked for since they ended.
        """
        name = model, version
        self._loads = {
            other: load
            for other, load in self._loads.items()
            if other == name or not load.version.done()
        }
        if name not in self._loads:
            if len(self._loads) >= MOST_LOADS:
                hanging = ", ".join(" ".join(other) for other in sorted(self._loads))
                raise DriftgaugeError(
                    f"{model} {version} is not loaded: loading {hanging} does not end. Restart the "
                    "API."
                )
            loading = self._threads.start(self._load, model, version)
            loading.add_done_callback(_noticed)
            self._loads[name] = Load(loading, time.monotonic())
        return self._loads[name]

    def _read(self, model: str, version: str) -> ServedVersion:
        published = self._registry.load(model, version)
        return ServedVersion(published, published.pack(), key=self._pii_key)

    def _load(self, model: str, version: str) -> ServedVersion:
        """Load a version and let it predict once; runs in a thread.

        Model files import their libraries. Of two threads that import modules which need each other
        Python ends one by an error, and at the next attempt the modules are there.
        """
        for _ in range(IMPORT_TRIES):
            try:
                return self._load_once(model, version)
            except RuntimeError as error:
                if type(error).__name__ != "_DeadlockError":
                    raise
        return self._load_once(model, version)

    def _load_once(self, model: str, version: str) -> ServedVersion:
        served = self._read(model, version)
        if served.manifest.task == "monitor":
            return served
        estimator = Estimator(served.schema, self._registry.load_artifact(model, version))
        estimator.warm_up(served.published)
        return ServedVersion(served.published, served.packed, estimator, self._pii_key)

    def _report(self, model: str, version: str, reason: str) -> None:
        known = self.faults.get(model)
        if known is None or known.reason != reason:
            logger.error("%s", reason)
        self.faults[model] = Fault(version, reason, time.monotonic())

    # -- staging -----------------------------------------------------------------------------------

    async def _trial(self, model: str, version: str) -> ServedVersion:
        """Return a version in staging; it is loaded when it is first asked for."""
        async with self._loading:
            loaded = self._trials.get((model, version))
            if loaded is None:
                self._refuse_broken(model, version)
                loaded = await self._load_trial(model, version)
                self._announce(loaded.manifest, loaded.packed)
                self._trials[model, version] = loaded
                if len(self._trials) > MOST_TRIALS:
                    del self._trials[next(iter(self._trials))]
            return loaded

    def _refuse_broken(self, model: str, version: str) -> None:
        """Answer for a version that could not be loaded a moment ago without reading its files
        again.
        """
        now = time.monotonic()
        self._broken = {
            name: fault for name, fault in self._broken.items() if now - fault.seen < RETRY_BROKEN_S
        }
        if (model, version) in self._broken:
            raise Problem(503, self._broken[model, version].reason, (), RETRY_AFTER)

    async def _load_trial(self, model: str, version: str) -> ServedVersion:
        try:
            check_name(model, version)  # before a path is made of it
        except BadData as error:
            raise Problem(422, str(error)) from error
        try:
            stage = await self._run(self._registry.stage, model, version)
            if stage == "staging":
                return await self._loaded(model, version)
        except ModelNotFound as error:
            raise Problem(404, f"There is no {model} {version} in the registry.") from error
        except Exception as error:  # a model file can raise anything
            detail = f"{model} {version} cannot be loaded: {type(error).__name__}."
            reason = str(error) if isinstance(error, DriftgaugeError) else detail
            self._broken[model, version] = Fault(version, reason, time.monotonic())
            raise Problem(503, reason, (), RETRY_AFTER) from error
        raise Problem(
            422,
            f"{model} {version} is in stage {stage}: only versions in production or staging "
            f"predict. Leave `version` out, "
            f"or run `driftgauge models promote {model} {version} --to staging`.",
        )

    def _no_trials(self, trials: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return the trials that are not tried any more. One that was promoted is kept until it
        serves, so that it need not be loaded again.
        """
        return [
            (model, version)
            for model, version in trials
            if self._serves(model, version)
            or self._stage(model, version) not in ("staging", "production")
        ]

    def _serves(self, model: str, version: str) -> bool:
        served = self.production.get(model)
        return served is not None and served.version == version

    def _stage(self, model: str, version: str) -> Stage | None:
        try:
            return self._registry.stage(model, version)
        except DriftgaugeError:  # gone, or unreadable: asked for again, it says so
            return None


def _noticed(loading: "asyncio.Future[ServedVersion]") -> None:
    """Take note of an error that nobody asks for, since the version is not wanted any more."""
    if not loading.cancelled():
        loading.exception()


def only_model(serving: Serving, named: str | None = None) -> str:
    """Name the model of a request that is refused: the one that it names, or the default one;
    `NO_MODEL` if neither is served.
    """
    try:
        return serving.choose(named).model
    except Problem:  # the request is answered for its other faults; here it is only counted
        return NO_MODEL
