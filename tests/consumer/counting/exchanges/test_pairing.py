"""Halves of predictions, in any order, doubled, or alone, and cut into batches in any way."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from unittest.mock import patch

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.consumer.counting.advance import advance
from driftgauge.consumer.counting.entries import columns
from driftgauge.consumer.counting.entries.client_ids import digest_of
from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.consumer.counting.exchanges import pairing
from driftgauge.consumer.counting.exchanges.waiting import SPAN_MS, SPANS_KEPT, Kept
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.consumer.counting.state import CountingState
from driftgauge.shared.contract.counters import ExchangeCounts
from driftgauge.shared.contract.events import KINDS, Prediction, Request, Response, encode
from tests.consumer.builders import NOON, cell_map, published, tick, traffic

POLICY = CountingPolicy(pane_events=20, pane_seconds=600)
VERSIONS = {"1.0.0": cell_map(published(rows=300))}
ROW = traffic(np.random.default_rng(0), 1)[0]


def half(ms: int, number: int, of: str, *, asked: bool, took: float = 2.5) -> Entry:
    """Make the entry of a request, or of its response."""
    found = (
        Request(of, "1.0.0", float(NOON), ROW, NOON)  # type: ignore[arg-type]  # a row of values
        if asked
        else Response(of, NOON + took, 0.5)
    )
    kind = KINDS[type(found)]
    content = encode(found)
    return f"{ms}-{number}".encode(), [
        b"t",
        kind,
        b"p",
        b"api",
        b"s",
        b"%d" % number,
        b"e",
        content,
    ]


@dataclass
class Counted:
    """A partition whose commits go to a dictionary, as they go to Redis."""

    state: CountingState = field(default_factory=CountingState)
    kept: dict[int, dict[bytes, Kept]] = field(default_factory=dict)
    written: list[tuple[bytes, int, Prediction]] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)

    def take(self, entries: Sequence[Entry]) -> None:
        """Count a batch and commit it; the state goes through the checkpoint."""
        state = self.state
        batch = columns.read(entries)
        state.exchanges.found = {span: self.kept.get(span, {}) for span in state.exchanges.spans}
        outputs = advance(state, batch, VERSIONS, POLICY)
        self.written += outputs.paired
        self.dead += [letter.reason for letter in outputs.dead]
        for span, changed in state.exchanges.changes.items():
            self.kept.setdefault(span, {}).update(changed)
        for span in state.exchanges.gone:
            self.kept.pop(span, None)
        state.exchanges.written()
        known = getattr(self, "fields", {}) | state.pack_changed()
        self.fields = {name: packed for name, packed in known.items() if packed}
        self.state = CountingState.unpack(self.fields, VERSIONS)

    @property
    def counts(self) -> ExchangeCounts:
        """The counts as they stand in the checkpoint."""
        return self.state.counters.exchanges


def counted(*batches: Sequence[Entry]) -> Counted:
    found = Counted()
    for batch in batches:
        if batch:
            found.take(batch)
    return found


@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 400_000)), max_size=40),
    st.lists(st.integers(0, 40), max_size=3),
)
def test_each_pair_is_one_prediction_however_it_comes(
    halves: list[tuple[int, bool, int]], cuts: list[int]
) -> None:
    """Whatever order, repetition, gaps and batches: of each exchange whose halves come within the
    wait there is one prediction, whatever is left is told, and cuts change nothing.
    """
    ms, entries = NOON, []
    for number, (name, asked, gap) in enumerate(halves, start=1):
        ms += gap
        entries.append(half(ms, number, f"id{name}", asked=asked))
    entries.append(tick(ms + (SPANS_KEPT + 1) * SPAN_MS))
    whole = counted(entries)
    places = sorted({0, len(entries), *(min(cut, len(entries)) for cut in cuts)})
    parted = counted(*(entries[a:b] for a, b in itertools.pairwise(places)))
    assert parted.written == whole.written
    assert parted.fields == whole.fields
    assert parted.kept == whole.kept == {}
    counts = whole.counts
    assert (counts.paired, counts.waiting) == (len(whole.written), 0)
    told = counts.paired * 2 + counts.repeated + counts.unanswered + counts.unasked
    assert told == len(halves)
    numbers = [number for _, number, _ in whole.written]
    assert numbers == list(range(1, len(numbers) + 1))


def test_both_orders_make_the_same_prediction() -> None:
    """The prediction has the request's time, version and features, the response's value, and the
    time between them; its id is a client's, since both may come again.
    """
    asked, answered = half(NOON, 1, "a", asked=True), half(NOON + 1, 2, "a", asked=False)
    later = [half(NOON, 1, "a", asked=False), half(NOON + 1, 2, "a", asked=True)]
    found = counted([asked], [answered]).written
    assert found == counted(later).written
    publisher, number, prediction = found[0]
    name = digest_of("a")[:8].hex().encode()
    assert (publisher, number) == (b"exchanges:%d:%s" % (NOON // 86_400_000, name), 1)
    assert (prediction.time, prediction.latency_ms, prediction.client_id) == (NOON, 2.5, True)
    assert (prediction.features, prediction.prediction) == (ROW, 0.5)


def test_a_half_that_comes_again_is_known_while_it_could_wait() -> None:
    """Doubled halves make one prediction, before and after the other half came."""
    batches = [[half(NOON + place, place, "a", asked=place % 2 == 0)] for place in (2, 4, 5, 7, 8)]
    found = counted(*batches)
    assert (len(found.written), found.counts.repeated, found.counts.waiting) == (1, 3, 0)


def test_a_half_that_stays_alone_is_told() -> None:
    """After a quarter of an hour a request without its response, and a response without its
    request, are counted as such, by a tick too, and what was kept of them is gone.
    """
    found = counted([half(NOON, 1, "a", asked=True), half(NOON, 2, "b", asked=False)])
    assert (found.counts.waiting, found.counts.unanswered) == (2, 0)
    found.take([tick(NOON + SPANS_KEPT * SPAN_MS)])
    assert found.counts.waiting == 2
    found.take([tick(NOON + (SPANS_KEPT + 1) * SPAN_MS)])
    assert (found.counts.unanswered, found.counts.unasked, found.counts.waiting) == (1, 1, 0)
    assert found.kept == {}


def test_halves_have_a_bound() -> None:
    """A half that finds no room is a dead letter with its reason, and those that met make room."""
    with patch.object(pairing, "MOST_WAITING", 2):
        names = [half(NOON + place, place, f"id{place}", asked=True) for place in (1, 2, 3)]
        found = counted(names)
        assert (found.counts.full, found.dead) == (1, [pairing.NO_ROOM])
        found.take([half(NOON + 4, 4, "id1", asked=False), half(NOON + 5, 5, "id4", asked=True)])
        assert (found.counts.full, found.counts.waiting, found.counts.paired) == (1, 2, 1)


def test_an_unreadable_half_is_a_dead_letter_of_its_own() -> None:
    """What is no half does not affect its neighbours, and its number counts as arrived."""
    entry = half(NOON, 2, "b", asked=True)
    broken = (entry[0], [*entry[1][:7], b'{"id":"b"}'])
    found = counted([half(NOON, 1, "a", asked=True), broken, half(NOON, 3, "a", asked=False)])
    assert found.counts.paired == 1
    assert found.dead[0].startswith("content cannot be read: Object missing required field")
    assert found.state.counters.missing == 0


def test_the_contract_of_halves() -> None:
    """What the log holds of a half."""
    asked = Request("a", "1.0.0", NOON + 0.25, [1.5, None, "x"], NOON + 9)
    assert encode(asked) == (
        b'{"id":"a","version":"1.0.0","moment":1763640000000.25,"features":[1.5,null,"x"],'
        b'"received":1763640000009}'
    )
    assert msgspec.json.decode(encode(asked), type=Request) == asked
    assert encode(Response("a", NOON + 0.5, "yes")) == (
        b'{"id":"a","moment":1763640000000.5,"prediction":"yes"}'
    )
