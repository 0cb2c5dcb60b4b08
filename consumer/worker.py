"""The worker: finds the models, and runs a counting stage for each partition and a judging stage
for each model.

However many models there are, it has a few threads and connections: `running/` lets the stages take
their turns. Any number of workers may run: leases decide who owns what.
"""

import logging
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final, Literal

import redis

from driftgauge.consumer.counting.detectors import DETECTORS, ERROR_DETECTORS
from driftgauge.consumer.metrics.standing import Standing
from driftgauge.consumer.notifying.routes import Route
from driftgauge.consumer.policies.agreement import Policies
from driftgauge.consumer.running.duty import Duty
from driftgauge.consumer.running.leases import Leases
from driftgauge.consumer.running.making import Stages
from driftgauge.consumer.running.memory import Memory
from driftgauge.consumer.running.roster import Pool, Roster
from driftgauge.consumer.running.tally import Tally
from driftgauge.consumer.running.waiter import FAR, NEAR, Waiter
from driftgauge.consumer.stages.acting import ACTING
from driftgauge.consumer.stages.proposing import Proposer
from driftgauge.consumer.stages.sharing import Conditional, Sharing, Unshared
from driftgauge.consumer.stages.stage import Connection, Stage, raw_reads
from driftgauge.consumer.stages.versions import shapes
from driftgauge.shared.connections.cluster import MOVED
from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.connections.redis_client import UNAVAILABLE
from driftgauge.shared.connections.refusals import ADVICE, refusal
from driftgauge.shared.contract.keys import Keys, model_names
from driftgauge.shared.errors import ConfigurationError
from driftgauge.shared.settings import Settings
from driftgauge.shared.stamps import Stamps
from driftgauge.shared.unpacking import prepare_structs

if TYPE_CHECKING:
    from driftgauge.shared.otel.sdk import Tracing

log = logging.getLogger("driftgauge.worker")

Part = Literal["all", "counting", "judging"]
"""What a process of a worker does: all, or counting alone, or all but that."""

DISCOVERY_S: Final = 1.0
WRITER_PATIENCE_S: Final = 5.0
ARCHIVING: Final = Pool("archiving", 2, daemon=True)
"""An archive that is slow keeps these alone waiting."""
QUIET_S: Final = 2.5
"""Time (s) without a loss after which a cluster is well again: each round asks all its masters."""
COUNTING: Final = Pool("counting", 4)
"""Counting and judging: they wait for Redis and use the processor in turn."""
REPORTING: Final = Pool("reporting", 2, daemon=True)
HOOKS: Final = Pool("hooks", 8)
"""Each hook has its thread until it ends."""
NOTIFYING: Final = Pool("notifying", 4, daemon=True)
"""Routes send in threads of their own."""
MODELS_AT_ONCE: Final = 100
"""Models that are added in one round trip, while leases wait."""


class Worker:
    """Runs the stages of every model that was published.

    Parameters
    ----------
    settings
        Settings of the deployment.
    tracing
        What traces the turns of the stages; None if nothing does.
    part
        What this process does of the worker's work.
    name
        Name of the worker among all, which both of its processes have; a new one if None.

    Raises
    ------
    ConfigurationError
        If the settings name a detector that does not exist.
    """

    def __init__(
        self,
        settings: Settings,
        tracing: "Tracing | None" = None,
        part: Part = "all",
        name: str | None = None,
    ) -> None:
        _check_detectors(settings.detectors)
        self.settings = settings
        self._counts, self._judges_too = part != "judging", part != "counting"
        self._tracing = tracing
        self.stop = threading.Event()
        keys = Keys(settings.key_prefix)
        self.sharing = Sharing(keys.workers, settings.lease_ms, name)
        policy_file = settings.policy_file if self._judges_too else None
        self._policies = Policies(policy_file, keys, self.sharing.me.decode())
        self._taken_up = self._policies.order
        self._judges: list[Duty] = []
        self._unshared = Unshared("", settings.lease_ms)
        self._nodes = Nodes(settings.redis_url)
        self._connection = Connection(QUIET_S if self._nodes.is_cluster else 0.0)
        self._models: set[str] = set()
        self._followed: list[str] = []
        self._routes: dict[str, Route] = {}
        self._notifiers: dict[str, Duty] = {}
        self._unreadable: set[str] = set()
        self._shared = 0
        self._roster = Roster()
        self._memory = Memory(self._roster, settings.max_memory_share)
        self._stages = Stages(
            settings, self._client, self._policies, self.stop, is_cluster=self._nodes.is_cluster
        )
        self._leases = Leases(self._roster, settings.lease_ms)
        self._writers: list[threading.Thread] = []
        self._proposer = Proposer(settings)
        self._stamps = Stamps(settings.data_dir / "stamps" / "worker.json")
        self._looked = self._single = False
        self.round_at = time.monotonic()

    def standing(self) -> Standing:
        """Return how it stands now, for its port."""
        fault = self._connection.fault
        return Standing(
            self._roster.duties,
            len(self._models),
            fault,
            self._looked,
            self.round_at,
            self._policies.refused,
        )

    def run(self) -> None:
        """Run until stopped; then commit, give the leases back, and return."""
        prepare_structs()
        keys = Keys(self.settings.key_prefix)
        discovered, beaten = -DISCOVERY_S, -self.sharing.beat_s
        self.round_at = time.monotonic()
        if self._judges_too:
            self._start_writer("proposing", partial(self._proposer.run, self.stop))
        waiters = [self._start_waiter(name) for name in ("near", "far")]
        try:
            while not self.stop.is_set():
                now = self.round_at = time.monotonic()
                if now - discovered >= DISCOVERY_S:
                    discovered = now
                    self._guarded(lambda: self._check_kind(keys))
                    self._guarded(lambda: self._memory.check(self._servers(keys)))
                    self._guarded(lambda: self._look_around(keys))
                if now - beaten >= self.sharing.beat_s:
                    beaten = now
                    self._guarded(lambda: self._beat(keys))
                self._guarded(self._leases.keep)
                self._stamps.save()
                self.stop.wait(min(DISCOVERY_S, self._leases.look_s))
        finally:
            self.stop.set()
            self._roster.end(WRITER_PATIENCE_S)
            self._stamps.save(now=True)
            self._guarded(lambda: self.sharing.leave(self._client(keys.workers)))
            if self._judges_too:
                self._guarded(lambda: self._policies.leave(self._client(keys.policy_files)))
            for thread in waiters:
                thread.join()
            for thread in self._writers:
                thread.join(WRITER_PATIENCE_S)
            self._nodes.close()

    def stop_on_signals(self) -> None:
        """Stop on SIGTERM and SIGINT.

        The handler does not set the event itself: it may have interrupted the main thread while
        that holds the event's lock, which would deadlock. A SimpleQueue is safe to use in a signal
        handler.
        """
        asked: SimpleQueue[int] = SimpleQueue()

        def obey() -> None:
            asked.get()
            self.stop.set()

        threading.Thread(target=obey, name="signals", daemon=True).start()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _: asked.put(number))

    def _guarded(self, step: Callable[[], bool | None]) -> None:
        """Do a step, and log if Redis does not answer, is full or read-only, or a slot has moved;
        the next round repeats it. A step that asks Redis nothing returns False.
        """
        asked_at = time.monotonic()
        try:
            if step() is not False:
                self._connection.back(asked_at)
        except UNAVAILABLE as error:
            self._connection.lost(error)
            self._nodes.forget()
        except MOVED as error:
            self._nodes.forget()
            if isinstance(error, redis.exceptions.ClusterDownError):
                self._connection.refused("CLUSTERDOWN", error)
            elif self._nodes.is_cluster:
                self._connection.moved(error)
            else:
                self._connection.refused("MOVED", error)
        except redis.RedisError as error:
            code = refusal(error)
            if code:
                self._connection.refused(code, error)
            else:
                log.error("Redis answered %s; trying again", error)  # noqa: TRY400  it says all
            self._nodes.forget()  # the primary may be another server by now

    def _beat(self, keys: Keys) -> None:
        """Show that we are alive; that is a write, so it also shows whether Redis takes any."""
        asked_at = time.monotonic()
        self.sharing.beat(self._client(keys.workers), self._shared)
        self._connection.wrote(asked_at)

    def _check_kind(self, keys: Keys) -> bool:
        """Refuse a node of a cluster as the only server, until it has said once that it is none.

        Raises
        ------
        ConfigurationError
            If it is one: it would have but a part of the keys.
        """
        if self._single or self._nodes.is_cluster:
            return False
        with suppress(redis.exceptions.NoPermissionError):  # then MOVED says the same
            told: Any = self._client(keys.workers).info("cluster")
            if told.get("cluster_enabled"):
                raise ConfigurationError(f"Redis cannot be used: {ADVICE['MOVED']}.")
        self._single = True
        return True

    def _servers(self, keys: Keys) -> set[redis.Redis]:
        return {self._client(keys.workers), *self._nodes.servers()}

    def _client(self, key: str) -> redis.Redis:
        """Return the client of a key's server, which all threads share."""
        return raw_reads(self._nodes.shared(key))

    def _look_around(self, keys: Keys) -> None:
        """Look for another policy, then for new models: these are judged by the newest one from
        their first pane on. Counting has no policy.
        """
        if self._judges_too:
            self._look_at_policies(keys)
        self._discover(keys)

    def _look_at_policies(self, keys: Keys) -> None:
        self._policies.look(self._client)
        self._follow_routes()
        if self._policies.order != self._taken_up:
            self._policies.forget_routes(self._client(keys.routes))
            for duty in self._judges:
                if duty.owned:
                    self._roster.wake(duty)
            self._taken_up = self._policies.order

    def _discover(self, keys: Keys) -> None:
        """Add the stages of models that are new."""
        names: set[bytes] = self._client(keys.models).smembers(keys.models)  # type: ignore[assignment]  # bytes, not str
        new = [name for name in model_names(names) if name not in self._models]
        for start in range(0, len(new), MODELS_AT_ONCE):
            if start:
                self._leases.keep()  # reading many versions takes longer than a lease
            self.round_at = time.monotonic()
            part = new[start : start + MODELS_AT_ONCE]
            for model, shape in shapes(self._client, keys, part).items():
                if shape is not None:
                    self._add_model(keys.salted(shape.salts), model, shape.partitions)
                elif model not in self._unreadable:
                    self._unreadable.add(model)
                    log.error(
                        "A version of %s in %s cannot be read; the model is not counted until it "
                        "is published again.",
                        model,
                        keys.versions(model),
                    )
        if new:
            self._followed += [name for name in new if name in self._models]
            for duty in self._notifiers.values():
                if duty.owned:
                    self._roster.wake(duty)
        self._looked = True

    def _add_model(self, keys: Keys, model: str, partitions: int) -> None:
        self._models.add(model)
        if self._counts:
            for partition in range(partitions):
                make = partial(self._stages.counting, keys, model, partition, partitions)
                self._add(Tally("counting", model), f"{model}.{partition}", make, COUNTING)
        if self._judges_too:
            self._add_judging(keys, model, partitions)

    def _add_judging(self, keys: Keys, model: str, partitions: int) -> None:
        """Add all stages of a model that read what counting writes."""
        if self.settings.archive_url is not None:
            for partition in range(partitions):
                tally = Tally("archiving", model)
                make = partial(self._stages.archiving, keys, model, partition, partitions, tally)
                self._add(tally, f"{model}.{partition}", make, ARCHIVING)
                make = partial(self._stages.archiving_panes, keys, model, partition)
                self._add(Tally("archiving", model), f"{model}.{partition}", make, ARCHIVING)
            make = partial(self._stages.archiving_incidents, keys, model)
            self._add(Tally("archiving", model), model, make, ARCHIVING)
        make = partial(self._stages.judging, keys, model, partitions)
        self._judges.append(self._add(Tally("judging", model), model, make, COUNTING))
        self._proposer.add(model)
        for kind in ACTING:
            carrier = kind.carrier(self.settings, model)
            if carrier is not None:
                make = partial(self._stages.acting, keys, model, kind, carrier)
                self._add(Tally(kind.name, model), model, make, HOOKS)
        if self.settings.reports_kept:
            report = partial(self._stages.reporting, keys, model, partitions)
            self._add(Tally("reporting", model), model, report, REPORTING, self._unshared)

    def _follow_routes(self) -> None:
        """Take up the routes of notifications that are in force: add the stages of new ones, load
        those anew that changed, and give up those that are gone.
        """
        before, self._routes = self._routes, self._policies.routes
        for name, route in self._routes.items():
            if name not in self._notifiers:
                wanted = Conditional(self.sharing, partial(self._routes_have, name))
                route_of = partial(self._route, name)
                make = partial(self._stages.notifying, name, route_of, self._followed)
                stage = self._add(Tally("notifying"), name, make, NOTIFYING, wanted)
                self._notifiers[name] = stage
            elif before.get(name) != route:
                self._reload(self._notifiers[name], "The route changed.")
        for name in before.keys() - self._routes.keys():
            self._reload(self._notifiers[name], "The route is gone.")

    def _route(self, name: str) -> Route | None:
        return self._routes.get(name)

    def _routes_have(self, name: str) -> bool:
        return name in self._routes

    def _reload(self, duty: Duty, why: str) -> None:
        """Let a stage begin anew from its checkpoint, if it is ours."""
        if duty.owned:
            duty.doubt = why
            self._roster.wake(duty)

    def _add(
        self,
        tally: Tally,
        subject: str,
        make: Callable[[], Stage],
        pool: Pool,
        sharing: Sharing | None = None,
    ) -> Duty:
        """Add a stage; without a `sharing` of its own it is shared with the other workers.

        Parameters
        ----------
        subject
            What the stage works on, such as a partition; with the kind of the stage it is its name.
        """
        mine = sharing or self.sharing
        self._shared += mine is not self._unshared

        def stamped() -> Stage:
            stage = make()
            stage.checkpoint.stamps = self._stamps
            return stage

        duty = Duty(
            f"{tally.stage} {subject}",
            stamped,
            mine,
            self.stop,
            self._connection,
            self._nodes,
            self._tracing,
            tally,
        )
        self._roster.add(duty, pool)
        return duty

    def _start_waiter(self, name: str) -> threading.Thread:
        reach = NEAR if name == "near" else FAR
        waiter = Waiter(reach, self._roster, self._nodes, self._connection, self.stop)
        thread = threading.Thread(target=waiter.run, name=f"waiting {name}")
        thread.start()
        return thread

    def _start_writer(self, name: str, work: Callable[[], None]) -> None:
        """Start a daemon thread for work that must not keep the worker from ending: a calibration
        may take a minute.
        """
        thread = threading.Thread(target=work, name=name, daemon=True)
        self._writers.append(thread)
        thread.start()


def _check_detectors(names: tuple[str, ...]) -> None:
    """Refuse names that no detector has, before anything starts."""
    known = sorted({*DETECTORS, *ERROR_DETECTORS})
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigurationError(
            f"DRIFTGAUGE_DETECTORS names {', '.join(unknown)}; there are {', '.join(known)}."
        )
