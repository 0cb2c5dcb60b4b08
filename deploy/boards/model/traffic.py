"""What reaches the model."""

from typing import Final

from deploy.boards.board import Row
from deploy.boards.model.series import COUNTED, MODEL, VERSION
from deploy.boards.panels import Panel, Query

LATENCY: Final = (
    "sum by (le) (max by (version, le) "
    f"(rate(driftgauge_prediction_latency_seconds_bucket{{{VERSION}}}[$__rate_interval])))"
)
TRAFFIC: Final = Row(
    "Traffic",
    (
        Panel(
            title="Predictions a second",
            description="Predictions that were counted, by version and by where they came from. "
            "Only online ones count for drift by default.",
            queries=[
                Query(f"sum by (version, source) ({COUNTED})", "{{version}} {{source}}"),
            ],
            unit="reqps",
        ),
        Panel(
            title="Time of a prediction",
            description="Time that the model took, as the events say: of half of them, of 95 % and "
            "of 99 %.",
            queries=[
                Query(f"histogram_quantile({share}, {LATENCY})", f"{float(share):.0%}")
                for share in ("0.5", "0.95", "0.99")
            ],
            unit="s",
        ),
        Panel(
            title="Refused events",
            description="Events that do not fit the schema, by the bad field and the reason. They "
            "are in no log and not counted: the client changed, or the schema is too narrow.",
            queries=[
                Query(
                    "sum by (field, reason) "
                    f"(rate(driftgauge_fields_refused_total{{{MODEL}}}[$__rate_interval]))",
                    "{{field}}: {{reason}}",
                )
            ],
            unit="cps",
        ),
        Panel(
            title="Failed predictions",
            description="Predictions for which clients told an error instead of a value.",
            queries=[
                Query(
                    "sum(max by (partition) "
                    f"(rate(driftgauge_predictions_failed_total{{{MODEL}}}[$__rate_interval])))",
                    "failed",
                )
            ],
            unit="cps",
        ),
    ),
)
