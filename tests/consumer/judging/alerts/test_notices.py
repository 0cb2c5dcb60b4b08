"""What is written of a moment."""

import msgspec

from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.shared.contract.alert import Alert
from driftgauge.shared.contract.alerts import cloud_event
from tests.consumer.judging.builders import block, judge
from tests.consumer.judging.test_advance import eventful, stream


def moments(alerts: list[Alert]) -> list[list[Alert]]:
    """Take alerts apart by their group."""
    found: dict[str, list[Alert]] = {}
    for alert in alerts:
        assert alert.group is not None
        found.setdefault(alert.group.id, []).append(alert)
    return list(found.values())


def test_the_transitions_of_a_moment_are_one_group() -> None:
    """Groups are complete, in order, adjacent in the stream, of one moment, and their sentence is
    the same.
    """
    for seed in range(4):
        alerts = judge(eventful(seed).entries, JudgingPolicy(window_events=1500)).alerts
        groups = moments(alerts)
        assert [alert for group in groups for alert in group] == alerts
        assert max(len(group) for group in groups) > 1
        for group in groups:
            assert [alert.group.place for alert in group if alert.group] == list(range(len(group)))
            assert {alert.group.size for alert in group if alert.group} == {len(group)}
            assert len({alert.group.summary for alert in group if alert.group}) == 1
            assert len({alert.updated for alert in group}) == 1


def test_two_features_that_break_together_are_one_sentence() -> None:
    """A feed that breaks two columns is one notification that names both."""
    alerts = judge(stream().panes(8).panes(6, missing=0.5).entries).alerts
    firing = next(group for group in moments(alerts) if any(alert.notify for alert in group))
    assert firing[0].group is not None
    assert firing[0].group.summary == "plant: smooth, city critical"


def test_two_versions_share_a_moment() -> None:
    """A pane with two versions gives one group: grouping is by model and moment."""
    made = stream()
    for place in range(16):
        shift = 1.0 if place > 7 else 0.0
        made.pane({name: block(name, made.random, 250, shift=shift) for name in ("1.0.0", "2.0.0")})
    groups = moments(judge(made.entries).alerts)
    assert any({alert.version for alert in group} == {"1.0.0", "2.0.0"} for group in groups)


def test_ids_are_unique_and_numbers_run() -> None:
    """Every transition is another event, reminders and marks too, and those of a life are numbered
    from 1.
    """
    policy = JudgingPolicy(renotify_ms=20_000, cooldown_ms=30_000)
    alerts = judge(
        stream().panes(10).panes(20, shift=1.0).panes(20).panes(10, shift=1.0).entries, policy
    ).alerts
    assert "reminder" in {alert.change for alert in alerts}
    ids = [msgspec.json.decode(cloud_event(alert))["id"] for alert in alerts]
    assert len(set(ids)) == len(ids)
    lives: dict[tuple[str, int], list[int]] = {}
    for alert in alerts:
        lives.setdefault((alert.fingerprint, alert.started), []).append(alert.number)
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in lives.values())


def test_evidence_names_the_cells_that_contribute() -> None:
    """A shift upwards points at the bins above, in the feature's own unit, and links to its
    report.
    """
    alerts = judge(stream().panes(8).panes(8, shift=0.7).entries).alerts
    fired = next(alert for alert in alerts if (alert.rule, alert.state) == ("psi", "firing"))
    assert fired.evidence.cells[0].label.startswith("above ")
    assert fired.report == f"/reports/{fired.snapshot}"
