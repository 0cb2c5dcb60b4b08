"""What the settings say of counting and judging."""

import math

from driftgauge.consumer.counting.policy import CountingPolicy
from driftgauge.consumer.judging.policy import JudgingPolicy
from driftgauge.shared.settings import Settings


def counting_policy(settings: Settings, partition: int, partitions: int) -> CountingPolicy:
    """Return the settings that counting uses."""
    return CountingPolicy(
        partition=partition,
        partitions=partitions,
        pane_events=settings.pane_events,
        pane_seconds=settings.pane_seconds,
        expected_events_per_day=settings.expected_events_per_day,
        false_alarms_per_month=settings.false_alarms_per_month,
        retire_ms=settings.spool_max_age_hours * 3_600_000,
        client_ids_max=settings.client_ids_max,
        label_wait_days=math.ceil(settings.label_wait_hours / 24),
        label_pending_max=settings.label_pending_max,
        detectors=settings.detectors,
    )


def judging_policy(settings: Settings, partitions: int) -> JudgingPolicy:
    """Return the settings that judging uses."""
    return JudgingPolicy(
        partitions=partitions,
        pane_events=settings.pane_events,
        pane_seconds=settings.pane_seconds,
        window_events=settings.window_events,
        window_days=settings.window_days,
        min_window_rows=settings.min_window_rows,
        min_reference_rows=settings.min_reference_rows,
        expected_events_per_day=settings.expected_events_per_day,
        false_alarms_per_month=settings.false_alarms_per_month,
        performance_drop=settings.performance_drop,
        labelled_rows=settings.labelled_rows,
        labelled_days=settings.labelled_days,
        min_labelled_rows=settings.min_labelled_rows,
        snapshot_seconds=settings.snapshot_seconds,
        snapshot_events=settings.snapshot_events,
        cooldown_ms=settings.cooldown_seconds * 1000,
        renotify_ms=settings.renotify_seconds * 1000,
        renotify_max_ms=settings.renotify_max_seconds * 1000,
    )
