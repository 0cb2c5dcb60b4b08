"""Spans and metrics reach a collector that answers, and one that does not holds nobody up."""

import logging
from collections.abc import Iterator

import pytest

from driftgauge.shared.otel import sdk
from driftgauge.shared.otel.sdk import MOST_LINKS, Telemetry
from driftgauge.shared.otel.steps import carried_now, current, step
from driftgauge.shared.otel.wanted import Wanted
from tests.integration.plant import wait_for
from tests.shared.otel.sink import Collector, collector

BOTH = Wanted(traces=True, metrics=True)
TEXT = b"""# HELP a_seconds How long.
# TYPE a_seconds histogram
a_seconds_bucket{le="1.0"} 2
a_seconds_bucket{le="+Inf"} 3
a_seconds_sum 4.5
a_seconds_count 3
# TYPE b summary
b{quantile="0.5"} 7
# TYPE c gauge
c{name="odd \\"name\\""} NaN
"""


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collector() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
        monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "10")
        yield found


def test_steps_are_below_each_other(sink: Collector) -> None:
    """A step within a step is its child; after all of them nothing is traced any more."""
    telemetry = Telemetry(BOTH, {}, "service")
    assert telemetry.tracing is not None
    with telemetry.tracing.turn("stage") as turn:
        assert turn is not None
        with step("one"), step("two") as span:
            assert span is not None
            span.note(rows=3)
            assert carried_now() == span.carried
    assert current.get() is None
    telemetry.close()
    (two,), (one,), (whole,) = (sink.named(name) for name in ("two", "one", "turn"))
    assert (two.parent, one.parent, whole.parent) == (one.span, whole.span, "")
    assert two.facts == {"driftgauge.rows": 3}
    assert whole.service == "service"


def test_an_error_is_told_by_its_type(sink: Collector) -> None:
    """Its message can quote a value."""
    telemetry = Telemetry(BOTH, {}, "service")
    assert telemetry.tracing is not None
    with pytest.raises(ValueError, match="planted"), telemetry.tracing.turn("stage"):
        raise ValueError("planted")
    telemetry.close()
    (turn,) = sink.named("turn")
    assert (turn.status, turn.facts["error.type"]) == (2, "ValueError")
    assert b"planted" not in sink.raw


def test_links_are_bounded_and_sound(sink: Collector) -> None:
    """However many events a turn counts, and whatever they carry."""
    telemetry = Telemetry(BOTH, {}, "service")
    assert telemetry.tracing is not None
    with telemetry.tracing.turn("stage") as turn:
        assert turn is not None
        turn.link(["=cmd()", "0" * 32 + "-" + "0" * 16])
        turn.link(f"{number // 2:032x}-{1:016x}" for number in range(2, 1000))
    telemetry.close()
    (found,) = sink.named("turn")
    assert len(found.links) == len({*found.links}) == MOST_LINKS


def test_metrics_keep_their_form(sink: Collector) -> None:
    """Buckets are counts of their own, quantiles gauges; what is not a number is not sent."""
    telemetry = Telemetry(BOTH, {"OTEL_SERVICE_NAME": "mine"}, "service")
    telemetry.push(lambda: TEXT)
    wait_for(lambda: len(sink.metrics) >= 2, "metrics")
    telemetry.close()
    metrics = {name: one for (_, name), one in sink.metrics.items()}
    (point,) = metrics["a_seconds"].histogram.data_points
    assert [*point.bucket_counts] == [2, 1]
    assert (point.count, point.sum, [*point.explicit_bounds]) == (3, 4.5, [1.0])
    assert not point.HasField("min")
    assert metrics["b"].gauge.data_points[0].as_double == 7
    assert not metrics["c"].gauge.data_points


def test_a_collector_that_refuses_is_told_once(
    sink: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    """And that it takes them again."""
    sink.status = 400
    telemetry = Telemetry(BOTH, {}, "service")
    tracing = telemetry.tracing
    assert tracing is not None

    def told() -> list[str]:
        return [one.message for one in caplog.records if "traces" in one.message.lower()]

    def again(number: int) -> bool:
        with tracing.turn("stage"):
            return len(told()) >= number

    with caplog.at_level(logging.INFO):
        wait_for(lambda: again(1), "the warning")
        for _ in range(3):
            again(0)
        sink.status = 200
        wait_for(lambda: again(2), "the end of it")
    telemetry.close()
    assert [one.split()[0] for one in told()] == ["Traces", "The"]
    assert not [one for one in caplog.records if one.name.startswith("opentelemetry.exporter")]


def test_a_collector_that_hangs_is_not_waited_for(
    sink: Collector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The end of a process is not put off for long, and what did not arrive is told."""
    monkeypatch.setattr(sdk, "CLOSE_S", 0.1)
    telemetry = Telemetry(BOTH, {}, "service")
    assert telemetry.tracing is not None
    sink.hangs.set()
    try:
        with telemetry.tracing.turn("stage"):
            pass
        telemetry.close()
        assert "did not reach the collector in time" in caplog.text
        assert sink.spans == []
    finally:
        sink.hangs.clear()
