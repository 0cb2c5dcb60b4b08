"""Writing reports: each snapshot of a model's stream becomes one HTML and one JSON file in the
folder of reports.

It stands behind judging and never in its way: a thread and a connection of its own, a lease of its
own. A slow or full disk delays reports, nothing else; the snapshots wait in their stream. The
offset moves when a report's files stand, so one that was being written when a worker died is
written again, to the same name.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import redis

from driftgauge.consumer.stages.checkpoint import Checkpoint
from driftgauge.consumer.stages.sharing import Sharing
from driftgauge.consumer.stages.stage import CommitClock, Stage, read_streams
from driftgauge.shared.connections.streams import newest
from driftgauge.shared.contract import counters
from driftgauge.shared.contract.counters import Counters
from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.contract.keys import MODEL_NAME, Keys
from driftgauge.shared.contract.snapshot import Snapshot
from driftgauge.shared.errors import BadData
from driftgauge.shared.reporting.files import remove_old, write_report
from driftgauge.shared.reporting.health import PipelineHealth
from driftgauge.shared.settings import Settings

log = logging.getLogger("driftgauge.worker")

READ: Final = 5
"""Snapshots read at once: each may have some hundred kB."""
OFFSET: Final = b"offset"


class Unshared(Sharing):
    """Takes whatever is free: reports are so little work that it does not matter which worker
    writes them.
    """

    def may_take(self, stage: str, free_s: float) -> bool:  # noqa: ARG002  the signature of what it stands for
        """Take it."""
        return True

    def leaves(self, stage: str) -> bool:  # noqa: ARG002
        """Keep it."""
        return False


class _Envelope(msgspec.Struct):
    """A CloudEvent, of which only the snapshot matters here."""

    data: Snapshot


class ReportingStage(Stage):
    """Writes the reports of one model.

    Parameters
    ----------
    client
        Of the model's slot, for this stage alone.
    keys
        With the model's salts.
    logs
        A client for each partition, to see how the pipeline stands.
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
        self.name = f"reporting {model}"
        self.client = client
        self.lease_ms = settings.lease_ms
        self.checkpoint = Checkpoint(
            client,
            keys.reports(model),
            keys.reports_owner(model),
            keys.reports_epoch(model),
            self.lease_ms,
        )
        self._snapshots = keys.snapshots(model)
        self._pipeline = [
            (reader, keys.log(model, place), keys.count(model, place))
            for place, reader in enumerate(logs)
        ]
        self._folder: Path = settings.reports_dir / model
        self._model = model
        self._kept, self._days = settings.reports_kept, settings.reports_days
        self._clock = CommitClock(settings.commit_ms, settings.lease_ms, 1)

    def load(self) -> None:
        if not MODEL_NAME.fullmatch(
            self._model
        ):  # it was put into Redis by hand, and would be a path here
            raise BadData(
                f"{self.name}: this is no name of a model, so there is no folder for its reports."
            )
        self.check_types("stream", self._snapshots)
        self._offset = self.checkpoint.load().get(OFFSET, b"0-0")
        self._clock.reset()

    def turn(self) -> None:
        found = read_streams(
            self.client, {self._snapshots: self._offset.decode()}, self._clock.left_ms, READ
        )
        for entry_id, fields in found[0][1] if found else ():
            self._write(entry_id, dict(zip(fields[::2], fields[1::2], strict=True)).get(b"e", b""))
            self._offset = entry_id
            self.checkpoint.commit({OFFSET: entry_id}, lambda _: None)
            self._clock.reset()
        if self._clock.renewal_due:
            self.checkpoint.renew()
            self._clock.reset()

    def finish(self) -> None:
        """Nothing is left over: every report is committed when it is written."""

    def close(self) -> None:
        for reader, _, _ in self._pipeline:
            reader.close()
        super().close()

    def _write(self, entry_id: bytes, event: bytes) -> None:
        try:
            snapshot = msgspec.json.decode(event, type=_Envelope).data
        # another version's, or written by hand: there is no report of it, and the next ones follow
        except ValueError:
            log.warning(
                "%s: snapshot %s cannot be read; it has no report.", self.name, entry_id.decode()
            )
            return
        write_report(snapshot, self._folder, self._health())
        remove_old(self._folder, self._kept, self._days)

    def _health(self) -> PipelineHealth:
        """See how the pipeline stands: what counting has counted, and how far it is behind."""
        now: Any = self.client.time()
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
            taken=now[0] * 1000 + now[1] // 1000,
            events=counted.events,
            lag_seconds=lag,
            duplicates=counted.duplicates,
            dead_letters=counted.dead,
            missing=counted.missing,
            lost=counted.lost,
        )


def _sum(one: Counters, other: Counters) -> Counters:
    return Counters(
        events=one.events + other.events,
        duplicates=one.duplicates + other.duplicates,
        dead=one.dead + other.dead,
        missing=one.missing + other.missing,
        lost=one.lost + other.lost,
    )
