"""A partition that is counted and archived, turn by turn, on a real Redis."""

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import redis

from driftgauge.consumer.running.settled import counting_policy
from driftgauge.consumer.stages.archiving.archiving import Archiving
from driftgauge.consumer.stages.counting import CountingStage
from driftgauge.consumer.stages.stage import Stage, raw_reads
from driftgauge.consumer.stages.versions import PublishedVersions
from driftgauge.shared.archive.scan import Range, scan
from driftgauge.shared.archive.store import FolderStore, Store
from driftgauge.shared.connections.redis_client import connect
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.settings import Settings
from tests.integration.plant import MODEL, counters, publish, settings_of, wait_for


class World:
    """One partition with stages that can be taken away and made anew.

    Parameters
    ----------
    store
        The archive; None is a folder below `path`.
    """

    def __init__(
        self, client: redis.Redis, url: str, keys: Keys, path: Path, store: Store | None = None
    ) -> None:
        self.client, self.keys = client, keys
        self.folder = path / "archive"
        self.store: Store = store or FolderStore(self.folder)
        self.log = keys.log(MODEL, 0)
        self._own = raw_reads(connect(url, single_connection_client=True))
        self.settings = Settings(
            **settings_of(
                url,
                keys,
                lease_ms=60_000,
                archive_url=str(self.folder),
                archive_seconds=1e-9,
            )
        )
        publish(client, keys)
        self.counting = self._begun(
            CountingStage(self._own, self.settings, MODEL, counting_policy(self.settings, 0, 1))
        )
        self.archiving = self.archiver()

    def archiver(self, **more: Any) -> Archiving:
        """Return a stage as a new worker would make it, which takes the place of the one before."""
        if hasattr(self, "archiving"):
            self.archiving.close()
        settings = self.settings.model_copy(update=more)
        versions = PublishedVersions(self._own, self.keys, MODEL)
        stage = Archiving(self._own, settings, self.keys, MODEL, 0, self.store, versions)
        self.archiving = self._begun(stage)
        return self.archiving

    def _begun(self, stage: Any) -> Any:
        assert stage.checkpoint.acquire()
        stage.load()
        return stage

    def count(self) -> None:
        """Count all of the log, and commit."""
        while self.counting.turn():
            pass
        self.counting.finish()

    def archive(self) -> None:
        """Archive all that was counted."""
        reached = self.client.hget(self.keys.count(MODEL, 0), "offset")

        def done() -> bool:
            self.archiving.turn()
            return self.client.hget(self.keys.archive(MODEL, 0), "offset") == reached

        wait_for(done, "the archive")

    @property
    def events(self) -> int:
        """Predictions that were counted."""
        return counters(self.client, self.keys).events

    def rows(self, kind: Any = "predictions", **more: Any) -> Any:
        """Return the rows of the archive; a damaged file fails the test."""
        told: list[str] = []
        batches = list(scan(self.store, kind, Range(MODEL, **more), told.append))
        assert not told
        return pa.Table.from_batches(batches) if batches else pa.table({"id": pa.array([], "str")})

    def ids(self, kind: Any = "predictions") -> Counter[str]:
        return Counter(self.rows(kind)["id"].to_pylist())

    def close(self) -> None:
        for stage in (self.counting, self.archiving):
            assert isinstance(stage, Stage)
            stage.close()
        self._own.close()
