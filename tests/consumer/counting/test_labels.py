"""The join of labels, over logs with predictions, labels and ticks in any order, cut into batches in any way."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.counting import columns
from consumer.counting.advance import advance
from consumer.counting.cells import CellMap
from consumer.counting.client_ids import digest_of
from consumer.counting.clock import DAY_MS
from consumer.counting.columns import Entry
from consumer.counting.pending import Early, Pending, Waiting
from consumer.counting.policy import CountingPolicy
from consumer.counting.state import CountingState, versions_of
from shared.counters import LabelCounts
from shared.events import Label, encode
from shared.pane import Delta, PaneEntry
from shared.performance import Sums
from tests.consumer.builders import NOON, SCHEMA, event, published, tick, traffic

POLICY = CountingPolicy(pane_events=20, pane_seconds=600, expected_events_per_day=50, label_wait_days=1)
VERSIONS: dict[str, CellMap] = {
    name: CellMap(SCHEMA, published(name, seed=seed, rows=300).reference, labels=True)
    for seed, name in enumerate(("1.0.0", "2.0.0"))
}
ROW = traffic(np.random.default_rng(0), 1)[0]


def label(ms: int, number: int, of: str, value: float | str, known: int | None = None, publisher: bytes = b"api") -> Entry:
    """Make a label's entry at an entry time, which is also when it became known unless another is given."""
    payload = encode(Label(of, value, ms if known is None else known))
    fields = [b"t", b"l", b"p", publisher, b"s", str(number).encode(), b"e", payload]
    return f"{ms}-{number}".encode(), fields


def said(ms: int, number: int, of: str, prediction: float = 0.5, version: str = "1.0.0", **more: object) -> Entry:
    """Make a prediction's entry."""
    return event(ms, number, ROW, version, id=of, prediction=prediction, **more)


@dataclass
class Store:
    """What counting wrote, with the keys of what waits as Redis holds them: packed."""

    fields: dict[bytes, bytes] = field(default_factory=dict)
    waiting: dict[int, dict[bytes, bytes]] = field(default_factory=dict)
    early: dict[int, dict[bytes, bytes]] = field(default_factory=dict)
    panes: list[tuple[int, int, PaneEntry]] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)

    def load(self) -> CountingState:
        assert versions_of(self.fields) <= VERSIONS.keys()
        state = CountingState.unpack(self.fields, VERSIONS)
        for found in self.early.values():
            state.pending.early |= {digest: msgspec.msgpack.decode(one, type=Early) for digest, one in found.items()}
        return state

    def take(self, entries: Sequence[Entry], policy: CountingPolicy) -> None:
        """Count a batch and commit it."""
        state = self.load()
        batch = columns.read(entries, VERSIONS["1.0.0"].decoder)
        asked = {digest_of(one.id) for one in batch.labels.labels}
        state.pending.found = {
            day: {digest: msgspec.msgpack.decode(found[digest], type=Waiting) for digest in asked & found.keys()}
            for day, found in self.waiting.items()
        }
        outputs = advance(state, batch, VERSIONS, policy)
        self.panes += outputs.panes
        self.dead += [letter.reason for letter in outputs.dead]
        for name, packed in state.pack_changed().items():
            self.fields[name] = packed
        self.fields = {name: packed for name, packed in self.fields.items() if packed}
        self._write(state.pending)

    def _write(self, pending: Pending) -> None:
        for day, waiting in pending.changes.items():
            self.waiting.setdefault(day, {}).update({key: msgspec.msgpack.encode(one) for key, one in waiting.items()})
        for day, early in pending.early_changes.items():
            kept = self.early.setdefault(day, {})
            for key, one in early.items():
                if one is None:
                    kept.pop(key, None)
                else:
                    kept[key] = msgspec.msgpack.encode(one)
        for day in pending.gone:
            self.waiting.pop(day, None)
            self.early.pop(day, None)
        self.early = {day: kept for day, kept in self.early.items() if kept}

    @property
    def counts(self) -> LabelCounts:
        return self.load().counters.labels

    @property
    def deltas(self) -> list[Delta]:
        return [entry for _, _, entry in self.panes if isinstance(entry, Delta)]

    def sums(self) -> dict[tuple[int, str], Sums]:
        """Add up what judging was told, by pane and version."""
        total: dict[tuple[int, str], Sums] = {}
        for delta in self.deltas:
            for one in delta.revised:
                key, found = (one.pane, one.version), Sums.unpack(one.sums)
                total[key] = total[key] + found if key in total else found
        return total


def counted(entries: Sequence[Entry], cuts: Iterable[int] = (), policy: CountingPolicy = POLICY) -> Store:
    """Count a log cut into batches, through a committed store between any two of them."""
    store = Store()
    edges = sorted({0, *cuts, len(entries)})
    for first, last in itertools.pairwise(edges):
        store.take(entries[first:last], policy)
    return store


def random_log(seed: int, length: int = 240) -> list[Entry]:
    """Draw a log: labels early, late, doubled, corrected, of nobody, of another kind; repeated ids; days that pass."""
    random = np.random.default_rng(seed)
    now, numbers, log = NOON + int(random.integers(0, DAY_MS)), itertools.count(1), list[Entry]()
    ids = [f"id{place}" for place in range(length // 2)]
    for _ in range(length):
        steps = [0, 1, 40, 900, 30_000, 8_000_000]
        now += int(random.choice(steps, p=[0.3, 0.2, 0.3, 0.15, 0.03, 0.02]))
        kind, number = random.random(), next(numbers)
        near = ids[int(np.clip(random.normal(number / 2, 8), 0, len(ids) - 1))]
        if kind < 0.03:
            log.append(tick(now, number))
        elif kind < 0.05 and log:
            log.append((f"{now}-{number}".encode(), log[int(random.integers(len(log)))][1]))
        elif kind < 0.06:
            log.append((f"{now}-{number}".encode(), [b"t", b"l", b"p", b"api", b"s", str(number).encode(), b"e", b"{"]))
        elif kind < 0.5:
            version = "2.0.0" if random.random() < 0.3 else "1.0.0"
            source = str(random.choice(["online", "batch"], p=[0.9, 0.1]))
            made = None if random.random() < 0.05 else float(random.normal())
            log.append(event(now, number, ROW, version, id=near, prediction=made, source=source))
        else:
            value = "text" if random.random() < 0.05 else float(random.integers(0, 3))
            log.append(label(now, number, near, value))
    return log


seeds = st.integers(0, 2**32 - 1)
caps = st.sampled_from([1_000_000, 15])


@settings(max_examples=40, deadline=None)
@given(seeds, st.lists(st.integers(1, 239), max_size=8), caps)
def test_cuts_change_nothing(seed: int, cuts: list[int], cap: int) -> None:
    """advance(a + b) is advance(a), a commit, advance(b), with labels too: every byte that was written is the same."""
    log = random_log(seed)
    policy = msgspec.structs.replace if False else CountingPolicy(**{**_fields(POLICY), "label_pending_max": cap})
    assert counted(log, cuts, policy) == counted(log, (), policy)


def _fields(policy: CountingPolicy) -> dict[str, object]:
    return {name: getattr(policy, name) for name in policy.__dataclass_fields__}
