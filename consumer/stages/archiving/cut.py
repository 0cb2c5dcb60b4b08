"""Reads a part of a partition's log as rows for the archive: what was counted, and what was refused
with its reason; nothing of what was repeated.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

import numpy as np
import redis

from driftgauge.consumer.counting.entries import columns
from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.consumer.stages.archiving.refused import refused_of
from driftgauge.consumer.stages.archiving.uncounted import Uncounted
from driftgauge.consumer.stages.reader import next_count
from driftgauge.consumer.stages.stage import read_streams
from driftgauge.consumer.stages.versions import PublishedVersions
from driftgauge.shared.archive.rows import Rows
from driftgauge.shared.arrays import Flags, Ints
from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.errors import BadData

_Kind = TypeVar("_Kind", str, bool)
_Event = TypeVar("_Event")

PAGE: Final = 1000
"""Entries of the log that are read at first; then more at a time, if they are short."""
MOST_TEXT: Final = 32 << 20
"""Most bytes of text of refused events in a cut, but for its last page."""


class LogPart:
    """A part of a log behind an entry, read page by page.

    Parameters
    ----------
    client
        Redis client of the partition's slot, with raw replies to XREAD.
    log, uncounted
        Keys of the log, and of what of it was not counted.
    versions
        The published versions, for their schemas.
    """

    def __init__(
        self,
        client: redis.Redis,
        log: str,
        uncounted: str,
        versions: PublishedVersions,
        partition: int,
        start: str,
    ) -> None:
        self._client = client
        self._log, self._uncounted = log, Uncounted(client, uncounted, start)
        self._versions = versions
        self._count = PAGE
        self.end = start
        self.rows = Rows(partition)

    def read(self, until: str, most: int | None, hold: Callable[[], None]) -> None:
        """Read up to an entry that counting has committed, or until there are so many rows or much
        text; without a bound all of it, as a cut that is written again.

        Raises
        ------
        BadData
            If a version of a prediction is not published any more.
        """
        while EntryId.parse(self.end) < EntryId.parse(until):
            found = self._next()
            if not found or EntryId.parse(found[-1][0]) > EntryId.parse(until):
                found = [one for one in found if EntryId.parse(one[0]) <= EntryId.parse(until)]
            if not found:  # the rest was trimmed before it could be read
                self.end = until
                return
            self._add(found)
            self.end = found[-1][0].decode()
            hold()
            if most and (self.rows.number >= most or self.rows.text >= MOST_TEXT):
                return

    def _add(self, entries: Sequence[Entry]) -> None:
        batch = columns.read(entries)
        ids = [entry_id for entry_id, _ in entries]
        left_out, reasons = self._uncounted.among(ids)
        counted = np.ones(len(ids), dtype=bool)
        if left_out:
            counted[:] = [entry_id not in left_out for entry_id in ids]
        ms, numbers = _parts(ids)
        kinds = [one.version for one in batch.predictions]
        for version, places in _parted(kinds, counted[batch.positions]):
            events = _chosen(batch.predictions, places)
            at = batch.positions[places]
            self.rows.add_predictions(self._schema(version), events, ms[at], numbers[at])
        texts = [isinstance(one.label, str) for one in batch.labels.events]
        for _, places in _parted(texts, counted[batch.labels.positions]):
            at = batch.labels.positions[places]
            self.rows.add_labels(_chosen(batch.labels.events, places), ms[at], numbers[at])
        if reasons:
            refused = [place for place, one in enumerate(ids) if one in reasons]
            found = [refused_of(entries[at][1], reasons[ids[at]]) for at in refused]
            self.rows.add_refused(found, ms[refused], numbers[refused])

    def _next(self) -> Sequence[Entry]:
        found = read_streams(self._client, {self._log: self.end}, self._count)
        entries = found[0][1] if found else []
        if len(entries) == self._count:
            self._count = next_count(self._count, entries)
        return entries

    def _schema(self, version: str) -> Any:
        found = self._versions.fetch({version})
        if version not in found:
            raise BadData(
                f"Version {version!r} is not published any more, so the types of its predictions "
                f"are not known. Publish it again: start an API with a registry that has it."
            )
        return found[version].schema


def _parted(kinds: Sequence[_Kind], counted: Flags) -> Iterator[tuple[_Kind, Ints]]:
    """Yield the kinds of some events, with the places of those that were counted."""
    found = sorted(set(kinds))
    for kind in found:
        mine = counted if len(found) == 1 else counted & [one == kind for one in kinds]
        places = np.flatnonzero(mine)
        if len(places):
            yield kind, places


def _chosen(events: Sequence[_Event], places: Ints) -> Sequence[_Event]:
    """Return the events at some places, of which there may be all."""
    return events if len(places) == len(events) else [events[place] for place in places.tolist()]


def _parts(ids: Sequence[bytes]) -> tuple[Ints, Ints]:
    """Return the two numbers of many ids."""
    text = b" ".join(ids).replace(b"-", b" ").decode()
    both = np.fromstring(text, dtype=np.int64, sep=" ")
    return both[::2], both[1::2]
