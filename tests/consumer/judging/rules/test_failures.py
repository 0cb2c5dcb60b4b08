"""The share of predictions that fail is judged: a limit on the model's operation."""

import msgspec
import numpy as np
import pytest

from driftgauge.consumer.judging.policy import FAILED, JudgingPolicy, Threshold
from driftgauge.shared.contract.pane import Block, pack_counts
from tests.consumer.judging.builders import NO_LATENCY, SIZES, Stream, block, judge

RULE = f"threshold.{FAILED}"
NONE = pack_counts(np.zeros(SIZES["1.0.0"], dtype=np.int64))


def stream() -> Stream:
    return Stream(np.random.default_rng(3))


def failing(
    stream: Stream, panes: int, failed: int, rows: int = 250, kind: str = "ValueError"
) -> Stream:
    """Append panes of which some predictions failed."""
    for _ in range(panes):
        made = block("1.0.0", stream.random, rows) if rows else Block(0, NONE, NO_LATENCY, {})
        stream.pane(
            {"1.0.0": msgspec.structs.replace(made, failed={kind: failed} if failed else {})}
        )
    return stream


def test_a_failing_model_is_told() -> None:
    """Five in a hundred are critical, as an incident of the model's operation with what to do; it
    resolves when predictions succeed again. The snapshot has the numbers and kinds.
    """
    judged = judge(failing(failing(stream().panes(10), 6, 20), 10, 0).entries)
    states = [(alert.state, alert.severity) for alert in judged.alerts if alert.rule == RULE]
    assert states[0][0] == "pending"
    assert ("firing", "critical") in states
    assert states[-1][0] == "resolved"
    assert all(alert.rule == RULE for alert in judged.alerts)
    opened = next(one for one in judged.incidents if one.severity == "critical")
    assert opened.kind == "operation"
    assert "of the predictions fail; the limit is 5 %" in opened.headline
    assert opened.action == "check_service"
    fired = [snapshot for snapshot in judged.snapshots if snapshot.failures is not None]
    assert fired[-1].failures is not None
    assert fired[-1].failures.kinds[0][0] == "ValueError"
    assert any(
        "predictions failed, most of them with ValueError" in note for note in fired[-1].notes
    )
    assert judged.current["1.0.0"].failures is None


def test_a_model_that_fails_altogether_is_told() -> None:
    """Panes without a single row are judged too; the rows that drift is judged by stay, and no
    drift is found.
    """
    judged = judge(failing(stream().panes(10), 4, 250, rows=0).entries)
    fired = [alert for alert in judged.alerts if alert.state == "firing"]
    assert [alert.rule for alert in fired][:1] == [RULE]
    assert {alert.rule for alert in judged.alerts} == {RULE}
    assert judged.current["1.0.0"].window.rows == 2000
    first = judge(failing(stream(), 3, 40, rows=0).entries)
    assert [alert.state for alert in first.alerts if alert.state == "firing"] == ["firing"]


@pytest.mark.parametrize(("panes", "failed", "rows"), [(30, 1, 250), (1, 4, 10), (20, 0, 250)])
def test_few_failures_are_no_alert(panes: int, failed: int, rows: int) -> None:
    """Below a hundredth, or a few of few."""
    assert judge(failing(stream(), panes, failed, rows).entries).alerts == []


def test_a_limit_of_ones_own() -> None:
    """A policy may state another one."""
    policy = JudgingPolicy(thresholds=(Threshold(FAILED, critical=0.5),))
    assert judge(failing(stream(), 10, 50).entries, policy).alerts == []
    assert judge(failing(stream(), 10, 400).entries, policy).alerts != []


def test_any_cut_gives_the_same() -> None:
    """Through a checkpoint at any place the same transitions, incidents and snapshots."""
    entries = failing(failing(stream().panes(6), 5, 30), 6, 250, rows=0).panes(12).entries
    whole = judge(entries)
    assert whole.alerts != []
    for cuts in ([3], [7, 8, 13], range(len(entries))):
        parts = judge(entries, cuts=cuts, shuffle=np.random.default_rng(1))
        assert parts.alerts == whole.alerts
        assert parts.incidents == whole.incidents
        assert parts.fields == whole.fields
