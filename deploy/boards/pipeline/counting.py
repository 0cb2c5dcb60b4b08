"""From the log to the judgement, and what was not counted."""

from typing import Final

from deploy.boards.board import Row
from deploy.boards.panels import Panel, Query
from deploy.boards.pipeline.queries import MODEL, RATE, grown, partitions

UNUSED: Final = "unknown|expired|unfit|refused"
"""What becomes of a label that joins no prediction."""

COUNTING: Final = Row(
    "From the log to the judgement",
    (
        Panel(
            title="Counted events a second",
            description="Events that workers counted, each once.",
            queries=[
                Query(
                    "sum by (model) (max by (model, partition, version, source) "
                    f"(rate(driftgauge_events_counted_total{{{MODEL}}}{RATE})))",
                    "{{model}}",
                )
            ],
            unit="cps",
        ),
        Panel(
            title="Entries that wait",
            description="Entries of the log that are not counted yet.",
            queries=partitions("driftgauge_lag_entries"),
        ),
        Panel(
            title="Age of the oldest entry that waits",
            description="Above a minute the monitor counts as blind: start another worker.",
            queries=partitions("driftgauge_oldest_uncounted_seconds"),
            unit="s",
            limits=(30, 60),
        ),
        Panel(
            title="Panes that wait for judging",
            description="Closed panes that were not judged yet.",
            queries=[
                *partitions("driftgauge_judging_lag_panes"),
                Query(
                    f"max by (model, partition) (driftgauge_judging_waiting_panes{{{MODEL}}})",
                    "{{model}} {{partition}}, for other partitions",
                    dashed=True,
                ),
            ],
        ),
    ),
)
LOSSES: Final = Row(
    "What was not counted",
    (
        Panel(
            title="Refused events",
            description="Events that do not fit their model's schema. They are in no log.",
            queries=[
                Query(
                    "sum by (model, field, reason) "
                    f"(rate(driftgauge_fields_refused_total{{{MODEL}}}{RATE}))",
                    "{{model}}: {{field}} {{reason}}",
                )
            ],
            unit="cps",
        ),
        Panel(
            title="Dead letters and repetitions",
            description="Entries that could not be read, and entries that came twice and were "
            "counted once.",
            queries=[
                Query(grown("driftgauge_dead_letters_total"), "{{model}}: dead letters"),
                Query(grown("driftgauge_duplicates_total"), "{{model}}: repetitions"),
            ],
            unit="cps",
        ),
        Panel(
            title="Events that are missing",
            description="Numbers of publishers that have not arrived, and those that never will.",
            queries=[
                *partitions("driftgauge_sequences_missing"),
                Query(
                    f"sum by (model) (max by (model, partition) "
                    f"(driftgauge_events_lost_total{{{MODEL}}}))",
                    "{{model}}: lost for good",
                    dashed=True,
                ),
            ],
            width=8,
        ),
        Panel(
            title="Waiting for each other",
            description="Predictions that wait for their true value, and true values whose "
            "prediction did not come yet.",
            queries=[
                Query(
                    f"sum by (model, kind) (max by (model, partition, kind) "
                    f"(driftgauge_labels_waiting{{{MODEL}}}))",
                    "{{model}}: {{kind}}",
                )
            ],
            width=8,
        ),
        Panel(
            title="True values that cannot be used",
            description="Labels that were refused or name no prediction, and predictions that had "
            "no room to wait for theirs.",
            queries=[
                Query(
                    "sum by (model, outcome) (max by (model, partition, outcome) "
                    f'(rate(driftgauge_labels_total{{{MODEL}, outcome=~"{UNUSED}"}}{RATE})))',
                    "{{model}}: {{outcome}}",
                ),
                Query(
                    "sum by (model, field, reason) "
                    f"(rate(driftgauge_labels_refused_total{{{MODEL}}}{RATE}))",
                    "{{model}}: refused, {{field}} {{reason}}",
                ),
                Query(
                    grown("driftgauge_predictions_without_label_total", "reason"),
                    "{{model}}: {{reason}}",
                ),
            ],
            unit="cps",
            width=8,
        ),
    ),
)
