"""The snapshot reports of the stream: pages of them, the newest one, one by its id. Any host that
reaches Redis reads them.

Entries that are not JSON, or not a snapshot, were written by hand or by another version and are
skipped.
"""

from collections.abc import Iterable, Sequence

import redis.asyncio

from driftgauge.producer.http.problems import Problem
from driftgauge.producer.reading.model_state import ModelState
from driftgauge.producer.reading.pages import merged_page
from driftgauge.shared.connections.streams import (
    Backwards,
    Fields,
    backwards_async,
    newest_async,
)
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.snapshot import Snapshot
from driftgauge.shared.contract.snapshot_parts import SnapshotName, SnapshotSummary, part_of
from driftgauge.shared.reporting.health import PipelineHealth
from driftgauge.shared.unpacking import UNREADABLE


async def page(
    client: redis.asyncio.Redis, keys: Keys, models: Iterable[str], limit: int, cursor: str | None
) -> tuple[list[SnapshotSummary], str | None]:
    """Return up to `limit` reports, newest first, and the cursor of the next page; None if nothing
    is left.

    Raises
    ------
    Problem
        400 if `cursor` is not what a page returned.
    """

    def decode(fields: Fields) -> SnapshotSummary:
        return part_of(_event(fields), SnapshotSummary)

    streams = {model: keys.snapshots(model) for model in models}
    return await merged_page(client, streams, decode, limit, cursor)


async def latest(client: redis.asyncio.Redis, keys: Keys, model: str) -> Snapshot:
    """Return the newest snapshot of a model; Problem 404 if there is none."""
    found = await newest_async(client, keys.snapshots(model))
    if found is None:
        raise Problem(
            404,
            f"There is no report of {model} yet. The worker (`driftgauge worker`) writes one when "
            f"it has judged a window.",
        )
    return _snapshot(_event(found[1]), f"of {model}")


async def find(
    client: redis.asyncio.Redis, keys: Keys, models: Sequence[str], report: str
) -> Snapshot:
    """Look for a report by its id, the newest first; each entry is read only as far as its id.

    Raises
    ------
    Problem
        404 if it is not kept (any more).
    """

    def decode(fields: Fields) -> bytes | None:
        event = _event(fields)
        return event if part_of(event, SnapshotName).id == report else None

    for model in models:
        async for _, event in backwards_async(client, keys.snapshots(model), Backwards(decode)):
            return _snapshot(event, report)
    raise Problem(404, f"No report {report} is kept; each model keeps its last thousand.")


def health_of(state: ModelState) -> PipelineHealth:
    """Sum up how a model's pipeline stands, for its report."""
    counted = [partition.counters for partition in state.partitions]
    return PipelineHealth(
        taken=state.now_ms,
        events=state.events,
        lag_seconds=max((partition.backlog.seconds for partition in state.partitions), default=0.0),
        duplicates=sum(one.duplicates for one in counted),
        dead_letters=sum(one.dead for one in counted),
        missing=sum(one.missing for one in counted),
        lost=sum(one.lost for one in counted),
    )


def _event(fields: Fields) -> bytes:
    return fields.get(b"e", b"")


def _snapshot(event: bytes, name: str) -> Snapshot:
    try:
        return part_of(event, Snapshot)
    except UNREADABLE:
        raise Problem(500, f"The report {name} cannot be read: another version wrote it.") from None
