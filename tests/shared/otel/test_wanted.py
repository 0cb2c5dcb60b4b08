"""The standard variables say what is wanted, and nothing can keep a process from starting."""

import logging
import sys

import pytest

from driftgauge.shared.extras import pip_line
from driftgauge.shared.otel.beginning import begin
from driftgauge.shared.otel.wanted import wanted

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}


@pytest.mark.parametrize(
    ("environ", "traces", "metrics"),
    [
        ({}, False, False),
        (ENDPOINT, True, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True, False),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://a/v1/metrics"}, False, True),
        (ENDPOINT | {"OTEL_METRICS_EXPORTER": "none"}, True, False),
        (ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"}, False, True),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "TRUE"}, False, False),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "1"}, True, True),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True, True),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, False, False),
        (ENDPOINT | {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}, False, True),
        (ENDPOINT | {"OTEL_TRACES_EXPORTER": "jaeger"}, False, True),
    ],
)
def test_signals_are_asked_for_one_by_one(
    *, environ: dict[str, str], traces: bool, metrics: bool
) -> None:
    """A signal's own variable goes before the common one; `none` and SDK_DISABLED switch off."""
    found = wanted(environ)
    assert (found.traces, found.metrics) == (traces, metrics)


def test_what_cannot_be_done_is_said() -> None:
    """A protocol or an exporter that is not there is named with what to use."""
    faults = wanted(ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}).faults
    assert len(faults) == 2
    assert all("http/protobuf" in one for one in faults)
    assert wanted({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}).faults == ()


def test_callers_are_joined_unless_another_propagator_is_asked_for() -> None:
    """OTEL_PROPAGATORS without tracecontext begins new traces."""
    assert wanted(ENDPOINT).joins
    assert wanted(ENDPOINT | {"OTEL_PROPAGATORS": "baggage, tracecontext"}).joins
    assert not wanted(ENDPOINT | {"OTEL_PROPAGATORS": "b3"}).joins


def test_nothing_is_imported_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the variables the packages need not be there."""
    monkeypatch.setitem(sys.modules, "driftgauge.shared.otel.sdk", None)
    assert begin({}, "a") is None


def test_without_the_extra_the_process_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The pip line is told; predictions are more than their traces."""
    monkeypatch.delitem(sys.modules, "driftgauge.shared.otel.sdk", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    for name in [name for name in sys.modules if name.startswith("opentelemetry.")]:
        monkeypatch.setitem(sys.modules, name, None)
    with caplog.at_level(logging.WARNING, "driftgauge.telemetry"):
        assert begin(ENDPOINT, "a") is None
    assert pip_line("otel") in caplog.text
