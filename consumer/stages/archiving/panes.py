"""Archiving the panes of a partition: a row for each pane, version and column, with its counts.

By which of its references a version was counted say the entries in between: so it is a part of the
state. What the cells of a reference are is written once, beside the rows.
"""

from collections import defaultdict
from collections.abc import Generator, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import redis

from driftgauge.consumer.counting.state import references_of
from driftgauge.consumer.stages.archiving.cells import cells_of
from driftgauge.consumer.stages.archiving.following import FollowedArchive
from driftgauge.consumer.stages.follower import Done, Event, Hold
from driftgauge.consumer.stages.versions import PublishedVersions
from driftgauge.shared.archive.archived import Followed
from driftgauge.shared.archive.columns import HISTOGRAMS
from driftgauge.shared.archive.rows import Rows
from driftgauge.shared.archive.store import Store
from driftgauge.shared.archive.writing import cells_folder, parquet
from driftgauge.shared.arrays import Ints
from driftgauge.shared.connections.streams import last_generated
from driftgauge.shared.contract import pane
from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.contract.fault import ARCHIVED_PANES
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.contract.pane import NewReference, Pane, unpack_counts
from driftgauge.shared.durations import MAX_TIME_MS
from driftgauge.shared.reference.history import reference_key
from driftgauge.shared.reference.profile import ReferenceProfile
from driftgauge.shared.settings import Settings
from driftgauge.shared.unpacking import UNREADABLE

MOST_COUNT: Final = 2**31 - 1
"""Largest count of a cell."""
_Use = tuple[str, int]
"""A version, and the number of the reference that it is counted by."""


class _Part(NamedTuple):
    """The part of a pane that is of one version."""

    pane: Pane
    rows: int
    counts: Ints


class Panes(FollowedArchive):
    """Writes the panes of one partition to the archive.

    Parameters
    ----------
    client
        Redis client of the partition's slot.
    versions
        The published versions, for their references.
    """

    name = "archiving panes of"
    key = ARCHIVED_PANES
    kind = "panes"
    entries, most = 20, 500
    from_beginning = False
    field = pane.FIELD

    def __init__(
        self,
        client: redis.Redis,
        settings: Settings,
        keys: Keys,
        model: str,
        partition: int,
        store: Store,
        versions: PublishedVersions,
    ) -> None:
        super().__init__(settings, model, store, f"panes-p{partition}", partition)
        self._client, self._versions = client, versions
        self._stream, self._count = keys.panes(model, partition), keys.count(model, partition)
        self._written: set[_Use] = set()

    def load(self, state: bytes) -> None:
        """Load the state; the first owner begins with the references that are in use."""
        self._is_first = not state
        if self._is_first:
            packed: Any = self._client.hget(self._count, "state")
            in_use = dict(references_of({b"state": packed} if packed else {}))
            state = msgspec.json.encode(Followed(references=in_use))
        super().load(state)

    def take(self, events: Sequence[Event], hold: Hold) -> Generator[Done, None, None]:
        """Note what the first owner began with; then collect and write panes."""
        if self._is_first:
            self._is_first = False
            yield Done(state=msgspec.json.encode(self._state))
        yield from super().take(events, hold)

    def _align(self, head: EntryId) -> None:
        """Remove panes that Redis does not have: their numbers come again. Without a checkpoint go
        on behind what is archived: a cut that begins before it is not taken.
        """
        last = EntryId.parse(last_generated(self._client, self._stream))
        end = min(self._end if self._state.end else head, last)
        if head > end:
            self._remove_behind(str(end))
        if head > end or not self._state.end:
            self._state = msgspec.structs.replace(self._state, end=str(end), plan="")

    def _after(self, end: str) -> Followed:
        return Followed(end, references=self._references)

    def _rows(self, events: Sequence[Event]) -> Rows:
        self._references = dict(self._state.references)
        found: dict[_Use, list[_Part]] = defaultdict(list)
        for entry_id, content in events:
            try:
                entry = pane.decode(content)
            except UNREADABLE:  # it is told, and the next ones follow
                self._leave_out(entry_id, "cannot be read")
                continue
            if isinstance(entry, NewReference):
                self._references[entry.version] = entry.number
            elif isinstance(entry, Pane) and entry.end <= MAX_TIME_MS:
                self._add(entry_id, entry, found)
        rows = Rows(self._partition)
        for use, parts in found.items():
            version, number = use
            given = _columns(use, self._reference(use), parts)
            none = np.zeros(len(given["pane"]), np.int64)
            rows.add(self.kind, f"{version}-r{number}", HISTOGRAMS, given, none, none)
        return rows

    def _add(self, entry_id: bytes, entry: Pane, found: dict[_Use, list[_Part]]) -> None:
        for version, block in entry.blocks.items():
            use = version, self._references.get(version, 0)
            reference = self._reference(use)
            if reference is None:
                self._leave_out(entry_id, f"is of {version}, whose reference is not published,")
                continue
            try:
                counts = unpack_counts(block.cells, exactly=int(reference.offsets[-1]))
            except UNREADABLE:  # it is told, and the other versions follow
                counts = None
            if counts is None or counts.max(initial=0) > MOST_COUNT:
                self._leave_out(entry_id, f"does not fit the reference of {version}")
                continue
            self._write_cells(use, reference)
            found[use].append(_Part(entry, block.rows, counts))

    def _reference(self, use: _Use) -> ReferenceProfile | None:
        version, number = use
        found = self._versions.references({use}) if number else self._versions.fetch({version})
        published = found.get(reference_key(version, number))
        return None if published is None else published.reference

    def _write_cells(self, use: _Use, reference: ReferenceProfile) -> None:
        """Write what the cells are, unless it is there."""
        if use not in self._written:
            version, number = use
            path = f"{cells_folder(self._model)}/{version}-r{number}.parquet"
            with self._in_archive.asked():
                self._in_archive.store.create(path, parquet(cells_of(reference, *use)))
            self._written.add(use)


def _columns(
    use: _Use, reference: ReferenceProfile | None, parts: Sequence[_Part]
) -> dict[str, Any]:
    """Return the columns of the parts of some panes that are of one version and reference."""
    assert reference is not None  # noqa: S101  the parts fit it
    columns = reference.columns
    rows = len(parts) * len(columns)
    ends = np.cumsum(np.tile(np.diff(reference.offsets), len(parts)))
    offsets = np.concatenate(([0], ends)).astype(np.int32)
    counts = np.concatenate([part.counts for part in parts]).astype(np.int32)

    def each(values: Sequence[int]) -> list[int]:
        found: list[int] = np.repeat(np.array(values, np.int64), len(columns)).tolist()
        return found

    return {
        "pane": each([part.pane.number for part in parts]),
        "time": each([part.pane.start for part in parts]),
        "closed": each([part.pane.end for part in parts]),
        "version": [use[0]] * rows,
        "reference": [use[1]] * rows,
        "feature": [column.name for column in columns] * len(parts),
        "rows": each([part.rows for part in parts]),
        "counts": pa.ListArray.from_arrays(offsets, counts),
    }
