"""Writing reports: each snapshot of a model's stream becomes one HTML and one JSON file in the
folder of reports.

Reports have threads and leases of their own, so a slow or full disk delays reports and never
judging; the snapshots wait in their stream. The offset advances when a report's files are
complete, so a report that was interrupted is written again under the same name.

While many snapshots wait, as after a replay, those that were taken by the clock or the traffic and
that a later one of their version follows are passed over: nobody reads a page of every hour of a
year. They stay in the stream, and the API makes a page of any of them when it is asked for.
"""

import logging
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import redis

from driftgauge.consumer.stages.follower import Done, Event, Hold, Sink
from driftgauge.shared.connections.redis_client import server_ms
from driftgauge.shared.connections.streams import newest
from driftgauge.shared.contract import counters
from driftgauge.shared.contract.counters import Counters
from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.contract.keys import MODEL_NAME, Keys
from driftgauge.shared.contract.snapshot import Snapshot
from driftgauge.shared.contract.snapshot_parts import SnapshotSummary, part_of
from driftgauge.shared.errors import BadData
from driftgauge.shared.reporting.files import remove_old, write_report
from driftgauge.shared.reporting.health import PipelineHealth
from driftgauge.shared.settings import Settings
from driftgauge.shared.unpacking import UNREADABLE

log = logging.getLogger("driftgauge.worker")


class Reports(Sink):
    """Writes the reports of one model; follows its snapshots.

    Parameters
    ----------
    client
        Redis client of the follower.
    keys
        The key names, with the model's salts.
    logs
        Redis client for each partition, to read the state of the pipeline.
    """

    name = "reporting"
    key = "reports"
    entries = 20
    """Few entries at a time: each snapshot may have some hundred kB. As many are the ones among
    which the superseded are passed over.
    """

    def __init__(
        self,
        client: redis.Redis,
        settings: Settings,
        model: str,
        *,
        keys: Keys,
        logs: Sequence[redis.Redis],
    ) -> None:
        self._client = client
        self._pipeline = [
            (reader, keys.log(model, place), keys.count(model, place))
            for place, reader in enumerate(logs)
        ]
        self._folder: Path = settings.reports_dir / model
        self._model = model
        self._kept = settings.reports_kept, settings.reports_days, settings.reports_megabytes

    def load(self, state: bytes) -> None:  # noqa: ARG002  reports have no state
        """Refuse a malformed model name, which was put into Redis by hand: here it would be part of
        a path.
        """
        if not MODEL_NAME.fullmatch(self._model):
            raise BadData(
                f"reporting {self._model}: this is no name of a model, so there is no folder for "
                "its reports."
            )

    def take(self, events: Sequence[Event], hold: Hold) -> Generator[Done, None, None]:  # noqa: ARG002  each commit holds the lease
        """Write a report for each snapshot; while more wait, for those that are not superseded."""
        passed = superseded(events) if len(events) == self.entries else set()
        for entry_id, event in events:
            if entry_id not in passed:
                self._write(entry_id, event)
                yield Done(entry_id)

    def _write(self, entry_id: bytes, event: bytes) -> None:
        try:
            snapshot = part_of(event, Snapshot)
        # another version's, or written by hand: there is no report of it, and the next ones follow
        except UNREADABLE:
            log.warning(
                "reporting %s: snapshot %s cannot be read; it has no report.",
                self._model,
                entry_id.decode(),
            )
            return
        write_report(snapshot, self._folder, self._health())
        remove_old(self._folder, *self._kept)

    def _health(self) -> PipelineHealth:
        """Return the state of the pipeline: the counters of counting, and how far it is behind."""
        counted, lag = Counters(), 0.0
        for reader, log_key, count_key in self._pipeline:
            found: Any = reader.hmget(count_key, [counters.FIELD, "offset"])
            packed, offset = found
            counted = _sum(
                counted, msgspec.json.decode(packed, type=Counters) if packed else Counters()
            )
            last = newest(reader, log_key)
            if last is not None and offset:
                lag = max(lag, (last[0].ms - EntryId.parse(offset).ms) / 1000)
        return PipelineHealth(
            taken=server_ms(self._client),
            events=counted.events,
            lag_seconds=lag,
            duplicates=counted.duplicates,
            dead_letters=counted.dead,
            missing=counted.missing,
            lost=counted.lost,
        )


def superseded(events: Sequence[Event]) -> set[bytes]:
    """Return the ids of the snapshots that no alert asked for, and that one of the same version
    follows; the last one is none of them.
    """
    found, followed = set(), set[str]()
    for entry_id, event in reversed(events):
        try:
            summary = part_of(event, SnapshotSummary)
        except UNREADABLE:  # it has no report, as the log says when it is its turn
            continue
        if summary.trigger != "alert" and summary.version in followed:
            found.add(entry_id)
        followed.add(summary.version)
    return found


def _sum(one: Counters, other: Counters) -> Counters:
    return Counters(
        events=one.events + other.events,
        duplicates=one.duplicates + other.duplicates,
        dead=one.dead + other.dead,
        missing=one.missing + other.missing,
        lost=one.lost + other.lost,
    )
