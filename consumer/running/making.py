"""The stages of a worker, each made from the settings when it gets its lease."""

import threading
from collections.abc import Callable, Collection
from functools import partial

import redis

from driftgauge.consumer.notifying.routes import Route
from driftgauge.consumer.policies.agreement import Policies
from driftgauge.consumer.running.settled import counting_policy, judging_policy
from driftgauge.consumer.running.tally import Tally
from driftgauge.consumer.stages.acting import Acting, Carrier
from driftgauge.consumer.stages.counting import CountingStage
from driftgauge.consumer.stages.follower import Follower
from driftgauge.consumer.stages.judging import JudgingStage
from driftgauge.consumer.stages.reporting import Reports
from driftgauge.consumer.stages.routes.notifying import Notifying
from driftgauge.consumer.stages.routes.pictures import Pictures
from driftgauge.consumer.stages.stage import Stage
from driftgauge.consumer.stages.versions import PublishedVersions
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.settings import Settings


class Stages:
    """Makes stages.

    Parameters
    ----------
    client
        Returns the Redis client of a key's server.
    is_cluster
        Whether keys lie on several servers.
    policies
        What the policy files say.
    stop
        The worker's stop event.
    """

    def __init__(
        self,
        settings: Settings,
        client: Callable[[str], redis.Redis],
        policies: Policies,
        stop: threading.Event,
        *,
        is_cluster: bool,
    ) -> None:
        self._settings = settings
        self._client = client
        self._policies = policies
        self._stop = stop
        self._is_cluster = is_cluster
        self._pictures = Pictures(client, Keys(settings.key_prefix))

    def counting(self, keys: Keys, model: str, partition: int, partitions: int) -> Stage:
        """Return the stage that counts a partition."""
        versions = None
        if self._is_cluster:
            versions = PublishedVersions(self._client(keys.versions(model)), keys, model)
        policy = counting_policy(self._settings, partition, partitions)
        client = self._client(keys.count(model, partition))
        return CountingStage(client, self._settings, model, policy, keys=keys, published=versions)

    def archiving(self, keys: Keys, model: str, partition: int, logs: int, tally: Tally) -> Stage:
        """Return the stage that archives a partition; the first of them keeps the model's days."""
        from driftgauge.consumer.stages.archiving.archiving import Archiving  # pyarrow
        from driftgauge.consumer.stages.archiving.keeping import Keeping
        from driftgauge.shared.archive.store import open_store

        client = self._client(keys.archive(model, partition))
        versions = PublishedVersions(self._client(keys.versions(model)), keys, model)
        store = open_store(self._settings.archive_url or "")
        keeping = None
        if partition == 0:
            days = self._settings.archive_days_for(model)
            keeping = Keeping(self._client, keys, model, logs, store, days, tally.removed)
        return Archiving(client, self._settings, keys, model, partition, store, versions, keeping)

    def archiving_incidents(self, keys: Keys, model: str) -> Stage:
        """Return the stage that archives a model's incidents."""
        from driftgauge.consumer.stages.archiving.incidents import Incidents  # pyarrow
        from driftgauge.shared.archive.store import open_store

        client = self._client(keys.incidents(model))
        sink = Incidents(self._settings, model, open_store(self._settings.archive_url or ""))
        return Follower(client, self._settings, keys, model, keys.incidents(model), sink)

    def archiving_panes(self, keys: Keys, model: str, partition: int) -> Stage:
        """Return the stage that archives the panes of a partition."""
        from driftgauge.consumer.stages.archiving.panes import Panes  # pyarrow
        from driftgauge.shared.archive.store import open_store

        stream = keys.panes(model, partition)
        client, store = self._client(stream), open_store(self._settings.archive_url or "")
        versions = PublishedVersions(self._client(keys.versions(model)), keys, model)
        sink = Panes(client, self._settings, keys, model, partition, store, versions)
        return Follower(client, self._settings, keys, model, stream, sink, partition)

    def judging(self, keys: Keys, model: str, partitions: int) -> Stage:
        """Return the stage that judges a model."""
        readers = None
        if self._is_cluster:
            readers = [self._client(keys.panes(model, place)) for place in range(partitions)]
        return JudgingStage(
            self._client(keys.judge(model)),
            self._settings,
            model,
            partitions,
            judging_policy(self._settings, partitions),
            proposed=partial(self._policies.of, model),
            keys=keys,
            readers=readers,
        )

    def acting(self, keys: Keys, model: str, kind: type[Acting], carrier: Carrier) -> Stage:
        """Return the stage of a model's hook."""
        client = self._client(keys.incidents(model))
        sink = kind(client, self._settings, model, carrier, self._stop)
        return Follower(client, self._settings, keys, model, keys.incidents(model), sink)

    def reporting(self, keys: Keys, model: str, partitions: int) -> Stage:
        """Return the stage that writes a model's reports."""
        logs = [self._client(keys.count(model, place)) for place in range(partitions)]
        client = self._client(keys.snapshots(model))
        sink = Reports(client, self._settings, model, keys=keys, logs=logs)
        return Follower(client, self._settings, keys, model, keys.snapshots(model), sink)

    def notifying(
        self, name: str, route_of: Callable[[], Route | None], models: Collection[str]
    ) -> Stage:
        """Return the stage of a route."""
        return Notifying(
            name,
            self._client,
            self._settings,
            route_of,
            models,
            is_cluster=self._is_cluster,
            draw=self._pictures.draw,
        )
