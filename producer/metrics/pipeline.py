"""The pipeline as it stands in Redis, as samples. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Final

from msgspec.structs import asdict

from driftgauge.producer.reading.model_state import ModelState, PartitionState
from driftgauge.shared.contract.counters import (
    LATENCY_BOUNDS_S,
    Counters,
    ExchangeCounts,
    LabelCounts,
    VersionTraffic,
)
from driftgauge.shared.contract.notifications.status import RouteStatus
from driftgauge.shared.metrics.text import Exposition, known, labels

OUTCOMES: Final = ("joined", "repeated", "corrected", "unknown", "expired", "unfit", "refused")
"""Fields of LabelCounts that count labels by what became of them."""
MOST_UNJUDGED: Final = 100
"""Most versions of a partition that are shown without being judged: judging remembers as many."""
UNKNOWN: Final = "unknown"
"""Source of the events that were counted before sources were."""


def add_model(text: Exposition, model: ModelState) -> None:
    """Add how a model and its partitions stand."""
    given = labels(model=model.model)
    text.add("driftgauge_judging_owner_present", model.judging_owned, given)
    text.add("driftgauge_commands_refused_total", model.commands_refused, given)
    text.add("driftgauge_labels_too_late_total", model.labels_too_late, given)
    for (version, severity), alerts in sorted(model.firing.items()):
        if version not in model.ended:
            named = labels(model=model.model, version=version, severity=severity)
            text.add("driftgauge_alerts_firing", alerts, named)
    shown = _shown(model)
    for partition in model.partitions:
        _add_partition(text, model, partition, shown)
    _add_latencies(text, model, shown)


def _shown(model: ModelState) -> frozenset[str]:
    """Return the versions whose events are shown: those that are judged, and of those that were
    counted last and may be judged soon.
    """
    counted = [list(one.counters.versions)[-MOST_UNJUDGED:] for one in model.partitions]
    return model.judged | (frozenset(chain.from_iterable(counted)) - model.ended)


def _add_partition(
    text: Exposition, model: ModelState, partition: PartitionState, shown: frozenset[str]
) -> None:
    given = labels(model=model.model, partition=str(partition.partition))
    counters, backlog = partition.counters, partition.backlog
    _add_events(text, shown, counters, given)
    text.add("driftgauge_predictions_failed_total", counters.failed, given)
    text.add("driftgauge_duplicates_total", counters.duplicates, given)
    text.add("driftgauge_dead_letters_total", counters.dead, given)
    text.add("driftgauge_sequences_missing", counters.missing, given)
    text.add("driftgauge_events_lost_total", counters.lost, given)
    text.add("driftgauge_events_void_total", counters.void, given)
    text.add("driftgauge_panes_rolled_back_total", partition.rolled_back, given)
    text.add("driftgauge_lag_entries", backlog.entries, given)
    text.add("driftgauge_lag_seconds", backlog.seconds, given)
    text.add("driftgauge_oldest_uncounted_seconds", model.age_s(partition), given)
    text.add("driftgauge_owner_present", partition.owned, given)
    text.add_if("driftgauge_judging_lag_panes", partition.panes_behind, given)
    text.add("driftgauge_judging_waiting_panes", partition.waiting, given)
    if counters.exchanges != ExchangeCounts():
        _add_exchanges(text, counters.exchanges, given)
    if counters.labels != LabelCounts():  # no label ever came: the model has none, as a rule
        _add_labels(text, counters.labels, given)


def _add_events(text: Exposition, shown: frozenset[str], counters: Counters, given: str) -> None:
    """Add the counted events of each version, by source."""
    for version, events in sorted(counters.versions.items()):
        if version not in shown:
            continue
        sources = counters.traffic.get(version, VersionTraffic()).sources
        others = events - sum(sources.values())
        for source, number in sorted({**sources, **({UNKNOWN: others} if others else {})}.items()):
            named = f"{given},{labels(version=version, source=source)}"
            text.add("driftgauge_events_counted_total", number, named)


def _add_latencies(text: Exposition, model: ModelState, shown: frozenset[str]) -> None:
    """Add the latencies of each version, over all partitions."""
    found: dict[str, list[VersionTraffic]] = {}
    for partition in model.partitions:
        for version, traffic in partition.counters.traffic.items():
            if traffic.latency and version in shown:
                found.setdefault(version, []).append(traffic)
    for version, parts in sorted(found.items()):
        text.histogram(
            "driftgauge_prediction_latency_seconds",
            LATENCY_BOUNDS_S,
            _summed([one.latency for one in parts]),
            sum(one.latency_us for one in parts) / 1e6,
            labels(model=model.model, version=version),
        )


def _summed(counts: Sequence[Sequence[int]]) -> list[int]:
    return [sum(numbers) for numbers in zip(*counts, strict=True)]


def _add_exchanges(text: Exposition, counts: ExchangeCounts, given: str) -> None:
    text.add("driftgauge_exchanges_waiting", counts.waiting, given)
    for outcome, halves in asdict(counts).items():
        if outcome != "waiting":
            named = f"{given},{known(outcome=outcome)}"
            text.add("driftgauge_exchanges_total", halves, named)


def _add_labels(text: Exposition, counts: LabelCounts, given: str) -> None:
    for outcome in OUTCOMES:
        named = f"{given},{known(outcome=outcome)}"
        text.add("driftgauge_labels_total", getattr(counts, outcome), named)
    without: Mapping[str, int] = {"unlabelled": counts.unlabelled, "full": counts.full}
    for reason, number in without.items():
        named = f"{given},{known(reason=reason)}"
        text.add("driftgauge_predictions_without_label_total", number, named)
    for kind, number in {"prediction": counts.waiting, "label": counts.early}.items():
        text.add("driftgauge_labels_waiting", number, f"{given},{known(kind=kind)}")
    for pane, number in {"closed": counts.untold, "open": counts.untold_open}.items():
        text.add("driftgauge_labels_untold", number, f"{given},{known(pane=pane)}")


def add_incidents(text: Exposition, model: str, found: Mapping[tuple[str, str], int]) -> None:
    """Add the open incidents of a model by severity and kind; the pairs without any are 0."""
    counted = Counter(found)
    of = labels(model=model)
    for severity in ("warning", "critical"):
        for kind in ("model", "operation"):
            given = f"{of},{known(severity=severity, kind=kind)}"
            text.add("driftgauge_incidents_open", counted[severity, kind], given)


def add_route(text: Exposition, route: str, status: RouteStatus, now_ms: int) -> None:
    """Add how a route of notifications does."""
    given = labels(route=route)
    for outcome, number in (
        ("sent", status.sent),
        ("refused", status.refused),
        ("retried", status.retried),
    ):
        named = f"{given},{known(outcome=outcome)}"
        text.add("driftgauge_notifications_total", number, named)
    overdue_ms = 0 if status.overdue is None else max(0, now_ms - status.overdue)
    text.add("driftgauge_notifications_waiting", status.waiting, given)
    text.add("driftgauge_notifications_overdue_seconds", overdue_ms / 1000, given)
    text.add("driftgauge_notifications_failing", status.failure is not None, given)
    if status.last_sent is not None:
        name = "driftgauge_notification_success_timestamp_seconds"
        text.add(name, status.last_sent / 1000, given)
