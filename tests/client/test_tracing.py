"""An application's own trace goes with what it logs, if it has one; OpenTelemetry is not needed."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import use_span

from driftgauge.client import Monitor
from driftgauge.client.tracing import API, traceparent
from driftgauge.shared.otel.context import parsed
from tests.client.fake_api import FakeApi, fake_api

GIVEN = f"00-{'a' * 32}-{'b' * 16}-01"


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as found:
        yield found


def test_the_current_span_is_logged(api: FakeApi) -> None:
    """That of the call, not of the thread that sends; one that is told goes before it, and without
    one there is none.
    """
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("application")
    with Monitor(api.url, "steel") as monitor:
        with use_span(tracer.start_span("work")) as span:
            monitor.log({"x": 1}, 1.0)
            monitor.log({"x": 2}, 1.0, traceparent=GIVEN)
        monitor.log({"x": 3}, 1.0)
        assert monitor.flush()
    own, given, none = (event.get("traceparent") for event in api.events())
    found = parsed(own)
    assert found is not None
    assert int(found.trace, 16) == span.get_span_context().trace_id
    assert int(found.span, 16) == span.get_span_context().span_id
    assert (given, none) == (GIVEN, None)


def test_a_trace_that_nobody_keeps_is_not_logged() -> None:
    """Its id would lead nowhere."""
    tracer = TracerProvider(ALWAYS_OFF, shutdown_on_exit=False).get_tracer("application")
    with use_span(tracer.start_span("work")):
        assert traceparent() is None


def test_a_fault_of_the_other_library_costs_no_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever stands there under its name."""
    monkeypatch.setitem(sys.modules, API, object())
    assert traceparent() is None


def test_it_is_never_imported() -> None:
    """An application without OpenTelemetry pays nothing for it."""
    code = "import sys, driftgauge.client.tracing as t; t.traceparent(); print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "opentelemetry" not in shown.stdout
