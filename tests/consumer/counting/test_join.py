"""The join of labels, over logs with predictions, labels and ticks in any order, cut into batches
in any way.
"""

import functools
import itertools
import json
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from driftgauge.consumer.counting.advance import advance
from driftgauge.consumer.counting.clock import DAY_MS
from driftgauge.consumer.counting.entries import columns
from driftgauge.consumer.counting.entries.client_ids import digest_of
from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.consumer.counting.labels import revisions
from driftgauge.consumer.counting.labels.pending import Early, Pending, Waiting
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.consumer.counting.state import CountingState, versions_of
from driftgauge.shared.contract.counters import LabelCounts
from driftgauge.shared.contract.events import Label, encode
from driftgauge.shared.contract.pane import (
    DELAY_EDGES_S,
    Delta,
    Pane,
    PaneEntry,
    RollUp,
    Span,
    Watermark,
    unpack_counts,
)
from driftgauge.shared.performance import Sums
from driftgauge.shared.reference.building import build_profile
from driftgauge.shared.reference.schema import Feature, Schema
from tests.consumer.builders import CITIES, NOON, SCHEMA, event, published, tick, traffic

POLICY = CountingPolicy(
    pane_events=20, pane_seconds=600, expected_events_per_day=50, label_wait_days=1
)
VERSIONS: dict[str, CellMap] = {
    name: CellMap(
        SCHEMA, published(name, seed=seed, rows=300, segments=segments).reference, labels=True
    )
    for seed, (name, segments) in enumerate({"1.0.0": ("city",), "2.0.0": ()}.items())
}
ROW = traffic(np.random.default_rng(0), 1)[0]
PLACES = (*CITIES[:30], "nowhere", None)


def label(
    ms: int,
    number: int,
    of: str,
    value: float | str,
    known: int | None = None,
    publisher: bytes = b"api",
) -> Entry:
    """Make a label's entry at an entry time, which is also when it became known unless another is
    given.
    """
    payload = encode(Label(of, value, ms if known is None else known))
    fields = [b"t", b"l", b"p", publisher, b"s", str(number).encode(), b"e", payload]
    return f"{ms}-{number}".encode(), fields


def said(
    ms: int, number: int, of: str, prediction: float = 0.5, version: str = "1.0.0", **more: object
) -> Entry:
    """Make a prediction's entry."""
    return event(ms, number, ROW, version, id=of, prediction=prediction, **more)


@dataclass
class Store:
    """What counting wrote, with the keys of what waits as Redis holds them: packed."""

    fields: dict[bytes, bytes] = field(default_factory=dict)
    waiting: dict[int, dict[bytes, bytes]] = field(default_factory=dict)
    early: dict[int, dict[bytes, bytes]] = field(default_factory=dict)
    ids: dict[int, set[bytes]] = field(default_factory=dict)
    panes: list[tuple[int, int, PaneEntry]] = field(default_factory=list)
    rollups: list[tuple[Span, RollUp]] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)

    def load(self) -> CountingState:
        assert versions_of(self.fields) <= VERSIONS.keys()
        state = CountingState.unpack(self.fields, VERSIONS)
        for found in self.early.values():
            state.pending.early |= {
                digest: msgspec.msgpack.decode(one, type=Early) for digest, one in found.items()
            }
        state.ids.restore({hour: len(kept) for hour, kept in self.ids.items()})
        state.ids.hours = {hour: set(kept) for hour, kept in self.ids.items()}
        return state

    def take(self, entries: Sequence[Entry], policy: CountingPolicy) -> None:
        """Count a batch and commit it."""
        state = self.load()
        batch = columns.read(entries, VERSIONS["1.0.0"].decoder)
        asked = {digest_of(one.id) for one in batch.labels.events}
        state.pending.found = {
            day: {
                digest: msgspec.msgpack.decode(found[digest], type=Waiting)
                for digest in asked & found.keys()
            }
            for day, found in self.waiting.items()
        }
        outputs = advance(state, batch, VERSIONS, policy)
        self.panes += outputs.panes
        self.rollups += outputs.rollups
        self.dead += [letter.reason for letter in outputs.dead]
        for name, packed in state.pack_changed().items():
            self.fields[name] = packed
        self.fields = {name: packed for name, packed in self.fields.items() if packed}
        added, gone = state.ids.take_changes()
        for hour, digests in added.items():
            self.ids.setdefault(hour, set()).update(digests)
        self.ids = {hour: kept for hour, kept in self.ids.items() if hour not in gone}
        self._write(state.pending)

    def _write(self, pending: Pending) -> None:
        for day, waiting in pending.changes.items():
            self.waiting.setdefault(day, {}).update(
                {key: msgspec.msgpack.encode(one) for key, one in waiting.items()}
            )
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


def counted(
    entries: Sequence[Entry], cuts: Iterable[int] = (), policy: CountingPolicy = POLICY
) -> Store:
    """Count a log cut into batches, through a committed store between any two of them."""
    store = Store()
    edges = sorted({0, *cuts, len(entries)})
    for first, last in itertools.pairwise(edges):
        store.take(entries[first:last], policy)
    return store


def random_log(seed: int, length: int = 240) -> list[Entry]:
    """Draw a log: labels early, late, doubled, corrected, of nobody, of another kind; repeated ids;
    days that pass.

    Its last tick closes the open pane, so that everything that was joined is told.
    """
    random = np.random.default_rng(seed)
    now, numbers, log = NOON + int(random.integers(0, DAY_MS)), itertools.count(1), list[Entry]()
    ids = [f"id{place}" for place in range(length // 2)]
    for _ in range(length):
        steps = [0, 1, 40, 900, 30_000, 50_000_000]
        now += int(random.choice(steps, p=[0.3, 0.2, 0.3, 0.15, 0.03, 0.02]))
        kind, number = random.random(), next(numbers)
        near = ids[int(np.clip(random.normal(number / 2, 8), 0, len(ids) - 1))]
        if kind < 0.03:
            log.append(tick(now, number))
        elif kind < 0.05 and log:
            log.append((f"{now}-{number}".encode(), log[int(random.integers(len(log)))][1]))
        elif kind < 0.06:
            log.append(
                (
                    f"{now}-{number}".encode(),
                    [b"t", b"l", b"p", b"api", b"s", str(number).encode(), b"e", b"{"],
                )
            )
        elif kind < 0.5:
            version = "2.0.0" if random.random() < 0.3 else "1.0.0"
            source = str(random.choice(["online", "batch"], p=[0.9, 0.1]))
            made = None if random.random() < 0.05 else float(random.normal())
            row = [*ROW[:-1], PLACES[number % len(PLACES)]]
            log.append(event(now, number, row, version, id=near, prediction=made, source=source))
        else:
            value = "text" if random.random() < 0.05 else float(random.integers(0, 3))
            log.append(label(now, number, near, value, now - int(random.integers(0, 90_000))))
    return [*log, tick(now, length + 1), tick(now + 700_000, length + 2)]


@dataclass
class Known:
    """What the oracle knows of a prediction; `place` is its number among all predictions, from
    1.
    """

    place: int
    day: int
    content: dict[str, Any]
    label: float | None = None
    delay_ms: int = 0


@dataclass
class Oracle:
    """The join in plain words, entry by entry; shares no code with counting."""

    wait_days: int
    cap: int
    known: list[Known] = field(default_factory=list)
    early: dict[str, tuple[int, Any, int]] = field(default_factory=dict)
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(LabelCounts.__struct_fields__, 0)
    )
    predictions: int = 0

    def run(self, log: Sequence[Entry]) -> "Oracle":
        seen: set[bytes] = set()
        for entry_id, fields in log:
            values = dict(zip(fields[::2], fields[1::2], strict=True))
            day = int(entry_id.split(b"-")[0]) // DAY_MS
            if b"e" not in values or values[b"s"] in seen:
                continue
            seen.add(values[b"s"])
            if values[b"e"] == b"{":
                continue
            content = json.loads(values[b"e"])
            if values[b"t"] == b"p":
                self.predict(content, day)
            else:
                self.forget(day)
                self.tell(content["id"], content["label"], content["time"], day)
        return self

    def forget(self, day: int) -> None:
        for name in [name for name, early in self.early.items() if early[2] < day - self.wait_days]:
            del self.early[name]
            self.counts["unknown"] += 1

    def kept(self, day: int) -> list[Known]:
        return [one for one in self.known if one.day >= day - self.wait_days]

    def predict(self, content: dict[str, Any], day: int) -> None:
        self.predictions += 1
        if content.get("source", "online") != "online" or content["prediction"] is None:
            return
        self.forget(day)
        if len(self.kept(day)) >= self.cap:
            self.counts["full"] += 1
            return
        self.known.append(Known(self.predictions, day, content))
        if content["id"] in self.early:
            label, time, _ = self.early.pop(content["id"])
            self.tell(content["id"], label, time, day)

    def tell(self, name: str, label: Any, time: int, day: int) -> None:
        found = [one for one in self.kept(day) if one.content["id"] == name]
        before = found[-1].label if found else self.early[name][0] if name in self.early else None
        if before is not None and before == label:
            self.counts["repeated"] += 1
        elif found and isinstance(label, str):
            self.counts["unfit"] += 1
        elif found:
            self.counts["joined" if before is None else "corrected"] += 1
            if before is None:
                found[-1].delay_ms = time - found[-1].content["time"]
            found[-1].label = label
        elif name in self.early:
            self.counts["corrected"] += 1
            self.early[name] = label, time, self.early[name][2]
        elif len(self.early) >= self.cap:
            self.counts["refused"] += 1
        else:
            self.early[name] = label, time, day


seeds = st.integers(0, 2**32 - 1)
caps = st.sampled_from([1_000_000, 15])


def capped(cap: int) -> CountingPolicy:
    return replace(POLICY, label_pending_max=cap)


@settings(max_examples=18, deadline=None)
@given(seeds, st.lists(st.integers(1, 239), max_size=8), caps, st.sampled_from([2, 2000]))
def test_cuts_change_nothing(seed: int, cuts: list[int], cap: int, rows: int) -> None:
    """advance(a + b) is advance(a), a commit, advance(b), with labels too: every byte that was
    written is the same.
    """
    log = random_log(seed)
    with patch.object(revisions, "DELTA_ROWS", rows):
        assert counted(log, cuts, capped(cap)) == counted(log, (), capped(cap))


def test_entry_by_entry_changes_nothing() -> None:
    """The same for the finest cut, and the log has everything in it that a cut could disturb."""
    kinds, total = set(), Counter[str]()
    for seed in (1, 2):
        log = random_log(seed)
        whole = counted(log)
        assert counted(log, range(len(log))) == whole
        kinds |= {type(entry) for _, _, entry in whole.panes}
        total += Counter(msgspec.to_builtins(whole.counts))
    assert kinds >= {Delta, Pane, Watermark}
    often = {
        "joined",
        "repeated",
        "corrected",
        "unknown",
        "unfit",
        "unlabelled",
        "waiting",
        "early",
    }
    assert all(total[name] > 2 for name in often), total


@settings(max_examples=15, deadline=None)
@given(seeds, caps)
def test_the_join_is_that_of_the_oracle(seed: int, cap: int) -> None:
    """The deltas of a pane add up to the sums over exactly the rows that were joined, with the
    labels they have last.
    """
    log = random_log(seed)
    store, oracle = counted(log, range(0, len(log), 50), capped(cap)), Oracle(1, cap).run(log)
    counts = msgspec.to_builtins(store.counts)
    told = {
        name: counts[name]
        for name in oracle.counts
        if name not in {"waiting", "early", "unlabelled"}
    }
    assert told == {name: oracle.counts[name] for name in told}
    ends = [entry.total for _, _, entry in store.panes if isinstance(entry, Pane)]
    assert ends[-1] == oracle.predictions
    by_part: dict[tuple[int, str], list[Known]] = defaultdict(list)
    for one in oracle.known:
        if one.label is not None:
            by_part[bisect_left(ends, one.place) + 1, one.content["version"]].append(one)
    found = store.sums()
    assert {key: sums.rows for key, sums in found.items()} == {
        key: len(rows) for key, rows in by_part.items()
    }
    for (pane, version), rows in by_part.items():
        layout = VERSIONS[version].layout
        assert layout is not None
        predictions = np.array([row.content["prediction"] for row in rows])
        assert found[pane, version] == Sums.of(
            layout, predictions, np.array([row.label for row in rows])
        )
    revised = [one for delta in store.deltas for one in delta.revised]
    assert sum(one.labelled for one in revised) == oracle.counts["joined"]
    delays = sum(
        (unpack_counts(one.delays) for one in revised if one.delays),
        np.zeros(len(DELAY_EDGES_S) + 1, np.int64),
    )
    cells = Counter(
        sum(edge < row.delay_ms / 1000 for edge in DELAY_EDGES_S)
        for rows in by_part.values()
        for row in rows
    )
    assert {place: int(count) for place, count in enumerate(delays) if count} == cells


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_a_delta_names_only_panes_that_were_written_before(seed: int) -> None:
    """So whoever reads the panes in order knows every pane that a delta revises; revisions are
    numbered without holes.
    """
    with patch.object(revisions, "DELTA_ROWS", 2):
        store = counted(random_log(seed))
    written: set[int] = set()
    for number, _, entry in store.panes:
        if isinstance(entry, Pane):
            written.add(number)
        elif isinstance(entry, Delta):
            assert {one.pane for one in entry.revised} <= written
            assert len({(one.pane, one.version) for one in entry.revised}) == len(entry.revised)
    assert [delta.revision for delta in store.deltas] == list(range(1, len(store.deltas) + 1))


def test_each_label_is_in_one_of_the_counts() -> None:
    """Labels that came are joined, repeated, corrected, unknown, expired, unfit, refused, or wait:
    nothing else.
    """
    log = random_log(5)
    store = counted(log)
    numbers = {
        fields[5]
        for _, fields in log
        if len(fields) > 2 and fields[1] == b"l" and fields[7] != b"{"
    }
    counts = msgspec.to_builtins(store.counts)
    ends = ("joined", "repeated", "corrected", "unknown", "expired", "unfit", "refused", "early")
    assert sum(counts[name] for name in ends) == len(numbers)


def test_the_counters_say_how_many_joined_rows_judging_has_not_been_told() -> None:
    """At each place of the log, joined is told plus untold, apart for the open pane; a tick leaves
    none of closed panes.
    """
    random, log, kinds = np.random.default_rng(4), list[Entry](), Counter[str]()
    for number in range(1, 120):
        now = NOON + number * 40
        log.append(
            said(now, 2 * number, f"id{number}") if random.random() < 0.8 else tick(now, 2 * number)
        )
        log.append(
            label(
                now,
                2 * number + 1,
                f"id{int(random.integers(max(1, number - 30), number + 1))}",
                1.0,
            )
        )
    store = Store()
    for entry in log:
        store.take([entry], POLICY)
        counts, told = (
            store.counts,
            sum(one.labelled for delta in store.deltas for one in delta.revised),
        )
        assert counts.joined == told + counts.untold + counts.untold_open
        closed = sum(isinstance(one, Pane) for _, _, one in store.panes)
        kept = store.load().revisions.rows
        assert counts.untold_open == len(kept.get(closed + 1, ()))
        if entry[1][1] == b"k":
            assert counts.untold == 0
        kinds += Counter({"closed": counts.untold, "open": counts.untold_open, "told": told})
    assert min(kinds[kind] for kind in ("closed", "open", "told")) > 0
    store.take([tick(now + 1, 1000), tick(now + 700_000, 1001)], POLICY)
    assert (store.counts.untold, store.counts.untold_open) == (0, 0)


def test_what_happens_to_one_prediction() -> None:
    """An early label is joined when its prediction comes; an equal one changes nothing; a different
    one replaces it.
    """
    start = [label(NOON, 1, "a", 2.0), said(NOON + 1, 2, "a", 0.5), label(NOON + 2, 3, "a", 2.0)]
    first = [*start, tick(NOON + 700_000, 4)]
    store = counted(first)
    assert (store.counts.joined, store.counts.repeated, store.counts.corrected) == (1, 1, 0)
    (sums,) = store.sums().values()
    assert (sums.rows, [one.labelled for one in store.deltas[0].revised]) == (1, [1])
    again = [*first, label(NOON + 700_100, 5, "a", 4.0), tick(NOON + 700_200, 6)]
    store = counted(again, range(6))
    assert store.counts.corrected == 1
    (revised,) = store.deltas[1].revised
    assert (revised.labelled, revised.corrected, revised.delays) == (0, 1, b"")
    (total,) = store.sums().values()
    layout = VERSIONS["1.0.0"].layout
    assert layout is not None
    assert total == Sums.of(layout, np.array([0.5]), np.array([4.0]))


def test_ids_that_say_when_they_were_made() -> None:
    """A label for a prediction older than the wait is expired, if its id says so; else it may still
    be early.
    """
    old = f"{(NOON - 3 * DAY_MS):012x}"
    made = f"{old[:8]}-{old[8:]}-7000-8000-000000000000"
    store = counted([label(NOON, 1, made, 1.0), label(NOON, 2, "order 12", 1.0)])
    assert (store.counts.expired, store.counts.early) == (1, 1)


def test_days_that_have_passed_are_deleted() -> None:
    """What waited too long is gone from Redis, and counted: predictions without a label, labels
    without a prediction.
    """
    days = [
        said(NOON, 1, "a"),
        label(NOON, 2, "b", 1.0),
        said(NOON, 3, "c"),
        label(NOON, 4, "c", 1.0),
    ]
    later = [said(NOON + 2 * DAY_MS, 5, "d"), label(NOON + 2 * DAY_MS, 6, "a", 1.0)]
    store = counted([*days, *later], [4])
    assert set(store.waiting) == {(NOON + 2 * DAY_MS) // DAY_MS}
    assert (store.counts.unlabelled, store.counts.unknown, store.counts.early) == (1, 1, 1)


def test_probabilities_and_classes() -> None:
    """A classifier's confusion, losses and scores are summed from what was published with the
    prediction.
    """
    schema = Schema((Feature("x", "numeric"),), "categorical", classes=("no", "yes"))
    random = np.random.default_rng(3)
    values = random.normal(size=600)
    classes = np.where(values > 0, "yes", "no").astype(object)
    cells = CellMap(schema, build_profile(schema, [values], classes), labels=True)
    chances = random.random(40)
    truths = np.where(random.random(40) < chances, "yes", "no").tolist()
    said_yes = np.where(chances > 0.5, "yes", "no").tolist()
    log = [
        event(
            NOON + place,
            place + 1,
            [0.1],
            id=f"{place}",
            prediction=said_yes[place],
            probabilities=None
            if place == 7
            else [1 - float(chances[place]), float(chances[place])],
        )
        for place in range(40)
    ]
    log += [label(NOON + 100 + place, place + 41, f"{place}", truths[place]) for place in range(40)]
    log.append(tick(NOON + 700_000, 99))
    with patch.dict(VERSIONS, {"1.0.0": cells}):
        found = counted(log, range(0, 81, 9)).sums()
    probabilities = np.column_stack([1 - chances, chances])
    probabilities[7] = np.nan
    total = functools.reduce(Sums.__add__, found.values())
    assert cells.layout is not None
    assert total == Sums.of(cells.layout, said_yes, truths, probabilities)
    assert (total.rows, int(total.count("scored")[0])) == (40, 39)


def test_versions_without_labels_keep_nothing() -> None:
    """Predictions of a version whose manifest has no labels do not wait."""
    plain = CellMap(SCHEMA, published("1.0.0", rows=300).reference)
    with patch.dict(VERSIONS, {"1.0.0": plain}):
        store = counted([said(NOON, 1, "a"), label(NOON, 2, "a", 1.0)])
    assert (store.waiting, store.counts.early, store.counts.waiting) == ({}, 1, 0)
