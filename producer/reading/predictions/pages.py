"""The predictions of a model in pages, newest first: all code that shows them asks here.

Theory of operation: the log of each partition comes first, then what was archived of it before. The
archive's rows have the ids of their entries, so both meet at an entry without a gap or a repeated
row.

- Without a filter the log is shown as far as it goes: the archive begins before its first entry.
- A search reads of the log only what is not archived yet, since the archive finds rows faster.

In the archive pages go by the days of the predictions' own times, and within a day against the
order of the log.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

import redis.asyncio

from driftgauge.producer.http.problems import Problem
from driftgauge.producer.reading.pages import unknown_cursor
from driftgauge.producer.reading.pipeline import Pipeline
from driftgauge.producer.reading.predictions import log
from driftgauge.producer.reading.predictions.archived import ArchivePages
from driftgauge.producer.reading.predictions.log import Page, PredictionFilter, place_of
from driftgauge.shared.archive.archived import OFFSET
from driftgauge.shared.archive.paging.position import END, NEWEST, Position
from driftgauge.shared.contract.entry_id import EntryId, Place, is_entry_id

FORM: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})\.(.+)\.([^.]+)")
"""A cursor within the archive: a position, and the entry before which the archive began."""


@dataclass(frozen=True)
class Predictions:
    """Reads pages of predictions.

    Parameters
    ----------
    archived
        The archive; None if there is none.
    """

    client: redis.asyncio.Redis
    pipeline: Pipeline
    archived: ArchivePages | None

    async def page(
        self, model: str, wanted: PredictionFilter, limit: int, cursor: str = ""
    ) -> Page:
        """Return up to `limit` predictions, newest first.

        Parameters
        ----------
        cursor
            The `following` of the previous page; empty for the newest predictions.

        Raises
        ------
        Problem
            400 if `cursor` is malformed, 503 if all rows are in an archive that does not answer.
        """
        logs = await self.pipeline.logs(model)
        if self.archived is None:
            return await log.page(self.client, logs, wanted, limit, cursor)
        ends = await self._ends(model) if wanted.is_search else {}
        if (form := FORM.fullmatch(cursor)) is not None:
            start, seam = _position(form)
            bounds = await self._bounds(logs, ends, seam)
            return await _older(self.archived, model, wanted, bounds, start, limit)
        if wanted.id and not cursor:
            with suppress(Problem):  # the log may have it although the archive does not answer
                named = await self.archived.of_id(model, wanted)
                if named.rows:
                    return Page(named.rows, "", named.read, named.skipped)
        return await self._both(self.archived, model, logs, ends, wanted, limit, cursor)

    async def _both(
        self,
        archived: ArchivePages,
        model: str,
        logs: Sequence[str],
        ends: Mapping[int, EntryId],
        wanted: PredictionFilter,
        limit: int,
        cursor: str,
    ) -> Page:
        """Return a page that begins in the log, and goes on in the archive if it ends there."""
        newer = await log.page(self.client, logs, wanted, limit, cursor, behind=ends)
        if newer.following:
            return newer
        bounds = _before(await self._bounds(logs, ends, END), place_of(cursor), newer)
        if wanted.since_ms is not None and max(bounds.values(), default=END).ms <= wanted.since_ms:
            return newer  # no prediction is later than its entry
        try:
            left = limit - len(newer.rows)
            older = await _older(archived, model, wanted, bounds, NEWEST, left)
        except Problem as problem:
            if not newer.rows:
                raise
            following = _cursor(NEWEST, bounds)
            return replace(newer, following=following, skipped=(problem.detail,))
        return replace(older, rows=newer.rows + older.rows, read=newer.read + older.read)

    async def _ends(self, model: str) -> dict[int, EntryId]:
        """Return the last archived entry of each partition of which something is archived."""
        async with self.client.pipeline(transaction=False) as pipe:
            for key in await self.pipeline.archives(model):
                pipe.hget(key, OFFSET)
            told: list[bytes | None] = await pipe.execute()
        return {number: EntryId.parse(end) for number, end in enumerate(told) if end is not None}

    async def _bounds(
        self, logs: Sequence[str], ends: Mapping[int, EntryId], seam: EntryId
    ) -> dict[int, EntryId]:
        """Return for each partition the entry before which its rows are read from the archive.

        Parameters
        ----------
        ends
            The last archived entry of partitions of which the log has later ones only.
        seam
            An entry that was before all pages of the archive.
        """
        async with self.client.pipeline(transaction=False) as pipe:
            for key in logs:
                pipe.xrange(key, count=1)
            firsts: list[Any] = await pipe.execute()
        bounds = {
            number: EntryId.parse(found[0][0]) if found else END
            for number, found in enumerate(firsts)
        }
        bounds |= {number: end.next for number, end in ends.items()}
        return {number: min(bound, seam) for number, bound in bounds.items()}


async def _older(
    archived: ArchivePages,
    model: str,
    wanted: PredictionFilter,
    bounds: Mapping[int, EntryId],
    start: Position,
    limit: int,
) -> Page:
    found = await archived.page(model, wanted, bounds, start, limit)
    following = "" if found.following is None else _cursor(found.following, bounds)
    return Page(found.rows, following, found.read, found.skipped)


def _before(bounds: dict[int, EntryId], cursor: Place | None, shown: Page) -> dict[int, EntryId]:
    """Return the bounds without what is shown of the log, which may have lost it meanwhile."""
    for row in shown.rows:
        number = row.place.partition
        bounds[number] = min(bounds[number], row.place.entry)
    if cursor is not None:
        for number, bound in bounds.items():
            bounds[number] = min(bound, cursor.bound(number))
    return bounds


def _cursor(position: Position, bounds: Mapping[int, EntryId]) -> str:
    return f"{position.date}.{position.before}.{max(bounds.values(), default=END)}"


def _position(form: re.Match[str]) -> tuple[Position, EntryId]:
    """Read a cursor within the archive."""
    date, text, seam = form.groups()
    before = place_of(text)
    if before is None or not is_entry_id(seam):
        raise unknown_cursor()
    return Position(date, before), EntryId.parse(seam)
