"""The worker: finds the models, and runs a counting stage for each partition and a judging stage for each model.

Each stage has a thread and a connection of its own. Any number of workers may run: leases decide who owns what.
"""

import gc
import logging
import signal
import threading
from queue import SimpleQueue

import redis

from consumer.counting.advance import CountingPolicy
from consumer.counting_stage import CountingStage
from consumer.judging.policy import JudgingPolicy
from consumer.judging_stage import JudgingStage
from consumer.stage import Connection, Stage, raw_reads
from consumer.versions import PublishedVersions
from shared.keys import Keys
from shared.redis_client import UNAVAILABLE, connect
from shared.settings import Settings

log = logging.getLogger("driftgauge.worker")

DISCOVERY_S = 1.0


class Worker:
    """Runs the stages of every model that was published.

    Parameters
    ----------
    settings
        Of the deployment.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.stop = threading.Event()
        self._connection = Connection()
        self._threads: dict[str, threading.Thread] = {}

    def run(self) -> None:
        """Work until told to stop; then commit, give the leases back, and return."""
        gc.set_threshold(100_000, 20, 100)  # events are acyclic: at the default, collecting costs a third of the decoding
        client = connect(self.settings.redis_url)
        try:
            while not self.stop.is_set():
                self._discover(client)
                self.stop.wait(DISCOVERY_S)
        finally:
            self.stop.set()
            for thread in self._threads.values():
                thread.join()
            client.close()

    def stop_on_signals(self) -> None:
        """Stop on SIGTERM and SIGINT.

        The handler does not set the event itself: it may have interrupted the main thread inside the event's lock, and would
        wait for it for ever. A SimpleQueue may be put to from anywhere.
        """
        asked: SimpleQueue[int] = SimpleQueue()

        def obey() -> None:
            asked.get()
            self.stop.set()

        threading.Thread(target=obey, name="signals", daemon=True).start()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _: asked.put(number))

    def _discover(self, client: redis.Redis) -> None:
        """Start the stages of models that are new."""
        keys = Keys(self.settings.key_prefix)
        try:
            names: set[bytes] = client.smembers(keys.models)  # type: ignore[assignment]  # bytes, not str
            for model in sorted(name.decode() for name in names):
                if f"judging {model}" not in self._threads:
                    self._start_model(client, keys, model)
            self._connection.back()
        except UNAVAILABLE as error:
            self._connection.lost(error)

    def _start_model(self, client: redis.Redis, keys: Keys, model: str) -> None:
        published = PublishedVersions(client, keys, model).all()
        if not published:
            return
        partitions = next(iter(published.values())).manifest.partitions
        settings = self.settings
        for partition in range(partitions):
            counting = counting_policy(settings, partition, partitions)
            self._start(CountingStage(self._stage_client(), settings, model, counting))
        self._start(JudgingStage(self._stage_client(), settings, model, partitions, judging_policy(settings, partitions)))

    def _stage_client(self) -> redis.Redis:
        return raw_reads(connect(self.settings.redis_url, single_connection_client=True))

    def _start(self, stage: Stage) -> None:
        thread = threading.Thread(target=stage.run, args=(self.stop, self._connection), name=stage.name)
        self._threads[stage.name] = thread
        thread.start()


def counting_policy(settings: Settings, partition: int, partitions: int) -> CountingPolicy:
    """Give the settings that counting uses."""
    return CountingPolicy(
        partition=partition,
        partitions=partitions,
        pane_events=settings.pane_events,
        pane_seconds=settings.pane_seconds,
        expected_events_per_day=settings.expected_events_per_day,
        false_alarms_per_month=settings.false_alarms_per_month,
        retire_ms=settings.spool_max_age_hours * 3_600_000,
    )


def judging_policy(settings: Settings, partitions: int) -> JudgingPolicy:
    """Give the settings that judging uses."""
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
        snapshot_seconds=settings.snapshot_seconds,
        snapshot_events=settings.snapshot_events,
    )
