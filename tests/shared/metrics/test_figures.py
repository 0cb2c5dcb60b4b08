"""What judging writes for a scrape."""

import msgspec

from driftgauge.shared.contract.snapshot import (
    MetricReport,
    SegmentDrift,
    SegmentFeature,
    SegmentReport,
    Segments,
    Share,
)
from driftgauge.shared.metrics.figures import MOST_METRICS, FeatureFigures, Figures, SegmentFigures
from tests.producer.dashboard.snapshots import feature, performance, snapshot


def test_a_window_in_figures() -> None:
    """It has the worst columns first, the prediction and the label among them, with their PSI,
    thresholds, KS and shares.
    """
    shares = [Share("missing", 0.0, 0.25), Share("out_of_range", 0.0, 0.5)]
    found = Figures.of(
        snapshot(
            5_000,
            [feature("x"), feature("y", 0.4, "critical", shares=shares), feature("z", 0.1)],
            prediction=feature("prediction", 0.2, "warning"),
            performance=msgspec.structs.replace(performance(1.5), target=feature("label", 0.05)),
        ),
        200,
        100,
    )
    assert [one.name for one in found.features] == ["y", "prediction", "z", "label", "x"]
    assert found.features[0] == FeatureFigures(
        "y", "critical", 0.4, 0.15, 0.3, 0.2, missing=0.25, out_of_range=0.5
    )
    assert (found.rows, found.end, found.of_features) == (2000, 5000, 5)
    assert found.performance is not None
    assert (found.performance.labelled, found.performance.coverage) == (500, 0.8)
    (metric,) = found.performance.metrics
    assert (metric.name, metric.low, metric.high, metric.baseline) == ("rmse", 1.4, 1.6, 1.0)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Figures) == found


def test_figures_are_bounded() -> None:
    """However wide a model is, a scrape reads the worst columns, segments and metrics; of parts of
    the same name the first.
    """
    wide = [feature(f"f{number}", number / 100) for number in range(50)]
    metric = performance(1.0).metrics[0]
    many = [msgspec.structs.replace(metric, name=f"f1:{number}") for number in range(500)]
    parts = [
        SegmentReport(
            "s", f"{number % 30}", "ok", "", 9, 0.1, 0.1, [SegmentDrift("f0", number, None)], 0, []
        )
        for number in range(40)
    ]
    found = Figures.of(
        snapshot(
            5,
            [*wide, feature("f0", 9.0, "critical")],
            prediction=None,
            performance=msgspec.structs.replace(performance(1.0), metrics=many),
            segments=Segments("mae", None, None, [SegmentFeature("s", parts)]),
        ),
        3,
        2,
    )
    assert [one.name for one in found.features] == ["f49", "f48", "f47"]
    assert (found.of_features, found.of_segments) == (50, 30)
    assert [one.name for one in found.segments] == ["s=29", "s=28"]
    assert found.performance is not None
    assert len(found.performance.metrics) == MOST_METRICS


def test_a_segment_in_figures() -> None:
    """It has the column that drifted most, and the first metric that has a value."""
    undefined = MetricReport("f1", None, None, None, 0.0, 9)
    accuracy = MetricReport("accuracy", 0.5, 0.4, 0.6, 0.0, 9)
    report = SegmentReport(
        "region",
        "north",
        "warning",
        "",
        90,
        0.1,
        0.1,
        [SegmentDrift("x", 0.3, 0.2), SegmentDrift("y", 0.1, None)],
        9,
        [undefined, accuracy],
    )
    assert SegmentFigures.of(report) == SegmentFigures(
        "region=north", "warning", 90, "x", 0.3, "accuracy", 0.5
    )
