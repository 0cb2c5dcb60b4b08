"""Nobody but we make spans of requests."""

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from driftgauge.producer.app import create_app
from driftgauge.shared.settings import Settings


@pytest.mark.anyio
async def test_the_framework_makes_none(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider that a model, or another library, made for the whole process gets no span with a
    path or a query.
    """
    kept = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    monkeypatch.setattr("opentelemetry.trace._TRACER_PROVIDER", provider)
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    transport = httpx.ASGITransport(create_app(settings))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        assert (await http.get("/livez")).status_code == 200
        await http.get("/nowhere", params={"mail": "planted@example.org"})
    assert kept.get_finished_spans() == ()
