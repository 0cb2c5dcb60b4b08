"""The SDK of OpenTelemetry, set up by its own variables: sampler, limits, batches, headers and
address.

Nothing global is set: a model, or a library that it brings, may have a set-up of its own.
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from importlib.metadata import version
from types import TracebackType
from typing import Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    TraceState,
    set_span_in_context,
)
from opentelemetry.trace import Span as OtelSpan

from driftgauge.shared.otel.context import Headers, Remote, caller_of, carried
from driftgauge.shared.otel.metrics import EXPORTERS, Collect, Pushing
from driftgauge.shared.otel.steps import Fact, Span, current
from driftgauge.shared.otel.wanted import Wanted

MOST_LINKS: Final = 32
"""Most links of a span."""
CLOSE_S: Final = 3.0
"""Longest time that the end of the process waits for the collector."""
KINDS: Final[Mapping[str, SpanKind]] = {"publish": SpanKind.PRODUCER}
"""Kinds of the steps that are not internal."""

log = logging.getLogger("driftgauge.telemetry")


class Telemetry:
    """Traces and metrics of this process.

    Attributes
    ----------
    tracing
        What begins traces; None if none are wanted.
    """

    def __init__(self, asked: Wanted, environ: Mapping[str, str], service: str) -> None:
        resource = _resource(environ, service)
        self.tracing: Tracing | None = None
        self._resource = resource
        self._metrics = asked.metrics
        self._closers: list[Callable[[], None]] = []
        if asked.traces:
            provider = TracerProvider(resource=resource, shutdown_on_exit=False)
            provider.add_span_processor(BatchSpanProcessor(Exporter()))
            self.tracing = Tracing(provider.get_tracer("driftgauge"), joins=asked.joins)
            self._closers.append(provider.shutdown)

    def push(self, collect: Collect) -> None:
        """Send metrics from now on, if they are wanted.

        Parameters
        ----------
        collect
            Function that returns them; it is called in a thread of its own.
        """
        if self._metrics:
            self._closers.append(Pushing(self._resource, collect).close)

    def close(self) -> None:
        """Send what waits, for a few seconds at most."""
        threads = [threading.Thread(target=one, daemon=True) for one in self._closers]
        for thread in threads:
            thread.start()
        until = time.monotonic() + CLOSE_S
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        if any(thread.is_alive() for thread in threads):
            log.warning("The last traces or metrics did not reach the collector in time.")


class Exporter(SpanExporter):
    """Sends spans by OTLP, and tells once that they do not arrive, and that they do again: the SDK
    would tell it at every try.
    """

    def __init__(self) -> None:
        logging.getLogger(EXPORTERS).setLevel(logging.CRITICAL)
        self._sender = OTLPSpanExporter()
        self._failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send some spans; those that do not arrive after some tries are lost."""
        found = self._sender.export(spans)
        failing = found is not SpanExportResult.SUCCESS
        if failing and not self._failing:
            log.warning("Traces could not be sent to the collector; they are lost until it answers")
        elif self._failing and not failing:
            log.info("The collector takes traces again")
        self._failing = failing
        return found

    def shutdown(self) -> None:
        """Send no more."""
        self._sender.shutdown()  # type: ignore[no-untyped-call]  # it has no annotations

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait for nothing: what is given is sent before `export` returns."""
        return self._sender.force_flush(timeout_millis)


class Tracing:
    """What begins traces.

    Parameters
    ----------
    joins
        Whether the trace of a caller goes on.
    """

    def __init__(self, tracer: Tracer, *, joins: bool = True) -> None:
        self._tracer = tracer
        self._joins = joins

    def request(self, method: str, headers: Headers) -> "Begun":
        """Return the span of a request, to be entered."""
        caller = caller_of(headers) if self._joins else None
        parent = Context() if caller is None else set_span_in_context(_remote(caller), Context())
        facts = {"http.request.method": method}
        return Begun(self._tracer, method, parent, SpanKind.SERVER, facts)

    def turn(self, stage: str) -> "Begun":
        """Return the span of a turn of a worker's stage, to be entered."""
        facts = {"driftgauge.stage": stage}
        return Begun(self._tracer, "turn", Context(), SpanKind.CONSUMER, facts)


class Kept:
    """A span that is kept (steps.py)."""

    __slots__ = ("_ended", "_linked", "_span", "_tracer", "carried")

    def __init__(self, tracer: Tracer, span: OtelSpan) -> None:
        found = span.get_span_context()
        self.carried = f"{found.trace_id:032x}-{found.span_id:016x}"
        self._tracer = tracer
        self._span = span
        self._linked: set[str] = set()
        self._ended = False

    def child(self, name: str) -> AbstractContextManager[Span | None]:
        parent = set_span_in_context(self._span, Context())
        return Begun(self._tracer, name, parent, KINDS.get(name, SpanKind.INTERNAL))

    def note(self, **facts: Fact) -> None:
        for name, value in facts.items():
            self._span.set_attribute(f"driftgauge.{name}", value)

    def link(self, traces: Iterable[str]) -> None:
        for text in traces:
            if len(self._linked) >= MOST_LINKS:
                return
            found = None if text in self._linked else carried(text)
            if found is not None:
                self._linked.add(text)
                self._span.add_link(_remote(found).get_span_context())

    def answered(self, name: str, route: str, status: int) -> None:
        """Note what a request was, and how it was answered, in the words of OpenTelemetry."""
        self._span.update_name(name)
        self._span.set_attribute("http.route", route)
        self._span.set_attribute("http.response.status_code", status)
        if status >= 500:
            self._span.set_status(Status(StatusCode.ERROR))

    def fail(self, kind: type[BaseException]) -> None:
        """Note that it ended by an error, by its type alone: a message can quote a value."""
        self._span.set_attribute("error.type", kind.__name__)
        self._span.set_status(Status(StatusCode.ERROR))

    def end(self) -> None:
        """End it, once."""
        if not self._ended:
            self._ended = True
            self._span.end()


class Begun:
    """A span to be entered. One that nobody keeps makes no current span, so that its steps cost
    nothing.
    """

    __slots__ = ("_before", "_facts", "_kept", "_kind", "_name", "_parent", "_tracer")

    def __init__(
        self,
        tracer: Tracer,
        name: str,
        parent: Context,
        kind: SpanKind,
        facts: Mapping[str, str] | None = None,
    ) -> None:
        self._tracer = tracer
        self._name = name
        self._parent = parent
        self._kind = kind
        self._facts = facts

    def __enter__(self) -> Kept | None:
        span = self._tracer.start_span(self._name, self._parent, self._kind, self._facts)
        sampled = span.get_span_context().trace_flags.sampled
        self._kept = Kept(self._tracer, span) if sampled else None
        self._before = current.get()
        current.set(self._kept)
        return self._kept

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        current.set(self._before)  # no token: an iterator that is left ends in another context
        if self._kept is not None:
            if kind is not None:
                self._kept.fail(kind)
            self._kept.end()


def _remote(found: Remote) -> NonRecordingSpan:
    return NonRecordingSpan(
        SpanContext(
            int(found.trace, 16),
            int(found.span, 16),
            is_remote=True,
            trace_flags=TraceFlags(found.flags),
            trace_state=TraceState.from_header([found.state]) if found.state else None,
        )
    )


def _resource(environ: Mapping[str, str], service: str) -> Resource:
    """Describe this process; what the variables say goes before."""
    said = Resource.create()
    ours = {"service.version": version("driftgauge"), "service.instance.id": str(uuid.uuid4())}
    if not environ.get("OTEL_SERVICE_NAME") and "service.name=" not in environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    ):
        ours["service.name"] = service
    given = {
        name: value
        for name, value in ours.items()
        if name == "service.name" or name not in said.attributes
    }
    return said.merge(Resource(given))
