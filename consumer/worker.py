"""The worker: finds the models, and runs a counting stage for each partition and a judging stage
for each model.

A further thread for each model writes the reports, and one for all makes the references that the
API asks for. Each stage has a thread and a connection of its own. Any number of workers may run:
leases decide who owns what.
"""

import logging
import math
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import redis

from driftgauge.consumer.counting.detectors import DETECTORS, ERROR_DETECTORS
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.rules.policy_file import PolicyFile, read_policy
from driftgauge.consumer.stages.counting import CountingStage
from driftgauge.consumer.stages.follower import Follower
from driftgauge.consumer.stages.judging import JudgingStage
from driftgauge.consumer.stages.proposing import Proposer
from driftgauge.consumer.stages.reporting import Reports
from driftgauge.consumer.stages.retraining import Hook, Retraining, hook_of
from driftgauge.consumer.stages.sharing import Sharing, Unshared
from driftgauge.consumer.stages.stage import Connection, Stage, raw_reads
from driftgauge.consumer.stages.versions import PublishedVersions
from driftgauge.shared.connections.nodes import MOVED, Nodes
from driftgauge.shared.connections.redis_client import UNAVAILABLE
from driftgauge.shared.connections.refusals import EVICTION_ADVICE, eviction, refusal
from driftgauge.shared.contract.keys import Keys, model_names
from driftgauge.shared.errors import ConfigurationError
from driftgauge.shared.settings import Settings
from driftgauge.shared.stamps import Stamps
from driftgauge.shared.unpacking import UNREADABLE

log = logging.getLogger("driftgauge.worker")

DISCOVERY_S = 1.0
WRITER_PATIENCE_S = 5.0


class Worker:
    """Runs the stages of every model that was published.

    Parameters
    ----------
    settings
        Settings of the deployment.

    Raises
    ------
    ConfigurationError
        If the settings name a detector that does not exist.
    """

    def __init__(self, settings: Settings) -> None:
        _check_detectors(settings.detectors)
        self.settings = settings
        self._policies = policies(settings.policy_file)
        self.stop = threading.Event()
        self.sharing = Sharing(Keys(settings.key_prefix).workers, settings.lease_ms)
        self._nodes = Nodes(settings.redis_url)
        self._clients: dict[str, redis.Redis] = {}
        self._connection = Connection()
        self._evicts: str | None = None
        self._unusable: dict[str, str] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._writers: list[threading.Thread] = []
        self._proposer = Proposer(settings)
        self._stamps = Stamps(settings.data_dir / "stamps" / "worker.json")

    def run(self) -> None:
        """Run until stopped; then commit, give the leases back, and return."""
        keys = Keys(self.settings.key_prefix)
        discovered = -DISCOVERY_S
        self._start_writer("proposing", partial(self._proposer.run, self.stop))
        try:
            while not self.stop.is_set():
                if time.monotonic() - discovered >= DISCOVERY_S:
                    discovered = time.monotonic()
                    self._guarded(lambda: self._check_eviction(keys))
                    self._guarded(lambda: self._discover(keys))
                self._guarded(lambda: self._beat(keys))
                self._start_threads()
                self._stamps.save()
                self.stop.wait(min(DISCOVERY_S, self.sharing.beat_s))
        finally:
            self.stop.set()
            self._start_threads()  # so that all can be joined
            for thread in self._threads.values():
                thread.join()
            self._stamps.save(now=True)
            self._guarded(lambda: self.sharing.leave(self._client(keys.workers)))
            for thread in self._writers:
                thread.join(WRITER_PATIENCE_S)
            self._forget_clients()

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

    def _guarded(self, step: Callable[[], None]) -> None:
        """Do a step, and log if Redis does not answer, is full or read-only, or a slot has moved;
        the next round repeats it.
        """
        asked_at = time.monotonic()
        try:
            step()
            self._connection.back(asked_at)
        except UNAVAILABLE as error:
            self._connection.lost(error)
            self._forget_clients()
        except MOVED:
            self._forget_clients()
        except redis.RedisError as error:
            code = refusal(error)
            if code:
                self._connection.refused(code, error)
            else:
                log.error("Redis answered %s; trying again", error)  # noqa: TRY400  it says all
            self._forget_clients()  # the primary may be another server by now

    def _check_eviction(self, keys: Keys) -> None:
        """Check that Redis evicts no keys.

        Raises
        ------
        ConfigurationError
            If it may, at the first check; later it is logged once.
        """
        try:
            memory: Any = self._client(keys.workers).info("memory")
        except redis.exceptions.NoPermissionError:
            memory = {}
        policy = str(memory.get("maxmemory_policy", ""))
        if not policy and self._evicts is None:
            log.warning("Redis does not tell its maxmemory-policy. See to it that it is noeviction")
        found = eviction(int(memory.get("maxmemory", 0)), policy)
        if found and self._evicts is None:
            raise ConfigurationError(f"Redis {EVICTION_ADVICE.format(found)}.")
        if found and found != self._evicts:
            log.error("Redis %s", EVICTION_ADVICE.format(found))
        self._evicts = found

    def _beat(self, keys: Keys) -> None:
        """Show that we are alive; that is a write, so it also shows whether Redis takes any."""
        asked_at = time.monotonic()
        self.sharing.beat(self._client(keys.workers), len(self._threads))
        self._connection.wrote(asked_at)

    def _client(self, key: str) -> redis.Redis:
        """Return the worker's own client for a key."""
        if key not in self._clients:
            self._clients[key] = self._nodes.client(key)
        return self._clients[key]

    def _forget_clients(self) -> None:
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def _discover(self, keys: Keys) -> None:
        """Add the stages of models that are new."""
        names: set[bytes] = self._client(keys.models).smembers(keys.models)  # type: ignore[assignment]  # bytes, not str
        for model in model_names(names):
            if f"judging {model}" not in self._threads:
                self._try_to_add(keys, model)

    def _try_to_add(self, keys: Keys, model: str) -> None:
        """Add the stages of a model; what stands in the way of one hinders no other."""
        try:
            self._add_model(keys, model)
        except (redis.ResponseError, *UNREADABLE) as error:
            if refusal(error) or isinstance(error, MOVED):
                raise
            if self._unusable.get(model) != str(error):
                log.error("%s cannot be counted (%s); trying again", model, error)  # noqa: TRY400
            self._unusable[model] = str(error)

    def _add_model(self, keys: Keys, model: str) -> None:
        published = PublishedVersions(self._client(keys.versions(model)), keys, model).all()
        if not published:
            return
        manifest = next(iter(published.values())).manifest
        keys = keys.salted(manifest.salts)
        for partition in range(manifest.partitions):
            name = f"counting {model}.{partition}"
            self._add(name, partial(self._counting, keys, model, partition, manifest.partitions))
        self._add(f"judging {model}", partial(self._judging, keys, model, manifest.partitions))
        self._proposer.add(model)
        hook = hook_of(self.settings, f"retraining {model}")
        if hook is not None:
            self._add(f"retraining {model}", partial(self._retraining, keys, model, hook))
        if self.settings.reports_kept:
            self._write_reports(model, partial(self._reporting, keys, model, manifest.partitions))

    def _counting(self, keys: Keys, model: str, partition: int, partitions: int) -> Stage:
        versions = None
        if self._nodes.is_cluster:
            versions = PublishedVersions(self._nodes.client(keys.versions(model)), keys, model)
        policy = counting_policy(self.settings, partition, partitions)
        client = self._stage_client(keys.count(model, partition))
        return CountingStage(client, self.settings, model, policy, keys=keys, published=versions)

    def _judging(self, keys: Keys, model: str, partitions: int) -> Stage:
        readers = None
        if self._nodes.is_cluster:
            readers = [
                self._stage_client(keys.panes(model, partition)) for partition in range(partitions)
            ]
        policy = self._policies.apply(judging_policy(self.settings, partitions), model)
        client = self._stage_client(keys.judge(model))
        return JudgingStage(
            client, self.settings, model, partitions, policy, keys=keys, readers=readers
        )

    def _retraining(self, keys: Keys, model: str, hook: Hook) -> Stage:
        client = self._stage_client(keys.alerts(model))
        sink = Retraining(client, self.settings, model, hook, self.stop)
        return Follower(client, self.settings, keys, model, keys.alerts(model), sink)

    def _reporting(self, keys: Keys, model: str, partitions: int) -> Stage:
        logs = [self._nodes.client(keys.count(model, place)) for place in range(partitions)]
        client = self._stage_client(keys.snapshots(model))
        sink = Reports(client, self.settings, model, keys=keys, logs=logs)
        return Follower(client, self.settings, keys, model, keys.snapshots(model), sink)

    def _stage_client(self, key: str) -> redis.Redis:
        return raw_reads(self._nodes.client(key, single_connection_client=True))

    def _add(self, name: str, make: Callable[[], Stage]) -> None:
        self._threads[name] = threading.Thread(
            target=self._run_stage, args=(make, self.sharing), name=name
        )

    def _write_reports(self, model: str, make: Callable[[], Stage]) -> None:
        """Start the thread that writes a model's reports."""
        unshared = Unshared("", self.settings.lease_ms)
        self._start_writer(f"reporting {model}", partial(self._run_stage, make, unshared))

    def _start_writer(self, name: str, work: Callable[[], None]) -> None:
        """Start a daemon thread for work that must not keep the worker from ending: a disk may
        hang, a calibration take a minute.
        """
        thread = threading.Thread(target=work, name=name, daemon=True)
        self._writers.append(thread)
        thread.start()

    def _start_threads(self) -> None:
        """Start new stages once this worker's part is known."""
        for thread in self._threads.values():
            if thread.ident is None:
                thread.start()

    def _run_stage(self, make: Callable[[], Stage], sharing: Sharing) -> None:
        """Run a stage; build it again when its slot may have moved."""
        while not self.stop.is_set():
            try:
                stage = make()
            except (*UNAVAILABLE, *MOVED) as error:
                self._connection.lost(error)
                self.stop.wait(DISCOVERY_S)
                continue
            stage.may_move = self._nodes.is_cluster
            stage.checkpoint.stamps = self._stamps
            stage.run(self.stop, self._connection, sharing)
            stage.close()


def _check_detectors(names: tuple[str, ...]) -> None:
    """Refuse names that no detector has, before anything starts."""
    known = sorted({*DETECTORS, *ERROR_DETECTORS})
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigurationError(
            f"DRIFTGAUGE_DETECTORS names {', '.join(unknown)}; there are {', '.join(known)}."
        )


def counting_policy(settings: Settings, partition: int, partitions: int) -> CountingPolicy:
    """Return the settings that counting uses."""
    return CountingPolicy(
        partition=partition,
        partitions=partitions,
        pane_events=settings.pane_events,
        pane_seconds=settings.pane_seconds,
        expected_events_per_day=settings.expected_events_per_day,
        false_alarms_per_month=settings.false_alarms_per_month,
        retire_ms=settings.spool_max_age_hours * 3_600_000,
        client_ids_max=settings.client_ids_max,
        label_wait_days=math.ceil(settings.label_wait_hours / 24),
        label_pending_max=settings.label_pending_max,
        detectors=settings.detectors,
    )


def judging_policy(settings: Settings, partitions: int) -> JudgingPolicy:
    """Return the settings that judging uses."""
    return JudgingPolicy(
        partitions=partitions,
        pane_events=settings.pane_events,
        pane_seconds=settings.pane_seconds,
        window_events=settings.window_events,
        window_days=settings.window_days,
        min_window_rows=settings.min_window_rows,
        min_reference_rows=settings.min_reference_rows,
        expected_events_per_day=settings.expected_events_per_day,
        false_alarms_per_month=settings.false_alarms_per_month,
        performance_drop=settings.performance_drop,
        labelled_rows=settings.labelled_rows,
        labelled_days=settings.labelled_days,
        min_labelled_rows=settings.min_labelled_rows,
        snapshot_seconds=settings.snapshot_seconds,
        snapshot_events=settings.snapshot_events,
        cooldown_ms=settings.cooldown_seconds * 1000,
        renotify_ms=settings.renotify_seconds * 1000,
        renotify_max_ms=settings.renotify_max_seconds * 1000,
    )


def policies(path: Path | None) -> PolicyFile:
    """Read the policy file, if there is one.

    Raises
    ------
    ConfigurationError
        If it cannot be read or used.
    """
    if path is None:
        return PolicyFile()
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"DRIFTGAUGE_POLICY_FILE: {path} cannot be read ({error.strerror})."
        ) from error
    return read_policy(text, str(path))
