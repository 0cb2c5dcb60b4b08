"""Labels that come weeks late: what is found of a day does not hang on the order in which they
come.
"""

import dataclasses
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from driftgauge.consumer.judging.alerts.lifecycle import AlertState
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.consumer.judging.windows.window import DAY_MS
from driftgauge.shared.contract.alert import Alert
from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.contract.pane import Pane, PaneEntry
from driftgauge.shared.wording.times import day_name, days_named
from tests.consumer.builders import NOON
from tests.consumer.judging.labels import LabelledStream, judge_labels

PANES = 8
"""A day, of 250 rows each."""
FELL = range(9, 12)
"""The days with a worse model, counted from the first."""
DAYS = 20
WRONG = 0.36


def predicted(seed: int, fell: Sequence[int] = FELL, size: int = 250) -> LabelledStream:
    made = LabelledStream(np.random.default_rng(seed))
    for day in range(DAYS):
        made.now = NOON + day * DAY_MS
        made.panes(PANES, size, wrong=WRONG if day in fell else 0.2)
    return made


def labelled(made: LabelledStream, order: str, seed: int = 0) -> LabelledStream:
    """Bring the labels of all panes, four panes at a time."""
    panes = list(made.rows)
    if order == "reversed":
        panes.reverse()
    elif order == "shuffled":
        np.random.default_rng(seed).shuffle(panes)
    for first in range(0, len(panes), 4):
        made.label(panes[first : first + 4], delay_s=15 * 86_400)
    return made


def open_alert(fields: dict[bytes, bytes], rule: str = "performance.accuracy") -> AlertState:
    states = [
        msgspec.json.decode(packed, type=AlertState)
        for name, packed in fields.items()
        if name.startswith(b"alert:")
    ]
    (found,) = [one for one in states if one.rule == rule and one.is_open]
    return found


def of_accuracy(alerts: Sequence[Alert]) -> list[str]:
    return [alert.state for alert in alerts if alert.rule == "performance.accuracy"]


@pytest.mark.parametrize("order", ["as they were", "reversed", "shuffled"])
def test_a_fall_is_told_with_its_days_whatever_the_order(order: str) -> None:
    """Three bad days whose labels come two weeks late, after good ones or before: the alert fires,
    names the days and since when they are known, and is dated to the first of them.
    """
    made = labelled(predicted(3), order)
    outputs, fields = judge_labels(made.entries)
    alert = open_alert(fields)
    start = NOON // DAY_MS + FELL[0]
    assert (alert.state, alert.severity) == ("firing", "critical")
    days = days_named(start * DAY_MS, (start + 2) * DAY_MS)
    assert f"6,000 labelled predictions {days}, known since {day_name(made.now)}" in alert.summary
    assert "baseline 0.8" in alert.summary
    assert alert.started == start * DAY_MS
    assert alert.evidence is not None
    assert of_accuracy(outputs.alerts).count("firing") == 1
    assert "resolved" not in of_accuracy(outputs.alerts)
    (told,) = [
        one
        for one in outputs.alerts
        if one.rule == "performance.accuracy" and one.notify and one.state == "firing"
    ]
    assert (told.evidence.window_start // DAY_MS, told.updated) >= (start, 0)
    assert told.evidence.window_start < told.evidence.window_end <= (start + 3) * DAY_MS


def test_the_order_leaves_no_trace() -> None:
    """After all labels the alert says the same, to the letter, in any order."""
    found = {
        open_alert(judge_labels(labelled(predicted(5), order, seed).entries)[1]).summary
        for order, seed in (("as they were", 0), ("reversed", 0), ("shuffled", 1))
    }
    assert len(found) == 1


@pytest.mark.parametrize("order", ["as they were", "reversed"])
def test_it_resolves_a_day_after_the_labels_are_right(order: str) -> None:
    """A past fall is not told and over in the same moment: it resolves when the latest labels are
    right, and a day has passed; and no later evaluation tells of it again.
    """
    made = labelled(predicted(4), order)
    for day in range(DAYS, DAYS + 4):
        made.now = NOON + day * DAY_MS
        for _ in range(PANES):
            made.panes(1).label([len(made.rows)])
    outputs, _ = judge_labels(made.entries)
    states = of_accuracy(outputs.alerts)
    assert [state for state in states if state != "pending"] == ["firing", "resolved"]
    resolved = next(one for one in outputs.alerts if one.state == "resolved")
    assert resolved.updated // DAY_MS >= NOON // DAY_MS + DAYS


@pytest.mark.parametrize("order", ["as they were", "reversed", "shuffled"])
def test_days_with_few_labels_are_judged_with_their_week(order: str) -> None:
    """Where a day has fewer labels than a judgement needs, the days of its week make one
    together.
    """
    made = labelled(predicted(6, range(4, 18), size=12), order)
    _, fields = judge_labels(made.entries)
    assert "known since" in open_alert(fields).summary


@pytest.mark.parametrize("order", ["as they were", "reversed", "shuffled"])
def test_calm_days_alert_in_no_order(order: str) -> None:
    """Labels of twenty days without any change raise nothing, whatever their order (chance of a
    false alarm in all runs together: 1 %).
    """
    for seed in range(2):
        outputs, _ = judge_labels(labelled(predicted(50 + seed, ()), order, seed).entries)
        assert of_accuracy(outputs.alerts) == []


def test_partitions_have_their_days_together() -> None:
    """With two partitions, read in whatever order, a day is the sum of both."""
    policy = dataclasses.replace(JudgingPolicy(), partitions=2)
    found = set()
    for order in ("as they were", "reversed"):
        one, two = predicted(9, size=120), predicted(10, size=120)
        two.partition = 1
        two.entries = [
            (name, msgspec.structs.replace(entry, partition=1)) for name, entry in two.entries
        ]
        entries = [*labelled(one, order).entries, *labelled(two, order, 1).entries]
        by_time = sorted(entries, key=lambda one: _time(one[1]))
        for read in (entries, entries[::-1], by_time):
            found.add(open_alert(judge_labels(_in_order(read), policy, cuts=[9])[1]).summary)
    (summary,) = found
    assert "5,760 labelled predictions" in summary


def _time(entry: PaneEntry) -> int:
    return entry.end if isinstance(entry, Pane) else entry.time


def _in_order(entries: Sequence[tuple[str, PaneEntry]]) -> list[tuple[str, PaneEntry]]:
    """Keep the order between the partitions, but that of each one as it was written."""
    queues = {
        place: iter(
            sorted(
                (one for one in entries if one[1].partition == place),
                key=lambda one: EntryId.parse(one[0]),
            )
        )
        for place in (0, 1)
    }
    return [next(queues[entry.partition]) for _, entry in entries]


def test_steps_and_checkpoints_change_nothing() -> None:
    """However the stream is cut, with a checkpoint between any two, alerts and state are the
    same.
    """
    made = labelled(predicted(7), "shuffled")
    at_once, fields = judge_labels(made.entries)
    cut, cut_fields = judge_labels(made.entries, cuts=range(0, len(made.entries), 7))
    assert cut.alerts == at_once.alerts
    assert {n: f for n, f in cut_fields.items() if n.startswith((b"labelday", b"alert"))} == {
        n: f for n, f in fields.items() if n.startswith((b"labelday", b"alert"))
    }


def test_a_fall_that_was_told_as_it_happened_is_not_told_again() -> None:
    """A fall of some hours whose labels are prompt fires and resolves on its day; that the day as a
    whole was bad is no news on the next.
    """
    made = LabelledStream(np.random.default_rng(8))
    for day in range(4):
        made.now = NOON + day * DAY_MS
        for place in range(40):
            made.panes(1, wrong=0.6 if day == 1 and 6 <= place < 16 else 0.2)
            made.label([len(made.rows)])
    outputs, _ = judge_labels(made.entries)
    states = [state for state in of_accuracy(outputs.alerts) if state != "pending"]
    assert states == ["firing", "resolved"]
