"""All kinds of entries and all detectors at once, cut into batches in any way: whatever counting
writes is the same.

What is promised: each list of outputs (panes, roll-ups, dead letters) holds the same bytes in the
same order, and so does each field of the checkpoint and each key of what waits. How entries of
different lists stand to each other is no promise: they leave batch by batch, into streams of their
own.
"""

import itertools
from collections import Counter
from collections.abc import Iterator
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftgauge.consumer.counting.advance import advance
from driftgauge.consumer.counting.clock import HOUR_MS
from driftgauge.consumer.counting.detectors import DETECTORS, ERROR_DETECTORS
from driftgauge.consumer.counting.entries import columns, publishers
from driftgauge.consumer.counting.entries.columns import Entry
from driftgauge.consumer.counting.labels import revisions
from driftgauge.consumer.counting.panes.cells import CellMap
from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.consumer.counting.state import CountingState
from driftgauge.shared.contract.pane import Alarm, Delta, NewReference, Pane, Watermark, encode
from driftgauge.shared.performance import Layout, PerformanceReference
from tests.consumer.builders import NOON, event, published, raw, tick
from tests.consumer.counting import test_join as test_labels
from tests.consumer.counting.test_join import ROW, Store, counted, seeds
from tests.consumer.counting.test_new_reference import change

POLICY = CountingPolicy(
    pane_events=20,
    pane_seconds=600,
    expected_events_per_day=2,
    label_wait_days=1,
    retire_ms=2 * HOUR_MS,
    detectors=(*DETECTORS, *(name for name in ERROR_DETECTORS if name not in DETECTORS)),
)
LENGTH, ADDED = 600, 60


def labelled(version: str, seed: int, segments: tuple[str, ...]) -> CellMap:
    """Return the mixed model with labels, whose errors in the reference are smaller than those of
    `random_log`.
    """
    made = published(version, seed=seed, rows=300, segments=segments)
    said = np.random.default_rng(seed).normal(size=2000)
    truth = said + np.random.default_rng(seed + 1).normal(0, 0.2, 2000)
    performance = PerformanceReference.of(Layout("numeric"), said, truth)
    return CellMap(made.schema, made.reference, labels=True, performance=performance)


FIRST, SECOND = labelled("1.0.0", 0, ("city",)), labelled("2.0.0", 1, ())
VERSIONS = {"1.0.0": FIRST, "1.0.0#1": labelled("1.0.0", 0, ("city",)), "2.0.0": SECOND}


@pytest.fixture(autouse=True)
def _versions() -> Iterator[None]:
    with (
        patch.object(test_labels, "VERSIONS", VERSIONS),
        patch.object(publishers, "RETIRED_KEPT", 1),
    ):
        yield


def random_log(seed: int) -> list[Entry]:
    """Draw a log of predictions and labels (early, late, doubled, corrected, unfit), with changes
    of reference, other publishers that are retired and forgotten, ids that clients supplied, dead
    letters, and days that pass.
    """
    random = np.random.default_rng(seed)
    log = test_labels.random_log(seed, LENGTH)
    places = sorted(random.integers(50, LENGTH, ADDED).tolist(), reverse=True)
    for number, place in enumerate(places):
        ms, suffix = int(log[place][0].split(b"-")[0]), LENGTH + 100 + number
        publisher, sequence = b"spool:%d" % random.integers(4), int(random.integers(1, 12))
        found = event(
            ms,
            suffix,
            ROW,
            publisher=publisher,
            id=f"client{random.integers(9)}",
            client_id=bool(number % 2),
            trace=f"{number + 1:032x}-{number + 1:016x}" if number % 3 else None,
        )
        fields = [*found[1][:5], b"%d" % sequence, *found[1][6:]]
        broken = raw(f"{ms}-{suffix}", sequence, b"{", publisher)
        changed = change(ms, ADDED - number, number % 2, suffix=suffix)
        kind = int(random.choice(3, p=[0.75, 0.2, 0.05]))
        log.insert(place, [(found[0], fields), broken, changed][kind])
    return log


def check(whole: Store, parts: Store) -> None:
    """Compare all that is promised, byte by byte."""
    assert [(number, place, encode(entry)) for number, place, entry in parts.panes] == [
        (number, place, encode(entry)) for number, place, entry in whole.panes
    ]
    assert [(span, encode(rolled)) for span, rolled in parts.rollups] == [
        (span, encode(rolled)) for span, rolled in whole.rollups
    ]
    assert parts == whole


@settings(max_examples=5, deadline=None)
@given(seeds, st.lists(st.integers(1, LENGTH), max_size=12), st.sampled_from([2, 2000]))
def test_cuts_change_nothing(seed: int, cuts: list[int], rows: int) -> None:
    """advance(a + b) is advance(a), a commit, advance(b): every byte of panes, deltas, alarms,
    roll-ups, dead letters, checkpoint, and of what waits.
    """
    log = random_log(seed)
    with patch.object(revisions, "DELTA_ROWS", rows):
        check(counted(log, policy=POLICY), counted(log, cuts, POLICY))


def test_a_log_with_everything_in_it() -> None:
    """The same for a stretch that is cut after each entry, in a log with everything in it that a
    cut could disturb.
    """
    log = random_log(4)
    whole = counted(log, policy=POLICY)
    check(
        whole,
        counted(log, [*range(0, 500, 50), *range(500, 540), *range(540, len(log), 50)], POLICY),
    )
    kinds = Counter(type(entry) for _, _, entry in whole.panes)
    assert min(kinds[kind] for kind in (Alarm, Delta, NewReference, Pane, Watermark)) > 1
    alarms = {entry.detector for _, _, entry in whole.panes if isinstance(entry, Alarm)}
    assert {f"performance.{name}" for name in ("adwin", "e_detector", "ddm")} < alarms
    assert {span for span, _ in whole.rollups} == {"hour", "day"}
    state, counts = whole.load(), whole.counts
    assert (
        min(
            counts.joined,
            counts.corrected,
            counts.repeated,
            counts.unknown,
            counts.unfit,
            counts.early,
        )
        > 2
    )
    assert (
        min(state.counters.duplicates, state.counters.lost, *state.counters.versions.values()) > 2
    )
    assert {reason.split()[0] for reason in whole.dead} == {"publisher", "content"}
    assert any(
        one.segments
        for _, _, entry in whole.panes
        if isinstance(entry, Delta)
        for one in entry.revised
    )


def test_outputs_of_different_lists_have_no_order_among_them() -> None:
    """The smallest log in which a digest over panes and roll-ups, batch by batch, hangs on the cut;
    each list does not.
    """
    log = [event(NOON, 1, ROW), tick(NOON + HOUR_MS), tick(NOON + HOUR_MS + 1)]
    written = []
    for cuts in ([], [2]):
        state, one_after_another = CountingState(), list[str]()
        for first, last in itertools.pairwise([0, *cuts, len(log)]):
            outputs = advance(state, columns.read(log[first:last]), VERSIONS, CountingPolicy())
            one_after_another += [type(entry).__name__ for _, _, entry in outputs.panes]
            one_after_another += [span for span, _ in outputs.rollups]
        written.append(one_after_another)
    assert written == [
        ["Pane", "Watermark", "Watermark", "hour"],
        ["Pane", "Watermark", "hour", "Watermark"],
    ]
    check(counted(log), counted(log, [2]))
