"""Alerts become incidents, through judging: what people are told of a fault, moment by moment."""

import itertools
import re
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from driftgauge.consumer.judging.advance import catch_up
from driftgauge.consumer.judging.evaluating.judged_version import JudgedVersion
from driftgauge.consumer.judging.policy import JudgingPolicy, Threshold
from driftgauge.consumer.judging.state import JudgingState
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.contract.pane import Block, PaneEntry, pack_counts
from tests.consumer.judging.builders import NO_LATENCY, SIZES, VERSIONS, Stream, block, judge

Entries = Sequence[tuple[str, PaneEntry]]


def stream(seed: int = 0) -> Stream:
    """Begin with calm panes."""
    return Stream(np.random.default_rng(seed)).panes(8)


def told(incidents: Sequence[Incident]) -> list[tuple[str, str]]:
    """Return what people were told: change and headline."""
    return [(one.change, one.headline) for one in incidents if one.notify]


def latest(incidents: Sequence[Incident]) -> dict[str, Incident]:
    """Return each incident as it was last written."""
    return {one.id: one for one in incidents}


def test_calm_traffic_has_no_incident() -> None:
    """Nothing is told of nothing."""
    assert judge(stream().panes(12).entries).incidents == []


def test_one_fault_is_one_incident_until_it_is_over() -> None:
    """An alarm and the window's findings of a shift are one incident: opened, worse, resolved, each
    told once; its headline has size and moment, and its alerts are the evidence.
    """
    traffic = stream()
    moment = traffic.now
    traffic.panes(1, shift=0.8).alarm().panes(8, shift=0.8).panes(30)
    found = judge(traffic.entries)
    assert len(latest(found.incidents)) == 1
    assert [change for change, _ in told(found.incidents)] == ["opened", "severity", "resolved"]
    at_most = next(one for one in found.incidents if one.change == "severity")
    assert at_most.headline.startswith("Since 20 Nov 12:01 UTC smooth reads about 0.")
    assert "sd) too high" in at_most.headline
    assert abs(at_most.since - moment) <= 20_000
    (last,) = latest(found.incidents).values()
    assert {alert.rule for alert in last.alerts} == {"adwin", "psi", "out_of_range"}
    assert all(alert.ended is not None for alert in last.alerts)
    assert (last.state, last.features, last.of_features) == ("resolved", ["smooth"], 1)
    assert last.ended == last.updated


def test_a_headline_has_the_unit_of_the_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a schema says of a feature stands in the headline of its fault."""
    known = VERSIONS["1.0.0"]
    first, *others = known.schema.features
    features = (msgspec.structs.replace(first, unit="bar"), *others)
    schema = msgspec.structs.replace(known.schema, features=features)
    monkeypatch.setitem(VERSIONS, "1.0.0", JudgedVersion(schema, known.reference))
    traffic = stream().panes(8, shift=0.8)
    said = next(one.headline for one in judge(traffic.entries).incidents)
    assert re.search(r"smooth reads about 0\.\d+ bar \(0\.\d+ sd\) too high", said)


def test_a_derived_column_is_told_as_what_it_is_derived_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No feature and no feed is accused of what numbers together show, however far they are out of
    range: the headline says that they no longer go together, the advice how to see which, and the
    alerts what they mean. If a feature changed with them, that is the cause.
    """
    known = VERSIONS["1.0.0"]
    first, *others = known.schema.features
    features = (msgspec.structs.replace(first, derived="reconstruction error"), *others)
    schema = msgspec.structs.replace(known.schema, features=features)
    monkeypatch.setitem(VERSIONS, "1.0.0", JudgedVersion(schema, known.reference))
    found = judge(stream().panes(1, shift=4.0).alarm().panes(8, shift=4.0).entries)
    (last,) = latest(found.incidents).values()
    assert (last.cause.kind, last.cause.feature, last.action) == ("joint", "smooth", "wait")
    assert (last.features, last.of_features) == ([], 0)
    assert "UTC the numeric features no longer go together as usual: smooth" in last.headline
    assert last.advice.startswith("Plot pairs of the numeric features")
    fired = [alert for alert in found.alerts if alert.state == "firing"]
    assert {alert.rule for alert in fired} >= {"adwin", "psi", "out_of_range"}
    assert all("no longer go together as in the reference" in alert.summary for alert in fired)
    both = stream(2).panes(1, shift=1.5).alarm("city", delay=250).panes(6, shift=1.5)
    (last,) = latest(judge(both.entries).incidents).values()
    assert (last.cause.kind, last.features) == ("feature", ["city"])


def test_every_alert_that_fires_is_in_one_incident() -> None:
    """None is lost, none is in two."""
    traffic = stream(3).panes(6, shift=1.0, missing=0.3).panes(30).panes(6, shift=-1.0).panes(9)
    found = judge(traffic.entries)
    fired = {alert.fingerprint for alert in found.alerts if alert.state == "firing"}
    held = [alert.fingerprint for one in latest(found.incidents).values() for alert in one.alerts]
    assert set(held) == fired
    assert fired


def test_it_does_not_matter_where_a_step_ends() -> None:
    """Through a checkpoint after each entry, its fields in any order, the incidents are the same;
    every transition has the next number.
    """
    traffic = stream(1).panes(3, shift=0.8).alarm("city").panes(4, shift=0.8).panes(25)
    whole = judge(traffic.entries)
    cut = judge(
        traffic.entries,
        cuts=range(len(traffic.entries)),
        shuffle=np.random.default_rng(0),
    )
    assert whole.incidents == cut.incidents
    assert whole.incidents
    for _, one in itertools.groupby(
        sorted(whole.incidents, key=lambda one: (one.id, one.number)), key=lambda one: one.id
    ):
        numbers = [found.number for found in one]
        assert numbers == list(range(1, len(numbers) + 1))


def test_two_faults_apart_are_two_incidents() -> None:
    """A column that breaks while another one's incident is open opens its own."""
    traffic = stream(2).panes(10, shift=1.5).alarm("city", delay=50)
    found = latest(judge(traffic.entries).incidents)
    assert sorted(one.features for one in found.values()) == [["city"], ["smooth"]]


def test_two_faults_together_are_one() -> None:
    """Two columns that broke at the same time are one incident that names both."""
    traffic = stream(2).panes(1, shift=1.5).alarm("city", delay=250).panes(6, shift=1.5)
    (found,) = latest(judge(traffic.entries).incidents).values()
    assert sorted(found.features) == ["city", "smooth"]
    assert found.headline.startswith("Since 20 Nov 12:01 UTC smooth reads about ")
    assert ", and city changed" in found.headline


def test_broken_values_are_the_cause() -> None:
    """What is missing comes before the drift that it makes, and the feed is to be repaired."""
    found = judge(stream(4).panes(8, missing=0.4).entries).incidents
    (last,) = latest(found).values()
    assert last.cause.kind == "broken_values"
    assert last.action == "fix_feed"
    assert re.search(r"smooth is missing in 40 %.*, and city is missing in 37 %", last.headline)
    assert "is missing in 4" in last.cause.effect


def test_values_that_moved_beyond_the_range_are_not_broken() -> None:
    """All values of the column moved: those that came out of range with them are no reason to
    repair a feed.
    """
    found = judge(stream(4).panes(8, shift=1.5).entries)
    assert any(alert.rule == "out_of_range" for alert in found.alerts)
    (last,) = latest(found.incidents).values()
    assert (last.cause.kind, last.action) == ("feature", "wait")
    assert "smooth reads about 1." in last.headline


def without_incidents(fields: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Return a checkpoint as a release that knows no incidents writes it."""
    return {name: packed for name, packed in fields.items() if not name.startswith(b"incident:")}


def caught_up(fields: dict[bytes, bytes]) -> tuple[list[Incident], dict[bytes, bytes]]:
    """Load a checkpoint as the stage does; return what is told, and the checkpoint then."""
    state = JudgingState.unpack(fields, SIZES)
    found = catch_up(state, "plant", VERSIONS, JudgingPolicy())
    return found, {**fields, **state.pack_changed()}


def test_what_fired_before_an_upgrade_becomes_incidents_at_once() -> None:
    """Alerts of a checkpoint without incidents are grouped when it is loaded, not at their next
    transition, and the same whatever the order of its fields; they go on as if it had always been
    so, and a second load changes nothing.
    """
    traffic = stream().panes(1, shift=0.8).alarm().panes(6, shift=0.8)
    known = judge(traffic.entries)
    former = without_incidents(known.fields)
    found, fields = caught_up(former)
    assert found == caught_up(dict(reversed(former.items())))[0]
    (one,) = found
    (usual,) = latest(known.incidents).values()
    assert (one.change, one.notify, one.severity) == ("opened", True, usual.severity)
    assert {alert.fingerprint for alert in one.alerts} == {
        alert.fingerprint for alert in usual.alerts
    }
    assert (one.headline, one.action, one.since) == (usual.headline, usual.action, usual.since)
    assert caught_up(fields)[0] == []
    before = len(traffic.entries)
    traffic.panes(30)
    rest = judge(traffic.entries[before:], fields=fields).incidents
    assert [(moved.id, moved.change) for moved in rest if moved.notify] == [(one.id, "resolved")]


def test_two_faults_before_an_upgrade_are_two_incidents() -> None:
    """The rules are those of every day: what began apart is apart."""
    traffic = stream(2).panes(10, shift=1.5).alarm("city", delay=50)
    found, _ = caught_up(without_incidents(judge(traffic.entries).fields))
    assert sorted(one.features for one in found) == [["city"], ["smooth"]]


def test_incidents_catch_up_after_a_release_without_them_ran() -> None:
    """Going back to an earlier release and forth again leaves its incidents as they were: those
    whose alerts resolved meanwhile end, and what fired meanwhile has one.
    """
    traffic = stream(1).panes(6, shift=1.0)
    known = judge(traffic.entries)
    old = {name: one for name, one in known.fields.items() if name.startswith(b"incident:")}
    before = len(traffic.entries)
    traffic.panes(30).alarm("city", delay=50)
    later = judge(traffic.entries[before:], fields=known.fields)
    found, fields = caught_up({**without_incidents(later.fields), **old})
    assert sorted(one.change for one in found if one.notify) == ["opened", "resolved"]
    state = JudgingState.unpack({name: one for name, one in fields.items() if one}, SIZES)
    fires = {name for name, alert in state.alerts.items() if alert.state == "firing"}
    held = {
        name
        for one in state.incidents.values()
        for name, member in one.members.items()
        if member.is_firing
    }
    assert fires == held
    assert fires


def test_values_that_are_mostly_out_of_range_are_broken() -> None:
    """Another unit moves all values, too: nobody retrains on degrees of another kind."""
    (last,) = latest(judge(stream(4).panes(8, shift=6.0).entries).incidents).values()
    assert (last.cause.kind, last.action) == ("broken_values", "fix_feed")
    assert re.search(r"smooth is above [\d.]+ in 9\d(\.\d+)? %", last.headline)


def slow(version: str, random: np.random.Generator, *, late: bool) -> Block:
    """Draw a pane with latencies of .2 or 300 ms."""
    latency = np.zeros(64, dtype=np.int64)
    latency[50 if late else 20] = 250
    return Block(250, block(version, random, 250).cells, pack_counts(latency), {"online": 250})


def test_a_slow_service_is_an_incident_of_its_own() -> None:
    """Latency never mixes with drift, and its advice is about the service."""
    traffic = stream(5)
    for _ in range(8):
        drifted = block("1.0.0", traffic.random, 250, shift=1.0)
        late = slow("1.0.0", traffic.random, late=True)
        traffic.pane({"1.0.0": Block(250, drifted.cells, late.latency, {"online": 250})})
    policy = JudgingPolicy(thresholds=(Threshold("latency_p99_ms", warning=100.0),))
    found = latest(judge(traffic.entries, policy).incidents).values()
    assert sorted((one.kind, one.action) for one in found) == [
        ("model", "wait"),
        ("operation", "check_service"),
    ]
    assert NO_LATENCY
