"""What API processes and workers do."""

from typing import Final

from deploy.boards.board import Row
from deploy.boards.panels import Panel, Query
from deploy.boards.pipeline.queries import MODEL, RATE, times

API: Final = Row(
    "API processes",
    (
        Panel(
            title="Requests",
            description="Requests a second by route and status.",
            queries=[
                Query(
                    f"sum by (route, status) (rate(driftgauge_http_requests_total{RATE}))",
                    "{{route}} {{status}}",
                )
            ],
            unit="reqps",
        ),
        Panel(
            title="Time until /predict answered",
            description="Of half of the requests, of 95 % and of 99 %.",
            queries=times("driftgauge_predict_duration_seconds"),
            unit="s",
        ),
        Panel(
            title="Events that wait for Redis",
            description="Events in the memory of each process, and in its spool on disk.",
            queries=[
                Query("max by (instance) (driftgauge_events_queued)", "{{instance}}: in memory"),
                Query("max by (instance) (driftgauge_events_spooled)", "{{instance}}: on disk"),
            ],
        ),
        Panel(
            title="Spool on disk",
            description="Bytes of each process's spool. Redis must be back before it is full.",
            queries=[Query("max by (instance) (driftgauge_spool_bytes)", "{{instance}}")],
            unit="bytes",
        ),
        Panel(
            title="Published events",
            description="Events that Redis acknowledged, and those that were sent again in case "
            "they were lost.",
            queries=[
                Query(
                    f"sum by (instance) (rate(driftgauge_events_published_total{RATE}))",
                    "{{instance}}",
                ),
                Query(
                    f"sum by (instance) (rate(driftgauge_events_resent_total{RATE}))",
                    "{{instance}}: again",
                    dashed=True,
                ),
            ],
            unit="cps",
        ),
        Panel(
            title="Connections",
            description="Open connections of each process.",
            queries=[Query("max by (instance) (driftgauge_connections)", "{{instance}}")],
        ),
        Panel(
            title="Background tasks",
            description="Time since each background task last did its work. A line that rises "
            "steadily is a task that fails.",
            queries=[
                Query(
                    "max by (instance, task) (driftgauge_task_age_seconds)",
                    "{{instance}}: {{task}}",
                )
            ],
            unit="s",
        ),
        Panel(
            title="Faults of API processes",
            description="Connections that were ended before a route saw them, model calls that "
            "did not return in time, and looks of background tasks that failed.",
            queries=[
                Query(f"sum(rate({metric}{RATE})) or vector(0)", name)
                for metric, name in (
                    ("driftgauge_connections_refused_total", "connections refused"),
                    ("driftgauge_model_calls_given_up_total", "model calls given up"),
                    ("driftgauge_task_failures_total", "failures of tasks"),
                )
            ],
            unit="cps",
        ),
        Panel(
            title="Memory",
            description="Resident memory of API processes and workers. It does not grow with the "
            "events seen.",
            queries=[
                Query(
                    "process_resident_memory_bytes and on (job, instance) "
                    "(driftgauge_publisher_connected or driftgauge_worker_redis_up)",
                    "{{job}} {{instance}}",
                )
            ],
            unit="bytes",
        ),
    ),
)
WORKERS: Final = Row(
    "Workers",
    (
        Panel(
            title="Cores in use, by stage",
            description="How much of a core each stage works. Near 1 a worker can do no more: "
            "start another one.",
            queries=[
                Query(
                    f"sum by (instance, stage) (rate(driftgauge_stage_seconds_total{RATE}))",
                    "{{instance}}: {{stage}}",
                )
            ],
            unit="percentunit",
        ),
        Panel(
            title="How long a stage keeps a thread",
            description="Some turns of reading, advancing and committing: of half of them, of 95 % "
            "and of 99 %.",
            queries=times("driftgauge_stage_spell_duration_seconds", "stage"),
            unit="s",
        ),
        Panel(
            title="Commits",
            description="Transactions in which a stage stored its state and what it found.",
            queries=[
                Query(f"sum by (stage) (rate(driftgauge_stage_commits_total{RATE}))", "{{stage}}")
            ],
            unit="cps",
        ),
        Panel(
            title="How far stages are behind",
            description="Age of the entry that each stage has come to.",
            queries=[
                Query(
                    f"max by (stage, model) (driftgauge_stage_lag_seconds{{{MODEL}}})",
                    "{{model}}: {{stage}}",
                )
            ],
            unit="s",
        ),
        Panel(
            title="Failures",
            description="Times that a stage lost its work to an error, by the reason. What is "
            "wrong stands in the worker's log.",
            queries=[
                Query(
                    "sum by (stage, reason) "
                    f"(rate(driftgauge_stage_failures_total{{{MODEL}}}{RATE}))",
                    "{{stage}}: {{reason}}",
                )
            ],
            unit="cps",
        ),
        Panel(
            title="Days removed from the archive",
            description="Days, of predictions or of labels, that were older than "
            "DRIFTGAUGE_ARCHIVE_DAYS.",
            queries=[
                Query(
                    f"sum by (model) (increase(driftgauge_archive_expired_total{{{MODEL}}}[1d]))",
                    "{{model}}",
                )
            ],
        ),
        Panel(
            title="Leases",
            description="Stages that each worker owns.",
            queries=[
                Query("sum by (instance) (driftgauge_leases_held)", "{{instance}}"),
            ],
        ),
        Panel(
            title="Taken leases",
            description="Stages that workers took over or began.",
            queries=[
                Query(f"sum by (instance) (rate(driftgauge_takeovers_total{RATE}))", "{{instance}}")
            ],
            unit="cps",
        ),
    ),
)
