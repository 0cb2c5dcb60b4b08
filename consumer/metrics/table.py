"""All metrics of a worker; the pipeline's lag and counts are the API's (producer/metrics)."""

from typing import Final

from driftgauge.shared.metrics.definition import counter, gauge, histogram, table

WORKER: Final = table(
    counter(
        "driftgauge_stage_seconds_total",
        "stage model",
        "Seconds that this worker's threads worked for a stage of a model.",
    ),
    histogram(
        "driftgauge_stage_spell_duration_seconds",
        "stage",
        "Time that a stage kept a thread of this worker: a few turns of reading, advancing and "
        "committing.",
    ),
    counter(
        "driftgauge_stage_commits_total",
        "stage model",
        "Transactions in which a stage committed state and outputs.",
    ),
    counter(
        "driftgauge_stage_failures_total",
        "stage model reason",
        "Ownerships that an error ended, of the stage's work (fault), of its lease (lease), since "
        "Redis was away (away), refused to write (refused) or its slot moved (moved).",
    ),
    gauge(
        "driftgauge_stage_lag_seconds",
        "stage model",
        "Age of the entry that a stage of this worker has come to; 0 if nothing waits for it.",
    ),
    counter(
        "driftgauge_archive_expired_total",
        "model",
        "Days of the archive, of predictions or of labels, that this worker removed by their age.",
    ),
    gauge("driftgauge_leases_held", "stage", "Stages that this worker owns."),
    counter(
        "driftgauge_takeovers_total",
        "stage",
        "Leases that this worker took, be they new or another worker's before.",
    ),
    gauge("driftgauge_worker_redis_up", "", "Whether Redis answers this worker."),
    gauge("driftgauge_worker_models", "", "Models that this worker knows."),
)
"""What a worker tells on its own port."""
