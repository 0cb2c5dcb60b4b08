"""A policy that changes: taken up at a recorded place, with the same decisions in a replay."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftgauge.consumer.judging.advance import advance, policy_of, take_up
from driftgauge.consumer.judging.backtest import rejudge
from driftgauge.consumer.judging.policy import JudgingPolicy, Threshold
from driftgauge.consumer.judging.snapshotting import Outputs
from driftgauge.consumer.judging.state import JudgingState
from driftgauge.consumer.judging.stated import (
    POLICIES_REMEMBERED,
    ModelPolicy,
    PolicyChange,
    Proposal,
)
from driftgauge.shared.contract.alerts import cloud_event
from driftgauge.shared.contract.entry_id import EntryId
from driftgauge.shared.contract.pane import PaneEntry
from driftgauge.shared.policies.agreed import Origin
from tests.consumer.judging.builders import SIZES, VERSIONS, Stream
from tests.consumer.judging.test_advance import eventful, stream

Entries = Sequence[tuple[str, PaneEntry]]
POLICIES = (
    ModelPolicy(),
    ModelPolicy(policy="classic"),
    ModelPolicy(psi_warning=0.5, psi_critical=1.0, cooldown_minutes=0.0),
    ModelPolicy(false_alarms_per_month=0.1, renotify_minutes=1.0),
    ModelPolicy(thresholds=[Threshold("missing_share", warning=0.01, critical=0.05)]),
    ModelPolicy(thresholds=[Threshold("missing_share", "smooth", warning=0.03)]),
)


def proposal(said: ModelPolicy, written: int = 1, digest: str = "ab") -> Proposal:
    return Proposal(said, Origin(written, digest, "host:policy.toml"))


@dataclass
class Judge:
    """Judges a model through a checkpoint between any two steps."""

    settings: JudgingPolicy
    fields: dict[bytes, bytes] = field(default_factory=dict)
    told: list[bytes] = field(default_factory=list)
    current: dict[str, bytes] = field(default_factory=dict)

    @property
    def state(self) -> JudgingState:
        return JudgingState.unpack(self.fields, SIZES)

    def read(self, entries: Entries) -> None:
        state = self.state
        policy = policy_of(state, self.settings)
        self._commit(state, advance(state, entries, "plant", VERSIONS, policy))

    def take_up(self, proposed: Proposal) -> None:
        state = self.state
        if state.yields_to(proposed):
            self._commit(state, take_up(state, "plant", VERSIONS, self.settings, proposed))

    def _commit(self, state: JudgingState, outputs: Outputs) -> None:
        found = [*outputs.alerts, *outputs.incidents, *outputs.snapshots]
        self.told += [cloud_event(one) for one in found]
        self.current |= {name: msgspec.json.encode(one) for name, one in outputs.current.items()}
        for name, packed in state.pack_changed().items():
            self.fields[name] = packed
            if not packed:
                del self.fields[name]


def replay(entries: Entries, known: JudgingPolicy, changes: Sequence[PolicyChange]) -> Judge:
    """Judge a log by the settings and the recorded policies, each at its place."""
    judge, rest = Judge(known), list(entries)
    for change in changes:
        before = [
            one
            for one in rest
            if EntryId.parse(one[0]) <= EntryId.parse(change.offsets.get(one[1].partition, "0-0"))
        ]
        rest = [one for one in rest if one not in before]
        judge.read(before)
        judge.take_up(Proposal(change.said, change.origin))
    judge.read(rest)
    return judge


def parts_of(entries: Entries, partitions: int) -> Entries:
    """Leave out what is of no partition of the model."""
    return [one for one in entries if one[1].partition < partitions]


@settings(max_examples=8)
@given(
    st.integers(0, 10**6),
    st.integers(1, 2),
    st.lists(
        st.tuples(st.integers(0, 44), st.sampled_from(POLICIES), st.integers(1, 9)), max_size=5
    ),
    st.lists(st.integers(0, 44), max_size=3),
)
def test_a_replay_takes_the_same_decisions(
    seed: int, partitions: int, proposed: list[tuple[int, ModelPolicy, int]], cuts: list[int]
) -> None:
    """Whenever policies come, however old, and wherever a worker dies in between: the log judged by
    what the checkpoint recorded gives the same alerts, incidents, snapshots and state, to the byte.
    """
    entries = parts_of(eventful(seed).entries, partitions)
    known = JudgingPolicy(window_events=1500, partitions=partitions)
    live, done = Judge(known), 0
    for place, said, written in sorted(
        [*proposed, *((cut, None, 0) for cut in cuts)], key=lambda one: one[0]
    ):
        live.read(entries[done:place])
        done = max(done, place)
        if said is not None:
            live.take_up(proposal(said, written))
    live.read(entries[done:])
    again = replay(entries, known, live.state.policies)
    assert again.fields == live.fields
    assert sorted(again.told) == sorted(live.told)
    assert again.current == live.current
    assert again.state.policies == live.state.policies


def drifting() -> Stream:
    """Return panes in which a column drifts."""
    return stream().panes(8).panes(8, shift=1.5)


def rules_of(judge: Judge) -> set[tuple[str, str]]:
    return {(one.feature, one.rule) for one in judge.state.alerts.values() if one.is_open}


def ends_of(judge: Judge) -> list[tuple[str, str, str]]:
    """Return feature, rule and summary of the alerts that resolved."""
    events = [msgspec.json.decode(one) for one in judge.told]
    alerts = [one["data"] for one in events if one["type"] == "driftgauge.alert.resolved"]
    return [(one["feature"], one["rule"], one["summary"]) for one in alerts]


LIMITED = ModelPolicy(thresholds=[Threshold("ks", "smooth", warning=0.1)])


def limited() -> tuple[Stream, Judge]:
    """Return a model with an open alert of a limit, and of drift."""
    made, judge = drifting(), Judge(JudgingPolicy())
    judge.take_up(proposal(LIMITED))
    judge.read(made.entries)
    assert {("smooth", "threshold.ks"), ("smooth", "psi")} <= rules_of(judge)
    return made, judge


def test_an_alert_of_a_removed_limit_ends_at_once() -> None:
    """It resolves with that reason, in the moment of the change; drift of the same column goes
    on.
    """
    _, judge = limited()
    judge.take_up(proposal(ModelPolicy(), 2))
    assert ends_of(judge) == [
        ("smooth", "threshold.ks", "the policy changed: it has no such rule any more")
    ]
    assert ("smooth", "psi") in rules_of(judge)


def test_an_alert_of_another_limit_begins_anew() -> None:
    """It ends with that reason, and fires by the new limit after two panes, without a cooldown, as
    severe as that says.
    """
    made, judge = limited()
    severe = ModelPolicy(thresholds=[Threshold("ks", "smooth", warning=0.05, critical=0.1)])
    judge.take_up(proposal(severe, 2))
    assert ends_of(judge) == [
        ("smooth", "threshold.ks", "the policy changed: its limits are others now")
    ]
    known = len(made.entries)
    judge.read(made.panes(2, shift=1.5).entries[known:])
    (alert,) = (one for one in judge.state.alerts.values() if one.rule == "threshold.ks")
    assert (alert.state, alert.severity) == ("firing", "critical")


def test_another_budget_ends_nothing() -> None:
    """Alerts that hang on the false-alarm budget alone go on, and are judged by the new one."""
    _, judge = limited()
    before = rules_of(judge)
    judge.take_up(proposal(msgspec.structs.replace(LIMITED, false_alarms_per_month=0.5), 2))
    assert (ends_of(judge), rules_of(judge)) == ([], before)
    assert policy_of(judge.state, judge.settings).false_alarms_per_month == 0.5


def test_another_kind_ends_the_alerts_of_the_one_before() -> None:
    """Rules that both kinds have go on; the others end, also in their incident."""
    _, judge = limited()
    judge.take_up(proposal(ModelPolicy(policy="classic"), 2))
    assert {rule for _, rule in rules_of(judge)} <= {"out_of_range", "integrity"}
    assert {"psi", "threshold.ks"} <= {rule for _, rule, _ in ends_of(judge)}
    (incident,) = judge.state.incidents.values()
    firing = {one.alert.rule for one in incident.members.values() if one.is_firing}
    assert firing == {rule for _, rule in rules_of(judge)}


def test_the_first_policy_ends_no_alert() -> None:
    """A checkpoint of an earlier release does not say which file was in force: what is raised goes
    on.
    """
    made, judge = drifting(), Judge(LIMITED.apply(JudgingPolicy()))
    judge.read(made.entries)
    before = rules_of(judge)
    judge.settings = JudgingPolicy()
    judge.take_up(proposal(LIMITED))
    assert (ends_of(judge), rules_of(judge)) == ([], before)


@pytest.mark.parametrize(
    ("other", "taken"),
    [
        (proposal(ModelPolicy(policy="classic"), 6), True),
        (proposal(ModelPolicy(policy="classic"), 4), False),
        (proposal(ModelPolicy(policy="classic"), 5, "aa"), False),
        (proposal(ModelPolicy(policy="classic"), 5, "ac"), True),
        (proposal(LIMITED, 6), False),
    ],
)
def test_the_newest_file_is_in_force(other: Proposal, *, taken: bool) -> None:
    """An older file changes nothing, nor does one that states the same; of two of the same time
    the digest decides.
    """
    judge = Judge(JudgingPolicy())
    judge.take_up(proposal(LIMITED, 5))
    judge.take_up(other)
    assert (len(judge.state.policies) == 2) is taken


def test_policies_are_remembered_up_to_a_bound() -> None:
    """The latest ones stand in the checkpoint, numbered on; the fields of older ones are gone."""
    judge = Judge(JudgingPolicy())
    for written in range(1, POLICIES_REMEMBERED + 11):
        judge.take_up(proposal(ModelPolicy(cooldown_minutes=float(written)), written))
    numbers = [one.number for one in judge.state.policies]
    assert numbers == list(range(11, POLICIES_REMEMBERED + 11))
    assert sum(name.startswith(b"policy:") for name in judge.fields) == POLICIES_REMEMBERED


def test_a_backtest_knows_what_was_in_force() -> None:
    """Judged again with the recorded policies among the entries, the transitions are the same as
    those of judging, to the last field; without them they are not.
    """
    made, judge = limited()
    known = len(made.entries)
    judge.take_up(proposal(ModelPolicy(policy="classic"), 2))
    judge.read(made.panes(6, shift=1.5).panes(6).entries[known:])
    first, second = judge.state.policies
    log = [entry for _, entry in made.entries]
    placed = [first, *log[:known], second, *log[known:]]
    found = rejudge(placed, "plant", VERSIONS, [JudgingPolicy()], JudgingPolicy())
    (other, again) = zip(*(moved for _, moved in found), strict=True)
    told = [cloud_event(one) for step in again for one in (*step.alerts, *step.incidents)]
    lived = [one for one in judge.told if b'"driftgauge.snapshot' not in one]
    assert sorted(map(_without_report, told)) == sorted(map(_without_report, lived))
    assert sum(len(step.alerts) for step in other) != sum(len(step.alerts) for step in again)


def _without_report(event: bytes) -> bytes:
    """Leave out which report an alert names: a backtest takes none."""
    found = msgspec.json.decode(event)
    for name in ("report", "snapshot"):
        found["data"].pop(name, None)
    return msgspec.json.encode(found)


def test_the_streams_have_what_policies_end() -> None:
    """In the streams of the replay's test a policy ends alerts."""
    judge = Judge(JudgingPolicy(window_events=1500))
    entries = parts_of(eventful(1).entries, 1)
    judge.take_up(proposal(POLICIES[4]))
    judge.read(entries[:20])
    judge.take_up(proposal(POLICIES[1], 2))
    ended = [why for _, _, why in ends_of(judge) if why.startswith("the policy changed")]
    assert len(ended) > 1
