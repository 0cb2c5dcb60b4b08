"""The labelled window: its sums are those of its panes' labels, however late these came."""

import msgspec
import numpy as np
import pytest

from driftgauge.consumer.judging.windows import labelled
from driftgauge.consumer.judging.windows.labelled import LabelledWindow, Span
from driftgauge.consumer.judging.windows.window import DAY_MS
from driftgauge.shared.contract.pane import (
    DELAY_EDGES_S,
    Pane,
    Revised,
    pack_changes,
    pack_counts,
    unpack_counts,
)
from driftgauge.shared.performance import Layout, Sums

LAYOUT = Layout("numeric")
HOUR_MS = 3_600_000


def pane(number: int, partition: int = 0, hours: float = 1) -> Pane:
    end = int(number * hours * HOUR_MS)
    return Pane(partition, number, end - 1000, end, 100, 100 * number, None, {})


def revised(number: int, rows: int, seed: int, seconds: float = 100) -> tuple[Revised, Sums]:
    random = np.random.default_rng(seed)
    sums = Sums.of(LAYOUT, random.normal(size=rows), random.normal(size=rows))
    delays = np.zeros(len(DELAY_EDGES_S) + 1, dtype=np.int64)
    delays[np.searchsorted(DELAY_EDGES_S, seconds)] = rows
    return Revised(number, "1.0.0", rows, 0, pack_counts(delays), sums.pack()), sums


def total(parts: list[Sums]) -> Sums:
    return sum(parts[1:], start=parts[0])


def test_late_labels_revise_the_pane_of_their_predictions() -> None:
    """Labels that come after newer panes count for the pane in which they were predicted."""
    window = LabelledWindow()
    for number in (1, 2, 3):
        window.add(pane(number), 100)
    parts = []
    for number, rows in ((3, 10), (1, 20), (2, 30), (1, 5)):
        change, sums = revised(number, rows, seed=number + rows)
        assert window.revise(0, change) is not None
        parts.append(sums)
    assert window.sums == total(parts)
    assert (window.labelled, window.predictions) == (65, 300)
    assert [span.labelled for span in window.spans[0]] == [25, 30, 10]
    assert window.latest_label == pane(3).end


def test_a_pane_leaves_when_newer_ones_have_enough_labels() -> None:
    """The oldest panes go when the others have the labels, and take away just what they brought;
    later labels of theirs change nothing.
    """
    window, parts = LabelledWindow(), []
    for number in range(1, 6):
        window.add(pane(number), 100)
        change, sums = revised(number, 50, seed=number)
        window.revise(0, change)
        parts.append(sums)
    dropped = window.trim(least_rows=120, days=7)
    assert [span.first for span in dropped] == [1, 2]
    assert window.sums == total(parts[2:])
    assert window.labelled == 150
    assert window.revise(0, revised(2, 5, seed=9)[0]) is None
    assert window.sums == total(parts[2:])


def test_sums_by_segment_follow_every_revision() -> None:
    """Labels, corrections that take numbers away, panes that leave and spans that are joined: the
    window's sums by segment are those of the panes it holds, through a checkpoint too.
    """
    random = np.random.default_rng(4)
    window, truth = LabelledWindow(), np.zeros((700, 6), dtype=np.int64)
    for number in range(1, 600):
        window.add(pane(number, hours=0.01), 100)
        for place in {number, max(number - 3, 1)}:
            numbers = random.integers(-5, 40, 6)
            change = msgspec.structs.replace(
                revised(place, 2, seed=place)[0], segments=pack_changes(numbers)
            )
            if window.revise(0, change) is not None:
                truth[place] += numbers
        window.trim(least_rows=2200, days=7)
    held = window.spans[0]
    assert held[0].last > held[0].first
    assert window.segments is not None
    assert window.segments.tolist() == truth[held[0].first : held[-1].last + 1].sum(axis=0).tolist()
    assert (
        unpack_counts(held[0].segments).tolist()
        == truth[held[0].first : held[0].last + 1].sum(axis=0).tolist()
    )
    again = LabelledWindow.of(held)
    assert again.segments is not None
    assert again.segments.tolist() == window.segments.tolist()


def test_old_panes_leave_even_without_labels() -> None:
    """A pane waits for its labels no longer than the window's days, so what is held is bounded."""
    window = LabelledWindow()
    for number in range(1, 5):
        window.add(pane(number, hours=24), 100)
    assert [span.first for span in window.trim(1000, days=2)] == [1]
    assert window.start == 2 * DAY_MS - 1000


def test_many_panes_are_joined_without_losing_a_label(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the most spans the older ones are joined; labels still find them, and the sums are
    those of all labels.
    """
    monkeypatch.setattr(labelled, "MAX_SPANS", 16)
    window, parts, stored = LabelledWindow(), [], dict[str, Span]()
    for number in range(1, 200):
        kept, gone = window.add(pane(number), 100)
        for span in gone:
            del stored[span.key]
        stored.update((span.key, span) for span in kept)
        for late in (number, max(number - 40, 1)):
            change, sums = revised(late, 3, seed=number * 1000 + late)
            found = window.revise(0, change)
            assert found is not None
            stored[found.key] = found
            parts.append(sums)
    assert len(window.spans[0]) <= 16
    assert window.sums == total(parts)
    assert window.predictions == 19_900
    firsts = [span.first for span in window.spans[0]]
    assert firsts == sorted(firsts)
    assert [span.last + 1 for span in window.spans[0][:-1]] == firsts[1:]
    assert stored == {span.key: span for span in window.spans[0]}


def test_a_checkpoint_is_the_window() -> None:
    """Spans read back in any order give the same window."""
    window = LabelledWindow()
    for partition in (0, 1):
        for number in range(1, 4):
            window.add(pane(number, partition), 100)
            window.revise(partition, revised(number, 7, seed=number)[0])
    spans = [span for found in window.spans.values() for span in found]
    again = LabelledWindow.of(
        msgspec.msgpack.decode(msgspec.msgpack.encode(span), type=Span) for span in reversed(spans)
    )
    assert again.sums == window.sums
    assert again.spans == window.spans
    assert (again.labelled, again.predictions, again.start, again.end) == (
        42,
        600,
        window.start,
        window.end,
    )


def test_delays_are_known_to_their_cell() -> None:
    """The delay of the median label is known within the two fifths between two edges."""
    window = LabelledWindow()
    window.add(pane(1), 100)
    window.revise(0, revised(1, 50, seed=1, seconds=1000)[0])
    window.revise(0, revised(1, 40, seed=2, seconds=100_000)[0])
    assert 1_000_000 <= window.delay_ms(0.5) <= 1_450_000
    assert 100_000_000 <= window.delay_ms(0.99) <= 145_000_000
