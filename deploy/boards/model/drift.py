"""How far each feature is from the reference."""

from typing import Final

from deploy.boards.board import Row
from deploy.boards.model.series import FEATURE, FEATURE_PAGE, VERSION
from deploy.boards.panels import SEVERITIES, Panel, Query

PSI: Final = f"max by (version, feature) (driftgauge_feature_psi{{{FEATURE}}})"
PSI_WARNING: Final = (
    f'max by (version, feature) (driftgauge_feature_psi_threshold{{{FEATURE}, severity="warning"}})'
)


def _features(name: str) -> list[Query]:
    """Return the query of one figure of each feature."""
    metric = f"driftgauge_feature_{name}"
    expression = f"max by (version, feature) ({metric}{{{FEATURE}}})"
    return [Query(expression, "{{feature}} ({{version}})")]


DRIFT: Final = Row(
    "Drift",
    (
        Panel(
            title="PSI by feature",
            description="How far each feature's values are from the reference (population "
            "stability index). The dashed line is the lowest of the chosen features' thresholds "
            "of a warning, which depend on the number of rows.",
            queries=[
                Query(PSI, "{{feature}} ({{version}})"),
                Query(f"min by (version) ({PSI_WARNING})", "warning ({{version}})", dashed=True),
            ],
            link=FEATURE_PAGE,
            height=10,
        ),
        Panel(
            title="Nearest to their threshold",
            description="PSI as a share of the feature's own threshold of a warning: at 100 % it "
            "is one. The 15 features that are furthest.",
            queries=[Query(f"topk(15, {PSI} / {PSI_WARNING})", "{{feature}} ({{version}})")],
            kind="bargauge",
            unit="percentunit",
            limits=(0.7, 1),
            link=FEATURE_PAGE,
            height=10,
        ),
        Panel(
            title="Severity by feature",
            description="When each feature was a warning, or critical: far from the reference, and "
            "not by chance.",
            queries=_features("severity"),
            kind="state-timeline",
            words=SEVERITIES,
            link=FEATURE_PAGE,
            height=10,
        ),
        Panel(
            title="Kolmogorov-Smirnov by feature",
            description="The largest distance between a numeric feature's distribution and the "
            "reference's, from 0 to 1.",
            queries=_features("ks"),
            link=FEATURE_PAGE,
            height=10,
        ),
        Panel(
            title="Missing values",
            description="Share of the window's rows in which a feature is missing.",
            queries=_features("missing_ratio"),
            unit="percentunit",
            link=FEATURE_PAGE,
            width=8,
        ),
        Panel(
            title="Unseen categories",
            description="Share of the window's rows with a category that the reference does not "
            "have.",
            queries=_features("unseen_ratio"),
            unit="percentunit",
            link=FEATURE_PAGE,
            width=8,
        ),
        Panel(
            title="Out of range",
            description="Share of the window's rows with a number beyond the reference's range.",
            queries=_features("out_of_range_ratio"),
            unit="percentunit",
            link=FEATURE_PAGE,
            width=8,
        ),
        Panel(
            title="Without series",
            description="Only the worst features and segments over all models have series of their "
            "own; so many of this model have none. Driftgauge's own pages have all.",
            queries=[
                Query(
                    f"max by (version) (driftgauge_{part}_omitted{{{VERSION}}})",
                    f"{part} ({{{{version}}}})",
                )
                for part in ("features", "segments")
            ],
            kind="stat",
            width=24,
            height=4,
        ),
    ),
)
