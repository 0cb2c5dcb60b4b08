"""A change of reference in judging: alerts of the one before end, whatever partition brings it
first, and nothing else.
"""

import numpy as np

from driftgauge.consumer.judging.advance import advance
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.policy import JudgingPolicy, Threshold
from driftgauge.consumer.judging.state import (
    CHANGES_REMEMBERED,
    JudgingState,
    Progress,
    references_of,
)
from driftgauge.shared.contract.alert import Alert
from driftgauge.shared.contract.pane import Alarm, NewReference, PaneEntry, unpack_counts
from driftgauge.shared.contract.snapshot import Snapshot
from driftgauge.shared.reference.accepted import recounted
from tests.consumer.judging.builders import PUBLISHED, SIZES, VERSIONS, Stream, block

_SHIFTED = block("1.0.0", np.random.default_rng(9), 5000, shift=1.0)
ACCEPTED = JudgedVersion(
    PUBLISHED["1.0.0"].schema,
    recounted(PUBLISHED["1.0.0"].reference, unpack_counts(_SHIFTED.cells)),
    number=1,
)
BOTH = {**VERSIONS, "1.0.0#1": ACCEPTED}


def change(
    stream: Stream, change: int, number: int, *, partition: int = 0, undo: bool = False
) -> Stream:
    """Write a change of reference as counting does."""
    stream.now += 10
    entry = NewReference(
        partition,
        stream.now,
        stream.totals.get(partition, 0),
        "1.0.0",
        change,
        number,
        "ann",
        "rebuilt",
        undo,
    )
    stream.entries.append((f"{stream.numbers.get(partition, 0)}-{len(stream.entries) + 1}", entry))
    return stream


def judge(
    entries: list[tuple[str, PaneEntry]], policy: JudgingPolicy | None = None
) -> tuple[list[Alert], dict[str, Snapshot], JudgingState]:
    """Judge entries one by one, through a checkpoint between any two."""
    fields: dict[bytes, bytes] = {}
    alerts: list[Alert] = []
    current: dict[str, Snapshot] = {}
    for entry in entries:
        state = JudgingState.unpack(fields, SIZES)
        outputs = advance(state, [entry], "plant", BOTH, policy or JudgingPolicy())
        alerts += outputs.alerts
        current |= outputs.current
        fields = {
            name: packed for name, packed in {**fields, **state.pack_changed()}.items() if packed
        }
    return alerts, current, JudgingState.unpack(fields, SIZES)


def stream() -> Stream:
    return Stream(np.random.default_rng(0))


def told(alerts: list[Alert]) -> list[tuple[str, str, str]]:
    moved = [alert for alert in alerts if alert.state != "pending" and alert.change == "state"]
    return [(alert.feature, alert.state, alert.summary) for alert in moved]


def test_alerts_end_with_the_reason_and_do_not_come_back() -> None:
    """The alerts of the old reference resolve at once and say why; what was accepted is quiet from
    the next pane on, with no pane thrown away.
    """
    panes = change(stream().panes(20, shift=1.0), 1, 1).panes(8, shift=1.0)
    alerts, current, state = judge(panes.entries)
    assert ("smooth", "resolved", "reference 1 accepted by ann: rebuilt") in told(alerts)
    ended = next(place for place, alert in enumerate(alerts) if alert.state == "resolved")
    assert not [alert for alert in alerts[ended:] if alert.state == "firing"]
    assert current["1.0.0"].reference == 1
    assert current["1.0.0"].severity == "ok"
    assert current["1.0.0"].reference_rows == 5000
    assert state.windows["1.0.0"].rows >= 2000
    assert (
        current["1.0.0"].notes[0] == "Held against reference 1, which was accepted in production."
    )


def test_undone_it_alarms_again_without_a_cooldown() -> None:
    """Back at the old reference the drift fires as a new one does: the end of the alert was no
    all-clear.
    """
    panes = change(
        change(stream().panes(20, shift=1.0), 1, 1).panes(4, shift=1.0), 2, 0, undo=True
    ).panes(4, shift=1.0)
    alerts, current, _ = judge(panes.entries)
    psi = [alert for alert in alerts if (alert.feature, alert.rule) == ("smooth", "psi")]
    assert [state for _, state, _ in told(psi)] == ["firing", "resolved", "firing"]
    assert current["1.0.0"].reference == 0


def test_the_same_change_twice_or_an_older_one_changes_nothing() -> None:
    """Every partition brings a change, and one may be published again: only the first one
    counts.
    """
    once = change(change(stream().panes(20, shift=1.0), 1, 1).panes(2, shift=1.0), 2, 0).panes(
        4, shift=1.0
    )
    entries = [*once.entries]
    again = Stream(
        np.random.default_rng(1), once.now, entries, dict(once.numbers), dict(once.totals)
    )
    change(change(again, 2, 0), 1, 1)
    alerts, current, state = judge(again.entries)
    assert alerts == judge(once.entries[:-2])[0]
    assert current["1.0.0"].reference == 0
    assert (
        state.progress.references["1.0.0"].change,
        len(state.progress.references["1.0.0"].past),
    ) == (2, 2)


def test_an_alarm_of_a_partition_that_has_not_changed_yet_is_left_out() -> None:
    """Between the first partition's change and another's, what that one alarms is about the
    reference before.
    """
    panes = stream().panes(8)
    change(panes, 1, 1)
    early = Alarm(
        1, panes.now, 50, "1.0.0", "smooth", "adwin", 100, "mean_rank", 0.7, 0.5, 200, "a shift"
    )
    late = [
        ("0-2", NewReference(1, panes.now, 50, "1.0.0", 1, 1, "ann", "rebuilt", False)),
        ("0-3", early),
    ]
    policy = JudgingPolicy(partitions=2)
    assert not judge([*panes.entries, ("0-1", early)], policy)[
        0
    ]  # the panes wait for the other partition
    alerts, _, state = judge([*panes.entries, ("0-1", early), *late], policy)
    assert [alert.rule for alert in alerts].count("adwin") == 1
    assert [entry_id for _, entry_id, _ in state.progress.alarms] == ["8-9", "0-1", "0-2", "0-3"]


def test_limits_on_the_models_metrics_outlive_the_change() -> None:
    """An alert that has nothing to do with the reference does not end with it."""
    policy = JudgingPolicy(thresholds=(Threshold("window_rows", warning=1.0),))
    alerts, _, _ = judge(change(stream().panes(6), 1, 1).entries, policy)
    assert {(alert.rule, alert.state) for alert in alerts} >= {("threshold.window_rows", "firing")}
    assert not [alert for alert in alerts if alert.state == "resolved"]


def test_what_is_remembered_is_bounded_and_names_its_references() -> None:
    """The checkpoint keeps the latest changes alone, and says which reference it needs."""
    progress = Progress()
    for number in range(1, 60):
        assert progress.note_change(
            NewReference(0, number, 0, "1.0.0", number, number % 3, "ann", "x", False)
        )
    assert len(progress.references["1.0.0"].past) == CHANGES_REMEMBERED
    state = JudgingState(progress)
    assert references_of(state.pack_changed()) == {("1.0.0", 2)}
    assert references_of({}) == set()
