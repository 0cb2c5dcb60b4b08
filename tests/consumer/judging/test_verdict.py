"""The one sentence of a snapshot."""

from typing import Any, Literal

from driftgauge.consumer.judging.snapshotting import verdict
from driftgauge.shared.contract.snapshot import ActiveAlert

Level = Literal["warning", "critical"]


def firing(rule: str, summary: str, severity: Level = "critical", **more: Any) -> ActiveAlert:
    return ActiveAlert(
        summary, more.pop("feature", ""), rule, severity, "firing", 0, summary, **more
    )


def said(*alerts: ActiveAlert) -> str:
    return verdict("critical", [], 2000, list(alerts))


LATE = firing("threshold.latency_p99_ms", "late")
GREW = firing("performance.ddm", "the errors grew", "warning")
FELL = firing("performance.accuracy", "accuracy fell, all of it in region=north")


def test_a_fall_of_the_performance_is_said_first() -> None:
    """It pages, so it leads; that the errors grew says no more, and limits on the operation come
    last.
    """
    assert said(LATE, GREW, FELL) == "Critical: accuracy fell, all of it in region=north; late."
    assert said(LATE, GREW) == "Critical: the errors grew; late."


def test_segments_are_named_once_and_few() -> None:
    """A segment that the model's alert explains is not said again; of many others three are, and
    how many more there are.
    """
    north = firing("segment.performance", "worse", segment="region=north", inhibited_by="x")
    assert said(FELL, north) == "Critical: accuracy fell, all of it in region=north."
    many = [firing("segment.psi", "drifts", "warning", segment=f"city={name}") for name in "abcde"]
    assert (
        said(*many) == "Critical: city=a: drifts; city=b: drifts; city=c: drifts; 2 more segments."
    )
