"""Parts of a snapshot: the contract's own fields, and nothing that has drifted from them."""

from typing import Any, get_type_hints

import msgspec
import pytest

from driftgauge.shared.contract import snapshot_parts
from driftgauge.shared.contract.alerts import cloud_event
from driftgauge.shared.contract.snapshot import FeatureReport, Snapshot, Statistic
from driftgauge.shared.contract.snapshot_parts import (
    Brief,
    CurrentState,
    MetricBrief,
    PastFeature,
    PastSnapshot,
    PastStatistic,
    SnapshotName,
    SnapshotSummary,
    WindowSummary,
    part_of,
)
from tests.producer.dashboard.snapshots import active, performance, snapshot

WHOLE: dict[type[Any], type[Any]] = {
    SnapshotName: Snapshot,
    SnapshotSummary: Snapshot,
    WindowSummary: Snapshot,
    CurrentState: Snapshot,
    PastSnapshot: Snapshot,
    PastFeature: FeatureReport,
    PastStatistic: Statistic,
}
MADE = {Brief, MetricBrief}
"""Stored beside a snapshot, and made of it: not decoded from the whole."""
READS_ANY = {(SnapshotSummary, "trigger"), (CurrentState, "severity")}
"""Shown as they are, whatever another release writes there."""
EXPECTED = {
    (PastSnapshot, "features"): list[PastFeature],
    (PastSnapshot, "prediction"): PastFeature | None,
    (PastFeature, "statistics"): list[PastStatistic],
}
"""Fields that are parts themselves."""


def test_every_part_is_checked() -> None:
    """A struct that is added to the module is added here."""
    found = {
        one
        for one in vars(snapshot_parts).values()
        if isinstance(one, type)
        and issubclass(one, msgspec.Struct)
        and one.__module__.endswith("snapshot_parts")
        and not one.__name__.startswith("_")
    }
    assert found == WHOLE.keys() | MADE


@pytest.mark.parametrize("part", WHOLE)
def test_a_part_has_the_fields_of_the_whole(part: type[Any]) -> None:
    """Each field has the name and type that the snapshot gives it."""
    whole = get_type_hints(WHOLE[part])
    for name, kind in get_type_hints(part).items():
        assert name in whole
        if (part, name) in EXPECTED:
            assert kind == EXPECTED[part, name]
        elif (part, name) not in READS_ANY:
            assert kind == whole[name]


def test_each_part_is_read_from_the_event_of_a_whole_one() -> None:
    """What judging writes can be read in every form, and what is no snapshot is a ValueError."""
    taken = snapshot(5)
    event = cloud_event(taken)
    assert part_of(event, Snapshot) == taken
    assert part_of(event, PastSnapshot) == PastSnapshot.of(taken)
    assert part_of(event, SnapshotSummary).verdict == taken.verdict
    assert part_of(event, CurrentState).alerts == taken.alerts
    for broken in (b"", b"{}", b'{"data": 5}', b"\xff", b'{"data": {"id": 7}}'):
        with pytest.raises(ValueError, match=r"\S"):
            part_of(broken, SnapshotName)


def test_a_window_in_brief() -> None:
    """It has the firing alerts by severity and the first metric with its last day; without labels
    the first estimate, and without either none.
    """
    told = msgspec.structs.replace(performance(1.5), history_times=[1, 2], history=[1.0, 1.5])
    alerts = [active("x"), active("y", "pending"), active("z", severity="warning")]
    found = Brief.of(snapshot(5, alerts=alerts, performance=told))
    assert (found.version, found.created, found.rows) == ("1.0.0", 5, 2000)
    assert found.firing == {"critical": 1, "warning": 1}
    assert found.metric == MetricBrief(
        "rmse", 1.5, 1.0, -0.2, "critical", times=[1, 2], values=[1.0, 1.5]
    )
    assert len(msgspec.json.encode(found)) < 500
    estimated = msgspec.structs.replace(told, metrics=[], estimated=told.metrics)
    assert MetricBrief.of(estimated) == MetricBrief(
        "rmse", 1.5, 1.0, -0.2, "critical", is_estimated=True
    )
    assert Brief.of(snapshot(5)).metric is None
