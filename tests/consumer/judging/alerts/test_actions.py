"""The recommended actions: each condition both ways."""

from typing import Any

import msgspec
import pytest

from driftgauge.consumer.judging.alerts.actions import (
    ADVICE,
    CONDITIONS,
    DAY_MS,
    Circumstances,
    recommend,
    recommended,
)
from driftgauge.consumer.judging.alerts.lifecycle import AlertState
from driftgauge.shared.rules.drift import PSI_WEEK
from tests.consumer.judging.test_advance import judge, stream

NOW = 100 * DAY_MS


def alert(**changes: Any) -> AlertState:
    made = AlertState("f", "2.0.0", "x", "psi", "critical", "firing", NOW - 1000, NOW, "")
    return msgspec.structs.replace(made, **changes)


def around(
    *alerts: AlertState, age: int = 50 * DAY_MS, has_previous: bool = True, outdated: bool = False
) -> Circumstances:
    return Circumstances(NOW, alerts, NOW - age, has_previous, outdated)


OLD = {"started": NOW - DAY_MS}
PREDICTION: dict[str, Any] = {"feature": "prediction"}
PERFORMANCE: dict[str, Any] = {"feature": "", "rule": "performance.mae"}
LATENCY: dict[str, Any] = {"feature": "", "rule": "threshold.latency_p99_ms"}
WEEKLY: dict[str, Any] = {"rule": PSI_WEEK.name, "severity": "warning"}
BROKEN = alert(fingerprint="c", rule="missing")
EXPLAINED = alert(inhibited_by="c")
FALL = alert(**PERFORMANCE)
UNFAIR = {"rule": "fairness.equal_opportunity", "feature": "", "segment": "sex=*"}
CASES: list[tuple[str, AlertState, Circumstances, str, AlertState, Circumstances]] = [
    ("check_service", alert(**LATENCY), around(), "wait", alert(rule="threshold.psi"), around()),
    ("fix_feed", alert(rule="missing"), around(), "wait", alert(), around()),
    ("fix_feed", alert(rule="integrity"), around(), "wait", alert(rule="adwin"), around()),
    ("fix_feed", EXPLAINED, around(BROKEN), "wait", alert(), around(BROKEN)),
    ("roll_back", alert(), around(age=DAY_MS), "wait", alert(), around(age=DAY_MS + 1)),
    ("roll_back", alert(), around(age=0), "wait", alert(), around(age=0, has_previous=False)),
    ("roll_back", alert(), around(age=0), "wait", alert(severity="warning"), around(age=0)),
    ("roll_back", alert(), around(age=0), "wait", alert(state="pending"), around(age=0)),
    ("review", alert(**UNFAIR), around(), "wait", alert(rule="segment.psi"), around()),
    ("review", alert(**UNFAIR), around(), "roll_back", alert(**UNFAIR), around(age=0)),
    ("accept_reference", alert(**WEEKLY), around(outdated=True), "wait", alert(**WEEKLY), around()),
    (
        "accept_reference",
        alert(**WEEKLY),
        around(outdated=True),
        "wait",
        alert(**WEEKLY),
        around(FALL, outdated=True),
    ),
    (
        "accept_reference",
        alert(**WEEKLY),
        around(outdated=True),
        "wait",
        alert(),
        around(outdated=True),
    ),
    ("retrain", alert(**OLD), around(), "wait", alert(started=NOW - DAY_MS + 1), around()),
    ("retrain", alert(**OLD), around(), "wait", alert(**OLD, severity="warning"), around()),
    (
        "retrain",
        alert(**PERFORMANCE),
        around(alert()),
        "recalibrate",
        alert(**PERFORMANCE),
        around(),
    ),
    ("recalibrate", alert(**PREDICTION), around(), "wait", alert(**PREDICTION), around(alert())),
    (
        "recalibrate",
        alert(**PREDICTION),
        around(EXPLAINED, BROKEN),
        "wait",
        alert(**PREDICTION, state="pending"),
        around(),
    ),
]


@pytest.mark.parametrize(("action", "of", "with_", "otherwise", "other", "without"), CASES)
def test_each_condition_both_ways(
    action: str,
    of: AlertState,
    with_: Circumstances,
    otherwise: str,
    other: AlertState,
    without: Circumstances,
) -> None:
    """The action is recommended when its condition holds, and another one as soon as one part of it
    does not.
    """
    assert recommend(of, with_) == action
    assert recommend(other, without) == otherwise


def test_a_column_of_an_episode_is_not_broken() -> None:
    """A column that another one of its episode speaks for has no broken values: its feed needs no
    repair.
    """
    first, second = (
        alert(**WEEKLY, fingerprint="a"),
        alert(**WEEKLY, fingerprint="b", inhibited_by="a"),
    )
    assert recommend(second, around(first, second)) == "wait"
    assert recommend(second, around(first, second, outdated=True)) == "accept_reference"


def test_what_was_explained_by_an_alert_that_ended_is_not_broken() -> None:
    """Labels end a fall between two panes: until the next one the drift that it explained still
    bears its mark, and is no case for the feed.
    """
    assert recommend(EXPLAINED, around(EXPLAINED)) == "wait"
    assert around(EXPLAINED).feature_drifts


def test_every_action_is_reached_and_has_words() -> None:
    """No action is there for show."""
    assert {case[0] for case in CASES} | {"wait"} == set(CONDITIONS) == set(ADVICE)


def test_the_most_urgent_action_comes_first() -> None:
    """A snapshot lists each action once, the feed before everything, with the alerts that ask for
    it.
    """
    one, two, three = (
        alert(fingerprint="a"),
        alert(fingerprint="b", rule="missing"),
        alert(fingerprint="c", rule="ks"),
    )
    found = recommended(around(one, two, three))
    assert [(each.action, each.alerts) for each in found] == [
        ("fix_feed", ["b"]),
        ("wait", ["a", "c"]),
    ]


def test_actions_in_alerts_and_snapshots() -> None:
    """Judging writes them: a new version that is critical at once is to be rolled back, the first
    version is not.
    """
    made = stream().panes(8)
    for _ in range(12):
        made.panes(1, version="2.0.0", shift=0.8)
    found = judge(made.entries)
    firing = [
        one
        for one in found.alerts
        if (one.version, one.rule, one.state) == ("2.0.0", "psi", "firing")
    ]
    assert firing[-1].severity == "critical"
    assert (firing[-1].action, firing[-1].advice) == ("roll_back", ADVICE["roll_back"])
    assert "roll_back" in {one.action for one in found.current["2.0.0"].actions}
    alone = judge(stream().panes(8).panes(12, shift=0.8).entries)
    assert "roll_back" not in {one.action for one in alone.alerts}
