"""The snapshot reports of the stream: pages of them, the newest one, one by its id. Any host that
reaches Redis reads them.

Entries that are no JSON, or no snapshot, were written by hand or by another version and are passed
over.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, TypeVar

import msgspec
import redis.asyncio

from driftgauge.producer.http.problems import Problem
from driftgauge.producer.reading.pipeline import ModelState
from driftgauge.producer.reading.positions import entry_number, read_vector, write_vector
from driftgauge.producer.reading.streams import newest
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.severity import Severity
from driftgauge.shared.contract.snapshot import Snapshot, Window
from driftgauge.shared.reporting.health import PipelineHealth

READ = 20
"""Reports read at once: each has some ten kB."""
Form = TypeVar("Form")


class Listed(msgspec.Struct, frozen=True):
    """What a list shows of a snapshot."""

    id: str
    model: str
    version: str
    trigger: str
    created: int
    severity: Severity
    verdict: str
    window: Window


class _Named(msgspec.Struct):
    id: str


class _Summary(msgspec.Struct):
    data: Listed


class _Envelope(msgspec.Struct):
    data: Snapshot


async def page(
    client: redis.asyncio.Redis, keys: Keys, models: Iterable[str], count: int, before: str | None
) -> tuple[list[Listed], str | None]:
    """Give up to `count` reports, newest first, and where the next page begins; None if there is
    none.

    Raises
    ------
    Problem
        400 if `before` is not what a page gave.
    """
    ends = _ends(before)
    found: list[tuple[tuple[int, int], str, Listed]] = []
    for model in sorted(models):
        of_model = 0
        async for entry_id, event in _backwards(client, keys.snapshots(model), ends.get(model)):
            summary = _decoded(event, _Summary)
            if summary is not None:
                found.append((entry_number(entry_id), model, summary.data))
                of_model += 1
            if (
                of_model > count
            ):  # one more than can be shown: so it is known that there is a next page
                break
    found.sort(key=lambda one: one[0], reverse=True)
    for number, model, _ in found[:count]:
        ends[model] = f"{number[0]}-{number[1]}"
    return [listed for _, _, listed in found[:count]], write_vector(ends) if len(
        found
    ) > count else None


async def latest(client: redis.asyncio.Redis, keys: Keys, model: str) -> Snapshot:
    """Give the newest snapshot of a model; Problem 404 if there is none."""
    entries = await newest(client, keys.snapshots(model), 1)
    if not entries:
        raise Problem(
            404,
            f"There is no report of {model} yet. The worker (`driftgauge worker`) writes one when "
            f"it has judged a window.",
        )
    return _snapshot(entries[0][1], f"of {model}")


async def find(
    client: redis.asyncio.Redis, keys: Keys, models: Sequence[str], report: str
) -> Snapshot:
    """Look for a report by its id, the newest first; each entry is read only as far as its id.
    Problem 404 if it is gone.
    """
    for model in models:
        async for _, event in _backwards(client, keys.snapshots(model), None):
            named = _decoded(event, _Named)
            if named is not None and named.id == report:
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


async def _backwards(
    client: redis.asyncio.Redis, key: str, before: str | None
) -> AsyncIterator[tuple[str, bytes]]:
    """Read a stream from its end, or from before an entry, to its beginning."""
    end = "+" if before is None else f"({before}"
    while True:
        entries: Any = await client.xrevrange(key, max=end, count=READ)
        for entry_id, fields in entries:
            end = f"({entry_id.decode()}"
            yield entry_id.decode(), fields.get(b"e", b"")
        if len(entries) < READ:
            return


def _decoded(event: bytes, form: type[Form]) -> Form | None:
    try:
        return msgspec.json.decode(event, type=form)
    except ValueError:  # another version's, or written by hand
        return None


def _snapshot(event: bytes, name: str) -> Snapshot:
    envelope = _decoded(event, _Envelope)
    if envelope is None:
        raise Problem(500, f"The report {name} cannot be read: another version wrote it.")
    return envelope.data


def _ends(before: str | None) -> dict[str, str]:
    try:
        return {} if before is None else read_vector(before)
    except Problem:
        raise Problem(
            400, "`before` is not the `next` of a page; leave it out to begin with the newest."
        ) from None
