"""What the consumer's tests share: a small model with one feature of every awkward kind, its
traffic, its log.
"""

import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from msgspec.structs import replace

from driftgauge.consumer.counting.advance import advance
from driftgauge.consumer.counting.entries import columns
from driftgauge.consumer.counting.entries.columns import CheckedDecoder, DeadLetter, Entry
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.consumer.counting.state import CountingState
from driftgauge.shared.contract.events import Prediction, encode, partition_of
from driftgauge.shared.contract.pane import Pane, PaneEntry, RollUp, Span, unpack_counts
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.profile import NumericReference, ReferenceProfile
from driftgauge.shared.reference.schema import Feature, Schema
from driftgauge.shared.registry.registry import PublishedVersion, new_manifest

NOON = 1_763_640_000_000
"""2025-11-20 12:00 UTC, in ms."""

SCHEMA = Schema(
    (
        Feature("smooth", "numeric", nullable=True),
        Feature("discrete", "numeric"),
        Feature("constant", "numeric"),
        Feature("heavy", "numeric"),
        Feature("absent", "numeric", nullable=True),
        Feature("city", "categorical", nullable=True),
    )
)
NUMERIC_SCHEMA = Schema(
    (Feature("a", "numeric", nullable=True), Feature("b", "numeric", nullable=True))
)
CITIES = [f"city{number}" for number in range(60)]


def traffic(
    random: np.random.Generator, rows: int, shift: float = 0.0, missing: float = 0.02
) -> list[list[object]]:
    """Draw feature rows of `SCHEMA`; `shift` moves the smooth feature, in standard deviations."""
    smooth = [
        None if random.random() < missing else value
        for value in random.normal(shift, 1, rows).tolist()
    ]
    discrete = random.integers(0, 5, rows).astype(float).tolist()
    heavy = (random.standard_cauchy(rows) ** 3).tolist()
    city = [
        None if random.random() < missing else CITIES[min(int(draw), 59)]
        for draw in random.exponential(9, rows)
    ]
    return [
        list(row)
        for row in zip(smooth, discrete, [7.0] * rows, heavy, [None] * rows, city, strict=True)
    ]


def reference_of(
    rows: Sequence[Sequence[object]], schema: Schema, predictions: Sequence[float]
) -> ReferenceProfile:
    found = []
    for place, feature in enumerate(schema.features):
        values = [row[place] for row in rows]
        if feature.kind == "numeric":
            found.append(np.array(values, dtype=float))
        else:
            array = np.empty(len(values), dtype=object)
            array[:] = values
            found.append(array)
    return build_profile(schema, found, np.array(predictions))


def published(
    version: str = "1.0.0",
    seed: int = 0,
    rows: int = 2000,
    model: str = "plant",
    segments: tuple[str, ...] = (),
) -> PublishedVersion:
    """Make a version of the mixed model."""
    random = np.random.default_rng(seed)
    schema = replace(SCHEMA, segments=segments)
    reference = reference_of(traffic(random, rows), schema, random.normal(size=rows).tolist())
    return PublishedVersion(new_manifest(model, version, task="regression"), schema, reference)


def numeric_reference(seed: int = 0, rows: int = 2000) -> ReferenceProfile:
    random = np.random.default_rng(seed)
    return reference_of(
        random.normal(size=(rows, 2)).tolist(), NUMERIC_SCHEMA, random.normal(size=rows).tolist()
    )


def cell_map(version: PublishedVersion) -> CellMap:
    return CellMap(version.schema, version.reference)


def raw(entry_id: str, number: object, payload: bytes, publisher: bytes = b"api") -> Entry:
    """Make an entry of the usual layout, whatever its content."""
    return entry_id.encode(), [
        b"t",
        b"p",
        b"p",
        publisher,
        b"s",
        str(number).encode(),
        b"e",
        payload,
    ]


def event(
    ms: int,
    number: int,
    features: Sequence[object],
    version: str = "1.0.0",
    publisher: bytes = b"api",
    **more: object,
) -> Entry:
    """Make a prediction's entry at an entry time, with the same event time unless another is
    given.
    """
    content = {
        "id": f"{number}",
        "version": version,
        "time": ms,
        "prediction": 0.5,
        "features": list(features),
        **more,
    }
    return raw(f"{ms}-{number}", number, encode(Prediction(**content)), publisher)  # type: ignore[arg-type]


def tick(ms: int, suffix: int = 0) -> Entry:
    return f"{ms}-{suffix}".encode(), [b"t", b"k"]


@dataclass
class Counted:
    """All that counting wrote: numbered entries of the panes, dead letters, and the checkpoint as
    it stands.
    """

    panes: list[tuple[int, int, PaneEntry]] = field(default_factory=list)
    rollups: list[tuple[Span, RollUp]] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    fields: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def closed(self) -> list[Pane]:
        return [entry for _, _, entry in self.panes if isinstance(entry, Pane)]

    def state(self, versions: dict[str, CellMap]) -> CountingState:
        return CountingState.unpack(self.fields, versions)

    def cells(self, versions: dict[str, CellMap]) -> dict[str, np.ndarray]:
        """Sum the cells of closed panes and the open one, by version."""
        total = {name: np.zeros(versions[name].size, dtype=np.int64) for name in versions}
        for pane in self.closed:
            for name, block in pane.blocks.items():
                total[name] += unpack_counts(block.cells)
        open_pane = self.state(versions).pane
        for name, block in (open_pane.blocks if open_pane else {}).items():
            total[name] += block.cells
        return total


def count(
    entries: Sequence[Entry],
    versions: dict[str, CellMap],
    policy: CountingPolicy,
    cuts: Iterable[int] = (),
    expected: CheckedDecoder | None = None,
) -> Counted:
    """Count a log cut into batches, through a packed checkpoint between any two of them."""
    counted = Counted()
    edges = sorted({0, *cuts, len(entries)})
    for first, last in itertools.pairwise(edges):
        state = counted.state(versions)
        outputs = advance(state, columns.read(entries[first:last], expected), versions, policy)
        counted.panes += outputs.panes
        counted.rollups += outputs.rollups
        counted.dead += outputs.dead
        for name, packed in state.pack_changed().items():
            counted.fields[name] = packed
            if not packed:
                del counted.fields[name]
    return counted


def payload_of(entry: Entry) -> dict[str, object]:
    """Decode an entry by the standard library, as an oracle that shares no code with counting."""
    return dict(json.loads(dict(zip(entry[1][::2], entry[1][1::2], strict=True))[b"e"]))


def divided(entries: Sequence[Entry], partitions: int) -> list[list[Entry]]:
    """Divide a log among partitions, each with the numbers of its publishers without a gap."""
    logs: list[list[Entry]] = [[] for _ in range(partitions)]
    known: dict[tuple[int, bytes], dict[bytes, int]] = {}
    for entry_id, fields in entries:
        partition = partition_of(str(payload_of((entry_id, fields))["id"]), partitions)
        numbers = known.setdefault((partition, fields[3]), {})
        place = numbers.setdefault(fields[5], len(numbers) + 1)
        logs[partition].append((entry_id, [*fields[:5], str(place).encode(), *fields[6:]]))
    return logs


def cells_by_comparison(values: Sequence[float | None], reference: NumericReference) -> list[int]:
    """Count values per cell by comparing each with each cut: slow, and shares no code with
    counting.
    """
    present = np.array([value for value in values if value is not None], dtype=float)
    bounds = [-np.inf, *reference.cuts, np.inf]
    found = []
    for place, (low, high) in enumerate(itertools.pairwise(bounds)):
        found.append(int(((present > low) & (present < high)).sum()))
        if place < len(reference.cuts):
            found.append(int((present == high).sum()))
    return [*found, len(values) - len(present)]
