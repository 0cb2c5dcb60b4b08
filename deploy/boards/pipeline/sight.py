"""Whether the monitor sees."""

from typing import Final

from deploy.boards.board import Row
from deploy.boards.panels import Panel, Query
from deploy.boards.pipeline.queries import MODEL

SIGHT: Final = Row(
    "Does the monitor see?",
    (
        Panel(
            title="Redis",
            description="Whether Redis answers every API process. While it does not, events wait "
            "in the API and are sent later.",
            queries=[Query("min(driftgauge_redis_up) or vector(0)", "redis")],
            kind="stat",
            words=("away", "answers"),
            colours=("red", "green"),
            width=4,
            height=4,
        ),
        Panel(
            title="API processes",
            description="API processes that this Prometheus reaches.",
            queries=[Query("count(driftgauge_publisher_connected) or vector(0)", "processes")],
            kind="stat",
            width=4,
            height=4,
        ),
        Panel(
            title="Workers",
            description="Workers that this Prometheus reaches, by the ports that they were given.",
            queries=[Query("count(driftgauge_worker_redis_up) or vector(0)", "workers")],
            kind="stat",
            width=4,
            height=4,
        ),
        Panel(
            title="Partitions without a worker",
            description="Partitions that nobody counts. Start a worker; nothing is lost meanwhile.",
            queries=[
                Query(
                    "count(max by (model, partition) "
                    f"(driftgauge_owner_present{{{MODEL}}}) == 0) or vector(0)",
                    "partitions",
                )
            ],
            kind="stat",
            limits=(1, 1),
            width=4,
            height=4,
        ),
        Panel(
            title="Events that are missing",
            description="Numbers of publishers that have not arrived: on their way, in a spool, or "
            "lost.",
            queries=[
                Query(
                    "sum(max by (model, partition) "
                    f"(driftgauge_sequences_missing{{{MODEL}}})) or vector(0)",
                    "events",
                )
            ],
            kind="stat",
            limits=(1, 1_000),
            width=4,
            height=4,
        ),
        Panel(
            title="Dropped events",
            description="Events that API processes had no room for, in the time that is shown. "
            "They are not counted.",
            queries=[
                Query(
                    "sum(increase(driftgauge_events_dropped_total[$__range])) or vector(0)",
                    "events",
                )
            ],
            kind="stat",
            limits=(1, 1),
            width=4,
            height=4,
        ),
        Panel(
            title="Rules of the watchdog",
            description="When each rule found that the monitor does not see, for any of the chosen "
            "models. docs/alerts.md says what each means.",
            queries=[Query(f"max by (rule) (driftgauge_blind{{{MODEL}}})", "{{rule}}")],
            kind="state-timeline",
            words=("well", "fires"),
            colours=("green", "red"),
            width=24,
            height=10,
        ),
    ),
)
