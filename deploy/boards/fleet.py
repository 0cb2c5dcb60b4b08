"""The board of all models: which are well, which are not, and whether they are seen at all."""

from typing import Final

from deploy.boards.board import Board, Choice, Row
from deploy.boards.panels import SEVERITIES, Panel, Query

MODEL_PAGE: Final = ("This model in Driftgauge", "/dashboard/models/${__field.labels.model}")
TRAFFIC: Final = (
    "sum by (model) (max by (model, partition, version, source) "
    '(rate(driftgauge_events_counted_total{model=~"$model"}[$__rate_interval])))'
)
SEVERITY: Final = 'max by (model) (driftgauge_model_severity{model=~"$model"})'
INCIDENTS: Final = (
    'sum by (model) (max by (model, severity, kind) (driftgauge_incidents_open{model=~"$model"}))'
)
AGE: Final = 'max by (model) (driftgauge_oldest_uncounted_seconds{model=~"$model"})'
FEATURES: Final = (
    "sum by (model) (max by (model, version, feature) "
    '(driftgauge_feature_severity{model=~"$model"} > bool 0))'
)
COVERAGE: Final = 'min by (model) (driftgauge_label_coverage_ratio{model=~"$model"})'
BLIND: Final = 'max by (model) (driftgauge_blind{model=~"$model"})'
KNOWN: Final = 'max by (model) (driftgauge_judging_owner_present{model=~"$model"})'

NOW: Final = Row(
    "Now",
    (
        Panel(
            title="Models",
            description="Models that Driftgauge watches.",
            queries=[Query(f"count({KNOWN}) or vector(0)", "models")],
            kind="stat",
            width=4,
            height=4,
        ),
        Panel(
            title="Critical",
            description="Models with a critical incident or window. Look at these first.",
            queries=[Query(f"count({SEVERITY} == 2) or vector(0)", "models")],
            kind="stat",
            limits=(1, 1),
            width=4,
            height=4,
        ),
        Panel(
            title="Warning",
            description="Models with a warning, and nothing critical.",
            queries=[Query(f"count({SEVERITY} == 1) or vector(0)", "models")],
            kind="stat",
            limits=(1, 1_000_000),
            width=4,
            height=4,
        ),
        Panel(
            title="Not judged",
            description="Models of which nothing can be judged yet, for example with too few rows.",
            queries=[Query(f"count({KNOWN} unless {SEVERITY}) or vector(0)", "models")],
            kind="stat",
            limits=(1, 1_000_000),
            width=4,
            height=4,
        ),
        Panel(
            title="Not seen",
            description="Models for which the monitor itself does not work: what it says of them "
            "is old or not complete. The board of the pipeline says why.",
            queries=[Query(f"count({BLIND} == 1) or vector(0)", "models")],
            kind="stat",
            limits=(1, 1),
            width=4,
            height=4,
        ),
        Panel(
            title="Open incidents",
            description="Faults that are open now. One fault is one incident, however many columns "
            "it moves.",
            queries=[Query(f"sum({INCIDENTS}) or vector(0)", "incidents")],
            kind="stat",
            limits=(1, 5),
            width=4,
            height=4,
        ),
    ),
)

MODELS: Final = Row(
    "Models",
    (
        Panel(
            title="Every model",
            description="How each model stands now. Without a severity, nothing can be judged.",
            queries=[
                Query(SEVERITY, "Severity", words=SEVERITIES),
                Query(INCIDENTS, "Open incidents"),
                Query(FEATURES, "Features off"),
                Query(TRAFFIC, "Predictions a second", unit="reqps"),
                Query(AGE, "Oldest not counted", unit="s"),
                Query(COVERAGE, "With label", unit="percentunit"),
                Query(BLIND, "Seen", words=("yes", "no"), colours=("green", "red")),
            ],
            kind="table",
            link=("This model in Driftgauge", "/dashboard/models/${__data.fields.model}"),
            width=24,
            height=9,
        ),
        Panel(
            title="Severity",
            description="How bad each model was over time. A gap is a time in which nothing could "
            "be judged.",
            queries=[Query(SEVERITY, "{{model}}")],
            kind="state-timeline",
            words=SEVERITIES,
            link=MODEL_PAGE,
            width=24,
            height=9,
        ),
    ),
)

OVER_TIME: Final = Row(
    "Over time",
    (
        Panel(
            title="Predictions a second",
            description="Predictions that were counted. A line that falls to zero is a model that "
            "nobody calls, or a feed that broke.",
            queries=[Query(TRAFFIC, "{{model}}")],
            unit="reqps",
            link=MODEL_PAGE,
        ),
        Panel(
            title="Open incidents",
            description="Faults that were open at a time.",
            queries=[Query(INCIDENTS, "{{model}}")],
            link=MODEL_PAGE,
        ),
        Panel(
            title="Features that are off",
            description="Features of all versions with a warning or worse, among those that have "
            "series of their own.",
            queries=[Query(FEATURES, "{{model}}")],
            link=MODEL_PAGE,
        ),
        Panel(
            title="Age of the oldest prediction that is not counted",
            description="How far the monitor is behind. Some seconds are usual; a line that rises "
            "steadily needs another worker.",
            queries=[Query(AGE, "{{model}}")],
            unit="s",
            limits=(30, 60),
        ),
    ),
)

BOARD: Final = Board(
    name="fleet",
    title="Driftgauge: fleet",
    description="All models at a glance: which are well, which drift, and which are not seen.",
    choices=(Choice("model", "driftgauge_judging_owner_present"),),
    rows=(NOW, MODELS, OVER_TIME),
)
