"""Several partitions: one order of panes, whatever order they were read in."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.state import Judged, JudgingState, Progress
from driftgauge.consumer.judging.windows import merge
from driftgauge.shared.contract.alerts import cloud_event
from driftgauge.shared.contract.events import partition_of
from driftgauge.shared.contract.pane import Alarm, Pane, PaneEntry, Watermark
from tests.consumer.builders import NOON, count, event, tick, traffic
from tests.consumer.judging.builders import MAPS, SIZES, EvaluatedWindow, Stream, block, judge

PARTITIONS = 3
POLICY = JudgingPolicy(partitions=PARTITIONS, window_events=1500)
Entries = list[tuple[str, PaneEntry]]


def entry_of(partition: int, number: int, end: int, rows: int = 0) -> tuple[str, PaneEntry]:
    return f"{number}-0", Pane(partition, number, end - 1, end, rows, 10 * number, None, {})


def mark(partition: int, entry_id: str, time: int, total: int = 1) -> tuple[str, PaneEntry]:
    return entry_id, Watermark(partition, time, total)


def drawn(seed: int) -> list[Entries]:
    """Draw the panes of three partitions, each in its own order: drift, ticks, ends that are
    equal.
    """
    random = np.random.default_rng(seed)
    found = []
    for partition in range(PARTITIONS):
        made = Stream(random, now=NOON)
        for place in range(8):
            shift = 1.0 if 2 < place < 6 else 0.0
            made.pane(
                {"1.0.0": block("1.0.0", random, 300, shift=shift)},
                float(random.choice([0, 10, 20])),
                partition,
            )
            if random.random() < 0.3:
                made.watermark(10, partition)
        made.watermark(10_000, partition)
        found.append(made.entries)
    return found


def interleaved(streams: list[Entries], random: np.random.Generator) -> Entries:
    """Mix streams at random; each keeps its own order."""
    order = random.permutation(
        np.repeat(np.arange(len(streams)), [len(found) for found in streams])
    )
    following = [iter(found) for found in streams]
    return [next(following[place]) for place in order.tolist()]


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.lists(st.integers(1, 25), max_size=5))
def test_the_order_of_reading_changes_nothing(seed: int, cuts: list[int]) -> None:
    """Alerts and reports are the same bytes in whatever order the partitions were read, with a
    checkpoint anywhere.
    """
    streams = drawn(seed)
    first, second = (
        interleaved(streams, np.random.default_rng(place)) for place in (seed, seed + 1)
    )
    whole = judge(first, POLICY)
    parts = judge(
        second,
        POLICY,
        [cut for cut in cuts if cut < len(second)],
        shuffle=np.random.default_rng(seed),
    )
    assert written(parts) == written(whole)
    assert whole.state().progress.judged == 8 * PARTITIONS
    assert parts.state().progress == whole.state().progress
    del (
        parts.fields[b"state"],
        whole.fields[b"state"],
    )  # its dictionaries stand in the order of reading
    assert parts.fields == whole.fields


def written(judged: EvaluatedWindow) -> list[bytes]:
    return [cloud_event(found) for found in (*judged.alerts, *judged.snapshots)]


def test_the_merge_test_is_eventful() -> None:
    """The test above would mean little without alerts."""
    assert {state for _, _, state in judge(list(itertools.chain(*drawn(1))), POLICY).states} >= {
        "pending",
        "firing",
    }


def test_panes_come_by_end_and_partition() -> None:
    """No pane is judged while another partition may still bring one that belongs before it; equal
    ends go by partition.
    """
    found = merge.Merge()
    order = []
    for entry_id, entry in [
        entry_of(1, 1, 100),
        mark(0, "0-1", 50),
        entry_of(2, 1, 100),
        entry_of(0, 1, 100),
        mark(2, "1-1", 200),
        mark(1, "1-1", 150),
        mark(0, "1-1", 101),
    ]:
        assert entry_id
        found.add(entry)
        order.append([pane.partition for pane in found.ready(PARTITIONS)])
    assert order == [[], [], [], [0], [], [], [1, 2]], (
        "another pane of partition 0 could have ended at 100 until the last"
    )


def test_a_partition_without_events_holds_nobody_up() -> None:
    """It ticks, and has no events: the others go on. One that was never heard of holds, since its
    panes may be coming.
    """
    found = merge.Merge()
    for _, entry in (entry_of(0, 1, 100), entry_of(1, 1, 90), mark(0, "1-1", 200)):
        found.add(entry)
    assert list(found.ready(PARTITIONS)) == []
    found.add(Watermark(2, 5000, 0))
    assert [pane.partition for pane in found.ready(PARTITIONS)] == [1]
    found.add(Watermark(1, 101, 10))
    assert [pane.partition for pane in found.ready(PARTITIONS)] == [0]


def test_ticks_keep_idle_partitions_moving() -> None:
    """A partition that had events and fell silent lets the others go on with its ticks."""
    quiet = [entry_of(1, 1, NOON)]
    busy = [entry_of(0, number, NOON + 1000 * number) for number in range(1, 6)]
    policy = JudgingPolicy(partitions=2)
    assert judge([*quiet, *busy], policy).state().progress.judged == 1
    judged = judge([*quiet, *busy, mark(1, "1-1", NOON + 3500)], policy).state()
    assert judged.progress.judged == 4
    assert [pane.number for pane in judged.merge.held[0]] == [4, 5]


def test_an_alarm_does_not_wait() -> None:
    """An alarm bypasses the merge: it fires while its partition's panes wait, and its place in the
    order is recorded.
    """
    made = Stream(np.random.default_rng(0))
    made.pane({"1.0.0": block("1.0.0", made.random, 250)})
    made.alarm()
    judged = judge(made.entries, JudgingPolicy(partitions=2))
    assert judged.states == [("smooth", "adwin", "firing")]
    progress = judged.state().progress
    assert (progress.judged, progress.alarms) == (0, [(0, "1-2", 0)])


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A partition far ahead of the others is not read on, so that the checkpoint stays small."""
    monkeypatch.setattr(merge, "HELD_MOST", 3)
    found = merge.Merge()
    for number in range(1, 4):
        assert not found.is_full(0)
        found.add(entry_of(0, number, number)[1])
    assert found.is_full(0)
    assert not found.is_full(1)


def test_panes_that_come_again_are_not_judged_twice() -> None:
    """A shard that went back writes old numbers again, maybe with other contents: nothing of them
    is judged.
    """
    made = Stream(np.random.default_rng(0)).panes(12, shift=1.0)
    for policy in (JudgingPolicy(), JudgingPolicy(partitions=2)):
        entries = (
            [("0-1", Watermark(1, 0, 0)), *made.entries] if policy.partitions == 2 else made.entries
        )
        once, again = judge(entries, policy), judge([*entries, *made.entries[6:]], policy)
        assert again.fields == once.fields
        assert written(again) == written(once)


def test_a_number_that_goes_back_is_reported_once() -> None:
    """The judge's checkpoint tells how often a partition's panes went back to a number that was
    judged before.
    """
    progress = Progress(offsets={0: "9-0", 1: "9-0"})
    assert [progress.note_end(0, last) for last in ("9-0", "9-1", "10-0")] == [False, False, False]
    assert [progress.note_end(0, last) for last in ("7-3", "8-0")] == [True, False]
    progress.offsets[0] = "12-0"
    assert progress.note_end(0, "11-9")
    assert progress.rolled_back == {0: 2}
    state = JudgingState(progress=progress)
    assert JudgingState.unpack(state.pack_changed(), SIZES).progress == progress


def test_other_panes_under_the_same_numbers_are_reported_once() -> None:
    """Panes that went back and are as many as before, when judging looks, are noticed by what the
    last one holds; those that are kept no more, or that nobody marked, are not.
    """
    progress = Progress(offsets={0: "9-0", 1: "9-0"})
    progress.mark(0, b"nine")
    assert not progress.note_end(0, "11-0", Judged("9-0", b"nine"))
    assert not progress.note_end(0, "11-0", None)
    assert not progress.note_end(1, "11-0", Judged("9-0", b"nine"))
    assert progress.note_end(0, "11-0", Judged("9-0", b"another"))
    assert not progress.note_end(0, "11-0", Judged("9-0", b"another"))
    progress.offsets[0] = "11-2"
    progress.mark(0, b"eleven")
    assert progress.note_end(0, "12-0", Judged("11-0", b"eleven"))  # the entry itself is not there
    assert progress.rolled_back == {0: 2}


def test_panes_that_go_back_again_before_more_were_judged_are_reported_again() -> None:
    """Panes that went back, came to the same place again and went back once more have gone back
    twice, whether they were the same ones or others; while they are behind it is once.
    """
    progress = Progress(offsets={0: "9-0"})
    progress.mark(0, b"nine")
    assert progress.note_end(0, "7-0", Judged("7-0", b"seven"))
    assert not progress.note_end(0, "8-0", Judged("8-0", b"eight"))
    assert not progress.note_end(0, "9-0", Judged("9-0", b"nine"))
    assert progress.note_end(0, "8-0", Judged("8-0", b"eight"))
    assert not progress.note_end(0, "9-0", Judged("9-0", b"another"))
    assert not progress.note_end(0, "9-0", Judged("9-0", b"another"))
    assert progress.note_end(0, "10-0", Judged("9-0", b"a third one"))
    assert not progress.note_end(0, "10-0", Judged("9-0", b"a third one"))
    assert progress.note_end(0, "8-0", Judged("8-0", b"eight"))
    assert (progress.rolled_back, progress.rolled_back_at) == ({0: 4}, {0: "9-0"})


def test_the_same_panes_that_were_written_anew_are_reported_once() -> None:
    """Panes that went back, and were counted again to the same bytes before judging looked, are
    noticed by who wrote the last one; where that is not known they are not.
    """
    progress = Progress(offsets={0: "9-0", 1: "9-0"})
    progress.mark(0, b"nine", b"first")
    progress.mark(1, b"nine")  # as an earlier release does
    assert not progress.note_end(0, "11-0", Judged("9-0", b"nine", b"first"))
    assert not progress.note_end(1, "11-0", Judged("9-0", b"nine", b"first"))
    state = JudgingState(progress=progress)
    progress = JudgingState.unpack(state.pack_changed(), SIZES).progress
    assert progress.note_end(0, "11-0", Judged("9-0", b"nine", b"second"))
    assert not progress.note_end(0, "11-0", Judged("9-0", b"nine", b"second"))
    progress.mark(0, b"ten")
    assert not progress.note_end(0, "11-0", Judged("9-0", b"ten", b"third"))


def log_of(seed: int, number: int) -> list[tuple[str, list[object], int]]:
    """Draw events with ids; in the second half one feature is shifted."""
    random = np.random.default_rng(seed)
    rows = traffic(random, number // 2) + traffic(random, number - number // 2, shift=1.0)
    return [(f"id-{seed}-{place}", row, NOON + 20 * place) for place, row in enumerate(rows)]


@pytest.mark.parametrize("partitions", [2, 6])
def test_one_and_several_partitions_agree(partitions: int) -> None:
    """The same events in one partition and in six: equal cells, whole windows, PSI alerts on the
    same feature.
    """
    found = log_of(4, 12_000)
    guess = dict(
        zip(
            (name for name, _, _ in found),
            np.random.default_rng(5).normal(size=len(found)).tolist(),
            strict=True,
        )
    )
    results = {}
    for parts in (1, partitions):
        cells = np.zeros(SIZES["1.0.0"], dtype=np.int64)
        streams: list[Entries] = []
        for partition in range(parts):
            mine = [entry for entry in found if partition_of(entry[0], parts) == partition]
            log = [
                event(ms, place, row, id=name, prediction=guess[name])
                for place, (name, row, ms) in enumerate(mine, start=1)
            ]
            log.append(tick(found[-1][2] + 5000))
            counted = count(
                log,
                MAPS,
                CountingPolicy(partition=partition, partitions=parts, expected_events_per_day=5000),
            )
            cells += counted.cells(MAPS)["1.0.0"]
            streams.append([(f"{number}-{place}", entry) for number, place, entry in counted.panes])
        judged = judge(
            interleaved(streams, np.random.default_rng(0)), JudgingPolicy(partitions=parts)
        )
        results[parts] = cells, judged
    one, several = results[1], results[partitions]
    assert one[0].tolist() == several[0].tolist()
    for _, judged in results.values():
        fired = {(alert.feature, alert.rule) for alert in judged.alerts if alert.state == "firing"}
        assert {feature for feature, rule in fired if rule == "psi"} == {"smooth"}
        current = judged.current["1.0.0"]
        assert current.window.rows >= 2000
        assert current.severity == "critical"
        assert not any(judged.state().merge.held.values())
    assert one[1].state().progress.events == 12_000
    assert 12_000 - several[1].state().progress.events < 1000 * partitions, "open panes at most"
    assert Alarm in {type(entry) for _, entry in streams[0]}
