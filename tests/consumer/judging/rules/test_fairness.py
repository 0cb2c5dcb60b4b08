"""Limits on fairness: they fire where a model treats the values of a feature differently by more
than they allow, and hardly ever elsewhere.
"""

import dataclasses

import msgspec
import numpy as np
import pytest

from driftgauge.consumer.judging.advance import advance, policy_of, take_up
from driftgauge.consumer.judging.evaluating.budget import FAIRNESS_SHARE, levels
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.policy import FairnessLimit, JudgingPolicy
from driftgauge.consumer.judging.rules.findings import is_judged, limits_of
from driftgauge.consumer.judging.segments.fairness import severity_of
from driftgauge.consumer.judging.snapshotting import Outputs
from driftgauge.consumer.judging.state import JudgingState
from driftgauge.consumer.judging.stated import ModelPolicy, Proposal
from driftgauge.shared.contract.alert import Alert
from driftgauge.shared.performance import MEASURES, GroupCounts, disparity
from driftgauge.shared.policies.agreed import Origin
from tests.consumer.judging.segments.test_window import Entries, judged, pane_of, rows, version_of

RATIO = FairnessLimit("selection_rate_ratio", "region", warning=0.9, critical=0.8)
ODDS = FairnessLimit("equalised_odds", "region", critical=0.1)
LIMITS = (RATIO, ODDS)


def log_of(
    random: np.random.Generator, version: JudgedVersion, *, unfair: range, panes: int = 30
) -> Entries:
    """Write panes with labels; in some of them one value of `region` is never selected."""
    found: Entries = []
    for number in range(1, panes + 1):
        columns, said, labels = rows(random, 250, values=3)
        if number in unfair:
            groups = list(columns[0])
            said = [
                "no" if group == "v01" else one for group, one in zip(groups, said, strict=True)
            ]
        found += pane_of(version, (columns, said, labels), number)
    return found


@pytest.fixture(scope="module")
def version() -> JudgedVersion:
    return version_of(rows(np.random.default_rng(1), 8000, values=3))


@pytest.fixture(scope="module")
def unequal(version: JudgedVersion) -> Entries:
    """Thirty panes: ten without a difference, then ten with one, then none again."""
    return log_of(np.random.default_rng(2), version, unfair=range(11, 21))


def told(outputs: Outputs) -> list[Alert]:
    return [one for one in outputs.alerts if one.rule.startswith("fairness.")]


def test_a_limit_fires_and_resolves(version: JudgedVersion, unequal: Entries) -> None:
    """A value that is never selected is told, once for each measure that is limited, with both
    groups and the rows; it resolves when all are treated alike again. It is an incident of its own,
    whatever else moved.
    """
    outputs = judged(unequal, version, [], fairness=LIMITS)
    found = told(outputs)
    assert {(one.rule, one.segment, one.feature) for one in found} == {
        ("fairness.selection_rate_ratio", "region=*", ""),
        ("fairness.equalised_odds", "region=*", ""),
    }
    for rule in {one.rule for one in found}:
        states = [one.state for one in found if one.rule == rule]
        assert states[0] == "pending"
        assert states[-1] == "resolved"
        assert states.count("firing") == states.count("resolved") == 1
    fired = next(one for one in found if one.state == "firing" and "ratio" in one.rule)
    assert (fired.severity, fired.action, fired.inhibited_by) == ("critical", "review", "")
    assert fired.evidence.threshold == RATIO.critical
    assert fired.evidence.expected == pytest.approx(1.0, abs=0.1)
    assert fired.evidence.value < 0.8
    assert "(limit 0.8): selection rate " in fired.summary
    assert " of v01, " in fired.summary
    (opened,) = (
        one for one in outputs.incidents if one.change == "opened" and one.cause.kind == "fairness"
    )
    assert {alert.rule.partition(".")[0] for alert in opened.alerts} == {"fairness"}
    assert "the values of region are treated differently" in opened.headline
    assert opened.action == "review"
    last = [one for one in outputs.incidents if one.id == opened.id][-1]
    assert {alert.rule.partition(".")[0] for alert in last.alerts} == {"fairness"}
    assert last.state == "resolved"


def test_steps_change_nothing(version: JudgedVersion, unequal: Entries) -> None:
    """The same log gives the same alerts and snapshot in whatever steps it is judged."""
    at_once = judged(unequal, version, [], fairness=LIMITS)
    in_steps = judged(unequal, version, [7, 22, 23, 41], fairness=LIMITS)
    assert msgspec.json.encode(at_once.alerts) == msgspec.json.encode(in_steps.alerts)
    assert msgspec.json.encode(at_once.current) == msgspec.json.encode(in_steps.current)


def test_nothing_is_judged_that_no_policy_names(version: JudgedVersion, unequal: Entries) -> None:
    """Without a limit the measures are in the snapshot, and raise nothing; nor does a limit on a
    feature that is none, on another one, or of a class that there is not, and `levels` says why.
    """
    assert told(judged(unequal, version, [])) == []
    elsewhere = msgspec.structs.replace(RATIO, feature="plan")
    assert told(judged(unequal, version, [], fairness=(elsewhere,))) == []
    absent = msgspec.structs.replace(RATIO, feature="sex")
    for outputs, why in (
        (judged(unequal, version, [], fairness=(absent,)), "no segment feature sex"),
        (judged(unequal, version, [], fairness=(RATIO,), outcome="approved"), "no class of the"),
    ):
        assert told(outputs) == []
        (level,) = (
            one for one in outputs.current["1.0.0"].levels if one.rule.startswith("fairness.")
        )
        assert why in level.note
        assert level.share is None


def test_limits_are_in_the_snapshot(version: JudgedVersion) -> None:
    """A measure has its limits and its severity while it is unfair; `ok` where the limit holds, and
    none without one.
    """
    log = log_of(np.random.default_rng(3), version, unfair=range(1, 31), panes=12)
    outputs = judged(
        log, version, [], fairness=(RATIO, msgspec.structs.replace(RATIO, feature="plan"))
    )
    snapshot = outputs.current["1.0.0"]
    assert snapshot.segments is not None
    region, plan, _ = snapshot.segments.features
    assert [one.severity for one in region.fairness] == ["critical", None, None]
    assert [one.severity for one in plan.fairness] == ["ok", None, None]
    assert (region.fairness[0].warning, region.fairness[0].critical) == (0.9, 0.8)
    assert snapshot.severity == "critical"
    assert "region=*: selection-rate ratio 0" in snapshot.verdict


def test_limits_take_their_part_of_the_segments_budget() -> None:
    """With limits, the falls of segments have half of what they had, and the limits the other half:
    all tests of 30 days together use what the segments have, no more.
    """
    plain, policy = JudgingPolicy(), JudgingPolicy(fairness=LIMITS)
    before, after = levels(plain, 100_000, 10, 6), levels(policy, 100_000, 10, 6)
    evaluations = 30 * 100_000 / policy.pane_events
    whole = policy.performance_share * policy.segment_share
    assert after.fairness * evaluations * len(LIMITS) == pytest.approx(whole * FAIRNESS_SHARE)
    assert after.segment_performance == pytest.approx(
        before.segment_performance * (1 - FAIRNESS_SHARE)
    )
    assert after.segment_performance_day == pytest.approx(
        before.segment_performance_day * (1 - FAIRNESS_SHARE)
    )
    for name in ("psi", "performance", "performance_day", "segment_psi", "target", "integrity"):
        assert getattr(after, name) == getattr(before, name)


def test_the_levels_of_a_snapshot_fit_the_share(version: JudgedVersion, unequal: Entries) -> None:
    """The shares of all rules of the labels add up to what the performance has, with limits as
    without.
    """
    policy = JudgingPolicy()
    for stated in ((), LIMITS):
        levels_ = judged(unequal[:8], version, [], fairness=stated).current["1.0.0"].levels
        of_windows = ("performance", "performance on past days", "segment.performance")
        shares = [
            one.share or 0.0
            for one in levels_
            if one.rule in of_windows or one.rule.startswith("fairness.")
        ]
        assert len(shares) == 3 + len(stated)
        assert sum(shares) == pytest.approx(policy.performance_share)


@pytest.mark.parametrize("limit", [RATIO, msgspec.structs.replace(ODDS, warning=0.05)])
def test_a_model_on_its_limit_is_told_as_seldom_as_stated(limit: FairnessLimit) -> None:
    """Of 2,000 seeded windows of five groups, of which one is treated just as the limit allows, no
    more are bad than a level of 2 % allows (with that chance, 60 would be passed once in 1,000 such
    tests).
    """
    random, level, windows = np.random.default_rng(7), 0.02, 2000
    measure = MEASURES[limit.measure]
    rows_ = np.array([120, 250, 300, 400, 500])
    usual, own = (0.5, limit.first * 0.5) if measure.is_ratio else (0.4, 0.4 - limit.first)
    rates = np.array([own, usual, usual, usual, usual])
    bad = 0
    for _ in range(windows):
        counts = {name: GroupCounts(random.binomial(rows_, rates), rows_) for name in measure.rates}
        bad += severity_of(limit, disparity(measure, counts, 1 - level)) is not None
    assert bad <= 60


def test_a_policy_that_changes_ends_its_alerts(version: JudgedVersion) -> None:
    """While a measure is beyond its limit, a policy with another limit, another outcome, or no
    limit ends its alert at once and says why; one with the same limit leaves it.
    """
    log = log_of(np.random.default_rng(8), version, unfair=range(1, 13), panes=12)
    same = ModelPolicy(fairness=[RATIO])
    for said, why in (
        (same, None),
        (ModelPolicy(fairness=[msgspec.structs.replace(RATIO, critical=0.7)]), "limits are others"),
        (ModelPolicy(fairness=[RATIO], outcome="no"), "limits are others"),
        (ModelPolicy(), "no such rule any more"),
    ):
        versions, known = {"1.0.0": version}, JudgingPolicy()
        state = JudgingState.unpack({}, {"1.0.0": int(version.reference.offsets[-1])})
        take_up(state, "plant", versions, known, _proposal(same, 1))
        advance(state, log, "plant", versions, policy_of(state, known))
        assert "firing" in {
            one.state for one in state.alerts.values() if one.rule.startswith("fairness.")
        }
        found = told(take_up(state, "plant", versions, known, _proposal(said, 2)))
        assert [one.state for one in found] == (["resolved"] if why else [])
        assert all(why is not None and why in one.summary for one in found)


def _proposal(said: ModelPolicy, written: int) -> Proposal:
    return Proposal(said, Origin(written, str(written), "host:policy.toml"))


def test_a_changed_limit_is_another_rule() -> None:
    """An alert knows its limit and the favourable outcome by its measure and feature; with neither
    limit the policy does not have it.
    """
    policy = JudgingPolicy(fairness=LIMITS)
    name, subject = "fairness.equalised_odds", "region=*"
    assert is_judged(name, subject, policy)
    assert not is_judged(name, "plan=*", policy)
    assert not is_judged("fairness.equal_opportunity", subject, policy)
    assert limits_of(name, subject, policy) == ("", ODDS)
    other = dataclasses.replace(policy, outcome="no")
    assert limits_of(name, subject, other) != limits_of(name, subject, policy)
