"""The current windows in metrics: whose features and segments get series."""

from typing import Any

from driftgauge.producer.metrics.scrapes import Found, exposed
from driftgauge.producer.metrics.windows import Judged
from driftgauge.shared.metrics.figures import FeatureFigures, Figures, SegmentFigures
from tests.exposition import Metrics, read
from tests.producer.dashboard.snapshots import feature, performance, snapshot


def figures(*names: str, version: str = "1.0.0", severity: Any = "ok", psi: float = 0.1) -> Figures:
    features = [FeatureFigures(name, severity, psi, 0.2, 0.3) for name in names]
    segments = [SegmentFigures(f"s={name}", severity, 9, "x", psi) for name in names]
    return Figures(version, severity, 500, 1000, features, len(names), segments, len(names))


def told(windows: list[Judged], features: int = 200, segments: int = 100, **more: Any) -> Metrics:
    return read(exposed(Found(up=True, readable=True, windows=windows, **more), features, segments))


def series(metrics: Metrics, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    found = metrics[name].samples if name in metrics else ()
    return {tuple(one.labels[label] for label in labels): one.value for one in found}


def test_a_window_in_metrics() -> None:
    """What judging found is there with the label names of the table; a kind of value that a column
    cannot have has no series.
    """
    taken = snapshot(
        5_000, [feature("x", 0.4, "critical")], severity="critical", performance=performance(1.5)
    )
    metrics = told([Judged("plant", Figures.of(taken, 200, 100))])
    of = ("model", "version", "feature")
    assert series(metrics, "driftgauge_feature_psi", *of)["plant", "1.0.0", "x"] == 0.4
    assert series(metrics, "driftgauge_feature_ks", *of)["plant", "1.0.0", "x"] == 0.2
    thresholds = series(metrics, "driftgauge_feature_psi_threshold", "feature", "severity")
    assert (thresholds["x", "warning"], thresholds["x", "critical"]) == (0.15, 0.3)
    assert series(metrics, "driftgauge_feature_missing_ratio", "feature")["x",] == 0.01
    assert "driftgauge_feature_unseen_ratio" not in metrics
    assert series(metrics, "driftgauge_feature_severity", "feature")["x",] == 2
    assert series(metrics, "driftgauge_version_severity", "version") == {("1.0.0",): 2}
    assert series(metrics, "driftgauge_window_end_timestamp_seconds") == {(): 5.0}
    for end, expected in {"": 1.5, "_lower": 1.4, "_upper": 1.6, "_baseline": 1.0}.items():
        assert series(metrics, f"driftgauge_performance{end}", "metric") == {("rmse",): expected}
    assert "driftgauge_performance_estimated" not in metrics
    assert series(metrics, "driftgauge_label_coverage_ratio") == {(): 0.8}
    assert series(metrics, "driftgauge_label_delay_seconds", "quantile") == {
        ("0.5",): 0.001,
        ("0.9",): 0.002,
        ("0.99",): 0.003,
    }


def test_the_worst_over_all_models_have_series() -> None:
    """However many models there are, so many features and segments get series: by severity, then
    by PSI; each model says how many of its own did not.
    """
    windows = [Judged(f"m{number}", figures("a", "b", psi=number / 1000)) for number in range(300)]
    windows.append(Judged("bad", figures("c", severity="warning", psi=0.0)))
    metrics = told(windows, 5, 3)
    found = series(metrics, "driftgauge_feature_psi", "model", "feature")
    assert list(found) == [("bad", "c"), ("m299", "a"), ("m299", "b"), ("m298", "a"), ("m298", "b")]
    omitted = series(metrics, "driftgauge_features_omitted", "model")
    assert (omitted["bad",], omitted["m299",], omitted["m0",]) == (0, 0, 2)
    assert sum(omitted.values()) == 601 - 5
    assert len(series(metrics, "driftgauge_segment_rows", "model", "segment")) == 3
    assert sum(series(metrics, "driftgauge_segments_omitted", "model").values()) == 601 - 3


def test_what_cannot_be_judged_is_not_well() -> None:
    """Too few rows are no severity 0: there is none, and the version says that it is not judged."""
    metrics = told([Judged("plant", figures("a", severity="insufficient_data"))])
    for name in ("version_severity", "feature_severity", "segment_severity"):
        assert f"driftgauge_{name}" not in metrics
    assert series(metrics, "driftgauge_version_judged", "model") == {("plant",): 0}


def test_the_severity_of_a_model_is_its_worst() -> None:
    """Of its versions and its open incidents; incidents are counted by severity and kind, 0 too."""
    windows = [
        Judged("a", figures("x")),
        Judged("a", figures("x", version="2.0.0", severity="warning")),
        Judged("b", figures("x")),
        Judged("c", figures("x", severity="uncalibrated")),
    ]
    incidents: Any = {"a": {}, "b": {("critical", "operation"): 2}, "c": {}}
    metrics = told(windows, incidents=incidents)
    assert series(metrics, "driftgauge_model_severity", "model") == {("a",): 1, ("b",): 2}
    counted = series(metrics, "driftgauge_incidents_open", "model", "severity", "kind")
    assert (counted["b", "critical", "operation"], counted["b", "warning", "model"]) == (2, 0)
