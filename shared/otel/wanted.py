"""Whether OpenTelemetry is wanted, by the standard variables.

A signal (traces, metrics) is wanted if its `OTEL_…_EXPORTER` says `otlp`, or if that is unset and
an endpoint is named; `OTEL_SDK_DISABLED=true` switches everything off.
"""

from collections.abc import Iterator, Mapping
from typing import Final, Literal, NamedTuple

Signal = Literal["TRACES", "METRICS"]
ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
PROTOCOL: Final = "http/protobuf"
PROPAGATOR: Final = "tracecontext"


class Wanted(NamedTuple):
    """What is wanted.

    Parameters
    ----------
    joins
        Whether the trace of a caller goes on here.
    faults
        What is asked for and cannot be done, in sentences.
    """

    traces: bool = False
    metrics: bool = False
    joins: bool = True
    faults: tuple[str, ...] = ()


def wanted(environ: Mapping[str, str]) -> Wanted:
    """Read the variables; an empty one is as unset.

    Examples
    --------
    >>> wanted({}).traces, wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}).traces
    (False, True)
    >>> wanted({"OTEL_TRACES_EXPORTER": "zipkin"}).faults
    ('OTEL_TRACES_EXPORTER=zipkin is not known here; use otlp or none.',)
    """
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return Wanted()
    faults = [*_faults("TRACES", environ), *_faults("METRICS", environ)]
    propagators = environ.get("OTEL_PROPAGATORS", "").strip() or PROPAGATOR
    return Wanted(
        _asked("TRACES", environ) and not any(_faults("TRACES", environ)),
        _asked("METRICS", environ) and not any(_faults("METRICS", environ)),
        PROPAGATOR in (name.strip() for name in propagators.split(",")),
        tuple(faults),
    )


def _exporter(signal: Signal, environ: Mapping[str, str]) -> str:
    return environ.get(f"OTEL_{signal}_EXPORTER", "").strip().lower()


def _asked(signal: Signal, environ: Mapping[str, str]) -> bool:
    named = _exporter(signal, environ)
    if named:
        return named == "otlp"
    own = environ.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT", "").strip()
    return bool(own or environ.get(ENDPOINT, "").strip())


def _faults(signal: Signal, environ: Mapping[str, str]) -> Iterator[str]:
    named = _exporter(signal, environ)
    if named not in {"", "otlp", "none"}:
        yield f"OTEL_{signal}_EXPORTER={named[:40]} is not known here; use otlp or none."
    for name in (f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        protocol = environ.get(name, "").strip().lower()
        if protocol and protocol != PROTOCOL and _asked(signal, environ):
            yield f"{name}={protocol[:40]} is not spoken here; use {PROTOCOL} (port 4318)."
        if protocol:
            break
