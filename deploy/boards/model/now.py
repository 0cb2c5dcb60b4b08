"""How the model stands now."""

from typing import Final

from deploy.boards.board import Row
from deploy.boards.model.series import COUNTED, FEATURE, MODEL, VERSION
from deploy.boards.panels import SEVERITIES, Panel, Query

NOW: Final = Row(
    "Now",
    (
        Panel(
            title="Severity",
            description="The worst of the model's windows and open incidents.",
            queries=[Query(f"max(driftgauge_model_severity{{{MODEL}}})", "severity")],
            kind="stat",
            words=SEVERITIES,
            width=4,
            height=4,
        ),
        Panel(
            title="Open incidents",
            description="Faults that are open now, the model's and those of its operation.",
            queries=[
                Query(
                    "sum(max by (severity, kind) "
                    f"(driftgauge_incidents_open{{{MODEL}}})) or vector(0)",
                    "incidents",
                )
            ],
            kind="stat",
            limits=(1, 5),
            link=("Incidents in Driftgauge", "/dashboard/incidents?model=${model:raw}"),
            width=4,
            height=4,
        ),
        Panel(
            title="Features off",
            description="Features with a warning or worse, among the chosen ones.",
            queries=[
                Query(
                    "sum(max by (version, feature) "
                    f"(driftgauge_feature_severity{{{FEATURE}}} > bool 0)) or vector(0)",
                    "features",
                )
            ],
            kind="stat",
            limits=(1, 5),
            width=4,
            height=4,
        ),
        Panel(
            title="Predictions a second",
            description="Predictions of the chosen versions that were counted.",
            queries=[Query(f"sum({COUNTED}) or vector(0)", "predictions")],
            kind="stat",
            unit="reqps",
            width=4,
            height=4,
        ),
        Panel(
            title="Rows of the window",
            description="Rows that the judgement of drift is made of. Below 500 nothing is judged.",
            queries=[
                Query(f"max by (version) (driftgauge_window_rows{{{VERSION}}})", "{{version}}")
            ],
            kind="stat",
            width=4,
            height=4,
        ),
        Panel(
            title="Age of the window",
            description="Time since the last event that was judged, by the events' own clock. It "
            "is old when traffic is rare, or when the monitor stands still.",
            queries=[
                Query(
                    "min by (version) (time() - "
                    f"driftgauge_window_end_timestamp_seconds{{{VERSION}}})",
                    "{{version}}",
                )
            ],
            kind="stat",
            unit="s",
            width=4,
            height=4,
        ),
    ),
)
