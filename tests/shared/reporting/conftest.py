import msgspec
import pytest

from driftgauge.shared.contract.snapshot import (
    ActiveAlert,
    Confusion,
    FeatureReport,
    Histogram,
    MetricReport,
    Performance,
    RecommendedAction,
    RuleLevel,
    Share,
    Snapshot,
    Statistic,
    Window,
)
from driftgauge.shared.reporting.health import PipelineHealth
from tests.shared.reporting.segmented import segments

replace = msgspec.structs.replace

NOTE = "fewer than 500 rows in the window"
MAY_1 = 1714557600000  # 2024-05-01 10:00:00 UTC


def drifted() -> FeatureReport:
    return FeatureReport(
        name="temperature",
        kind="numeric",
        severity="critical",
        reason="PSI 0.412 exceeds 0.318",
        statistics=[
            Statistic("psi", 0.41234567, expected=0.0101, warning=0.151234, critical=0.318),
            Statistic("ks", 0.2134, p_value=1e-12),
            Statistic("jensen_shannon", 0.18765),
            Statistic("wasserstein", 3.4567),
            Statistic("chi_squared", 412.6, p_value=0.00032),
        ],
        shares=[Share("missing", 0.001, 0.052, 1e-9), Share("out_of_range", 0.0, 0.013, 0.0004)],
        histogram=Histogram(
            edges=[10.0, 14.0, 16.0, 17.5, 18.5, 19.5, 20.5, 22.0, 24.0, 30.0],
            labels=None,
            reference=[0.08, 0.12, 0.14, 0.16, 0.16, 0.139, 0.1, 0.06, 0.04],
            window=[0.02, 0.03, 0.06, 0.1, 0.137, 0.181, 0.19, 0.13, 0.1],
        ),
        reference_quantiles=[9.1, 16.2, 18.4, 20.1, 31.7],
        window_quantiles=[10.4, 18.0, 20.2, 22.3, 35.9],
    )


def peaked() -> FeatureReport:
    return FeatureReport(
        name="reactive_power_kvarh",
        kind="numeric",
        severity="ok",
        reason="",
        statistics=[
            Statistic("psi", 0.0301, expected=0.0092, warning=0.149, critical=0.32),
            Statistic("ks", 0.031, p_value=0.41),
            Statistic("wasserstein", None, note="the reference has no spread"),
        ],
        shares=[Share("missing", 0.0, 0.0)],
        histogram=Histogram(
            edges=[0.0, 0.01, 0.5, 3.0, 20.0, 97.0],
            labels=None,
            reference=[0.4, 0.1, 0.2, 0.2, 0.1],
            window=[0.38, 0.12, 0.21, 0.2, 0.09],
        ),
        reference_quantiles=[0.0, 0.0, 0.9, 6.4, 96.9],
        window_quantiles=[0.0, 0.0, 0.8, 6.1, 90.2],
    )


def discrete() -> FeatureReport:
    return FeatureReport(
        name="hour",
        kind="numeric",
        severity="warning",
        reason="PSI 0.203 exceeds 0.142",
        statistics=[
            Statistic("psi", 0.203, expected=0.027, warning=0.142, critical=0.309),
            Statistic("ks", 0.09),
        ],
        shares=[Share("missing", 0.0, 0.0, 1.0)],
        histogram=Histogram(
            edges=None,
            labels=[str(hour) for hour in range(24)],
            reference=[1 / 24] * 24,
            window=[(hour + 6) / (24 * 17.5) for hour in range(24)],
        ),
        reference_quantiles=[0, 6, 12, 18, 23],
        window_quantiles=[0, 8, 14, 19, 23],
    )


def categorical() -> FeatureReport:
    return FeatureReport(
        name="load_type",
        kind="categorical",
        severity="critical",
        reason="unseen categories in 2.0 % of rows, none in the reference (p < 0.0001)",
        statistics=[
            Statistic("psi", 0.0612, expected=0.003, warning=0.131, critical=0.294),
            Statistic("jensen_shannon", 0.0871),
            Statistic("chi_squared", 22.4, p_value=0.0123),
        ],
        shares=[Share("missing", 0.0, 0.0, 1.0), Share("unseen", 0.0, 0.02, 1e-7)],
        histogram=Histogram(
            edges=None,
            labels=["light load", "medium load", "maximum load of the whole plant", "(unseen)"],
            reference=[0.515, 0.277, 0.208, 0.0],
            window=[0.49, 0.25, 0.24, 0.02],
        ),
        reference_quantiles=[],
        window_quantiles=[],
    )


def insufficient() -> FeatureReport:
    return FeatureReport(
        name="lagging_current_power_factor",
        kind="numeric",
        severity="insufficient_data",
        reason=NOTE,
        statistics=[Statistic("psi", None, note=NOTE), Statistic("ks", None, note=NOTE)],
        shares=[],
        histogram=Histogram(edges=[], labels=None, reference=[], window=[]),
        reference_quantiles=[],
        window_quantiles=[],
    )


def excluded() -> FeatureReport:
    return FeatureReport(
        name="month",
        kind="numeric",
        severity="excluded",
        reason="a function of the clock",
        statistics=[],
        shares=[],
        histogram=Histogram(edges=None, labels=[], reference=[], window=[]),
        reference_quantiles=[],
        window_quantiles=[],
    )


def prediction() -> FeatureReport:
    return FeatureReport(
        name="energy_kwh",
        kind="numeric",
        severity="ok",
        reason="",
        statistics=[Statistic("psi", 0.00042, expected=0.0101, warning=0.151, critical=0.318)],
        shares=[Share("missing", 0.0, 0.0)],
        histogram=Histogram(
            edges=[0, 50_000, 100_000, 200_000],
            labels=None,
            reference=[0.5, 0.3, 0.2],
            window=[0.49, 0.3, 0.21],
        ),
        reference_quantiles=[120.0, 21_345.5, 48_000, 98_700, 187_654],
        window_quantiles=[130.0, 22_345.5, 49_000, 99_700, 177_654],
    )


@pytest.fixture
def snapshot() -> Snapshot:
    return Snapshot(
        id="steel-v3-1714557600000",
        model="steel",
        version="v3",
        trigger="alert",
        created=MAY_1,
        severity="critical",
        verdict=(
            "2 of 6 features are critical: temperature and load_type no longer look like the "
            "reference."
        ),
        window=Window(start=MAY_1 - 1_800_000, end=MAY_1, rows=1834, panes=6, events=182_345),
        reference_rows=26_280,
        features=[peaked(), insufficient(), discrete(), excluded(), categorical(), drifted()],
        prediction=prediction(),
        alerts=[
            ActiveAlert(
                "91be0c",
                "hour",
                "psi",
                "warning",
                "pending",
                MAY_1 - 60_000,
                "PSI 0.203 exceeds 0.142",
            ),
            ActiveAlert(
                "07aa31",
                "temperature",
                "psi",
                "critical",
                "firing",
                MAY_1,
                "PSI 0.412 exceeds 0.318",
            ),
        ],
        events_per_day=88_013.0,
    )


def target() -> FeatureReport:
    """The labels, of which fewer are paid than in the reference."""
    bars = Histogram(None, ["paid", "default"], [0.78, 0.22], [0.64, 0.36])
    return replace(
        categorical(),
        name="label",
        severity="warning",
        reason="PSI 0.21 exceeds 0.131",
        histogram=bars,
    )


def performance() -> Performance:
    def metric(
        name: str, value: float | None, baseline: float | None = None, **more: object
    ) -> MetricReport:
        return replace(MetricReport(name, value, None, None, 0.0, 1876, baseline), **more)

    return Performance(
        severity="critical",
        reason="F1 fell from 0.683 to 0.600",
        start=MAY_1 - 7_200_000,
        end=MAY_1,
        predictions=2250,
        labelled=1876,
        coverage=0.834,
        corrected=4,
        delays_ms=[42_000.0, 900_000.0, 7_200_000.0],
        confidence=0.997,
        metrics=[
            metric(
                "f1_macro", 0.6, 0.683, low=0.571, high=0.629, change=-0.1215, severity="critical"
            ),
            metric("accuracy", 0.79, 0.82, low=0.768, high=0.812, change=-0.037),
            metric("roc_auc", None, note="one class alone has labels"),
        ],
        confusion=Confusion(
            ["paid", "default", "OTHER"], [[1320, 130, 0], [262, 164, 0], [0, 0, 0]]
        ),
        estimated=[metric("accuracy", 0.803), metric("brier", 0.141)],
        assumption="no concept drift",
        target=target(),
    )


@pytest.fixture
def full(snapshot: Snapshot) -> Snapshot:
    """A snapshot that has everything."""
    times = [MAY_1 - 60_000 * (40 - place) for place in range(41)]
    features = [
        replace(
            feature,
            psi_history=[None, *(0.01 * place for place in range(40))],
            reference_quantiles=[*map(float, range(33))] if feature.kind == "numeric" else [],
            window_quantiles=[1.0 + place for place in range(33)]
            if feature.kind == "numeric"
            else [],
            histogram=replace(feature.histogram, below=(0.005, 0.05), above=(0.005, 0.0))
            if feature.histogram.edges
            else feature.histogram,
        )
        for feature in snapshot.features
    ]
    return replace(
        snapshot,
        features=features,
        history_times=times,
        performance=performance(),
        segments=segments(),
        notes=["The rows are exchangeable."],
        actions=[RecommendedAction("fix_feed", "Look at the feed.", ["07aa31"])],
        levels=[RuleLevel("psi", 0.3, 1e-6, 0.1, 3e6, critical=0.25, note="floors")],
    )


@pytest.fixture
def health() -> PipelineHealth:
    return PipelineHealth(MAY_1, 9123, 0.8, 12, 3, 7, 2)
