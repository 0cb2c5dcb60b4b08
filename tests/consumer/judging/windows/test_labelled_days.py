import numpy as np

from driftgauge.consumer.judging.windows.labelled_days import DayTotal, LabelledDays
from driftgauge.consumer.judging.windows.window import DAY_MS
from driftgauge.shared.contract.pane import Pane, Revised
from driftgauge.shared.performance import Layout, Sums

MONDAY = 7 * 100
"""The first day of a group of seven."""


def pane(number: int, day: int, partition: int = 0) -> Pane:
    start = (MONDAY + day) * DAY_MS + number
    return Pane(partition, number, start, start + 1, 10, 10 * number, None, {})


def revised(number: int, labels: int = 1) -> Revised:
    errors = np.zeros(labels)
    sums = Sums.of(Layout("numeric"), errors, errors)
    return Revised(number, "1.0.0", labels, 0, b"", sums.pack())


def judged(days: LabelledDays, day: int, least: int = 5) -> list[list[int]]:
    now = (MONDAY + day) * DAY_MS
    found = days.groups(days.take_over(now), now, least, lambda total: total.rows)
    return [[one.day - MONDAY for one in group] for group in found]


def test_totals_add_with_and_without_segments_and_labels() -> None:
    """The sums of days add whatever of them is there: some days have no labels."""
    counts = np.array([1, 2])
    one, two = DayTotal(None, counts, None), DayTotal(None, counts, counts)
    found = DayTotal() + one + DayTotal() + two
    assert found.segments is not None
    assert found.segments.tolist() == [2, 4]
    assert (found.label_rows, found.rows) == (3, 0)


def test_a_label_finds_the_day_of_its_pane() -> None:
    """Panes of several partitions have their own numbers; a pane that no day has is of none."""
    days = LabelledDays()
    for number, day in ((1, 0), (2, 0), (3, 1), (5, 2)):
        days.add(pane(number, day), 10)
        days.add(pane(number + 10, day, partition=1), 10)
    for partition, number, day in ((0, 2, 0), (0, 3, 1), (1, 15, 2), (1, 13, 1)):
        found = days.revise(partition, revised(number))
        assert found is not None
        assert found.day == MONDAY + day
    assert days.revise(1, revised(2)) is None
    assert [one.labelled for one in days.days.values()] == [1, 2, 1]
    assert [one.predictions for one in days.days.values()] == [40, 20, 20]


def test_days_are_judged_when_they_are_over_and_changed() -> None:
    """A day is judged once it is over, and again when labels come; days with few labels go with
    those of their week.
    """
    days = LabelledDays()
    for day in range(9):
        days.add(pane(day + 1, day), 10)
    for number, labels in ((1, 9), (2, 2), (3, 3), (8, 1), (9, 9)):
        days.revise(0, revised(number, labels))
    assert judged(days, 2) == [[0], [1]]
    assert judged(days, 8) == [[1, 2], [7]]
    assert judged(days, 9) == [[8], [7]]
    assert judged(days, 9) == []
    days.revise(0, revised(2, 4))
    assert judged(days, 9) == [[1], [2]]


def test_old_days_are_dropped_by_weeks() -> None:
    """A week is dropped whole, so that what its days say together does not change while they are
    kept.
    """
    days = LabelledDays()
    for day in range(21):
        days.add(pane(day + 1, day), 10)
    assert days.trim((MONDAY + 13) * DAY_MS, 7) == []
    assert days.trim((MONDAY + 14) * DAY_MS, 7) == list(range(MONDAY, MONDAY + 7))
    assert days.revise(0, revised(3)) is None
    assert len(days.days) == 14
