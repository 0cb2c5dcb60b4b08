"""The state of counting one partition, and its form in the checkpoint: one hash field per part, so
that a commit writes only what changed.

    state               clocks, traffic, numbers of panes
    counters            what was counted, readable JSON
    pane                the open pane
hour, day, ages     the running sums of panes, and how old the written ones are (rollups.py)
    publisher:ID        the sequence numbers seen
    holes               the numbers that have not arrived, readable JSON (shared/losses.py)
    (ids that clients supplied are in keys of their own, by hour: client_ids.py)
    labels              what waits for labels by day, and joined rows that judging does not know yet
    (predictions and labels that wait for each other have keys of their own too, by day: pending.py)
    exchanges           how many requests and responses wait for each other
    (the halves themselves have keys of their own, by five minutes: exchanges/waiting.py)
    detector:NAME:V     framed detector state of version V
    errors:NAME:V       framed state of a detector of its errors
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from driftgauge.consumer.counting.clock import Clock, Traffic
from driftgauge.consumer.counting.detectors import DETECTORS, ERROR_DETECTORS, Detector
from driftgauge.consumer.counting.entries.client_ids import ClientIds
from driftgauge.consumer.counting.entries.publishers import Publisher
from driftgauge.consumer.counting.exchanges.waiting import Exchanges, Span
from driftgauge.consumer.counting.labels.pending import Day, Pending
from driftgauge.consumer.counting.labels.revisions import Revisions
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.counting.panes.open_pane import OpenPane
from driftgauge.consumer.counting.panes.rollups import FIELDS, Marks, RollUps
from driftgauge.shared.contract import counters
from driftgauge.shared.contract.counters import Counters, LabelCounts
from driftgauge.shared.losses import HOLES_FIELD, MOST_OF_PUBLISHER, Hole, listed
from driftgauge.shared.reference.history import reference_key


class InUse(msgspec.Struct, frozen=True):
    """The reference that a version is counted by: the change that brought it, and its number."""

    change: int = 0
    number: int = 0


class _Labels(msgspec.Struct):
    days: dict[int, Day]
    revisions: Revisions


class _Exchanges(msgspec.Struct):
    spans: dict[int, Span]
    day: int
    publisher: bytes
    number: int


class Position(msgspec.Struct):
    """Counters and positions of the state.

    Parameters
    ----------
    closed
        Number of the last closed pane.
    written
        Number of entries written to the panes stream after it.
    hours
        (entry-time hour, first pane closed in it), for trimming by age.
    references
        References of the versions that have, or had, another one than the registered one.
    id_hours
        `first` and `last` of the clients' ids (client_ids.py).
    """

    clock: Clock
    traffic: Traffic
    closed: int = 0
    written: int = 0
    hours: Marks = []
    references: dict[str, InUse] = {}
    id_hours: tuple[int, int] = (0, 0)

    def reference_key(self, version: str) -> str:
        """Return the `reference_key` of a version with the reference that it is counted by."""
        return reference_key(version, self.references.get(version, InUse()).number)


@dataclass(slots=True)
class CountingState:
    """Everything that counting one partition knows. `advance` owns it; `changed` names the fields
    to commit.
    """

    position: Position = field(default_factory=lambda: Position(Clock(), Traffic()))
    counters: Counters = field(default_factory=Counters)
    pane: OpenPane | None = None
    publishers: dict[bytes, Publisher] = field(default_factory=dict)
    detectors: dict[tuple[str, str], Detector] = field(default_factory=dict)
    """Detectors of columns, by detector name and version."""
    errors: dict[tuple[str, str], Detector] = field(default_factory=dict)
    """Detectors of errors, by detector name and version."""
    ids: ClientIds = field(default_factory=ClientIds)
    """Ids that clients supplied; they have keys of their own, which expire."""
    pending: Pending = field(default_factory=Pending)
    """Predictions that wait for labels, and the reverse; they have keys of their own, which expire.
    """
    exchanges: Exchanges = field(default_factory=Exchanges)
    """Requests and responses that wait for each other; they have keys of their own, which expire.
    """
    revisions: Revisions = field(default_factory=Revisions)
    rollups: RollUps = field(default_factory=RollUps)
    changed: set[bytes] = field(default_factory=set)

    def pack_changed(self) -> dict[bytes, bytes]:
        """Return the fields that changed since the last call, packed; an empty value is a field to
        delete.
        """
        packed = {name: self._pack(name) for name in sorted(self.changed | self.rollups.changed)}
        if any(name.startswith(b"publisher:") for name in packed):
            packed[HOLES_FIELD] = self._pack_holes()
        self.changed.clear()
        self.rollups.changed.clear()
        return packed

    def _pack(self, name: bytes) -> bytes:
        kind, _, rest = name.partition(b":")
        if kind == b"publisher":
            return self.publishers[rest].pack() if rest in self.publishers else b""
        if kind in {b"detector", b"errors"}:
            detector = self._detector(name)
            return detector.pack() if detector is not None else b""
        if kind == b"pane":
            return self.pane.pack() if self.pane is not None else b""
        if kind == b"counters":
            self.counters.missing = sum(
                publisher.seen.missing for publisher in self.publishers.values()
            )
            self._note_waiting(self.counters.labels)
            self.counters.exchanges.waiting = self.exchanges.size
            return msgspec.json.encode(self.counters)
        if kind in {b"labels", b"exchanges"}:
            return self._pack_waiting(kind)
        return self.rollups.pack(kind) if kind in FIELDS else msgspec.msgpack.encode(self.position)

    def _pack_waiting(self, kind: bytes) -> bytes:
        """Pack what is known of labels, or of requests and responses, that wait."""
        if kind == b"labels":
            return msgspec.msgpack.encode(_Labels(self.pending.days, self.revisions))
        known = self.exchanges
        place = _Exchanges(known.spans, known.day, known.publisher, known.number)
        return msgspec.msgpack.encode(place)

    def _unpack_waiting(self, kind: bytes, packed: bytes) -> None:
        """Read what `_pack_waiting` wrote."""
        if kind == b"labels":
            labels = msgspec.msgpack.decode(packed, type=_Labels)
            self.pending.days, self.revisions = labels.days, labels.revisions
        else:
            known = msgspec.msgpack.decode(packed, type=_Exchanges)
            self.exchanges = Exchanges(
                known.spans, day=known.day, publisher=known.publisher, number=known.number
            )

    def _pack_holes(self) -> bytes:
        """Pack the numbers that have not arrived."""
        holes = listed(
            Hole(name.decode(errors="replace"), *gap)
            for name, publisher in self.publishers.items()
            for gap in publisher.seen.gaps(MOST_OF_PUBLISHER)
        )
        return msgspec.json.encode(holes) if holes else b""

    def _note_waiting(self, counts: LabelCounts) -> None:
        """Update the counters of waiting predictions, labels and joined rows."""
        counts.waiting, counts.early = self.pending.size, len(self.pending.early)
        counts.untold = self.revisions.ready(self.position.closed)
        counts.untold_open = self.revisions.size - counts.untold

    def _detector(self, name: bytes) -> Detector | None:
        """Return the detector of a field; None if it no longer exists."""
        kind, detector, version = name.decode().split(":", 2)
        return (self.errors if kind == "errors" else self.detectors).get((detector, version))

    @classmethod
    def unpack(
        cls, fields: Mapping[bytes, bytes], cell_maps: Mapping[str, CellMap]
    ) -> "CountingState":
        """Read a checkpoint's fields; `cell_maps` has all that `versions_of` and `references_of`
        name.
        """
        state = cls(position=_position(fields))
        state.ids.first, state.ids.last = state.position.id_hours
        for name, packed in fields.items():
            kind, _, rest = name.partition(b":")
            if kind == counters.FIELD.encode():
                state.counters = msgspec.json.decode(packed, type=Counters)
            elif kind == b"pane":
                state.pane = OpenPane.unpack(packed)
            elif kind in FIELDS:
                state.rollups.unpack(kind, packed)
            elif kind in {b"labels", b"exchanges"}:
                state._unpack_waiting(kind, packed)
            elif kind == b"publisher":
                state.publishers[rest] = Publisher.unpack(packed)
            elif kind == b"errors":
                detector, _, version = rest.decode().partition(":")
                cells = cell_maps[version]
                if cells.errors is not None:
                    found = ERROR_DETECTORS[detector].unpack(
                        packed, cells.errors, cells.error_ranks
                    )
                    state.errors[detector, version] = found
            elif kind == b"detector":
                detector, _, version = rest.decode().partition(":")
                cells = cell_maps[state.position.reference_key(version)]
                state.detectors[detector, version] = DETECTORS[detector].unpack(
                    packed, cells.reference, cells.ranks
                )
        return state


def versions_of(fields: Mapping[bytes, bytes]) -> set[str]:
    """Return the versions that a checkpoint's detectors and joined rows belong to."""
    detected = {
        name.decode().split(":", 2)[2]
        for name in fields
        if name.startswith((b"detector:", b"errors:"))
    }
    if b"labels" not in fields:
        return detected
    revisions = msgspec.msgpack.decode(fields[b"labels"], type=_Labels).revisions
    return detected | {row.version for rows in revisions.rows.values() for row in rows.values()}


def references_of(fields: Mapping[bytes, bytes]) -> set[tuple[str, int]]:
    """Return the versions that are counted by another reference than the registered one, and its
    number.
    """
    return {
        (version, found.number)
        for version, found in _position(fields).references.items()
        if found.number
    }


def _position(fields: Mapping[bytes, bytes]) -> Position:
    packed = fields.get(b"state")
    return (
        Position(Clock(), Traffic())
        if packed is None
        else msgspec.msgpack.decode(packed, type=Position)
    )
