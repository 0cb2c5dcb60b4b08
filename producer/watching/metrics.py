"""The metrics: what this API process counts itself, and the pipeline as it stands in Redis.

Every API process gives the same pipeline figures, so a query over several takes the largest: `max
by (model, partition)`. Labels are names of models, versions, partitions, rules, routes and reasons:
nothing that a request makes up.
"""

from collections.abc import Sequence

from driftgauge.producer.publishing.publisher import Publisher
from driftgauge.producer.reading.pipeline import ModelState, PartitionState
from driftgauge.producer.watching.exposition import Family
from driftgauge.producer.watching.meter import BOUNDS_S, Meter
from driftgauge.shared.contract.counters import LabelCounts


def of_process(publisher: Publisher, meter: Meter) -> list[Family]:
    """Give what this process counts; needs no Redis."""
    connected = Family(
        "driftgauge_publisher_connected",
        "gauge",
        "Whether this process's publisher is connected to Redis.",
    )
    connected.add(publisher.connected)
    published = Family(
        "driftgauge_events_published_total",
        "counter",
        "Events that Redis acknowledged to this process.",
    )
    published.add(publisher.published)
    queued = Family(
        "driftgauge_events_queued", "gauge", "Events of this process that wait for Redis."
    )
    queued.add(publisher.queued)
    dropped = Family(
        "driftgauge_events_dropped_total", "counter", "Events that this process had no room for."
    )
    for reason, events in sorted(publisher.dropped.items()):
        dropped.add(events, reason=reason)
    spool = Family(
        "driftgauge_events_spooled", "gauge", "Events of this process in its spool on disk."
    )
    spool.add(publisher.spool.events)
    size = Family("driftgauge_spool_bytes", "gauge", "Bytes of this process's spool on disk.")
    size.add(publisher.spool.bytes)
    resent = Family(
        "driftgauge_events_resent_total",
        "counter",
        "Events that this process sent again, in case they were lost.",
    )
    resent.add(publisher.sender.resent)
    damaged = Family(
        "driftgauge_spool_damaged_total",
        "counter",
        "Damaged records that this process found in spools.",
    )
    damaged.add(publisher.spool.damaged)
    return [connected, published, queued, dropped, spool, size, resent, damaged, *_requests(meter)]


def _requests(meter: Meter) -> list[Family]:
    requests = Family("driftgauge_http_requests_total", "counter", "Requests by route and status.")
    for (route, status), count in sorted(meter.requests.items()):
        requests.add(count, route=route, status=str(status))
    latency = Family(
        "driftgauge_predict_duration_seconds", "histogram", "Time until /predict answered."
    )
    latency.add_histogram(BOUNDS_S, meter.latencies, meter.latency_sum_s)
    return [requests, latency]


def of_redis(*, up: bool, readable: bool) -> list[Family]:
    """Tell whether Redis answered, and whether what it said could be read."""
    answered = Family("driftgauge_redis_up", "gauge", "Whether Redis answered this scrape.")
    answered.add(up)
    read = Family(
        "driftgauge_pipeline_readable",
        "gauge",
        "Whether the pipeline's figures could be read from Redis.",
    )
    read.add(readable)
    return [answered, read]


def of_pipeline(models: Sequence[ModelState]) -> list[Family]:
    """Give the pipeline's figures."""
    return [*_counted(models), *_labels(models), *_waiting(models), *_judging(models)]


def _counted(models: Sequence[ModelState]) -> list[Family]:
    events = Family(
        "driftgauge_events_counted_total", "counter", "Events counted, each exactly once."
    )
    duplicates = Family(
        "driftgauge_duplicates_total",
        "counter",
        "Entries that had been counted and were not counted again.",
    )
    dead = Family("driftgauge_dead_letters_total", "counter", "Entries that could not be read.")
    missing = Family(
        "driftgauge_sequences_missing",
        "gauge",
        "Numbers of publishers that have not arrived: late, or lost.",
    )
    rolled_back = Family(
        "driftgauge_panes_rolled_back_total", "counter", "Times a shard came back with older panes."
    )
    lost = Family(
        "driftgauge_events_lost_total",
        "counter",
        "Numbers of retired publishers that never arrived.",
    )
    for model, partition, labels in _partitions(models):
        counters = partition.counters
        for version, count in sorted(counters.versions.items()):
            events.add(
                count, model=model.model, version=version, partition=str(partition.partition)
            )
        duplicates.add(counters.duplicates, **labels)
        dead.add(counters.dead, **labels)
        missing.add(counters.missing, **labels)
        lost.add(counters.lost, **labels)
        rolled_back.add(partition.rolled_back, **labels)
    return [events, duplicates, dead, missing, lost, rolled_back]


def _labels(models: Sequence[ModelState]) -> list[Family]:
    labels = Family(
        "driftgauge_labels_total", "counter", "Labels that came, by what became of them."
    )
    lost = Family(
        "driftgauge_predictions_without_label_total",
        "counter",
        "Predictions that got no label within the wait (unlabelled), or had no room to wait for "
        "one (full).",
    )
    kept = Family(
        "driftgauge_labels_waiting",
        "gauge",
        "Predictions that are kept for labels, and labels without prediction.",
    )
    untold = Family(
        "driftgauge_labels_untold",
        "gauge",
        "Joined rows that judging has not been told of, of closed panes (told at the next tick), "
        "and of the open one.",
    )
    for _, partition, names in _partitions(models):
        counts = partition.counters.labels
        if counts == LabelCounts():
            continue
        for outcome in (
            "joined",
            "repeated",
            "corrected",
            "unknown",
            "expired",
            "unfit",
            "refused",
        ):
            labels.add(getattr(counts, outcome), outcome=outcome, **names)
        lost.add(counts.unlabelled, reason="unlabelled", **names)
        lost.add(counts.full, reason="full", **names)
        kept.add(counts.waiting, kind="prediction", **names)
        kept.add(counts.early, kind="label", **names)
        untold.add(counts.untold, pane="closed", **names)
        untold.add(counts.untold_open, pane="open", **names)
    return [labels, lost, kept, untold]


def _waiting(models: Sequence[ModelState]) -> list[Family]:
    entries = Family(
        "driftgauge_lag_entries",
        "gauge",
        "Entries that are not counted yet; where Redis does not know: at least.",
    )
    seconds = Family(
        "driftgauge_lag_seconds", "gauge", "Entry time between the last counted and the last entry."
    )
    oldest = Family(
        "driftgauge_oldest_uncounted_seconds",
        "gauge",
        "Age of the oldest entry that is not counted yet.",
    )
    owned = Family("driftgauge_owner_present", "gauge", "Whether a worker owns the partition.")
    for model, partition, labels in _partitions(models):
        backlog = partition.backlog
        entries.add(backlog.entries, **labels)
        seconds.add(backlog.seconds, **labels)
        oldest.add(age_s(model, partition), **labels)
        owned.add(partition.owned, **labels)
    return [entries, seconds, oldest, owned]


def _judging(models: Sequence[ModelState]) -> list[Family]:
    owned = Family(
        "driftgauge_judging_owner_present", "gauge", "Whether a worker judges the model."
    )
    panes = Family(
        "driftgauge_judging_lag_panes", "gauge", "Closed panes that judging has not read yet."
    )
    waiting = Family(
        "driftgauge_judging_waiting_panes",
        "gauge",
        "Panes that judging has read and that wait for other partitions.",
    )
    firing = Family(
        "driftgauge_alerts_firing", "gauge", "Drift alerts that fire, as of the current window."
    )
    refused = Family(
        "driftgauge_commands_refused_total",
        "counter",
        "Commands to alerts that could not be applied.",
    )
    for model in models:
        owned.add(model.judging_owned, model=model.model)
        refused.add(model.commands_refused, model=model.model)
        for (version, severity), alerts in sorted(model.firing.items()):
            firing.add(alerts, model=model.model, version=version, severity=severity)
    for _, partition, labels in _partitions(models):
        if partition.panes_behind is not None:
            panes.add(partition.panes_behind, **labels)
        waiting.add(partition.waiting, **labels)
    return [owned, panes, waiting, firing, refused]


def of_watchdog(firing: Sequence[tuple[str, str, bool]]) -> Family:
    """Give the "monitor blind" alerts: model, rule, whether it fires."""
    family = Family(
        "driftgauge_blind",
        "gauge",
        "Whether a rule of the watchdog fires: the monitor does not see.",
    )
    for model, rule, fires in firing:
        family.add(fires, model=model, rule=rule)
    return family


def age_s(model: ModelState, partition: PartitionState) -> float:
    """Give the age of the oldest waiting entry, 0 if none waits."""
    oldest = partition.backlog.oldest_ms
    return 0.0 if oldest is None else max(0, model.now_ms - oldest) / 1000


def _partitions(
    models: Sequence[ModelState],
) -> list[tuple[ModelState, PartitionState, dict[str, str]]]:
    return [
        (model, partition, {"model": model.model, "partition": str(partition.partition)})
        for model in models
        for partition in model.partitions
    ]
