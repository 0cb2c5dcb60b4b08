"""What an API process counts itself: its publisher's events, what it refused, and its requests. It
needs no Redis. A counter of a known reason stands at 0 before its first event, so that its increase
is seen.
"""

from collections.abc import Mapping
from typing import Final, get_args

from driftgauge.producer.http.connections import RefusalReason
from driftgauge.producer.intake.refusals import Refusals
from driftgauge.producer.metrics.table import PROCESS
from driftgauge.producer.parts import Parts
from driftgauge.producer.publishing.publisher import DropReason, Publisher
from driftgauge.producer.watching.meter import BOUNDS_S, Meter
from driftgauge.shared.local.usage import USAGE, add_usage
from driftgauge.shared.metrics.definition import Definition
from driftgauge.shared.metrics.text import Exposition, labels

TOLD: Final[Mapping[str, Definition]] = {**PROCESS, **USAGE}


def of_process(parts: Parts) -> Exposition:
    """Return the samples of this process as of now."""
    text = Exposition(TOLD)
    add_publisher(text, parts.publisher)
    add_refusals(text, parts.refusals)
    for (model, field, reason), number in sorted(parts.refused_labels.faults.items()):
        given = labels(model=model, field=field, reason=reason)
        text.add("driftgauge_labels_refused_total", number, given)
    add_requests(text, parts.meter)
    for name, task in list(parts.supervisor.tasks.items()):
        text.add("driftgauge_task_failures_total", task.failures, labels(task=name))
        text.add("driftgauge_task_age_seconds", task.age_s, labels(task=name))
    for (model, version), calls in sorted(parts.scorer.given_up.items()):
        given = labels(model=model, version=version)
        text.add("driftgauge_model_calls_given_up_total", calls, given)
    text.add("driftgauge_connections", parts.connections.count)
    for ended in get_args(RefusalReason):
        number = parts.connections.refused[ended]
        text.add("driftgauge_connections_refused_total", number, labels(reason=ended))
    add_usage(text)
    return text


def add_publisher(text: Exposition, publisher: Publisher) -> None:
    """Add the events of a publisher."""
    text.add("driftgauge_publisher_connected", publisher.connected)
    text.add("driftgauge_events_published_total", publisher.published)
    text.add("driftgauge_events_queued", publisher.queued)
    text.add("driftgauge_events_spooled", publisher.spool.events)
    text.add("driftgauge_spool_bytes", publisher.spool.bytes)
    text.add("driftgauge_events_resent_total", publisher.sender.resent)
    text.add("driftgauge_spool_damaged_total", publisher.spool.damaged)
    for reason in get_args(DropReason):
        text.add(
            "driftgauge_events_dropped_total", publisher.dropped[reason], labels(reason=reason)
        )


def add_refusals(text: Exposition, refusals: Refusals) -> None:
    """Add what was refused or ignored of events."""
    for model, events in sorted(refusals.events.items()):
        text.add("driftgauge_events_refused_total", events, labels(model=model))
    for model, fields in sorted(refusals.ignored.items()):
        text.add("driftgauge_fields_ignored_total", fields, labels(model=model))
    for (model, field, reason), events in sorted(refusals.faults.items()):
        given = labels(model=model, field=field, reason=reason)
        text.add("driftgauge_fields_refused_total", events, given)


def add_requests(text: Exposition, meter: Meter) -> None:
    """Add the requests, and the latency of predictions."""
    for (route, status), number in sorted(meter.requests.items()):
        given = labels(route=route, status=str(status))
        text.add("driftgauge_http_requests_total", number, given)
    text.histogram(
        "driftgauge_predict_duration_seconds", BOUNDS_S, meter.latencies, meter.latency_sum_s
    )
