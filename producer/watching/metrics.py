"""The metrics that Prometheus reads: what this API process counts itself, and the pipeline as it
stands in Redis.

Every API process exposes the same figures of the pipeline, so a query over several processes takes
the largest: `max by (model, partition)`. Label values are names of models, versions, partitions,
fields, rules, routes and reasons: nothing that a request makes up.

These are custom collectors of `prometheus_client`, which makes the text. The counting itself stays
in `publisher` and `meter`, which pages read too: the library's own counter and histogram take some
7 us of each request where those take 1 us.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from msgspec.structs import asdict
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from driftgauge.producer.http.connections import Connections
from driftgauge.producer.intake.refusals import Refusals
from driftgauge.producer.metrics.table import EVERY
from driftgauge.producer.publishing.publisher import Publisher
from driftgauge.producer.reading.model_state import ModelState, PartitionState
from driftgauge.producer.scoring.scorer import Scorer
from driftgauge.producer.supervision import Supervisor
from driftgauge.producer.watching.meter import BOUNDS_S, Meter
from driftgauge.shared.contract.counters import ExchangeCounts, LabelCounts

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""The Prometheus text format that every scraper reads."""
OUTCOMES: Final = ("joined", "repeated", "corrected", "unknown", "expired", "unfit", "refused")
"""Fields of LabelCounts that count labels by what became of them."""
Sample = tuple[str, Mapping[str, str], float]
"""Name of the metric, labels, value."""


class ProcessMetrics(Collector):
    """Metrics of this process: its publisher's events and its requests. They need no Redis."""

    def __init__(
        self,
        publisher: Publisher,
        refusals: Refusals,
        labels: Refusals,
        meter: Meter,
        scorer: Scorer,
        connections: Connections,
        supervisor: Supervisor,
    ) -> None:
        self._publisher = publisher
        self._refusals = refusals
        self._labels = labels
        self._meter = meter
        self._scorer = scorer
        self._connections = connections
        self._supervisor = supervisor

    def collect(self) -> Iterator[Metric]:
        """Make the families with the values of now."""
        yield from families(self._samples())
        yield _latency(self._meter)

    def _samples(self) -> Iterator[Sample]:
        yield from _of_publisher(self._publisher)
        yield from _of_refusals(self._refusals)
        yield from _of_labels_refused(self._labels)
        yield from _of_requests(self._meter)
        for name, task in list(self._supervisor.tasks.items()):
            yield "driftgauge_task_failures_total", {"task": name}, task.failures
            yield "driftgauge_task_age_seconds", {"task": name}, task.age_s
        for (model, version), calls in sorted(self._scorer.given_up.items()):
            named = {"model": model, "version": version}
            yield "driftgauge_model_calls_given_up_total", named, calls
        yield "driftgauge_connections", {}, self._connections.count
        for reason, count in sorted(self._connections.refused.items()):
            yield "driftgauge_connections_refused_total", {"reason": reason}, count


@dataclass(frozen=True, eq=False)
class PipelineMetrics(Collector):
    """Metrics of the pipeline, from one read of Redis.

    Parameters
    ----------
    up
        Whether Redis answered.
    readable
        Whether its answers could be read; if not, there are no models.
    blind
        Model, rule, and whether it fires, of each rule of the watchdog.
    """

    up: bool
    readable: bool
    models: Sequence[ModelState] = ()
    blind: Sequence[tuple[str, str, bool]] = ()

    def collect(self) -> Iterator[Metric]:
        """Make the families."""
        yield from families(self._samples())

    def _samples(self) -> Iterator[Sample]:
        yield "driftgauge_redis_up", {}, self.up
        yield "driftgauge_pipeline_readable", {}, self.readable
        for model in self.models:
            yield from _of_model(model)
            for partition in model.partitions:
                yield from _of_partition(model, partition)
        for name, rule, fires in self.blind:
            yield "driftgauge_blind", {"model": name, "rule": rule}, fires


def families(samples: Iterable[Sample]) -> Iterator[Metric]:
    """Group samples by metric, as the text format wants them; a metric without any is left out.

    Parameters
    ----------
    samples
        Samples; those of one metric must have the same label names.

    Examples
    --------
    >>> [(family.name, family.type) for family in families([("driftgauge_redis_up", {}, True)])]
    [('driftgauge_redis_up', 'gauge')]
    """
    found: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
    for name, labels, value in samples:
        if name not in found:
            make = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            found[name] = make(name, EVERY[name].meaning, labels=list(labels))
        found[name].add_metric([_encodable(text) for text in labels.values()], float(value))
    yield from found.values()


def age_s(model: ModelState, partition: PartitionState) -> float:
    """Return the age (s) of the oldest entry that waits to be counted; 0 if none waits."""
    oldest = partition.backlog.oldest_ms
    return 0.0 if oldest is None else max(0, model.now_ms - oldest) / 1000


def _encodable(text: str) -> str:
    """Write out what UTF-8 cannot encode (lone surrogates): no name may stop a scrape."""
    return text.encode("utf-8", "backslashreplace").decode()


def _of_publisher(publisher: Publisher) -> Iterator[Sample]:
    yield "driftgauge_publisher_connected", {}, publisher.connected
    yield "driftgauge_events_published_total", {}, publisher.published
    yield "driftgauge_events_queued", {}, publisher.queued
    yield "driftgauge_events_spooled", {}, publisher.spool.events
    yield "driftgauge_spool_bytes", {}, publisher.spool.bytes
    yield "driftgauge_events_resent_total", {}, publisher.sender.resent
    yield "driftgauge_spool_damaged_total", {}, publisher.spool.damaged
    for reason, events in sorted(publisher.dropped.items()):
        yield "driftgauge_events_dropped_total", {"reason": reason}, events


def _of_refusals(refusals: Refusals) -> Iterator[Sample]:
    for model, events in sorted(refusals.events.items()):
        yield "driftgauge_events_refused_total", {"model": model}, events
    for model, fields in sorted(refusals.ignored.items()):
        yield "driftgauge_fields_ignored_total", {"model": model}, fields
    for (model, field, reason), events in sorted(refusals.faults.items()):
        labels = {"model": model, "field": field, "reason": reason}
        yield "driftgauge_fields_refused_total", labels, events


def _of_labels_refused(refusals: Refusals) -> Iterator[Sample]:
    for (model, field, reason), labels in sorted(refusals.faults.items()):
        named = {"model": model, "field": field, "reason": reason}
        yield "driftgauge_labels_refused_total", named, labels


def _of_requests(meter: Meter) -> Iterator[Sample]:
    for (route, status), count in sorted(meter.requests.items()):
        yield "driftgauge_http_requests_total", {"route": route, "status": str(status)}, count


def _latency(meter: Meter) -> Metric:
    name = "driftgauge_predict_duration_seconds"
    found = HistogramMetricFamily(name, EVERY[name].meaning)
    bounds = (*(f"{bound:g}" for bound in BOUNDS_S), "+Inf")
    buckets = list(zip(bounds, accumulate(meter.latencies), strict=True))
    found.add_metric([], buckets, sum_value=meter.latency_sum_s)
    return found


def _of_model(model: ModelState) -> Iterator[Sample]:
    labels = {"model": model.model}
    yield "driftgauge_judging_owner_present", labels, model.judging_owned
    yield "driftgauge_commands_refused_total", labels, model.commands_refused
    yield "driftgauge_labels_too_late_total", labels, model.labels_too_late
    for (version, severity), alerts in sorted(model.firing.items()):
        named = {**labels, "version": version, "severity": severity}
        yield "driftgauge_alerts_firing", named, alerts


def _of_partition(model: ModelState, partition: PartitionState) -> Iterator[Sample]:
    labels = {"model": model.model, "partition": str(partition.partition)}
    counters, backlog = partition.counters, partition.backlog
    for version, events in sorted(counters.versions.items()):
        yield "driftgauge_events_counted_total", {**labels, "version": version}, events
    yield "driftgauge_duplicates_total", labels, counters.duplicates
    yield "driftgauge_dead_letters_total", labels, counters.dead
    yield "driftgauge_sequences_missing", labels, counters.missing
    yield "driftgauge_events_lost_total", labels, counters.lost
    yield "driftgauge_events_void_total", labels, counters.void
    yield "driftgauge_panes_rolled_back_total", labels, partition.rolled_back
    yield "driftgauge_lag_entries", labels, backlog.entries
    yield "driftgauge_lag_seconds", labels, backlog.seconds
    yield "driftgauge_oldest_uncounted_seconds", labels, age_s(model, partition)
    yield "driftgauge_owner_present", labels, partition.owned
    if partition.panes_behind is not None:
        yield "driftgauge_judging_lag_panes", labels, partition.panes_behind
    yield "driftgauge_judging_waiting_panes", labels, partition.waiting
    if counters.exchanges != ExchangeCounts():
        yield "driftgauge_exchanges_waiting", labels, counters.exchanges.waiting
        for outcome, halves in asdict(counters.exchanges).items():
            if outcome != "waiting":
                yield "driftgauge_exchanges_total", {**labels, "outcome": outcome}, halves
    if counters.labels != LabelCounts():  # no label ever came: the model has none, as a rule
        yield from _of_labels(labels, counters.labels)


def _of_labels(labels: Mapping[str, str], counts: LabelCounts) -> Iterator[Sample]:
    for outcome in OUTCOMES:
        came = {**labels, "outcome": outcome}
        yield "driftgauge_labels_total", came, getattr(counts, outcome)
    without = "driftgauge_predictions_without_label_total"
    yield without, {**labels, "reason": "unlabelled"}, counts.unlabelled
    yield without, {**labels, "reason": "full"}, counts.full
    yield "driftgauge_labels_waiting", {**labels, "kind": "prediction"}, counts.waiting
    yield "driftgauge_labels_waiting", {**labels, "kind": "label"}, counts.early
    yield "driftgauge_labels_untold", {**labels, "pane": "closed"}, counts.untold
    yield "driftgauge_labels_untold", {**labels, "pane": "open"}, counts.untold_open
