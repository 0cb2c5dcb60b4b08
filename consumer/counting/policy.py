"""The policy of counting."""

from dataclasses import dataclass

from driftgauge.consumer.counting.clock import DAY_MS


@dataclass(frozen=True, slots=True)
class CountingPolicy:
    """The parameters of counting: see the settings of the same names. `partitions` is the number of
    the model's partitions, `retire_ms` the longest age of a spool, `label_wait_days` is
    `label_wait_hours` in days, rounded up.
    """

    partition: int = 0
    partitions: int = 1
    pane_events: int = 250
    pane_seconds: int = 3600
    expected_events_per_day: float = 100_000
    false_alarms_per_month: float = 1.0
    retire_ms: int = 7 * DAY_MS
    client_ids_max: int = 1_000_000
    label_wait_days: int = 7
    label_pending_max: int = 1_000_000
    detectors: tuple[str, ...] = (
        "e_detector",
        "integrity",
        "stuck",
        "adwin",
        "ddm",
    )
