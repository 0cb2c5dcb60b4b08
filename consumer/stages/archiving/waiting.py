"""What is counted of a model and waits to be archived, as rows."""

from collections.abc import Iterator
from typing import Final

from driftgauge.consumer.stages.archiving.cut import LogPart
from driftgauge.consumer.stages.archiving.uncounted import beginning
from driftgauge.consumer.stages.stage import raw_reads
from driftgauge.consumer.stages.versions import PublishedVersions, shapes
from driftgauge.shared.archive.archived import OFFSET
from driftgauge.shared.archive.rows import Group
from driftgauge.shared.archive.store import Store
from driftgauge.shared.archive.writing import read_head
from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.contract.keys import Keys

PART_ROWS: Final = 50_000
"""Rows that are in memory at once."""


class Waiting:
    """The rows of a model's logs behind what is archived, up to what is counted now.

    Attributes
    ----------
    ends
        The last entry of each partition that is archived. An archive that has rows and does not
        tell it has none; all its rows are archived ones.

    Raises
    ------
    OSError
        If the archive does not answer.
    """

    def __init__(self, store: Store, nodes: Nodes, keys: Keys, model: str) -> None:
        self._nodes, self._model = nodes, model
        shape = shapes(nodes.shared, keys, [model]).get(model)
        self._keys = keys if shape is None else keys.salted(shape.salts)
        self.ends: dict[int, EntryId] = {}
        self._spans: dict[int, tuple[str, str]] = {}
        has_rows = any(True for _ in store.find(f"predictions/model={model}"))
        for partition in range(0 if shape is None else shape.partitions):
            client = nodes.shared(self._keys.log(model, partition))
            head = read_head(store, model, f"p{partition}")
            counted = client.hget(self._keys.count(model, partition), OFFSET.decode())
            start = (
                beginning(client, self._keys.uncounted(model, partition))
                if head is None
                else head.end
            )
            if head is not None or not has_rows:
                self.ends[partition] = EntryId.parse(start)
            self._spans[partition] = start, _text(counted) or start

    def groups(self) -> Iterator[Group]:
        """Yield the rows, some at a time.

        Raises
        ------
        BadData
            If a version of a prediction is not published any more.
        """
        for partition, (start, until) in self._spans.items():
            log = self._keys.log(self._model, partition)
            client = raw_reads(self._nodes.shared(log))
            versions = PublishedVersions(
                self._nodes.shared(self._keys.versions(self._model)), self._keys, self._model
            )
            uncounted = self._keys.uncounted(self._model, partition)
            reached = start
            while EntryId.parse(reached) < EntryId.parse(until):
                part = LogPart(client, log, uncounted, versions, partition, reached)
                part.read(until, PART_ROWS, lambda: None)
                yield from part.rows.groups()
                reached = part.end


def _text(reply: object) -> str:
    return reply.decode() if isinstance(reply, bytes) else ""
