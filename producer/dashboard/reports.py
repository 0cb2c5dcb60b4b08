"""What the Reports page lists: the kept snapshots, newest first."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import redis.asyncio

from producer.positions import entry_number, read_vector, write_vector
from producer.problems import Problem
from shared.keys import Keys

PAGE: Final = 25
"""Reports of a page: each is read whole, some ten kB."""


class Judged(msgspec.Struct, frozen=True):
    """Of a window, what is listed."""

    start: int
    end: int
    rows: int


class Listed(msgspec.Struct, frozen=True):
    """Of a snapshot, what is listed."""

    id: str
    model: str
    version: str
    trigger: str
    created: int
    severity: str
    verdict: str
    window: Judged


class _Envelope(msgspec.Struct):
    data: Listed


_decode = msgspec.json.Decoder(_Envelope).decode


async def reports(
    client: redis.asyncio.Redis, keys: Keys, models: Sequence[str], before: str
) -> tuple[list[Listed], str | None]:
    """Give a page of the reports of some models, and `before` of the next page.

    Raises
    ------
    Problem
        400 if `before` is not what a page gave.
    """
    ends = _ends(before)
    found = [entry for model in models for entry in await _of(client, keys, model, ends.get(model))]
    found.sort(key=lambda entry: entry[0], reverse=True)
    shown = found[:PAGE]
    for number, model, _ in shown:
        ends[model] = f"{number[0]}-{number[1]}"
    readable = [report for *_, packed in shown if (report := _read(packed)) is not None]
    return readable, write_vector(ends) if len(found) > PAGE else None


async def _of(
    client: redis.asyncio.Redis, keys: Keys, model: str, before: str | None
) -> list[tuple[tuple[int, int], str, bytes]]:
    """Read the last reports of a model, one more than can be shown."""
    end = "+" if before is None else f"({before}"
    entries: Any = await client.xrevrange(keys.snapshots(model), max=end, count=PAGE + 1)
    return [(entry_number(entry_id.decode()), model, fields.get(b"e", b"")) for entry_id, fields in entries]


def _read(packed: bytes) -> Listed | None:
    try:
        return _decode(packed).data
    except ValueError:  # another release wrote it; opened by its id, it says so
        return None


def _ends(before: str) -> dict[str, str]:
    try:
        return read_vector(before) if before else {}
    except Problem:
        raise Problem(400, "`before` is not the `next` of a page; leave it out to begin with the newest.") from None
