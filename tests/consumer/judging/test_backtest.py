"""Backtest: the same policy takes the same decisions, another one is shown beside it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from driftgauge.consumer.judging.backtest import AlertTracker, covered, rejudge
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.shared.contract.alert import Alert
from driftgauge.shared.contract.pane import PaneEntry
from tests.consumer.judging.builders import VERSIONS, Stream, judge

CALM = JudgingPolicy(psi_warning=3.0, psi_critical=6.0)


def entries() -> list[tuple[str, PaneEntry]]:
    """Return panes with a drift that comes and goes, an alarm, and a second version."""
    stream = Stream(np.random.default_rng(3)).panes(12).alarm().watermark(5).panes(14, shift=1.0)
    return stream.panes(16).panes(6, version="2.0.0").entries


def trackers(policies: list[JudgingPolicy]) -> tuple[list[AlertTracker], int]:
    found, end = [AlertTracker() for _ in policies], 0
    for entry, moved in rejudge([entry for _, entry in entries()], "plant", VERSIONS, policies):
        end = max(end, getattr(entry, "end", 0))
        for watch, transitions in zip(found, moved, strict=True):
            watch.take(transitions)
    return found, end


def again(versions: dict[str, JudgedVersion]) -> list[Alert]:
    """Judge the entries again by the default policy."""
    found = rejudge([entry for _, entry in entries()], "plant", versions, [JudgingPolicy()])
    return [alert for _, (moved,) in found for alert in moved.alerts]


def test_the_same_policy_takes_the_same_decisions() -> None:
    """The transitions of a backtest, of alerts and of incidents, are those of judging, in the same
    order and to the last field.
    """
    recorded = judge(entries())
    again = list(rejudge([e for _, e in entries()], "plant", VERSIONS, [JudgingPolicy()]))
    assert [alert for _, (found,) in again for alert in found.alerts] == recorded.alerts
    assert [one for _, (found,) in again for one in found.incidents] == recorded.incidents
    assert {alert.state for alert in recorded.alerts} == {"pending", "firing", "resolved"}
    assert {one.change for one in recorded.incidents} >= {"opened", "resolved"}


def test_incidents_are_counted_as_they_were_told() -> None:
    """A verdict has each incident once, as it was last, and how often people were told of it."""
    (today,), end = trackers([JudgingPolicy()])
    recorded = judge(entries()).incidents
    found = today.verdict(end).incidents
    assert [one.id for one in found] == list(dict.fromkeys(one.id for one in recorded))
    for one in found:
        own = [moved for moved in recorded if moved.id == one.id]
        assert one.notified == sum(moved.notify for moved in own)
        assert (one.headline, one.ended) == (own[-1].headline, own[-1].ended)


def test_policies_do_not_disturb_each_other() -> None:
    """What a policy tells is the same alone and beside others."""
    both, end = trackers([JudgingPolicy(), CALM])
    alone = [trackers([policy])[0][0] for policy in (JudgingPolicy(), CALM)]
    assert [watch.verdict(end) for watch in both] == [watch.verdict(end) for watch in alone]


def test_verdicts_say_how_often_and_how_long() -> None:
    """Alerts, notices, severity and time in alarm of a feature are those of its transitions; a
    calmer policy tells less.
    """
    (today, calm), end = trackers([JudgingPolicy(), CALM])
    verdict = today.verdict(end)
    recorded = [alert for alert in judge(entries()).alerts if alert.feature == "smooth"]
    told = next(one for one in verdict.features if one.feature == "smooth")
    firing = [alert for alert in recorded if alert.state == "firing" and alert.change == "state"]
    assert told.alerts == len(firing)
    assert told.notified == sum(
        alert.notify for alert in recorded if alert.state in {"firing", "resolved"}
    )
    assert told.first == firing[0].updated
    assert told.severity == "critical"
    assert {one.rule for one in verdict.rules if one.feature == "smooth"} >= {"psi", "adwin"}
    assert 0 < told.alarm_ms <= verdict.total.alarm_ms <= end - firing[0].updated
    assert calm.verdict(end).total.alerts < verdict.total.alerts


def test_versions_that_are_gone_are_passed_over() -> None:
    """Panes of a version that is not published any more stop nothing, and its blocks are left
    out.
    """
    known = {"1.0.0": VERSIONS["1.0.0"]}
    found = [
        alert
        for _, (moved,) in rejudge([e for _, e in entries()], "plant", known, [JudgingPolicy()])
        for alert in moved.alerts
    ]
    assert found
    assert {alert.version for alert in found} == {"1.0.0"}


def test_nothing_told_is_no_time_in_alarm() -> None:
    """A quiet time has no first alert and no severity."""
    told = AlertTracker().verdict(1000).total
    assert (told.alerts, told.alarm_ms, told.first, told.severity) == (0, 0, None, None)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 20))))
def test_covered_counts_every_moment_once(spans: list[tuple[int, int]]) -> None:
    """The union of intervals is as long as the set of its moments."""
    moments = {moment for begin, length in spans for moment in range(begin, begin + length)}
    assert covered([(begin, begin + length) for begin, length in spans]) == len(moments)
